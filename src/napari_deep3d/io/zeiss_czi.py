"""Zeiss CZI files, through Zeiss's own library; the tiles of a scene are put together where they overlap.

Layout of the file's head: "ZISRAW (CZI) file format", Zeiss.
"""

from __future__ import annotations

import struct
import weakref
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import InputError
from napari_deep3d.io.file_kind import CZI, check_kind, cut_off, library, reading_as
from napari_deep3d.io.library_stack import LibraryStack, by_planes, check_axes, finished_times
from napari_deep3d.io.optics import Optics, stated_optics
from napari_deep3d.io.stack_file import STACK_AXES, FoundImage, Metadata, StackFile, StackView, found_image, stack_name
from napari_deep3d.io.tiff_planes import PLANE_AXES
from napari_deep3d.io.units import backwards, length_um, origin_or_zero, spacing_or_none, step_s

KIND = "Zeiss CZI"
_DTYPES = {"Gray8": np.uint8, "Gray16": np.uint16, "Gray32Float": np.float32}
_FURTHER = {"R": "rotation", "I": "illumination", "H": "phase", "V": "view", "B": "block"}
"""Axes that no stack has."""
_IMAGE = "./Metadata/Information/Image"
_DIRECTORIES = struct.Struct("<qq")
_CACHE_BYTES = 2**27
_DIRECTORIES_AT = 84
"""Where the head says where the list of the voxels' blocks lies, and the metadata."""


class _Scene(NamedTuple):
    """One of the fields that a file holds: its number, None if the file does not count scenes, and its pixels."""

    number: int | None
    x: int
    y: int
    width: int
    height: int


class _Contents(NamedTuple):
    """What a file holds."""

    first: dict[str, int]
    """Index of the first time point, channel and plane: a part of a file keeps the numbers of the whole."""
    counts: dict[str, int]
    """How many there are along each axis beside rows and columns."""
    dtype: np.dtype[Any]
    planes: set[tuple[int | None, int, int, int]]
    """Scene, time point, channel and plane of those that were taken."""
    root: Element
    """The metadata."""


def find_czi_images(path: Path) -> list[FoundImage]:
    """Return an image for each scene of a CZI file.

    Raises
    ------
    InputError
        If the file is of another kind, cut off or damaged, or the library for it is missing.
    OSError
        If it cannot be read at all.
    """
    check_kind(path, (CZI,), KIND)
    _check_whole(path)
    czi = library("pylibCZIrw.czi", path)
    with reading_as(path, KIND), czi.open_czi(str(path)) as reader:
        contents, scenes = _contents(path, reader), _scenes(reader)
    # Blocks that are decoded are kept for a while: boxes next to each other have them in common.
    opened = partial(czi.CziReader, cache_options=czi.CacheOptions(max_memory_usage=_CACHE_BYTES))
    listed = contents.root.findall(f"{_IMAGE}/Dimensions/S/Scenes/Scene")
    names = {each.get("Index"): each.get("Name", "") for each in listed}
    found = []
    for scene in scenes:
        name = "" if len(scenes) == 1 else names.get(str(scene.number)) or f"scene {scene.number}"
        found.append(found_image(name, partial(_open_scene, path, opened, name, scene, contents)))
    if not found:
        raise InputError(f"{path} holds no image. Export the stack again.")
    return found


