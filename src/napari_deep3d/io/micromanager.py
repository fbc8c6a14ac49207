"""Image-stack files of Micro-Manager: a map from channel, plane, time point and position to pages.

The map is in the file's header, written when the file is closed; without it each page says of itself what it is. All
files of an acquisition have one summary of it. A file holds one position or several; a long one goes on in others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tifffile import TiffFile, TiffPage

from napari_deep3d.io.imagej_tiff import imagej_metadata
from napari_deep3d.io.ome_xml import ome_metadata
from napari_deep3d.io.stack_file import Metadata
from napari_deep3d.io.tiff_check import check_tiff
from napari_deep3d.io.tiff_planes import Planes, TiffImage
from napari_deep3d.io.units import backwards, length_um, spacing_or_none

_COUNTS = {"T": "Frames", "C": "Channels", "Z": "Slices"}
_INDEX = {"T": ("FrameIndex", "Frame"), "C": ("ChannelIndex",), "Z": ("SliceIndex", "Slice")}
_PIXEL_SIZES = ("PixelSizeUm", "PixelSize_um")


class _Place(NamedTuple):
    """What a page holds."""

    position: int
    at: dict[str, int]
    page: TiffPage


def is_micromanager(tif: TiffFile) -> bool:
    """Whether a file is a Micro-Manager stack that says where its planes are."""
    metadata = tif.micromanager_metadata if tif.is_micromanager else None
    summary = (metadata or {}).get("Summary")
    if metadata is None or not isinstance(summary, dict) or metadata.get("MajorVersion", 0) != 0:
        return False
    return next(_places(tif), None) is not None


def micromanager_images(path: Path, tif: TiffFile) -> list[TiffImage]:
    """Return an image for each position of which a file holds planes.

    Raises
    ------
    InputError
        If no time point of a position is finished.
    """
    summary: dict[str, Any] = (tif.micromanager_metadata or {}).get("Summary", {})
    places = list(_places(tif))
    positions = sorted({place.position for place in places})
    counts = {axis: max(_number(summary.get(name)), 1) for axis, name in _COUNTS.items()}
    siblings: list[TiffFile] = []
    found = []
    try:
        for position in positions:
            own = [place for place in places if place.position == position]
            n_planes = counts["T"] * counts["C"] * counts["Z"]
            if len(own) < n_planes and not siblings:
                siblings = _siblings(path, summary)
            if len(own) < n_planes:
                own += [place for other in siblings for place in _places(other) if place.position == position]
            actual = {axis: max(counts[axis], *(place.at[axis] + 1 for place in own)) for axis in counts}
            planes = Planes(_order(summary), actual)
            for place in own:
                planes.put(planes.rank(**place.at), place.page)
            first = min(own, key=lambda place: [place.at[axis] for axis in "TCZ"]).page
            about = _metadata(tif, summary, first, actual["C"])
            name = _position_name(summary, position, first)
            found.append(planes.image(path, about, name, "summary of the acquisition"))
    finally:
        for other in siblings:
            other.close()
    n_positions = _number(summary.get("Positions"))
    if n_positions > len(positions):
        notice = (
            f"{path.name} holds {len(positions)} of the {n_positions} positions of its acquisition; the others are in "
            "files of their own, not read here."
        )
        found = [replace(image, about=image.about._replace(notices=(*image.about.notices, notice))) for image in found]
    return found


def _places(tif: TiffFile) -> Iterator[_Place]:
    """What each page holds, by the map in the header or by the pages' own notes."""
    entries = (tif.micromanager_metadata or {}).get("IndexMap")
    pages = list(_whole_pages(tif))
    if entries is not None and len(entries):
        by_offset = {page.offset: page for page in pages}
        for channel, plane, time, position, offset in entries.tolist():
            if offset in by_offset:  # a file is laid out before it is filled
                yield _Place(position, {"T": time, "C": channel, "Z": plane}, by_offset[offset])
        return
    for page in pages:
        notes = _notes(page)
        index = {axis: next((notes[name] for name in names if name in notes), None) for axis, names in _INDEX.items()}
        if all(isinstance(i, int) and i >= 0 for i in index.values()):
            yield _Place(_number(notes.get("PositionIndex")), index, page)  # type: ignore[arg-type]


