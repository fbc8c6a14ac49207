"""One training from start to end: what is asked for, its job, and what to say of how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from napari_deep3d.core import InputError, Job, Pause, Stop, TrainConfig
from napari_deep3d.gui.shared import Cancelled, Failed, Member, format_seconds, source_of
from napari_deep3d.jobs.models.store import is_listed, keep_model
from napari_deep3d.jobs.train.run_folder import MODEL_FILE, read_run
from napari_deep3d.jobs.train.train import TrainResult
from napari_deep3d.jobs.train.unpaired import UnpairedFolders

Ending = Literal["done", "stopped", "early", "failed"]
Train = Callable[..., Job[TrainResult]]
"""Makes the job of a training; takes what :func:`train_model` takes."""
REMEDIES = {
    "input": "",
    "memory": "Close other programs, or set a smaller width or 1 patch per step under Advanced, and start again.",
    "other": "If it comes again, report it with the text in napari's terminal.",
}
"""What to do, by the kind of error that a training ended with."""


@dataclass(frozen=True)
class TrainRequest:
    """What a training works on, fixed and checked before its thread starts."""

    run: Path  # its folder
    name: str  # of the new model
    start: str = ""  # the model it begins from, empty for none
    config: TrainConfig = field(default_factory=TrainConfig)
    minutes: float | None = None  # how long it may take, if not a number of steps is set
    members: tuple[Member, ...] = ()  # the pairs
    unpaired: UnpairedFolders | None = None  # or stacks that are no pairs; without both it goes on with an earlier run
    preview_every: int = 0  # steps between pictures of the test region

    @property
    def resumes(self) -> bool:
        """Whether it goes on with an earlier run."""
        return not self.members and self.unpaired is None

    def summary(self, steps_done: int = 0) -> str:
        """Say what is trained on, while it goes on."""
        if self.resumes:
            return f"Going on with {self.name!r} after step {steps_done}."
        if self.unpaired is not None:
            return f"Training {self.name!r} on stacks of different fields, from {self.start}."
        held_out = self.config.data.number_held_out(len(self.members))
        learned = len(self.members) - held_out
        pairs = "1 pair" if learned == 1 else f"{learned} pairs"
        tested = f"tested on {held_out}" if held_out else "tested on none"
        return f"Training {self.name!r} on {pairs}, {tested}, from {self.start or 'scratch'}."


@dataclass(frozen=True)
class TrainingEnd:
    """A training that has ended: its result, the model's name on the list, or why it is not on it."""

    result: TrainResult
    model: str
    problem: str = ""


AnyEnd = TrainingEnd | Failed | Cancelled


@dataclass(frozen=True)
class TrainOutcome:
    """How a training ended: a sentence, in which of four ways, the model's name, and the run that can go on."""

    text: str
    kind: Ending
    model: str = ""
    resumable: Path | None = None
    warning: str = ""  # what to know before the model is used


def train_and_list(request: TrainRequest, train: Train, paused: Pause, stop: Stop) -> Job[TrainingEnd]:
    """Train, and put the model on the list; in the worker."""
    replaces = request.resumes and is_listed(request.name, request.run / MODEL_FILE)
    result = yield from train(
        request.unpaired or (source_of(request.members) if request.members else None),
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


def conclude(request: TrainRequest, end: AnyEnd) -> TrainOutcome:
    """Say how a training ended."""
    # 1. Without a model: what is kept of it
    if not isinstance(end, TrainingEnd):
        try:
            steps = read_run(request.run).steps_done
        except InputError:
            steps = 0
        kept = f"Step {steps} is kept: Resume goes on from there." if steps else "Nothing was kept."
        resumable = request.run if steps else None
        if isinstance(end, Cancelled):
            return TrainOutcome(f"Stopped. {kept}", "stopped", resumable=resumable)
        parts = [end.sentence("The training"), kept if end.kind != "input" or steps else "", REMEDIES[end.kind]]
        return TrainOutcome(" ".join(filter(None, parts)), "failed", resumable=resumable)
    # 2. With a model: how far it came, and how good it is
    result = end.result
    is_stopped = not result.complete and not result.reason
    figures = f"{result.iterations_per_second:.2g} steps/s"
    if is_stopped:
        first = f"Stopped at step {result.iterations} after {format_seconds(result.seconds)}, {figures}."
    elif result.reason:
        first = f"Ended early at step {result.iterations}: {result.reason}"
    else:
        first = f"Done in {format_seconds(result.seconds)}: {result.iterations} steps, {figures}."
    rows = {"before": result.before, "now": result.validation, "wide-field itself": result.widefield}
    told = [f"{what} RMSE {row['rmse']:.3g}, SSIM {row['ssim']:.3g}" for what, row in rows.items() if row]
    if result.validation:
        first += f" On the test pairs: {'; '.join(told)}."
    elif told:
        first += " The model was not tested yet."
    # 3. Where the model is
    if not end.model:
        listed = f"The model is in {result.model}, but not on the list: {end.problem}"
    elif is_stopped:
        listed = f"The model as it stands is on the list as {end.model!r}; Resume goes on from here."
    else:
        listed = f"The model is on the list as {end.model!r}."
    kind: Ending = "stopped" if is_stopped else ("early" if result.reason else "done")
    return TrainOutcome(f"{first} {listed}", kind, end.model, result.run if is_stopped else None, result.warning)
