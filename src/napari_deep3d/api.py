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

from napari_deep3d.core import (
    DEFAULT_MODEL,
    PRESETS,
    Deepest,
    Device,
    EvaluateConfig,
    Event,
    FrameLayout,
    GridFramesConfig,
    InputError,
    Precision,
    PredictConfig,
    Quality,
    RegisterConfig,
    RegisterMethod,
    Shape,
    SimulateConfig,
    Spacing,
    Stop,
    TrainConfig,
    TransformKind,
    Volume,
    drain,
    merge,
    never,
)
from napari_deep3d.core.registration import Registration, register_volumes
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.io import check_output, open_stack, write_stack
from napari_deep3d.jobs.adapt import AdaptResult, adapt_model, settings_for
from napari_deep3d.jobs.evaluate import Evaluation, evaluate_volumes
from napari_deep3d.jobs.evaluate_figures import draw_evaluation
from napari_deep3d.jobs.evaluate_file import EvaluatedFile, EvaluatedFolder, evaluate_file, evaluate_folders
from napari_deep3d.jobs.evaluate_report import check_report, write_report
from napari_deep3d.jobs.export_model import ExportedModel
from napari_deep3d.jobs.export_model import export_model as export_job
from napari_deep3d.jobs.grid_frames import GridFolder, GridPair, pair_from_frames, pairs_from_frames
from napari_deep3d.jobs.predict import Prediction, predict_volume
from napari_deep3d.jobs.predict_file import FilePrediction, Times, predict_file, uncertainty_path
from napari_deep3d.jobs.predict_folder import PredictedFolder
from napari_deep3d.jobs.predict_folder import predict_folder as predict_stacks
from napari_deep3d.jobs.predict_folder_items import ResultSuffix, Wanted
from napari_deep3d.jobs.register import RegisteredFolder, RegisteredPair, StackSource, register_folders, register_pair
from napari_deep3d.jobs.simulate import Simulated, simulate_pairs
from napari_deep3d.jobs.train import TrainResult, train_model
from napari_deep3d.jobs.unpaired import UnpairedFolders

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
    scheduler: str | None
    quality: Quality
    deepest: Deepest
    uncertainty: bool


class RegisterSettings(TypedDict, total=False):
    """Settings of :func:`register`: the fields of :class:`napari_deep3d.core.config.RegisterConfig`."""

    method: RegisterMethod
    preset: Literal["default", "paper"]
    transform: TransformKind
    max_shift_um: Spacing | None


class GridFramesSettings(TypedDict, total=False):
    """Settings of :func:`pairs_from_sim`: the fields of :class:`napari_deep3d.core.config.GridFramesConfig`."""

    phases: int
    angles: int
    layout: FrameLayout
    even_brightness: bool
    spacing_um: Spacing | None


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
    flip_z: float
    learning_rate: float
    weight_l1: float
    weight_l2: float
    weight_correlation: float
    weight_gan: float
    weight_vgg: float
    weight_cycle: float
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


class EvaluateSettings(TypedDict, total=False):
    """Settings of :func:`evaluate`: the fields of :class:`napari_deep3d.core.config.EvaluateConfig`."""

    percentiles: tuple[float, float]
    spacing_um: Spacing | None
    micro_ssim: bool


class RunOptions(TypedDict, total=False):
    """Options of a run that are no settings."""

    overwrite: bool
    on_event: OnEvent | None
    stop: Stop


class PredictOptions(PredictSettings, RunOptions, total=False):
    """Keywords of :func:`predict`."""

    channel: int | None
    time: Times
    position: int | None
    axes: str | None


class RegisterOptions(RegisterSettings, RunOptions, total=False):
    """Keywords of :func:`register`."""

    confocal_channel: int | None
    widefield_channel: int | None
    confocal_position: int | None
    widefield_position: int | None
    confocal_axes: str | None
    widefield_axes: str | None
    confocal_spacing_um: Spacing | None
    widefield_spacing_um: Spacing | None


class EvaluateOptions(EvaluateSettings, RunOptions, total=False):
    """Keywords of :func:`evaluate`."""

    prediction_channel: int | None
    confocal_channel: int | None
    widefield_channel: int | None
    time: int | None
    axes: str | None


