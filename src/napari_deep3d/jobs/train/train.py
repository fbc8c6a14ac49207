"""Train a generator on pairs, in a run folder that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_deep3d.core import (
    DEFAULT_MODEL,
    InputError,
    Job,
    Notice,
    Pause,
    Progress,
    Stop,
    TimeLimit,
    TrainConfig,
    doubt_spacings,
    drain,
    never,
    tap,
)
from napari_deep3d.io import check_folder
from napari_deep3d.jobs.models.store import check_name, open_model
from napari_deep3d.jobs.pairs import (
    WRITTEN_SUFFIX,
    LeftOut,
    LoadedPair,
    PairsFolder,
    memory_bytes,
    notices_of,
    prepare_usable_pairs,
)
from napari_deep3d.jobs.train.plan import settings_from_start, settings_of_unpaired, voxels_at_once
from napari_deep3d.jobs.train.run_folder import (
    CHECKPOINTS,
    METRICS_FILE,
    MODEL_FILE,
    PAIRS,
    MetricsFile,
    RunInfo,
    end_run,
    read_metrics,
    read_run,
    write_run,
)
from napari_deep3d.jobs.train.time_plan import MAX_MINUTES, TimePlan, fit_to_time, reading_is_over, time_limit
from napari_deep3d.jobs.train.trained_model import (
    CALIBRATION_BOX,
    CALIBRATION_PAIRS,
    calibrate,
    save_trained,
    voxel_sizes,
)
from napari_deep3d.jobs.train.unpaired import UnpairedFolders, check_unpaired, read_unpaired

if TYPE_CHECKING:
    from napari_deep3d.nn.patches import TrainingPair
    from napari_deep3d.nn.training import Control, TrainedGenerator

Source = str | Path | Sequence[LoadedPair] | UnpairedFolders
SCRATCH = "scratch"
"""Given as the model to start from: none."""
PAIRS_MEMORY_SHARE = 0.25
"""Of the free memory: pairs that need less are held in it."""
WORSE = 1.01
"""So many times the error: less is no difference."""


@dataclass(frozen=True)
class TrainResult:
    """A finished or stopped training: where the model is, and its last figures.

    ``validation`` has its ``rmse`` and ``ssim`` on the held-out pairs, ``before`` those of the model that it started
    from, ``widefield`` those of the wide-field stacks themselves; empty where there are none. ``reason`` says why it
    ended before its time by itself; it is empty otherwise. ``skipped`` are pairs that show nothing,
    ``notices`` sentences that the user should read. ``first_process``
    is false in all but one of several processes that train together.
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
    skipped: tuple[LeftOut, ...] = ()
    first_process: bool = True
    before: Mapping[str, float] = field(default_factory=dict)
    widefield: Mapping[str, float] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

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
            "skipped": [asdict(pair) for pair in self.skipped],
            "warnings": list(self.notices),
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
        Folder with ``widefield`` and ``confocal``, or pairs at hand, which are then written to the run folder; or
        folders of stacks of different fields. None with ``resume`` for those of the run.
    run
        Run folder; made if it is not there. Without ``resume`` it must be empty.
    config
        Ignored with ``resume``, which goes on with the config of the run.
    name
        Name of the model; the run folder's by default.
    start
        Model or model file to go on from; what kind of network it is, it says itself. Without one from scratch, but
        unpaired stacks from the bundled model; ``scratch`` is from scratch in any case.
    minutes
        How long it may take, instead of the config's number of steps: the speed is measured first. With some seconds
        of grace, what does not fit is left out and told: pairs, tests, steps, what the model says of itself.
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
    from napari_deep3d.nn.devices import choose_device, device_label, training_precision
    from napari_deep3d.nn.processes import joined
    from napari_deep3d.nn.training import Control, split_pairs

    limit = time_limit(None if resume else minutes)
    # 1. What was asked for; a run that is resumed says so itself.
    folder, steps_kept, begun = Path(run), 0, read_run(run) if resume else None
    if begun is not None:
        config, name, start, steps_kept, minutes = begun.config, begun.name, begun.start, begun.steps_done, None
    source, start = _source_and_start(pairs, start, begun)
    name = check_name(name or folder.resolve().name)
    if begun is None and isinstance(source, UnpairedFolders):
        config = settings_of_unpaired(config)
    weights, config = (None, config) if steps_kept else _begin_from(start, config)
    device = choose_device(config.runtime.device)
    dtype = training_precision(device, config)
    at_once = voxels_at_once(config, device.type, str(dtype).removeprefix("torch."))

    with joined(device) as processes:
        _check_time(minutes, processes.count)
        # 2. The pairs.
        yield Progress(0, 1, "reading the pairs")
        read = _read_pairs(source, folder, config, minutes, limit)
        config = _without(config, read.left_out)
        training, held_out = (read.prepared, []) if read.confocal else split_pairs(read.prepared, config)
        sizes_um = ((pair.name, pair.spacing_um) for pair in read.prepared if pair.spacing_um is not None)
        doubts = tuple(doubt_spacings(sizes_um))

        # 3. The run folder, and the number of steps that fit the time.
        if processes.is_first:
            if not resume:
                check_folder(folder, overwrite=False)
            yield from map(Notice, (*read.notices, *doubts))
            yield Notice(f"{read.number}, {device_label(device, dtype)}")
        plan = TimePlan(config)
        if minutes is not None:
            tested = held_out[:CALIBRATION_PAIRS]
            plan = yield from fit_to_time(
                training, tested, config, minutes, limit, at_once, CALIBRATION_BOX, stop, read.confocal
            )
        if not resume and processes.is_first:
            _begin_folder(folder, plan.config, name, start, source, read.loaded)
        processes.wait_for_all()

        # 4. The training; one of the processes tells of it.
        control = Control(
            stop, paused, preview_every, processes, at_once, weights, limit, plan.reserved_seconds, plan.tests
        )
        trained = yield from _make_steps(read, plan.config, folder, steps_kept, control)

        # 5. The models.
        config = end_run(folder, plan.config, trained.step) if trained.time_is_up else plan.config
        complete = trained.step >= config.optimizer.iterations
        if processes.is_first:
            # What the model says of its error is learned from held-out pairs, if it is finished and there is time.
            tested = held_out[:CALIBRATION_PAIRS] if complete else []
            chosen = tested if limit.left > plan.calibration_seconds else []
            over = control.is_over
            uncertainty = calibrate(trained.generator, chosen, config, device, dtype, CALIBRATION_BOX, over)
            missing = save_trained(
                folder, trained, read.prepared, config, name, start, uncertainty, limit.is_over, len(read.confocal)
            )
            yield from _told_missing(missing if len(chosen) == len(tested) else ("the error to expect", *missing))
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
            skipped=read.left_out,
            first_process=processes.is_first,
            notices=doubts,
            **_scores_before(folder),
        )
        return (yield from _told(result))


