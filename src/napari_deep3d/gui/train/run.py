"""One training from start to end: the job in its thread, and what to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from qtpy.QtCore import QObject, Signal

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Job, Metrics, Notice, Pause, Preview, Progress, Stop
from napari_deep3d.gui.shared.texts import format_seconds
from napari_deep3d.gui.shared.training_pairs import Member, source_of
from napari_deep3d.gui.shared.worker import Cancelled, Failed, PauseSwitch, Run
from napari_deep3d.jobs.models import is_listed, keep_model
from napari_deep3d.jobs.run_folder import MODEL_FILE, read_run
from napari_deep3d.jobs.train import TrainResult, train_model

Ending = Literal["done", "stopped", "early", "failed"]
SAVING_SECONDS = 10.0
"""How long a closing window waits for a training to write its state."""


@dataclass(frozen=True)
class TrainRequest:
    """What a training works on, fixed and checked before its thread starts.

    Attributes
    ----------
    run
        Its folder.
    name, start
        Name of the new model; the model it begins from, empty for none.
    config, minutes
        Settings, and how long it may take, if not a number of steps is set.
    members
        The pairs; empty to go on with those of an earlier run.
    """

    run: Path
    name: str
    start: str = ""
    config: TrainConfig = field(default_factory=TrainConfig)
    minutes: float | None = None
    members: tuple[Member, ...] = ()
    preview_every: int = 0

    @property
    def resumes(self) -> bool:
        """Whether it goes on with an earlier run."""
        return not self.members


@dataclass(frozen=True)
class TrainingEnd:
    """A training that has ended: its result, the model's name on the list, or why it is not on it."""

    result: TrainResult
    model: str
    problem: str = ""


@dataclass(frozen=True)
class TrainOutcome:
    """How a training ended: a sentence, in which of four ways, the model's name, and the run that can go on."""

    text: str
    kind: Ending
    model: str = ""
    resumable: Path | None = None


class TrainingRun(QObject):
    """A training under way.

    Attributes
    ----------
    progressed, measured, previewed
        Signals, with a Progress, Metrics, or Preview.
    noticed
        Signal, with a sentence that the user should read.
    ended
        Signal, once, with a :class:`TrainOutcome`.
    """

    progressed = Signal(object)
    measured = Signal(object)
    previewed = Signal(object)
    noticed = Signal(str)
    ended = Signal(object)

    def __init__(self, request: TrainRequest) -> None:
        super().__init__()
        self.request = request
        self.pause = PauseSwitch()
        self._run = Run(f"Deep3D trains {request.name}", partial(_train, request, self.pause))
        self._run.happened.connect(self._on_event)
        self._run.ended.connect(self._on_ended)

    def start(self) -> None:
        """Start the job; connect the signals first."""
        self._run.start()

    def stop(self) -> None:
        """Ask the job to finish now; the model as it stands is kept."""
        self._run.stop()

    def close(self) -> None:
        """Stop without telling anyone, as when the window closes, and wait until the state is written."""
        self._run.close(SAVING_SECONDS)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.progressed.emit(event)
        elif isinstance(event, Metrics):
            self.measured.emit(event)
        elif isinstance(event, Preview):
            self.previewed.emit(event)
        elif isinstance(event, Notice):
            self.noticed.emit(event.message)

    def _on_ended(self, end: TrainingEnd | Failed | Cancelled) -> None:
        self.ended.emit(_conclude(self.request, end))


def _train(request: TrainRequest, paused: Pause, stop: Stop) -> Job[TrainingEnd]:
    """Train, and put the model on the list; in the worker."""
    replaces = request.resumes and is_listed(request.name, request.run / MODEL_FILE)
    result = yield from train_model(
        source_of(request.members) if request.members else None,
        request.run,
        request.config,
        name=request.name,
        start=request.start,
        minutes=request.minutes,
        resume=request.resumes,
        preview_every=request.preview_every,
        stop=stop,
        paused=paused,
    )
    try:
        return TrainingEnd(result, keep_model(result.name, result.model, replaces).name)
    except InputError as error:
        return TrainingEnd(result, "", str(error))


def _conclude(request: TrainRequest, end: TrainingEnd | Failed | Cancelled) -> TrainOutcome:
    if isinstance(end, TrainingEnd):
        return _describe(end)
    steps = _steps_kept(request.run)
    kept = f"Step {steps} is kept: Resume goes on from there." if steps else "Nothing was kept."
    if isinstance(end, Cancelled):
        return TrainOutcome(f"Stopped. {kept}", "stopped", resumable=request.run if steps else None)
    parts = [end.sentence("The training"), kept if end.kind != "input" or steps else "", _remedy(end)]
    return TrainOutcome(" ".join(filter(None, parts)), "failed", resumable=request.run if steps else None)


def _describe(end: TrainingEnd) -> TrainOutcome:
    result = end.result
    is_stopped = not result.complete and not result.reason
    figures = [f"{result.iterations_per_second:.2g} steps/s"]
    if result.validation:
        scores = result.validation
        figures.append(f"on the test pairs RMSE {scores['rmse']:.3g}, SSIM {scores['ssim']:.3g}")
    if is_stopped:
        first = f"Stopped at step {result.iterations} after {format_seconds(result.seconds)}, {', '.join(figures)}."
    elif result.reason:
        first = f"Ended early at step {result.iterations}: {result.reason}"
    else:
        first = f"Done in {format_seconds(result.seconds)}: {result.iterations} steps, {', '.join(figures)}."
    listed = f"The model is on the list as {end.model!r}."
    if is_stopped:
        listed = f"The model as it stands is on the list as {end.model!r}; Resume goes on from here."
    if not end.model:
        listed = f"The model is in {result.model}, but not on the list: {end.problem}"
    kind: Ending = "stopped" if is_stopped else ("early" if result.reason else "done")
    return TrainOutcome(f"{first} {listed}", kind, end.model, result.run if is_stopped else None)


def _steps_kept(run: Path) -> int:
    try:
        return read_run(run).steps_done
    except InputError:
        return 0


def _remedy(end: Failed) -> str:
    if end.kind == "memory":
        return "Close other programs, or set a smaller width or 1 patch per step under Advanced, and start again."
    if end.kind == "other":
        return "If it comes again, report it with the text in napari's terminal."
    return ""