@overload
def predict(stack: File, output: File, **options: Unpack[PredictOptions]) -> FilePrediction: ...
@overload
def predict(stack: Array, output: File | None = None, **options: Unpack[PredictOptions]) -> Prediction: ...
@overload
def predict(stack: File, output: None = None, **options: Unpack[PredictOptions]) -> Prediction: ...
def predict(
    stack: Array | File,
    output: File | None = None,
    *,
    channel: int | None = None,
    time: Times = None,
    position: int | None = None,
    axes: str | None = None,
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
    position : int, optional
        Which image of a file that holds several, such as the positions of an acquisition, counted from 0.
    axes : str, optional
        What the pages of a TIFF file are, slowest first, if it does not say so: ``"Z"``, ``"C2,Z"`` for 2 channels.
    overwrite : bool
        Whether ``output`` may be replaced.
    on_event : callable, optional
        Called with each event (:mod:`napari_deep3d.core.events`): progress, notices, finished tiles.
    stop : callable
        Called all the time; when it returns true, the prediction ends and keeps what is finished.
    **settings
        model : name of a model, or a model file
        spacing_um : voxel size (Z, Y, X) in um; an array needs it, of a file it replaces what the file states
        device : where to compute: "auto", "cpu", "cuda" or "mps"
        precision : number format of the network: "auto", "float32", "bfloat16" or "float16"
        tile : voxels (Z, Y, X) predicted at a time; "auto" for as many as free memory allows
        memory_bytes : memory to stay within, at least 128 MB
        scheduler : address of a dask scheduler, such as "tcp://host:8786": its workers predict, from a file to .zarr
        quality : "fast", or "best": the mean of four predictions, the stack turned for each; 3 to 4 times as long
        deepest : which plane lies deepest in the sample, "last" or "first"
        uncertainty : whether to tell the absolute error to expect in each voxel; the quality is "best" then

    Returns
    -------
    Prediction
        The result, whose ``data`` has axes (Z, Y, X), float32, 0 to about 1; and, with ``uncertainty``, an
        ``uncertainty`` of the same axes and unit. If it was stopped, ``complete`` is false and no file is written.
    FilePrediction
        From a file to a file: where the result is. If it was stopped, its name has ``-incomplete`` in it, and the same
        call goes on.

    Raises
    ------
    InputError
        If something given cannot be used; the message says what and what to do.
    StoppedError
        If it was stopped before there was anything to keep.
    """
    config = PredictConfig.checked(**settings)
    if isinstance(stack, str | Path):
        if output is not None:
            job = predict_file(
                stack,
                output,
                config,
                channel=channel,
                time=time,
                position=position,
                axes=axes,
                overwrite=overwrite,
                stop=stop,
            )
            return drain(job, on_event)
        if time == "all":
            raise InputError("time='all' makes a series too large to return; give an output file for it.")
        volume = open_stack(stack, position, axes).volume(channel, time)
        return drain(predict_volume(volume, config, stop=stop), on_event)
    if any(choice is not None for choice in (channel, time, position, axes)):
        raise InputError(
            "channel, time, position and axes choose from a file; an array has axes Z, Y, X: choose by indexing it."
        )
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


def predict_folder(
    folder: File,
    output: File,
    *,
    channel: int | None = None,
    time: Times = None,
    position: int | None = None,
    axes: str | None = None,
    suffix: ResultSuffix = ".ome.tif",
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[PredictSettings],
) -> PredictedFolder:
    """Predict every stack of a folder into another folder; one that cannot be used stops no other.

    Results that are there are left alone, so that a second call does what is missing.

    Parameters
    ----------
    folder, output : str or Path
        Folder of the stacks, and that for the results, which is made.
    channel, time, position, axes
        What of each file, as in :func:`predict`; all of it by default: a file for each position and channel, with all
        time points.
    suffix : str
        Ending of the results: ".ome.tif" or ".ome.zarr".
    overwrite : bool
        Whether results may be replaced that were made from another input or with other settings.
    on_event, stop
        As in :func:`predict`; a further event is the row of a stack whenever it changes.
    **settings
        As in :func:`predict`.

    Returns
    -------
    PredictedFolder
        In ``rows`` how each stack stands, and why; if it was stopped, ``complete`` is false.

    Raises
    ------
    InputError
        If the folders or a setting cannot be used.
    StoppedError
        If it was stopped before the files were looked at.
    """
    config = PredictConfig.checked(**settings)
    wanted = Wanted(channel, time, position, axes)
    job = predict_stacks(folder, output, config, wanted, suffix=suffix, overwrite=overwrite, stop=stop)
    return drain(job, on_event)


@overload
def register(
    confocal: Array | File, widefield: Array | File, output: None = None, **options: Unpack[RegisterOptions]
) -> Registration: ...
@overload
def register(
    confocal: File, widefield: File, output: File, **options: Unpack[RegisterOptions]
) -> RegisteredPair | RegisteredFolder: ...
def register(
    confocal: Array | File,
    widefield: Array | File,
    output: File | None = None,
    *,
    confocal_channel: int | None = None,
    widefield_channel: int | None = None,
    confocal_position: int | None = None,
    widefield_position: int | None = None,
    confocal_axes: str | None = None,
    widefield_axes: str | None = None,
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
    confocal_position, widefield_position : int, optional
        Which image of a file that holds several, counted from 0.
    confocal_axes, widefield_axes : str, optional
        What the pages of a TIFF file are, if it does not say so, as in :func:`predict`.
    confocal_spacing_um, widefield_spacing_um : (float, float, float), optional
        Voxel size (Z, Y, X) in um; needed for arrays and for files that do not state it.
    overwrite, on_event, stop
        As in :func:`predict`.
    **settings
        method : what tells the alignment: "psf", "cross-correlation" or "plain-cross-correlation"
        preset : "default", or "paper": Eq. 3 as printed, whole voxels; it fails on thick samples, for comparison
        transform : what may differ besides blur: "shift", "similarity" or "affine"
        max_shift_um : largest shift (Z, Y, X) in um; by default all that leaves a third of the stacks in common

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
        (confocal, confocal_spacing_um, confocal_channel, confocal_position, confocal_axes),
        (widefield, widefield_spacing_um, widefield_channel, widefield_position, widefield_axes),
    )
    if output is None:
        own, other = (
            StackSource(Path(stack), channel, spacing, position, axes).volume()
            if isinstance(stack, str | Path)
            else Volume(np.asarray(stack), spacing)
            for stack, spacing, channel, position, axes in given
        )
        return drain(register_volumes(own, other, config, stop), on_event)
    files = [
        StackSource(Path(stack), channel, spacing, position, axes)
        for stack, spacing, channel, position, axes in given
        if isinstance(stack, str | Path)
    ]
    if len(files) < len(given):
        raise InputError("a pair is written from files alone. Save the arrays first, or leave the output out.")
    first, second = files
    if first.is_folder_of_stacks and second.is_folder_of_stacks:
        return drain(register_folders(first, second, output, config, overwrite=overwrite, stop=stop), on_event)
    return drain(register_pair(first, second, output, config, overwrite=overwrite, stop=stop), on_event)


def pairs_from_sim(
    raw: File,
    output: File,
    *,
    channel: int | None = None,
    time: int | None = None,
    position: int | None = None,
    axes: str | None = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[GridFramesSettings],
) -> GridPair | GridFolder:
    """Make pairs to train on from raw frames of a structured-light microscope: wide-field and optically sectioned.

    Parameters
    ----------
    raw : str or Path
        File of raw frames, or a folder of such files.
    output : str or Path
        Pairs folder to write or to add to.
    channel, time, position, axes
        What of a file, as in :func:`predict`; ``time`` is a number.
    overwrite, on_event, stop
        As in :func:`predict`.
    **settings
        phases : positions of the grid, in equal steps over one period, 3 or more
        angles : directions of the grid
        layout : what the frames of a plane are in the file: "time" points, a "channel" each, or planes in the order
            "zap", "azp" or "apz" of z, angle and phase, slowest first; "auto" takes the first that fits
        even_brightness : whether the frames of a plane are brought to one brightness
        spacing_um : voxel size (Z, Y, X) in um; of a file it replaces what the file states

    Returns
    -------
    GridPair
        From a file: the pair written, and what was found of the grid.
    GridFolder
        From a folder: its ``pairs``, and in ``problems`` why others were not made.

    Raises
    ------
    InputError
        If something given cannot be used.
    StoppedError
        If one file was stopped; nothing is written then.
    """
    config = GridFramesConfig.checked(**settings)
    source = StackSource(Path(raw), channel, None, position, axes, time)
    if source.is_folder_of_stacks:
        return drain(pairs_from_frames(source, output, config, overwrite=overwrite, stop=stop), on_event)
    return drain(pair_from_frames(source, output, config, overwrite=overwrite, stop=stop), on_event)


def simulate(
    output: File,
    *,
    pairs: int = 8,
    shape: Shape = (48, 160, 160),
    seed: int = 0,
    kind: str = "",
    confocal_stacks: Sequence[File] = (),
    position: int | None = None,
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
    pairs, shape : int, (int, int, int)
        Number of pairs, and voxels (Z, Y, X) of each.
    seed : int
        Start of the random numbers; the same seed gives the same pairs.
    kind : str
        Kind of all samples; by default a mixture.
    confocal_stacks, psfs : sequences of str or Path
        Files of real confocal stacks to take samples from, and of measured wide-field PSFs.
    position : int, optional
        Which image of confocal files that hold several, counted from 0.
    bounds : SceneBounds, optional
        The bounds of every random choice, as an object whose fields a type checker knows.
    overwrite, on_event, stop
        As in :func:`predict`; overwrite for files of a folder in use.
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
        position=position,
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
    unpaired: File | None = None,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[TrainSettings],
) -> TrainResult:
    """Train a generator on a pairs folder, or on stacks of different fields.

    Parameters
    ----------
    pairs, run : str or Path
        Pairs folder to read, and run folder to write: settings, metrics, checkpoints and the model.
    preset : Literal['laptop', 'paper']
        "laptop" or "paper"; where the settings start from.
    name, start : str
        Name of the model, the run folder's by default; and a model or model file to go on from (``unpaired`` goes on
        from the bundled one unless this is "scratch").
    minutes : float, optional
        How long it may take, instead of a number of steps.
    resume : bool
        Whether to continue the run from its newest checkpoint, with its own settings.
    unpaired : str or Path, optional
        Folder of confocal stacks of other fields than those in ``pairs``, which is then a folder of wide-field stacks.
    on_event, stop
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
    source = pairs if unpaired is None else UnpairedFolders(Path(pairs), Path(unpaired))
    job = train_model(source, run, config, name=name, start=start, minutes=minutes, resume=resume, stop=stop)
    return drain(job, on_event)