def _told_missing(missing: Sequence[str]) -> Job[None]:
    if missing:
        yield Notice(f"The time was too short to measure {' and '.join(missing)}.")


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


def _make_steps(
    read: _ReadPairs, config: TrainConfig, folder: Path, steps_kept: int, control: Control
) -> Job[TrainedGenerator]:
    """Train, and keep the metrics in the run folder; only one of several processes tells of it."""
    from napari_deep3d.nn.devices import release_memory
    from napari_deep3d.nn.training import train_generator

    job = train_generator(read.prepared, config, folder / CHECKPOINTS, control, read.confocal)
    try:
        if control.processes.is_first:
            return (yield from tap(job, MetricsFile(folder / METRICS_FILE, steps_kept)))
        return drain(job)
    finally:
        del job
        release_memory()


@dataclass(frozen=True)
class _ReadPairs:
    """The pairs of a training: all that there are, those that it will use, and those that show nothing.

    Of an unpaired training ``prepared`` are the wide-field stacks, ``confocal`` the confocal ones. ``notices`` are for
    the user.
    """

    loaded: list[LoadedPair]
    prepared: list[TrainingPair]
    left_out: tuple[LeftOut, ...]
    notices: list[str]
    confocal: list[TrainingPair] = field(default_factory=list)

    @property
    def number(self) -> str:
        """How many they are, in words."""
        if self.confocal:
            return f"{len(self.prepared)} wide-field and {len(self.confocal)} confocal stacks"
        return f"{len(self.prepared)} pairs"


