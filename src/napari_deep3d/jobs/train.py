"""Train a generator on pairs, in a run folder that can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Job, Notice, Pause, Stop, drain, never, tap
from napari_deep3d.io import check_folder
from napari_deep3d.jobs.models import check_name, find_model
from napari_deep3d.jobs.pairs import WRITTEN_SUFFIX, LoadedPair, PairsFolder, hold_in_memory, prepare_pairs
from napari_deep3d.jobs.run_folder import (
    CHECKPOINTS,
    METRICS_FILE,
    MODEL_FILE,
    PAIRS,
    MetricsFile,
    newest_step,
    read_run,
    write_run,
)
from napari_deep3d.jobs.train_plan import fit_to_time, voxels_at_once
from napari_deep3d.jobs.trained_model import save_trained, voxel_sizes

if TYPE_CHECKING:
    from napari_deep3d.nn.processes import Processes
    from napari_deep3d.nn.training import TrainedGenerator

Source = str | Path | Sequence[LoadedPair]
FIXED_BY_START = ("width", "dimensions", "network_input", "percentiles")
"""Settings that a model to start from decides."""
START_LEARNING_RATE = 3e-4
"""Largest learning rate of a training that goes on from a model, where none is given: a larger one would forget."""
PAIRS_MEMORY_SHARE = 0.25
"""Of the free memory: pairs that need less are held in it."""


@dataclass(frozen=True)
class TrainResult:
    """A finished or stopped training: where the model is, and its last figures.

    ``reason`` says why it ended before its time by itself; it is empty otherwise. ``first_process`` is false in all
    but one of several processes that train together.
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

    def report(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "model": str(self.model),
            "iterations": self.iterations,
            "seconds": self.seconds,
            "iterations_per_second": self.iterations_per_second,
            "loss": self.loss,
            "validation": dict(self.validation),
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
    from napari_deep3d.nn.devices import choose_device
    from napari_deep3d.nn.processes import joined

    folder = Path(run)
    if resume:
        begun = read_run(folder)
        config, name, start = begun.config, begun.name, begun.start
        pairs = begun.pairs if pairs is None else pairs
    if pairs is None:
        raise InputError("no pairs were given; a pairs folder, or pairs at hand, are needed.")
    with joined(choose_device(config.device)) as processes:
        request = _Request(pairs, folder, config, name, start, minutes, resume, preview_every, stop, paused)
        job = _train(request, processes)
        return (yield from job) if processes.is_first else drain(job)


@dataclass(frozen=True)
class _Request:
    pairs: Source
    folder: Path
    config: TrainConfig
    name: str
    start: str
    minutes: float | None
    resume: bool
    preview_every: int
    stop: Stop
    paused: Pause


def _train(request: _Request, processes: Processes) -> Job[TrainResult]:
    from napari_deep3d.nn.calibrating import calibrate
    from napari_deep3d.nn.devices import choose_device, device_label, release_memory
    from napari_deep3d.nn.trainer import training_precision
    from napari_deep3d.nn.training import Control, split_pairs, train_generator

    folder, config = request.folder, request.config
    name = check_name(request.name or folder.resolve().name)
    begun = request.resume and _steps_kept(folder) > 0
    weights, config = _begin_from("" if begun else request.start, config)
    device = choose_device(config.device)
    dtype = training_precision(device, config)
    at_hand = hold_in_memory(_at_hand(request), PAIRS_MEMORY_SHARE * psutil.virtual_memory().available)
    opened = prepare_pairs(at_hand, config.percentiles)
    voxel_sizes(opened)  # without them the model could not be used
    training, held_out = split_pairs(opened, config)
    at_once = voxels_at_once(config, device.type, str(dtype).removeprefix("torch."))
    minutes = None if request.resume else _checked_minutes(request.minutes)
    if not request.resume and processes.is_first:
        check_folder(folder, overwrite=False)
    yield Notice(f"{len(opened)} pairs, {device_label(device, dtype)}")
    if minutes is not None:
        if processes.count > 1:
            raise InputError("a time can be given to a single process only; set iterations instead.")
        config = yield from fit_to_time(training, config, minutes, at_once, request.stop)
    if not request.resume and processes.is_first:
        _begin_folder(request, config, name, at_hand)
    processes.wait_for_all()
    control = Control(
        stop=request.stop,
        paused=request.paused,
        preview_every=request.preview_every,
        processes=processes,
        voxels_at_once=at_once,
        start=weights,
    )
    job = train_generator(opened, config, folder / CHECKPOINTS, control)
    metrics = MetricsFile(folder / METRICS_FILE, _steps_kept(folder)) if processes.is_first else _ignore
    try:
        trained = yield from tap(job, metrics)
    finally:
        del job
        release_memory()
    if processes.is_first:
        ended = trained.step >= config.iterations  # else whoever stopped it is waiting
        uncertainty = calibrate(trained.generator, held_out, config, device, dtype, request.stop) if ended else None
        save_trained(folder, trained, opened, config, name, request.start, uncertainty)
    return _result(folder, name, trained, config, processes)


def _at_hand(request: _Request) -> list[LoadedPair]:
    """The pairs, in the order and by the names that they will have again when the run is resumed."""
    if not isinstance(request.pairs, str | Path):
        for pair in request.pairs:
            pair.widefield.require_spacing_um()
        return sorted(request.pairs, key=lambda pair: pair.name + WRITTEN_SUFFIX)
    loaded = PairsFolder(request.pairs).load()
    if Path(request.pairs).resolve() != (request.folder / PAIRS).resolve():
        return loaded
    return [replace(pair, name=pair.name.removesuffix(WRITTEN_SUFFIX)) for pair in loaded]


def _begin_folder(request: _Request, config: TrainConfig, name: str, at_hand: Sequence[LoadedPair]) -> None:
    """Write what the run is; pairs that are in no folder go into it."""
    folder = request.folder
    try:
        if isinstance(request.pairs, str | Path):
            where = Path(request.pairs)
        else:
            where = folder / PAIRS
            for pair in at_hand:
                spacing_um = pair.widefield.require_spacing_um()
                PairsFolder(where).write(pair.name, pair.widefield.data, pair.confocal.data, spacing_um)
        write_run(folder, config, name, where, request.start)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}. Give a folder that you may write to.") from None


