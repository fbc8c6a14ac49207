"""The Python functions: arrays or paths in, results out, the same options as the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.config import PRESETS, PredictConfig, RegisterConfig, SimulateConfig, TrainConfig, merge
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Stop, drain, never
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.core.types import Shape, Spacing
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import check_output, open_stack, write_stack
from napari_deep3d.jobs.predict import Prediction, predict_volume
from napari_deep3d.jobs.predict_file import FilePrediction, Times, predict_file, uncertainty_path
from napari_deep3d.jobs.register import RegisteredFolder, RegisteredPair, StackSource, register_folders, register_pair
from napari_deep3d.jobs.simulate import Simulated, simulate_pairs
from napari_deep3d.jobs.train import TrainResult, train_model

OnEvent = Callable[[Event], object]


@overload
def predict(stack: NDArray[np.generic] | str | Path, output: None = None, **options: Any) -> Prediction: ...
@overload
def predict(
    stack: NDArray[np.generic] | str | Path, output: str | Path, **options: Any
) -> Prediction | FilePrediction: ...
def predict(
    stack: NDArray[np.generic] | str | Path,
    output: str | Path | None = None,
    *,
    channel: int | None = None,
    time: Times = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Any,
) -> Prediction | FilePrediction:
    """Predict a confocal-like stack.

    Parameters
    ----------
    stack
        Wide-field stack: an array with axes (Z, Y, X), or a file.
    output
        File to write. From a file it is written tile by tile and a FilePrediction is returned; in all other cases
        the result is returned in ``.data``. With ``uncertainty`` the uncertainty goes into a second file beside it.
    channel, time
        Which one of a file that holds several, counted from 0; ``time="all"`` needs an ``output``.
    overwrite
        Whether ``output`` may be replaced.
    on_event
        Called with every event: progress, notices, finished tiles.
    stop
        Asked all the time; true ends the prediction and keeps what is finished.
    **settings
        ``model``, ``spacing_um`` (Z, Y, X; needed for an array), ``device``, ``precision``, ``tile``,
        ``memory_bytes``, and ``uncertainty``: true also gives, in ``.uncertainty``, the absolute error to expect in
        each voxel, and takes four times as long.

    Raises
    ------
    InputError
        If something given cannot be used; the message says what and what to do.
    """
    config = PredictConfig.checked(**settings)
    if isinstance(stack, str | Path):
        if output is not None:
            job = predict_file(stack, output, config, channel=channel, time=time, overwrite=overwrite, stop=stop)
            return drain(job, on_event)
        if time == "all":
            raise InputError("time='all' makes a series too large to return; give an output file for it.")
        return drain(predict_volume(open_stack(stack).volume(channel, time), config, stop=stop), on_event)
    if channel is not None or time is not None:
        raise InputError("channel and time choose from a file; an array has axes Z, Y, X: choose by indexing it.")
    beside = uncertainty_path(Path(output)) if output is not None and config.uncertainty else None
    for path in (output, beside):
        if path is not None:
            check_output(path, overwrite)
    volume = Volume(np.asarray(stack), config.spacing_um)
    result = drain(predict_volume(volume, config, stop=stop), on_event)
    if output is not None and result.complete:
        write_stack(output, result.data, result.spacing_um, overwrite=overwrite, description=result.provenance())
    if beside is not None and result.complete:
        about = result.provenance()
        write_stack(beside, result.uncertainty, result.spacing_um, overwrite=overwrite, description=about)
    return result


def register(
    confocal: NDArray[np.generic] | str | Path,
    widefield: NDArray[np.generic] | str | Path,
    output: str | Path | None = None,
    *,
    confocal_channel: int | None = None,
    widefield_channel: int | None = None,
    confocal_spacing_um: Spacing | None = None,
    widefield_spacing_um: Spacing | None = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Any,
) -> Registration | RegisteredPair | RegisteredFolder:
    """Find where a confocal stack lies in a wide-field stack of the same sample.

    Parameters
    ----------
    confocal, widefield
        Arrays with axes (Z, Y, X), files, or two folders of files with the same names.
    output
        Pairs folder to write the aligned pair to; from files and folders alone. Without it the registration is
        returned, whose ``refusal`` says if it should not be used.
    confocal_channel, widefield_channel
        Which channel of a file that holds several, counted from 0.
    confocal_spacing_um, widefield_spacing_um
        Voxel size (Z, Y, X); needed for arrays and for files that do not state it.
    overwrite
        Whether files of the pair may be replaced.
    on_event, stop
        As in :func:`predict`; stopped, it raises StoppedError, or returns what is finished of two folders.
    **settings
        ``method``, ``preset``, ``transform``, ``max_shift_um`` (Z, Y, X).

    Raises
    ------
    InputError
        If something given cannot be used, or no alignment that can be trusted is found for an ``output``.
    """
    config = RegisterConfig.checked(**settings)
    given = (
        (confocal, confocal_channel, confocal_spacing_um),
        (widefield, widefield_channel, widefield_spacing_um),
    )
    if output is None:
        own, other = (_stack_of(stack, channel, spacing) for stack, channel, spacing in given)
        return drain(register_volumes(own, other, config, stop), on_event)
    if not isinstance(confocal, str | Path) or not isinstance(widefield, str | Path):
        raise InputError("a pair is written from files alone. Save the arrays first, or leave the output out.")
    sources = (
        StackSource(Path(confocal), confocal_channel, confocal_spacing_um),
        StackSource(Path(widefield), widefield_channel, widefield_spacing_um),
    )
    if all(source.is_folder_of_stacks for source in sources):
        return drain(register_folders(*sources, output, config, overwrite=overwrite, stop=stop), on_event)
    return drain(register_pair(*sources, output, config, overwrite=overwrite, stop=stop), on_event)


def _stack_of(stack: NDArray[np.generic] | str | Path, channel: int | None, spacing_um: Spacing | None) -> Volume:
    if isinstance(stack, str | Path):
        return StackSource(Path(stack), channel, spacing_um).volume()
    return Volume(np.asarray(stack), spacing_um)


def simulate(
    output: str | Path,
    *,
    pairs: int = 8,
    shape: Shape = (48, 160, 160),
    seed: int = 0,
    kind: str = "",
    confocal_stacks: Sequence[str | Path] = (),
    psfs: Sequence[str | Path] = (),
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **bounds: Any,
) -> Simulated:
    """Write a folder of simulated wide-field/confocal pairs.

    Parameters
    ----------
    output
        The pairs folder: ``widefield/NAME`` and ``confocal/NAME``.
    pairs, shape, seed
        Number of pairs, voxels (Z, Y, X) of each, and start of the random numbers.
    kind
        Kind of all samples; by default a mixture.
    confocal_stacks, psfs
        Files of real confocal stacks to take samples from, and of measured wide-field PSFs.
    overwrite
        Whether files of a folder in use may be replaced.
    on_event, stop
        As in :func:`predict`.
    **bounds
        Any field of :class:`napari_deep3d.core.simulation.scene.SceneBounds`: ``photons=(500, 2000)``,
        ``samples={"neurons": {"soma_um": (3, 8)}}``.
    """
    config = SimulateConfig.checked(pairs=pairs, shape=shape, seed=seed, kind=kind)
    job = simulate_pairs(
        output,
        config,
        confocal_stacks=confocal_stacks,
        psfs=psfs,
        bounds=SceneBounds.checked(**bounds),
        overwrite=overwrite,
        stop=stop,
    )
    return drain(job, on_event)


def train(
    pairs: str | Path,
    run: str | Path,
    *,
    preset: str = "laptop",
    name: str = "",
    start: str = "",
    minutes: float | None = None,
    resume: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Any,
) -> TrainResult:
    """Train a generator on a pairs folder.

    Parameters
    ----------
    pairs, run
        Pairs folder to read, run folder to write.
    preset
        ``laptop`` or ``paper``: where the settings start from.
    name
        Name of the model; the run folder's by default.
    start
        Model or model file to go on from; from scratch by default.
    minutes
        How long it may take, instead of a number of steps.
    resume
        Continue a run from its newest checkpoint with its own settings.
    on_event, stop
        As in :func:`predict`.
    **settings
        Any field of :class:`napari_deep3d.core.config.TrainConfig`.
    """
    config = train_config(preset, settings)
    job = train_model(pairs, run, config, name=name, start=start, minutes=minutes, resume=resume, stop=stop)
    return drain(job, on_event)


def train_config(preset: str, *settings: Mapping[str, Any]) -> TrainConfig:
    """Settings of a preset, changed by further ones, later ones winning."""
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; {', '.join(PRESETS)} are allowed. Choose one of them.")
    return merge(TrainConfig, PRESETS[preset], *settings)