def _read_pairs(
    pairs: Source, folder: Path, config: TrainConfig, minutes: float | None, limit: TimeLimit
) -> _ReadPairs:
    """Open, check and measure the pairs, held in memory if they fit there."""
    in_memory = PAIRS_MEMORY_SHARE * psutil.virtual_memory().available
    if isinstance(pairs, UnpairedFolders):
        check_unpaired(config)
        stacks = read_unpaired(pairs, config.data.percentiles, in_memory, lambda: reading_is_over(minutes, limit))
        return _ReadPairs([], stacks.widefield, stacks.left_out, [*pairs.notices(), *stacks.notices], stacks.confocal)
    loaded = _load(pairs, folder)
    prepared, left_out = prepare_usable_pairs(
        loaded,
        config.data.percentiles,
        in_memory=memory_bytes(loaded) <= in_memory,
        first=config.data.held_out,
        enough=lambda: reading_is_over(minutes, limit),
    )
    voxel_sizes(prepared)  # without them the model could not be used
    unread = len(loaded) - len(prepared) - len(left_out)
    told = [f"In the time given, {unread} of {len(loaded)} pairs were not read; they are not used."] if unread else []
    notices = [*(pair.notice for pair in left_out), *told, *notices_of(prepared)]
    return _ReadPairs(loaded, prepared, left_out, notices)


def _without(config: TrainConfig, left_out: Sequence[LeftOut]) -> TrainConfig:
    """The settings without pairs that are left out among those held out; InputError if none of these stays."""
    gone = {pair.name for pair in left_out}
    kept = tuple(name for name in config.data.held_out if name not in gone)
    if len(kept) == len(config.data.held_out):
        return config
    if not kept:
        raise InputError(f"every pair that held_out names is left out: {left_out[0].reason}. Hold out another one.")
    return config.changed(held_out=kept)


def _check_time(minutes: float | None, processes: int) -> None:
    if minutes is not None and not 0 < minutes <= MAX_MINUTES:
        raise InputError(f"{minutes:g} minutes were given; more than 0 and at most a month are allowed.")
    if minutes is not None and processes > 1:
        raise InputError("a time can be given to a single process only; set iterations instead.")


def _source_and_start(pairs: Source | None, start: str, begun: RunInfo | None) -> tuple[Source, str]:
    """What a training learns from, and the model that it begins with, empty for none; a run that is resumed says so.

    InputError if nothing was given, or something else than what a run learns from.
    """
    if begun is None:
        if pairs is None:
            raise InputError("no pairs were given; a pairs folder, or pairs at hand, are needed.")
        start = start or (DEFAULT_MODEL if isinstance(pairs, UnpairedFolders) else "")
        return pairs, "" if start == SCRATCH else start
    if pairs is None:
        return begun.pairs if begun.confocal is None else UnpairedFolders(begun.pairs, begun.confocal), start
    if isinstance(pairs, UnpairedFolders) != (begun.confocal is not None):
        what = "registered pairs" if begun.confocal is None else "a wide-field and a confocal folder (--unpaired)"
        raise InputError(f"the run {begun.path} learns from {what}. Give what it was begun with, or start a new run.")
    return pairs, start


def _load(pairs: str | Path | Sequence[LoadedPair], run: Path) -> list[LoadedPair]:
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
        confocal = None
        if isinstance(pairs, UnpairedFolders):
            where, confocal = pairs.widefield, pairs.confocal
        elif isinstance(pairs, str | Path):
            where = Path(pairs)
        else:
            where = run / PAIRS
            for pair in loaded:
                spacing_um = pair.widefield.require_spacing_um()
                PairsFolder(where).write(pair.name, pair.widefield.data, pair.confocal.data, spacing_um)
        write_run(run, config, name, where, start, confocal)
    except OSError as error:
        raise InputError(f"cannot write to {run}: {error.strerror}. Give a folder that you may write to.") from None