def adapt(
    stack: Array | File,
    run: File,
    *,
    numerical_aperture: float | None = None,
    immersion_index: float | None = None,
    emission_nm: float | None = None,
    deepest: Deepest = "last",
    minutes: float = 20.0,
    model: str = DEFAULT_MODEL,
    name: str = "",
    channel: int | None = None,
    time: int | None = None,
    position: int | None = None,
    axes: str | None = None,
    spacing_um: Spacing | None = None,
    device: Device = "auto",
    seed: int = 0,
    on_event: OnEvent | None = None,
    stop: Stop = never,
) -> AdaptResult:
    """Adapt a model to the microscope and the samples of a stack, without a confocal microscope.

    Parameters
    ----------
    stack : array, axes (Z, Y, X), or str or Path
        Wide-field stack, or the file that holds it.
    run : str or Path
        Run folder to write: settings, metrics and, if it has gained, the model.
    numerical_aperture, immersion_index, emission_nm : float, optional
        Of the objective, of its immersion, and the wavelength of the emitted light; what the file says by default.
    deepest : str
        Which plane lies deepest in the sample, "last" or "first".
    minutes : float
        How long it may take.
    model, name : str
        The model to adapt, and the name of what it becomes; the run folder's by default.
    channel, time, position, axes
        What of a file, as in :func:`predict`; ``time`` is a number.
    spacing_um : (float, float, float), optional
        Voxel size (Z, Y, X) in um; an array needs it.
    device, seed
        Where to compute, and the start of the random numbers.
    on_event, stop
        As in :func:`predict`.

    Returns
    -------
    AdaptResult
        The model, and its scores on held-out simulated pairs before and after; ``kept`` says whether it was written.

    Raises
    ------
    InputError
        If something given cannot be used, or is not known.
    StoppedError
        If it was stopped before there was anything to keep.
    """
    optics = {"numerical_aperture": numerical_aperture, "immersion_index": immersion_index, "emission_nm": emission_nm}
    given: dict[str, Any] = {key: value for key, value in optics.items() if value is not None}
    given |= {"minutes": minutes, "model": model, "spacing_um": spacing_um, "device": device, "seed": seed}
    given["deepest"] = deepest
    if isinstance(stack, str | Path):
        opened = open_stack(stack, position, axes)
        volume, known = opened.volume(channel, time), opened.known_optics(channel)
    else:
        volume, known = Volume(np.asarray(stack), spacing_um), {}
    return drain(adapt_model(volume, run, settings_for(known, given), name=name, stop=stop), on_event)


