"""The Python functions: arrays or paths in, results out, the same options as the commands.

Settings that a config defines are keywords here by the same names: the ``...Settings`` below list them for type
checkers and editors. A value out of bounds, or a name that is none, gets the config's message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import Event, InputError, Shape, Spacing, Stop, Volume, drain, never
from napari_deep3d.core.config import (
    PRESETS,
    Device,
    Precision,
    PredictConfig,
    RegisterConfig,
    RegisterMethod,
    SimulateConfig,
    TrainConfig,
    TransformKind,
    merge,
)
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.io import check_output, open_stack, write_stack
from napari_deep3d.jobs.predict import Prediction, predict_volume
from napari_deep3d.jobs.predict_file import FilePrediction, Times, predict_file, uncertainty_path
from napari_deep3d.jobs.register import RegisteredFolder, RegisteredPair, StackSource, register_folders, register_pair
from napari_deep3d.jobs.simulate import Simulated, simulate_pairs
from napari_deep3d.jobs.train import TrainResult, train_model

Array = NDArray[np.generic]
File = str | Path
OnEvent = Callable[[Event], object]


class PredictSettings(TypedDict, total=False):
    """Settings of :func:`predict`: the fields of :class:`napari_deep3d.core.config.PredictConfig`."""

    model: str
    spacing_um: Spacing | None
    device: Device
    precision: Precision
    tile: Literal["auto"] | Shape
    memory_bytes: int | None
    uncertainty: bool


class RegisterSettings(TypedDict, total=False):
    """Settings of :func:`register`: the fields of :class:`napari_deep3d.core.config.RegisterConfig`."""

    method: RegisterMethod
    preset: Literal["default", "paper"]
    transform: TransformKind
    max_shift_um: Spacing | None


class TrainSettings(TypedDict, total=False):
    """Settings of :func:`train`: the fields of :class:`napari_deep3d.core.config.TrainConfig`."""

    iterations: int
    batch_size: int
    patch: Shape | tuple[Shape, ...]
    width: int
    dimensions: Literal[2, 3]
    network_input: Literal["stack", "plane"]
    z_step: Literal[1, 2, 4]
    misregistration_um: Spacing | None
    blank_share: float
    learning_rate: float
    weight_l1: float
    weight_gan: float
    weight_vgg: float
    vgg_share: float
    discriminator_width: float
    discriminator_learning_rate: float
    ema: float
    percentiles: tuple[float, float]
    precision: Precision
    device: Device
    validation_share: float
    held_out: tuple[str, ...]
    checkpoint_every: int
    validate_every: int
    log_every: int
    seed: int


@overload
def predict(
    stack: Array,
    output: File | None = None,
    *,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[PredictSettings],
) -> Prediction: ...
@overload
def predict(
    stack: File,
    output: None = None,
    *,
    channel: int | None = None,
    time: int | None = None,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[PredictSettings],
) -> Prediction: ...
@overload
def predict(
    stack: File,
    output: File,
    *,
    channel: int | None = None,
    time: Times = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[PredictSettings],
) -> FilePrediction: ...
def predict(
    stack: Array | File,
    output: File | None = None,
    *,
    channel: int | None = None,
    time: Times = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[PredictSettings],
) -> Prediction | FilePrediction:
    """Predict a confocal-like stack.

    Parameters
    ----------
    stack : array, axes (Z, Y, X), or str or Path
        Wide-field stack, or the file that holds it.
    output : str or Path, optional
        File to write: ``.tif``, ``.tiff`` or ``.zarr``. From a file it is written tile by tile, so that neither
        has to fit into memory. With ``uncertainty`` the uncertainty goes into a second file beside it.
    channel : int, optional
        Which one of a file that holds several, counted from 0.
    time : int or "all", optional
        Which time point of a file that holds several, counted from 0; ``"all"`` needs an ``output``.
    overwrite : bool
        Whether ``output`` may be replaced.
    on_event : callable, optional
        Called with each event (:mod:`napari_deep3d.core.events`): progress, notices, finished tiles.
    stop : callable
        Called all the time; when it returns true, the prediction ends and keeps what is finished.
    model : str
        Name of a model, or a model file.
    spacing_um : (float, float, float), optional
        Voxel size (Z, Y, X) in um. An array needs it; of a file it replaces what the file states.
    device : "auto", "cpu", "cuda" or "mps"
        Where to compute.
    precision : "auto", "float32", "bfloat16" or "float16"
        Number format of the network.
    tile : "auto" or (int, int, int)
        Voxels (Z, Y, X) predicted at a time; by default as many as free memory allows.
    memory_bytes : int, optional
        Memory to stay within, at least 128 MB.
    uncertainty : bool
        Whether to tell, too, the absolute error to expect in each voxel; it takes four times as long.

    Returns
    -------
    Prediction
        The result, whose ``data`` has axes (Z, Y, X), float32, 0 to about 1; and, with ``uncertainty``, an
        ``uncertainty`` of the same axes and unit. If it was stopped, ``complete`` is false and no file is written.
    FilePrediction
        From a file to a file: where the result is. If it was stopped, its name has ``-incomplete`` in it.

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
    if result.complete:
        for path, data in ((output, result.data), (beside, result.uncertainty)):
            if path is not None:
                about = result.provenance()
                write_stack(path, data, result.spacing_um, overwrite=overwrite, description=about)
    return result


