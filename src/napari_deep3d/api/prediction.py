"""Predict a stack, or the stacks of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack, overload

import numpy as np

from napari_deep3d.api.settings import Array, File, OnEvent, PredictOptions, PredictSettings
from napari_deep3d.core import InputError, PredictConfig, Stop, Volume, drain, never
from napari_deep3d.io import check_output, open_stack, write_stack
from napari_deep3d.jobs.predict.file import FilePrediction, Times, predict_file, uncertainty_path
from napari_deep3d.jobs.predict.folder import PredictedFolder
from napari_deep3d.jobs.predict.folder import predict_folder as predict_stacks
from napari_deep3d.jobs.predict.folder_items import ResultSuffix, Wanted
from napari_deep3d.jobs.predict.predict import Prediction, predict_volume


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