def _check_whole(path: Path) -> None:
    """Refuse a file that ends before the lists that its head points at."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(_DIRECTORIES_AT)
        head = file.read(_DIRECTORIES.size)
    if len(head) < _DIRECTORIES.size or max(_DIRECTORIES.unpack(head)) >= size:
        raise cut_off(path, size)


def _contents(path: Path, reader: Any) -> _Contents:
    kinds = set(reader.pixel_types.values())
    if len(kinds) > 1 or not kinds <= set(_DTYPES):
        raise InputError(
            f"{path} holds pixels of kind {', '.join(sorted(kinds))}; one of {', '.join(_DTYPES)} is needed. Export "
            "the channel with the signal as OME-TIFF of grey values."
        )
    found: list[dict[str, int]] = []

    def note(_number: int, block: Any) -> bool:
        found.append(block.coordinate.to_dict())
        return True

    reader.enumerate_subblocks_subset(note, only_layer0=True)
    first = {axis: min((at.get(axis, 0) for at in found), default=0) for axis in PLANE_AXES}
    box = reader.total_bounding_box_no_pyramid
    counts = {axis: stop - start for axis, (start, stop) in box.items() if axis not in "XY"}
    planes = set[tuple[int | None, int, int, int]]()
    for at in found:
        t, c, z = (at.get(axis, 0) - first[axis] for axis in PLANE_AXES)
        planes.add((at.get("S"), t, c, z))
    return _Contents(first, counts, np.dtype(_DTYPES[kinds.pop()]), planes, ElementTree.fromstring(reader.raw_metadata))


def _scenes(reader: Any) -> list[_Scene]:
    rectangles = reader.scenes_bounding_rectangle_no_pyramid
    if rectangles:
        return [_Scene(number, *rectangle) for number, rectangle in sorted(rectangles.items())]
    return [_Scene(None, *reader.total_bounding_rectangle_no_pyramid)]


def _open_scene(path: Path, open_reader: Any, name: str, scene: _Scene, contents: _Contents) -> StackFile:
    stack, counts, first = stack_name(path), contents.counts, contents.first
    with reading_as(path, KIND):
        # 1. What there is.
        further = {_FURTHER.get(axis, axis): n for axis, n in counts.items() if axis not in PLANE_AXES}
        usual = (counts["T"], counts["C"], counts["Z"], scene.height, scene.width)
        check_axes({**dict(zip(STACK_AXES, usual, strict=True)), **further}, contents.dtype, stack)
        planes = {place[1:] for place in contents.planes if place[0] == scene.number}
        n_times, missing, notices = finished_times(path, planes, usual[:3])

        # 2. The voxels, through a file that stays open while they are in use.
        reader = open_reader(str(path))

        def read(time: int, channel: int, plane: int, y: slice, x: slice) -> NDArray[Any]:
            at = {axis: index + first[axis] for axis, index in zip(PLANE_AXES, (time, channel, plane), strict=True)}
            region = (scene.x + x.start, scene.y + y.start, x.stop - x.start, y.stop - y.start)
            pixels: NDArray[Any] = reader.read(roi=region, plane=at, scene=scene.number)[..., 0]
            return pixels

        source = LibraryStack((n_times, *usual[1:]), contents.dtype, by_planes(read))
        weakref.finalize(source, reader.close)
        about = _metadata(contents.root, scene)
        about = about._replace(notices=about.notices + notices)
        data = StackView(source, STACK_AXES, name=stack)
        return StackFile(path, stack, data, *about, position=name, missing=missing)


def _metadata(root: Element, scene: _Scene) -> Metadata:
    """Voxel size, position, channels; lengths are in metres, positions along z and times as their elements say."""
    scaling = root.findall("./Metadata/Scaling/Items/Distance")
    values = {each.get("Id"): each.findtext("Value") for each in scaling}
    sizes = [length_um(values.get(axis), "m") or None for axis in "ZYX"]
    start_z = length_um(root.findtext(f"{_IMAGE}/Dimensions/Z/Positions/Interval/Start"), "um")
    # The pixels of all scenes are counted in one grid, which says how they lie to each other.
    corner = [None if size is None else size * at for size, at in zip(sizes[1:], (scene.y, scene.x), strict=True)]
    channels = root.findall(f"{_IMAGE}/Dimensions/Channels/Channel")
    shown = {each.get("Id"): each.findtext("Color") for each in root.iterfind("./Metadata/DisplaySetting//Channel")}
    return Metadata(
        spacing_or_none(sizes),
        origin_or_zero([start_z, *corner]),
        tuple(channel.get("Name", "") for channel in channels),
        tuple(_color(channel.findtext("Color") or shown.get(channel.get("Id"))) for channel in channels),
        notices=backwards(sizes),
        time_step_s=step_s(root.findtext(f"{_IMAGE}/Dimensions/T/Positions/Interval/Increment"), "s"),
        optics=_optics(root, channels),
    )


def _color(text: str | None) -> str:
    """``#rrggbb`` of ``#aarrggbb``."""
    return f"#{text[3:].lower()}" if text and len(text) == 9 else ""


def _optics(root: Element, channels: list[Element]) -> Optics:
    """Aperture and immersion of the objective that was used, or of the only one there is."""
    settings = root.find(f"{_IMAGE}/ObjectiveSettings")
    used = Element("ObjectiveSettings") if settings is None else settings
    objectives = root.findall("./Metadata/Information/Instrument/Objectives/Objective")
    named = used.find("ObjectiveRef")
    if named is not None:
        objectives = [each for each in objectives if each.get("Id") == named.get("Id")]
    objective = objectives[0] if len(objectives) == 1 else Element("Objective")
    return stated_optics(
        objective.findtext("LensNA"),
        used.findtext("RefractiveIndex"),
        (used.findtext("Medium"), objective.findtext("Immersion")),
        [channel.findtext("EmissionWavelength") for channel in channels],
    )
