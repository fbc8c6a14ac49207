"""Measure how good a prediction is."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack, overload

import numpy as np

from napari_deep3d.api.settings import Array, EvaluateOptions, EvaluateSettings, File, OnEvent
from napari_deep3d.core import EvaluateConfig, InputError, Stop, Volume, drain, never
from napari_deep3d.jobs.evaluate.evaluate import Evaluation, evaluate_volumes
from napari_deep3d.jobs.evaluate.figures import draw_evaluation
from napari_deep3d.jobs.evaluate.file import EvaluatedFile, EvaluatedFolder, evaluate_file, evaluate_folders
from napari_deep3d.jobs.evaluate.report import check_report, write_report
from napari_deep3d.jobs.register import StackSource


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