@overload
def register(
    confocal: Array | File,
    widefield: Array | File,
    output: None = None,
    *,
    confocal_channel: int | None = None,
    widefield_channel: int | None = None,
    confocal_spacing_um: Spacing | None = None,
    widefield_spacing_um: Spacing | None = None,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[RegisterSettings],
) -> Registration: ...
@overload
def register(
    confocal: File,
    widefield: File,
    output: File,
    *,
    confocal_channel: int | None = None,
    widefield_channel: int | None = None,
    confocal_spacing_um: Spacing | None = None,
    widefield_spacing_um: Spacing | None = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[RegisterSettings],
) -> RegisteredPair | RegisteredFolder: ...
def register(
    confocal: Array | File,
    widefield: Array | File,
    output: File | None = None,
    *,
    confocal_channel: int | None = None,
    widefield_channel: int | None = None,
    confocal_spacing_um: Spacing | None = None,
    widefield_spacing_um: Spacing | None = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[RegisterSettings],
) -> Registration | RegisteredPair | RegisteredFolder:
    """Find where a confocal stack lies in a wide-field stack of the same sample.

    Parameters
    ----------
    confocal, widefield : array, axes (Z, Y, X), or str or Path
        The stacks, files that hold them, or two folders of files with the same names.
    output : str or Path, optional
        Pairs folder to write the aligned pairs to; from files and folders alone.
    confocal_channel, widefield_channel : int, optional
        Which channel of a file that holds several, counted from 0.
    confocal_spacing_um, widefield_spacing_um : (float, float, float), optional
        Voxel size (Z, Y, X) in um; needed for arrays and for files that do not state it.
    overwrite : bool
        Whether files of the pair may be replaced.
    on_event, stop : callable, optional
        As in :func:`predict`.
    method : "psf", "cross-correlation" or "plain-cross-correlation"
        What the alignment is told by.
    preset : "default" or "paper"
        ``"paper"``: Eq. 3 as printed, whole voxels; it fails on thick samples and is for comparison.
    transform : "shift", "similarity" or "affine"
        What may differ between the stacks besides blur.
    max_shift_um : (float, float, float), optional
        Largest shift (Z, Y, X) in um; by default all that leaves a third of the stacks in common.

    Returns
    -------
    Registration
        Without an ``output``: the transform, and in ``refusal`` why it should not be used, if so.
    RegisteredPair
        From two files and an ``output``: the pair written.
    RegisteredFolder
        From two folders and an ``output``: a row for each pair; if it was stopped, ``complete`` is false.

    Raises
    ------
    InputError
        If something given cannot be used, or no alignment that can be trusted is found for an ``output``.
    StoppedError
        If one pair was stopped.
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


def _stack_of(stack: Array | File, channel: int | None, spacing_um: Spacing | None) -> Volume:
    if isinstance(stack, str | Path):
        return StackSource(Path(stack), channel, spacing_um).volume()
    return Volume(np.asarray(stack), spacing_um)


def simulate(
    output: File,
    *,
    pairs: int = 8,
    shape: Shape = (48, 160, 160),
    seed: int = 0,
    kind: str = "",
    confocal_stacks: Sequence[File] = (),
    psfs: Sequence[File] = (),
    bounds: SceneBounds | None = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **changes: Any,
) -> Simulated:
    """Write a folder of simulated wide-field/confocal pairs.

    Parameters
    ----------
    output : str or Path
        The pairs folder: ``widefield/NAME`` and ``confocal/NAME``.
    pairs : int
        Number of pairs.
    shape : (int, int, int)
        Voxels (Z, Y, X) of each pair.
    seed : int
        Start of the random numbers; the same seed gives the same pairs.
    kind : str
        Kind of all samples; by default a mixture.
    confocal_stacks : sequence of str or Path
        Files of real confocal stacks to take samples from.
    psfs : sequence of str or Path
        Files of measured wide-field PSFs.
    bounds : SceneBounds, optional
        The bounds of every random choice, as an object whose fields a type checker knows.
    overwrite : bool
        Whether files of a folder in use may be replaced.
    on_event, stop : callable, optional
        As in :func:`predict`.
    **changes
        Single bounds, which go before those of ``bounds``: any field of
        :class:`napari_deep3d.core.simulation.scene.SceneBounds`, such as ``photons=(500, 2000)`` or
        ``samples={"neurons": {"soma_um": (3, 8)}}``.

    Returns
    -------
    Simulated
        Where the pairs are, their number and shape, and the voxel size of each; fewer pairs if it was stopped.

    Raises
    ------
    InputError
        If something given cannot be used.
    """
    config = SimulateConfig.checked(pairs=pairs, shape=shape, seed=seed, kind=kind)
    job = simulate_pairs(
        output,
        config,
        confocal_stacks=confocal_stacks,
        psfs=psfs,
        bounds=merge(SceneBounds, {} if bounds is None else bounds.model_dump(exclude_unset=True), changes),
        overwrite=overwrite,
        stop=stop,
    )
    return drain(job, on_event)


def train(
    pairs: File,
    run: File,
    *,
    preset: Literal["laptop", "paper"] = "laptop",
    name: str = "",
    start: str = "",
    minutes: float | None = None,
    resume: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[TrainSettings],
) -> TrainResult:
    """Train a generator on a pairs folder.

    Parameters
    ----------
    pairs : str or Path
        Pairs folder to read.
    run : str or Path
        Run folder to write: settings, metrics, checkpoints and the model.
    preset : "laptop" or "paper"
        Where the settings start from.
    name : str
        Name of the model; the run folder's by default.
    start : str
        Model or model file to go on from; from scratch by default.
    minutes : float, optional
        How long it may take, instead of a number of steps.
    resume : bool
        Whether to continue the run from its newest checkpoint, with its own settings.
    on_event, stop : callable, optional
        As in :func:`predict`; other events are metrics and previews.
    **settings
        Any field of :class:`TrainSettings`; :class:`napari_deep3d.core.config.TrainConfig` says what each means.

    Returns
    -------
    TrainResult
        Where the model is, and its last figures; if it was stopped, ``complete`` is false.

    Raises
    ------
    InputError
        If something given cannot be used.
    """
    config = train_config(preset, settings)
    job = train_model(pairs, run, config, name=name, start=start, minutes=minutes, resume=resume, stop=stop)
    return drain(job, on_event)


def train_config(preset: str, *settings: Mapping[str, Any]) -> TrainConfig:
    """Settings of a training: those of a preset, changed by further ones, later ones winning.

    Raises
    ------
    InputError
        If there is no such preset, or a setting cannot be used.
    """
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; {', '.join(PRESETS)} are allowed. Choose one of them.")
    return merge(TrainConfig, PRESETS[preset], *settings)
