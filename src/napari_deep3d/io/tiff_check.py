"""Whether a file is TIFF, and whole.

TIFF is a chain of directories, each with the place of the next: in a whole file all of them, what they point at, and
the voxels lie inside. The chain is followed here, before tifffile reads the file, because tifffile takes the planes
that are left of a cut-off file for the whole stack; where the voxels lie is asked of tifffile.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tifffile import TIFF, TiffFile, TiffFormat, TiffPageSeries

from napari_deep3d.core import InputError
from napari_deep3d.io.file_kind import check_kind, cut_off

_LAYOUTS = {
    b"II*\0": TIFF.CLASSIC_LE,
    b"MM\0*": TIFF.CLASSIC_BE,
    b"II+\0": TIFF.BIG_LE,
    b"MM\0+": TIFF.BIG_BE,
}
"""How numbers are packed, by a file's first four bytes."""
_MICROMANAGER = 54773648
_NEEDED = {256, 257, 258, 259, 270, 273, 277, 279, 282, 283, 322, 323, 324, 325, 339, 50838, 50839}
"""Tags that lead to the voxels and their size: lengths, description, strips, tiles, resolution, ImageJ's own."""


def check_tiff(path: Path, may_break_off: bool = True) -> None:
    """Refuse (InputError) a file that is empty, no TIFF, or lacks directories or what they point at.

    Also one whose directories lead back to an earlier one: it would be read without end. An acquisition of
    Micro-Manager that broke off ends anywhere; with ``may_break_off`` it is let through.
    """
    check_kind(path, _LAYOUTS, "TIFF")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16).ljust(16, b"\xff")  # a cut-off header points beyond its end
        layout = _LAYOUTS[head[:4]]
        let_through = may_break_off and _is_acquisition(head, layout)
        if not let_through and any(end > size for end in _ends(path, file, layout, head)):
            raise cut_off(path, size)


def _is_acquisition(head: bytes, layout: TiffFormat) -> bool:
    """Whether the header of a file is Micro-Manager's."""
    return not layout.is_bigtiff and head[8:12] == struct.pack(layout.byteorder + "I", _MICROMANAGER)


def check_planes(path: Path, tif: TiffFile, series: TiffPageSeries, has_gaps: bool = False) -> None:
    """Refuse (InputError) an image that lacks voxels that its file says it has: cut off, or in files that are missing.

    ``has_gaps`` says that some planes are known to be missing.
    """
    planes = math.prod(n for axis, n in zip(series.axes, series.shape, strict=True) if axis not in "YXS")
    # ImageJ's large files have one directory for all planes: just the description tells how many there are.
    one_directory = tif.is_imagej and len(tif.pages) == 1
    if one_directory and int((tif.imagej_metadata or {}).get("images", 1)) > planes:
        raise cut_off(path, tif.filehandle.size)
    if not series.is_multifile and series.dataoffset is not None:
        size = series.keyframe.parent.filehandle.size
        if series.dataoffset + series.nbytes > size:
            raise cut_off(path, size)
        return
    for page in series:
        if page is None:
            if has_gaps:
                continue
            raise InputError(
                f"{path} lacks planes that its metadata list. "
                "Put the other files of the acquisition beside it, or export the stack as one file."
            )
        ends = (offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        file = page.parent.filehandle
        if max(ends, default=0) > file.size:
            raise cut_off(path.with_name(file.name), file.size)


def _ends(path: Path, file: BinaryIO, layout: TiffFormat, head: bytes) -> Iterator[int]:
    """Where each directory, and each value that a needed tag points at, would end; reads no further than asked."""

    def number(packed: bytes) -> int:
        return int(struct.unpack(layout.offsetformat, packed)[0])

    # The place of the first directory follows 4 bytes in a classic TIFF, 8 in a BigTIFF: as many as it takes itself.
    offset, seen = number(head[layout.offsetsize : 2 * layout.offsetsize]), set[int]()
    while offset:
        if offset in seen:
            raise InputError(
                f"{path} is damaged: its list of planes leads back to one of before. "
                "Copy it again from where it was acquired, or export it again."
            )
        seen.add(offset)
        yield offset + layout.tagnosize
        file.seek(offset)
        (count,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
        yield offset + layout.tagnosize + count * layout.tagsize + layout.offsetsize
        entries = file.read(count * layout.tagsize)
        offset = number(file.read(layout.offsetsize))
        for tag, kind, items, value in struct.iter_unpack(layout.tagheaderformat, entries):
            length = items * struct.calcsize(TIFF.DATA_FORMATS.get(kind, ""))
            if tag in _NEEDED and length > len(value):  # a shorter value stands in the entry itself
                yield number(value) + length