@overload
def evaluate(
    prediction: Array,
    confocal: Array | None = None,
    output: File | None = None,
    *,
    widefield: Array | None = None,
    **options: Unpack[EvaluateOptions],
) -> Evaluation: ...
@overload
def evaluate(
    prediction: File,
    confocal: File | None = None,
    output: File | None = None,
    *,
    widefield: File | None = None,
    **options: Unpack[EvaluateOptions],
) -> EvaluatedFile | EvaluatedFolder: ...
def evaluate(
    prediction: Array | File,
    confocal: Array | File | None = None,
    output: File | None = None,
    *,
    widefield: Array | File | None = None,
    prediction_channel: int | None = None,
    confocal_channel: int | None = None,
    widefield_channel: int | None = None,
    time: int | None = None,
    axes: str | None = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[EvaluateSettings],
) -> Evaluation | EvaluatedFile | EvaluatedFolder:
    """Measure how good a prediction is, beside its confocal and its wide-field stack.

    Parameters
    ----------
    prediction, confocal : array, axes (Z, Y, X), or str or Path
        Two arrays, two files, or two folders of files with the same names; voxel on voxel. Without a confocal stack
        only what stacks show by themselves is measured.
    output : str or Path, optional
        Report to write, ``.html``: one file that opens without a network.
    widefield : array, or str or Path, optional
        What the prediction was made from, to be measured as well.
    prediction_channel, confocal_channel, widefield_channel, time, axes : int, str, optional
        What of files that hold several, counted from 0, as in :func:`predict`.
    overwrite : bool
        Whether ``output`` may be replaced.
    on_event, stop
        As in :func:`predict`.
    **settings
        percentiles : percentiles of the confocal stack that become 0 and 1
        spacing_um : voxel size (Z, Y, X) in um; arrays need it, of files it replaces what they state
        micro_ssim : whether to tell MicroSSIM, too; needs the package microssim

    Returns
    -------
    Evaluation
        From arrays: figures and curves by depth of each stack, in ``stacks["prediction"]`` and so on.
    EvaluatedFile
        From files: the ``evaluation``, and the report's name.
    EvaluatedFolder
        From folders: ``evaluations``, and in ``problems`` why others have none; if stopped, ``complete`` is false.

    Raises
    ------
    InputError
        If something given cannot be used.
    StoppedError
        If it was stopped before anything was finished.
    """
    config = EvaluateConfig.checked(**settings)
    given = (prediction, confocal, widefield)
    are_files = [isinstance(stack, str | Path) for stack in given if stack is not None]
    if any(are_files) != all(are_files):
        raise InputError("files and arrays cannot be mixed. Give the names of all stacks, or all as arrays.")
    channels = (prediction_channel, confocal_channel, widefield_channel)
    if all(are_files):
        own, other, raw = (
            StackSource(Path(stack), channel, axes=axes, time=time) if isinstance(stack, str | Path) else None
            for stack, channel in zip(given, channels, strict=True)
        )
        assert own is not None
        if own.is_folder_of_stacks:
            return drain(evaluate_folders(own, other, raw, output, config, overwrite=overwrite, stop=stop), on_event)
        return drain(evaluate_file(own, other, raw, output, config, overwrite=overwrite, stop=stop), on_event)
    if any(choice is not None for choice in (*channels, time, axes)):
        raise InputError("channels, time and axes choose from files; an array has axes Z, Y, X: choose by indexing it.")
    path = None if output is None else check_report(output, overwrite)
    predicted, truth, blurred = (
        None if stack is None else Volume(np.asarray(stack), config.spacing_um, name=name)
        for stack, name in zip(given, ("prediction", "confocal", "widefield"), strict=True)
    )
    assert predicted is not None
    found = drain(evaluate_volumes(predicted, truth, blurred, config, stop=stop), on_event)
    if path is not None:
        write_report(path, found, draw_evaluation(found, stop))
    return found