def _whole_pages(tif: TiffFile) -> Iterator[TiffPage]:
    """The pages of a file whose voxels are all there; an acquisition that broke off ends anywhere."""
    tif.pages.cache = True
    kind = tif.pages.first.hash
    for index in range(len(tif.pages)):
        try:
            page = tif.pages[index].aspage()
        except Exception:  # whatever half a directory breaks
            return
        ends = (offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        if page.hash == kind and max(ends, default=tif.filehandle.size + 1) <= tif.filehandle.size:
            yield page


def _siblings(path: Path, summary: Mapping[str, Any]) -> list[TiffFile]:
    """The files in which an acquisition goes on, open: NAME.ome.tif, NAME_1.ome.tif, NAME_2.ome.tif."""
    base = re.sub(r"_\d+$", "", path.name.split(".")[0])
    opened = []
    for file in sorted(path.parent.iterdir()):
        stem = file.name.split(".")[0]
        if file != path and file.suffix.lower() == ".tif" and (stem == base or stem.startswith(f"{base}_")):
            check_tiff(file)
            tif = TiffFile(file)
            others = (tif.micromanager_metadata or {}).get("Summary") if tif.is_micromanager else None
            if isinstance(others, dict) and others.get("UUID") == summary.get("UUID"):
                opened.append(tif)
            else:
                tif.close()
    return opened


def _order(summary: Mapping[str, Any]) -> str:
    """The letters T, C, Z as planes follow each other, that which changes slowest first."""
    return "TZC" if summary.get("SlicesFirst", True) else "TCZ"


def _notes(page: TiffPage) -> dict[str, Any]:
    """What Micro-Manager noted of a page."""
    notes = page.tags.valueof(51123)
    return notes if isinstance(notes, dict) else {}


def _metadata(tif: TiffFile, summary: Mapping[str, Any], page: TiffPage, n_channels: int) -> Metadata:
    """Voxel size and channels by Micro-Manager's own notes; a size they lack by the file's OME-XML or ImageJ text."""
    notes = _notes(page)
    pixel = next(
        (
            size
            for size in (length_um(about.get(name), "um") for about in (notes, summary) for name in _PIXEL_SIZES)
            if size
        ),
        None,
    )
    step = length_um(summary.get("z-step_um"), "um") or length_um(notes.get("z-step_um"), "um")
    other = ome_metadata(tif)
    if other.spacing_um is None and tif.is_imagej:
        other = imagej_metadata(tif.imagej_metadata or {}, tif.pages.first.tags, n_channels)
    sizes = [step, pixel, pixel]
    if other.spacing_um is not None:
        sizes = [size or known for size, known in zip(sizes, other.spacing_um, strict=True)]
    names = summary.get("ChNames")
    names = tuple(str(name) for name in names) if isinstance(names, list) else other.channel_names
    colors = summary.get("ChColors")
    colors = tuple(f"#{int(c) & 0xFFFFFF:06x}" if isinstance(c, int) else "" for c in colors or [])
    stage = [length_um(notes.get(f"{axis}PositionUm"), "um") or 0.0 for axis in "ZYX"]
    return Metadata(
        spacing_or_none(sizes),
        (stage[0], stage[1], stage[2]),
        names,
        colors,
        notices=backwards(sizes),
    )


def _position_name(summary: Mapping[str, Any], position: int, page: TiffPage) -> str:
    name = _notes(page).get("PositionName")
    for key, label in (("StagePositions", "Label"), ("InitialPositionList", "Label")):
        listed = summary.get(key)
        if not name and isinstance(listed, list) and position < len(listed) and isinstance(listed[position], dict):
            name = listed[position].get(label)
    return str(name or f"Pos{position}")


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0
