"""Nikon ND2 files of NIS-Elements, except the oldest, which hold JPEG 2000."""

from __future__ import annotations

import warnings
import weakref
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import InputError
from napari_deep3d.io.file_kind import ND2, OLD_ND2, check_kind, cut_off, library, reading_as
from napari_deep3d.io.library_stack import LibraryStack, by_planes, check_axes, finished_times
from napari_deep3d.io.optics import Optics, stated_optics
from napari_deep3d.io.stack_file import STACK_AXES, FoundImage, Metadata, StackFile, StackView, found_image, stack_name
from napari_deep3d.io.units import backwards, spacing_or_none

KIND = "Nikon ND2"
_END, _END_BYTES = b"ND2 CHUNK MAP SIGNATURE 0000001!", 40
"""How a file ends that was closed."""
_POSITION = "P"


class _Contents(NamedTuple):
    """What a file holds."""

    sizes: dict[str, int]
    dtype: np.dtype[Any]
    frames: dict[tuple[int, int, int], int]
    """Number of the frame, which holds all channels, by position, time point and plane."""
    places: list[tuple[str, tuple[float, float, float]]]
    """Name of each position, and where its first plane lies, in um along Z, Y, X."""
    about: Metadata


def find_nd2_images(path: Path) -> list[FoundImage]:
    """Return an image for each position of an ND2 file.

    Raises
    ------
    InputError
        If the file is of another kind, cut off or damaged, or the library for it is missing.
    OSError
        If it cannot be read at all.
    """
    check_kind(path, (ND2, OLD_ND2), KIND)
    with path.open("rb") as file:
        if file.read(len(OLD_ND2)) == OLD_ND2:
            raise InputError(
                f"{path} is an ND2 file of the oldest kind (JPEG 2000), which is not read. Save it again with a newer "
                "NIS-Elements, or export it as OME-TIFF."
            )
        size = path.stat().st_size
        file.seek(max(size - _END_BYTES, 0))
        if not file.read().startswith(_END):
            raise cut_off(path, size)
    nd2 = library("nd2", path)
    with reading_as(path, KIND), nd2.ND2File(path) as file:
        contents = _contents(file)
    return [
        found_image(name, partial(_open_position, path, nd2.ND2File, index, contents))
        for index, (name, _) in enumerate(contents.places)
    ]


def _contents(file: Any) -> _Contents:
    sizes, attributes = dict(file.sizes), file.attributes
    frames = {
        (at.get(_POSITION, 0), at.get("T", 0), at.get("Z", 0)): number
        for number, at in enumerate(file.loop_indices)
        if number < attributes.sequenceCount
    }
    channels = [each.channel for each in file.metadata.channels or []]
    steps = [_step_um(file), *_pixel_um(file)]
    loops = {loop.type: loop.parameters for loop in file.experiment}
    about = Metadata(
        spacing_or_none(steps),
        channel_names=tuple(channel.name for channel in channels),
        channel_colors=tuple(f"#{each.color.r:02x}{each.color.g:02x}{each.color.b:02x}" for each in channels),
        notices=backwards(steps),
        time_step_s=_time_step_s(loops),
        optics=_optics(file),
    )
    return _Contents(sizes, file.dtype, frames, _places(file, loops, sizes.get(_POSITION, 1)), about)


def _pixel_um(file: Any) -> tuple[float | None, float | None]:
    """Height and width of a pixel; 1 in a file that was not calibrated, and then unknown."""
    for channel in file.metadata.channels or []:
        size, known = channel.volume.axesCalibration, channel.volume.axesCalibrated
        return size[1] if known[1] else None, size[0] if known[0] else None
    return None, None


def _step_um(file: Any) -> float | None:
    """From plane to plane; negative if they were taken downwards."""
    for loop in file.experiment:
        if loop.type == "ZStackLoop":
            step = abs(float(loop.parameters.stepUm))
            return step if loop.parameters.bottomToTop else -step
    return None


def _time_step_s(loops: dict[str, Any]) -> float | None:
    """Seconds between time points, as measured, else as asked for; None if they come in periods of several kinds."""
    periods = [loops["TimeLoop"]] if "TimeLoop" in loops else []
    if "NETimeLoop" in loops:
        periods = loops["NETimeLoop"].periods
    if len(periods) != 1:
        return None
    ms = periods[0].periodDiff.avg or periods[0].periodMs
    return ms / 1000 if ms and ms > 0 else None


def _places(file: Any, loops: dict[str, Any], n_positions: int) -> list[tuple[str, tuple[float, float, float]]]:
    points = loops["XYPosLoop"].points if "XYPosLoop" in loops else []
    places = []
    for index in range(n_positions):
        name = (points[index].name if index < len(points) else "") or ""
        first = next((i for i, at in enumerate(file.loop_indices) if at.get(_POSITION, 0) == index), 0)
        places.append((name or (f"position {index}" if n_positions > 1 else ""), _stage_um(file, first)))
    return places


def _stage_um(file: Any, frame: int) -> tuple[float, float, float]:
    """Where the stage was; 0 in a file that does not keep it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x, y, z = file.frame_metadata(frame).channels[0].position.stagePositionUm
    except Exception:  # files without times of their frames, or without channels
        return 0.0, 0.0, 0.0
    return (float(z), float(y), float(x)) if np.all(np.isfinite([z, y, x])) else (0.0, 0.0, 0.0)


def _optics(file: Any) -> Optics:
    channels = file.metadata.channels or []
    if not channels:
        return Optics()
    microscope = channels[0].microscope
    return stated_optics(
        microscope.objectiveNumericalAperture,
        microscope.immersionRefractiveIndex,
        (),
        [each.channel.emissionLambdaNm for each in channels],
    )


def _open_position(path: Path, open_file: Any, position: int, contents: _Contents) -> StackFile:
    stack, sizes = stack_name(path), contents.sizes
    with reading_as(path, KIND):
        # 1. What there is.
        check_axes({axis: n for axis, n in sizes.items() if axis != _POSITION}, contents.dtype, stack)
        n_times, n_channels, n_planes, height, width = (sizes.get(axis, 1) for axis in STACK_AXES)
        frames = {(time, plane): frame for (at, time, plane), frame in contents.frames.items() if at == position}
        taken = {(time, channel, plane) for time, plane in frames for channel in range(n_channels)}
        n_times, missing, notices = finished_times(path, taken, (n_times, n_channels, n_planes))

        # 2. The voxels, through a file that stays open while they are in use.
        file = open_file(path)

        def read(time: int, channel: int, plane: int, y: slice, x: slice) -> NDArray[Any]:
            frame: NDArray[Any] = file.read_frame(frames[time, plane])
            return frame.reshape(n_channels, height, width)[channel, y, x]

        source = LibraryStack((n_times, n_channels, n_planes, height, width), contents.dtype, by_planes(read))
        weakref.finalize(source, file.close)
        name, origin_um = contents.places[position]
        about = contents.about._replace(origin_um=origin_um, notices=contents.about.notices + notices)
        return StackFile(path, stack, StackView(source, STACK_AXES, name=stack), *about, position=name, missing=missing)
