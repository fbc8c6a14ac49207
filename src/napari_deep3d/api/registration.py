"""Register pairs, or make pairs of raw frames of structured light, which need no registering."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack, overload

import numpy as np

from napari_deep3d.api.settings import Array, File, GridFramesSettings, OnEvent, RegisterOptions, RegisterSettings
from napari_deep3d.core import GridFramesConfig, InputError, RegisterConfig, Spacing, Stop, Volume, drain, never
from napari_deep3d.core.registration import Registration, register_volumes
from napari_deep3d.jobs.grid_frames import GridFolder, GridPair, pair_from_frames, pairs_from_frames
from napari_deep3d.jobs.register import RegisteredFolder, RegisteredPair, StackSource, register_folders, register_pair


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
