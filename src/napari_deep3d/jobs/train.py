"""Train a generator on pairs, in a run folder that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from napari_deep3d.core import (
    InputError,
    Job,
    Notice,
    Pause,
    Progress,
    Shape,
    Stop,
    TrainConfig,
    drain,
    never,
    tap,
)
from napari_deep3d.io import check_folder
from napari_deep3d.jobs.models import check_name, open_model
from napari_deep3d.jobs.pairs import WRITTEN_SUFFIX, LoadedPair, PairsFolder, hold_in_memory, prepare_pairs
from napari_deep3d.jobs.run_folder import (
    CHECKPOINTS,
    METRICS_FILE,
    MODEL_FILE,
    PAIRS,
    MetricsFile,
    read_metrics,
    read_run,
    write_run,
)
from napari_deep3d.jobs.train_plan import fit_to_time, settings_from_start, voxels_at_once
from napari_deep3d.jobs.trained_model import calibrate, save_trained, voxel_sizes

Source = str | Path | Sequence[LoadedPair]
PAIRS_MEMORY_SHARE = 0.25
"""Of the free memory: pairs that need less are held in it."""
MAX_MINUTES = 60 * 24 * 30
CALIBRATION_PAIRS = 4
CALIBRATION_BOX: Shape = (48, 128, 128)
"""So many held-out pairs, and so many voxels in the middle of each, tell the error to expect: whoever trained waits."""
WORSE = 1.01
"""So many times the error: less is no difference."""


@dataclass(frozen=True)
class TrainResult:
    """A finished or stopped training: where the model is, and its last figures.

    ``validation`` has its ``rmse`` and ``ssim`` on the held-out pairs, ``before`` those of the model that it started
    from, ``widefield`` those of the wide-field stacks themselves; empty where there are none. ``reason`` says why it
    ended before its time by itself; it is empty otherwise. ``first_process`` is false in all but one of several
    processes that train together.
    """

    name: str
    model: Path
    run: Path
    iterations: int
    seconds: float
    iterations_per_second: float
    loss: float
    validation: Mapping[str, float]
    complete: bool
    reason: str = ""
    first_process: bool = True
    before: Mapping[str, float] = field(default_factory=dict)
    widefield: Mapping[str, float] = field(default_factory=dict)

    @property
    def warning(self) -> str:
        """What to know if the held-out pairs came out worse than what there was before; empty otherwise."""
        others = {"the model it started from": self.before, "the wide-field stacks themselves": self.widefield}
        worse = [f"{what} ({_scores(than)})" for what, than in others.items() if _is_worse(self.validation, than)]
        if not worse:
            return ""
        return (
            f"On the held-out pairs the new model ({_scores(self.validation)}) does worse than {' and '.join(worse)}. "
            "Train longer, or on more pairs, before you use it."
        )

    def report(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "model": str(self.model),
            "iterations": self.iterations,
            "seconds": self.seconds,
            "iterations_per_second": self.iterations_per_second,
            "loss": self.loss,
            "validation": dict(self.validation),
            "before": dict(self.before),
            "widefield": dict(self.widefield),
            "name": self.name,
            "complete": self.complete,
            "reason": self.reason,
        }


def train_model(
    pairs: Source | None,
    run: str | Path,
    config: TrainConfig,
    *,
    name: str = "",
    start: str = "",
    minutes: float | None = None,
    resume: bool = False,
    preview_every: int = 0,
    stop: Stop = never,
    paused: Pause = never,
) -> Job[TrainResult]:
    """Train, and leave ``model.safetensors`` and ``last.safetensors`` in the run folder.

    Parameters
    ----------
    pairs
        Folder with ``widefield`` and ``confocal``, or pairs at hand, which are then written to the run folder. None
        with ``resume`` for those of the run.
    run
        Run folder; made if it is not there. Without ``resume`` it must be empty.
    config
        Ignored with ``resume``, which goes on with the config of the run.
    name
        Name of the model; the run folder's by default.
    start
        Model or model file to go on from; what kind of network it is, it says itself.
    minutes
        How long it may take, instead of the config's number of steps: the speed is measured first.
    resume
        Continue from the newest checkpoint.
    preview_every
        Steps between Preview events; 0 for none.
    stop, paused
        Asked between steps. Stopped, the model as it stands is saved.

    Raises
    ------
    InputError
        If pairs, run folder or config cannot be used, or the run folder cannot be written to any more.
    StoppedError
        If it was stopped before there was anything to keep.
    """
    from napari_deep3d.nn.devices import choose_device, device_label, release_memory, training_precision
    from napari_deep3d.nn.processes import joined
    from napari_deep3d.nn.training import Control, split_pairs, train_generator

    # 1. What was asked for; a run that is resumed says so itself.
    folder, steps_kept = Path(run), 0
    if resume:
        begun = read_run(folder)
        config, name, start, steps_kept, minutes = begun.config, begun.name, begun.start, begun.steps_done, None
        pairs = begun.pairs if pairs is None else pairs
    if pairs is None:
        raise InputError("no pairs were given; a pairs folder, or pairs at hand, are needed.")
    name = check_name(name or folder.resolve().name)
    weights, config = (None, config) if steps_kept else _begin_from(start, config)
    device = choose_device(config.runtime.device)
    dtype = training_precision(device, config)
    at_once = voxels_at_once(config, device.type, str(dtype).removeprefix("torch."))

    with joined(device) as processes:
        # 2. The pairs.
        yield Progress(0, 1, "reading the pairs")
        loaded = hold_in_memory(_load(pairs, folder), PAIRS_MEMORY_SHARE * psutil.virtual_memory().available)
        prepared = prepare_pairs(loaded, config.data.percentiles)
        voxel_sizes(prepared)  # without them the model could not be used
        training, held_out = split_pairs(prepared, config)

        # 3. The run folder, and the number of steps that fit the time.
        _check_time(minutes, processes.count)
        if processes.is_first:
            if not resume:
                check_folder(folder, overwrite=False)
            yield Notice(f"{len(prepared)} pairs, {device_label(device, dtype)}")
        if minutes is not None:
            config = yield from fit_to_time(training, config, minutes, at_once, stop)
        if not resume and processes.is_first:
            _begin_folder(folder, config, name, start, pairs, loaded)
        processes.wait_for_all()

        # 4. The training; one of the processes tells of it.
        control = Control(stop, paused, preview_every, processes, at_once, weights)
        job = train_generator(prepared, config, folder / CHECKPOINTS, control)
        try:
            if processes.is_first:
                trained = yield from tap(job, MetricsFile(folder / METRICS_FILE, steps_kept))
            else:
                trained = drain(job)
        finally:
            del job
            release_memory()

        # 5. The models, and what error to expect of the one to use; unless whoever stopped it is waiting.
        complete = trained.step >= config.optimizer.iterations
        if processes.is_first:
            chosen = held_out[:CALIBRATION_PAIRS] if complete else []
            uncertainty = calibrate(trained.generator, chosen, config, device, dtype, CALIBRATION_BOX, stop)
            save_trained(folder, trained, prepared, config, name, start, uncertainty)
        result = TrainResult(
            name=name,
            model=folder / MODEL_FILE,
            run=folder,
            iterations=trained.step,
            seconds=trained.seconds,
            iterations_per_second=trained.steps_made / max(trained.seconds, 1e-9),
            loss=trained.losses.get("loss", float("nan")),
            validation=dict(trained.validation),
            complete=complete,
            reason=trained.reason,
            first_process=processes.is_first,
            **_scores_before(folder),
        )
        return (yield from _told(result))


def _told(result: TrainResult) -> Job[TrainResult]:
    if result.warning and result.first_process:
        yield Notice(result.warning)
    return result


def _scores_before(run: Path) -> dict[str, dict[str, float]]:
    """Scores of the model that a run started from, and of wide-field, as its metrics say: also of a resumed run."""
    found: dict[str, dict[str, float]] = {"before": {}, "widefield": {}}
    for metrics in read_metrics(run, 0):
        for name, kind in (("before", "validation"), ("widefield", "widefield")):
            given = {measure: metrics.values.get(f"{kind}_{measure}") for measure in ("rmse", "ssim")}
            found[name] |= {measure: value for measure, value in given.items() if value is not None}
    return found


def _is_worse(scores: Mapping[str, float], than: Mapping[str, float]) -> bool:
    """Whether one of two figures is clearly worse: the error, or what is missing to full similarity."""
    if not scores or not than:
        return False
    return scores["rmse"] > WORSE * than["rmse"] or 1 - scores["ssim"] > WORSE * (1 - than["ssim"])


def _scores(scores: Mapping[str, float]) -> str:
    return f"RMSE {scores['rmse']:.3g}, SSIM {scores['ssim']:.3g}"


def _begin_from(start: str, config: TrainConfig) -> tuple[Mapping[str, Any] | None, TrainConfig]:
    """Weights of a model to start from, if there is one, and the settings with what it decides."""
    if not start:
        return None, config
    generator, info = open_model(start)
    return generator.state_dict(), settings_from_start(config, info)


def _check_time(minutes: float | None, processes: int) -> None:
    if minutes is not None and not 0 < minutes <= MAX_MINUTES:
        raise InputError(f"{minutes:g} minutes were given; more than 0 and at most a month are allowed.")
    if minutes is not None and processes > 1:
        raise InputError("a time can be given to a single process only; set iterations instead.")


def _load(pairs: Source, run: Path) -> list[LoadedPair]:
    """The pairs, in the order and by the names that they will have again when the run is resumed."""
    if not isinstance(pairs, str | Path):
        for pair in pairs:
            pair.widefield.require_spacing_um()
        return sorted(pairs, key=lambda pair: pair.name + WRITTEN_SUFFIX)
    loaded = PairsFolder(pairs).load()
    if Path(pairs).resolve() != (run / PAIRS).resolve():
        return loaded
    return [replace(pair, name=pair.name.removesuffix(WRITTEN_SUFFIX)) for pair in loaded]


def _begin_folder(
    run: Path, config: TrainConfig, name: str, start: str, pairs: Source, loaded: Sequence[LoadedPair]
) -> None:
    """Write what the run is; pairs that are in no folder go into it."""
    try:
        if isinstance(pairs, str | Path):
            where = Path(pairs)
        else:
            where = run / PAIRS
            for pair in loaded:
                spacing_um = pair.widefield.require_spacing_um()
                PairsFolder(where).write(pair.name, pair.widefield.data, pair.confocal.data, spacing_um)
        write_run(run, config, name, where, start)
    except OSError as error:
        raise InputError(f"cannot write to {run}: {error.strerror}. Give a folder that you may write to.") from None