def _steps_kept(folder: Path) -> int:
    return newest_step(folder / CHECKPOINTS)


def _ignore(_event: object) -> None:
    pass


def _checked_minutes(minutes: float | None) -> float | None:
    if minutes is not None and not 0 < minutes <= 60 * 24 * 30:
        raise InputError(f"{minutes:g} minutes were given; more than 0 and at most a month are allowed.")
    return minutes


def _begin_from(start: str, config: TrainConfig) -> tuple[Mapping[str, Any] | None, TrainConfig]:
    """Weights of a model to start from, and the settings with what it decides."""
    if not start:
        return None, config
    from napari_deep3d.nn.model_file import load_model

    generator, info = load_model(find_model(start))
    decided = {name: getattr(info, name) for name in FIXED_BY_START}
    wrong = [
        name for name in FIXED_BY_START if name in config.model_fields_set and getattr(config, name) != decided[name]
    ]
    if wrong:
        raise InputError(
            f"the model {info.name} to start from has {', '.join(f'{n}={decided[n]}' for n in wrong)}; "
            f"{', '.join(f'{n}={getattr(config, n)}' for n in wrong)} was asked for. Leave that out, or start from "
            "scratch."
        )
    rate = {} if "learning_rate" in config.model_fields_set else {"learning_rate": START_LEARNING_RATE}
    return generator.state_dict(), TrainConfig.checked(**(config.model_dump(exclude_unset=True) | decided | rate))


def _result(
    folder: Path, name: str, trained: TrainedGenerator, config: TrainConfig, processes: Processes
) -> TrainResult:
    return TrainResult(
        name=name,
        model=folder / MODEL_FILE,
        run=folder,
        iterations=trained.step,
        seconds=trained.seconds,
        iterations_per_second=trained.steps_made / max(trained.seconds, 1e-9),
        loss=trained.losses.get("loss", float("nan")),
        validation=dict(trained.validation),
        complete=trained.step >= config.iterations,
        reason=trained.reason,
        first_process=processes.is_first,
    )