def export_model(
    model: str,
    output: File,
    *,
    file_format: Literal["safetensors", "onnx", "bioimageio"] | None = None,
    authors: Sequence[str] = (),
    licence: str = "",
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
) -> ExportedModel:
    """Write a model to a file for others: a copy, ONNX, or a package of bioimage.io.

    Parameters
    ----------
    model : str
        Name of a model, or a model file.
    output : str or Path
        File to write, ending in ``.safetensors``, ``.onnx`` or ``.zip``.
    file_format : str, optional
        "safetensors", "onnx" or "bioimageio"; by the ending if not given. The last two need
        ``pip install "napari-deep3d[export]"``.
    authors, licence : sequence of str, str
        Of a package: who made the model, and the SPDX identifier of its licence. Bundled models have theirs.
    overwrite, on_event, stop
        As in :func:`predict`; it is stopped between steps.

    Returns
    -------
    ExportedModel
        The file, the largest difference between it and torch, and of a package how much tiles change its answer.

    Raises
    ------
    InputError
        If something given cannot be used, or a library is missing.
    StoppedError
        If it was stopped; nothing is written then.
    """
    job = export_job(model, output, file_format, authors=authors, licence=licence, overwrite=overwrite, stop=stop)
    return drain(job, on_event)


def train_config(preset: str, *settings: Mapping[str, Any]) -> TrainConfig:
    """Settings of a training: those of a preset, changed by further ones, later ones winning."""
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; {', '.join(PRESETS)} are allowed. Choose one of them.")
    return merge(TrainConfig, PRESETS[preset], *settings)
