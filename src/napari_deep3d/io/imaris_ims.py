"""Imaris files, 5.5 and later: HDF5, of which the finest level is read.

Layout: "Imaris 5.5 file format", Bitplane; attributes are arrays of single characters.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import InputError
from napari_deep3d.io.file_kind import HDF5, check_kind, cut_off, library, reading_as
from napari_deep3d.io.library_stack import LibraryStack, check_axes, finished_times
from napari_deep3d.io.optics import Optics, stated_optics
from napari_deep3d.io.stack_file import STACK_AXES, FoundImage, Metadata, StackFile, StackView, found_image, stack_name
from napari_deep3d.io.units import backwards, length_um, origin_or_zero, spacing_or_none

if TYPE_CHECKING:
    import h5py

KIND = "Imaris"
_LEVEL = "DataSet/ResolutionLevel 0"
_ABOUT = "DataSetInfo"
_NUMBER = {"Z": 2, "Y": 1, "X": 0}
"""Imaris counts its axes X, Y, Z."""


def find_ims_images(path: Path) -> list[FoundImage]:
    """Return the image of an Imaris file.

    Raises
    ------
    InputError
        If the file is of another kind, cut off or damaged, or the library for it is missing.
    OSError
        If it cannot be read at all.
    """
    check_kind(path, (HDF5,), KIND)
    h5py = library("h5py", path)
    return [found_image("", lambda: _open_image(path, _open_file(h5py, path)))]


def _open_file(h5py: Any, path: Path) -> h5py.File:
    with reading_as(path, KIND):
        try:
            file: h5py.File = h5py.File(path, "r")
        except OSError as error:
            if "truncated" in str(error):
                raise cut_off(path, path.stat().st_size) from error
            raise
        return file


def _open_image(path: Path, file: h5py.File) -> StackFile:
    with reading_as(path, KIND):
        if _LEVEL not in file:
            raise InputError(f"{path} is HDF5, but no Imaris file: it has no {_LEVEL}. Export the stack as OME-TIFF.")
        # 1. The voxels: an array for each time point and channel, which may be padded up to whole chunks.
        places = _places(file)
        first = file[_place(*places[0])]
        about = _texts(file[_ABOUT + "/Image"].attrs) if _ABOUT + "/Image" in file else {}
        sizes = [_size(about, first.parent.attrs, letter, first.shape) for letter in "ZYX"]
        n_times, n_channels = (max(place[i] for place in places) + 1 for i in range(2))
        stacks = {(time, channel, 0) for time, channel in places}
        n_times, missing, notices = finished_times(path, stacks, (n_times, n_channels, 1))
        shape = (n_times, n_channels, *sizes)
        name = stack_name(path)

        def read(time: int, channel: int, box: tuple[slice, slice, slice]) -> NDArray[Any]:
            voxels: NDArray[Any] = file[_place(time, channel)][box]
            return voxels

        source = LibraryStack(shape, first.dtype, read)
        weakref.finalize(source, file.close)
        check_axes(dict(zip(STACK_AXES, shape, strict=True)), first.dtype, name)
        data = StackView(source, STACK_AXES, name=name)

        # 2. What the file says of them.
        facts = _metadata(file, about, sizes, n_channels, n_times)
        facts = facts._replace(notices=facts.notices + notices)
        return StackFile(path, name, data, *facts, missing=missing)


def _place(time: int, channel: int) -> str:
    """Where the voxels of a time point and channel lie in the file."""
    return f"{_LEVEL}/TimePoint {time}/Channel {channel}/Data"


def _places(file: h5py.File) -> list[tuple[int, int]]:
    """Time point and channel of the stacks that a file holds."""
    found = []
    for time_name, group in file[_LEVEL].items():
        for channel_name in group:
            numbers = [re.fullmatch(r"(?:TimePoint|Channel) (\d+)", name) for name in (time_name, channel_name)]
            if numbers[0] and numbers[1] and "Data" in group[channel_name]:
                found.append((int(numbers[0][1]), int(numbers[1][1])))
    if not found:
        raise InputError(f"{file.filename} holds no image. Export the stack again.")
    return sorted(found)


def _texts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes as text, whether they are arrays of characters or texts."""
    texts = {}
    for name, value in attributes.items():
        raw = b"".join(np.atleast_1d(value).astype("S").tolist()) if isinstance(value, np.ndarray) else value
        texts[name] = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return texts


def _size(about: Mapping[str, str], attributes: Mapping[str, Any], letter: str, stored: tuple[int, ...]) -> int:
    """Number of voxels along an axis, without the padding."""
    number = _texts(attributes).get(f"ImageSize{letter}") or about.get(letter) or ""
    most = stored["ZYX".index(letter)]
    return min(int(number), most) if number.strip().isdigit() else most


def _metadata(file: h5py.File, about: Mapping[str, str], sizes: list[int], n_channels: int, n_times: int) -> Metadata:
    unit = about.get("Unit", "um")
    low, high = (
        [length_um(about.get(f"Ext{end}{_NUMBER[letter]}"), unit) for letter in "ZYX"] for end in ("Min", "Max")
    )
    steps = [
        None if start is None or stop is None else float(f"{(stop - start) / size:.12g}")
        for start, stop, size in zip(low, high, sizes, strict=True)
    ]
    # The extent is that of the voxels' faces; a position is that of the first one's centre.
    origin = [
        None if start is None or step is None else start + step / 2 for start, step in zip(low, steps, strict=True)
    ]
    names = [f"{_ABOUT}/Channel {i}" for i in range(n_channels)]
    channels = [_texts(file[name].attrs) if name in file else {} for name in names]
    return Metadata(
        spacing_or_none(steps),
        origin_or_zero(origin),
        tuple(channel.get("Name", "") for channel in channels),
        tuple(_color(channel.get("Color", "")) for channel in channels),
        notices=backwards(steps),
        time_step_s=_time_step_s(file, n_times),
        optics=_optics(about, channels),
    )


def _optics(about: Mapping[str, str], channels: list[dict[str, str]]) -> Optics:
    """From what Imaris keeps for deconvolution: with the image or with each channel."""
    either = [about, *channels]
    aperture = next((each["NumericalAperture"] for each in either if each.get("NumericalAperture")), None)
    index = next((each["RefractionIndexImmersion"] for each in either if each.get("RefractionIndexImmersion")), None)
    return stated_optics(aperture, index, (), [channel.get("LSMEmissionWavelength") for channel in channels])


def _color(text: str) -> str:
    """``#rrggbb`` of three numbers from 0 to 1."""
    try:
        parts = [round(255 * min(max(float(part), 0.0), 1.0)) for part in text.split()]
    except ValueError:
        return ""
    return "#" + "".join(f"{part:02x}" for part in parts) if len(parts) == 3 else ""


def _time_step_s(file: h5py.File, n_times: int) -> float | None:
    """Mean time between time points, from the moments at which they were recorded."""
    moments = _texts(file[f"{_ABOUT}/TimeInfo"].attrs) if f"{_ABOUT}/TimeInfo" in file else {}
    try:
        first, last = (datetime.fromisoformat(moments[f"TimePoint{i}"]) for i in (1, n_times))
    except (KeyError, ValueError):
        return None
    seconds = (last - first).total_seconds()
    return seconds / (n_times - 1) if n_times > 1 and seconds > 0 else None
