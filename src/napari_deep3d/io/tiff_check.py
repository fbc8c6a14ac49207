"""Is a file TIFF, and is it whole? Asked before anything else reads it.

A reader that meets a cut-off file may take the planes that are left for the whole stack. TIFF is a chain of
directories, each with the place of the next: in a whole file all of them, and what they point at, lie inside.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from napari_deep3d.core.errors import InputError

_KINDS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"ZISRAWFILE", "a Zeiss CZI file"),
    (b"\xda\xce\xbe\x0a", "a Nikon ND2 file"),
    (b"\x93NUMPY", "a NumPy array"),
)
_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
# Tags that lead to the voxels and their size: lengths, description, strips, tiles, resolution, ImageJ's own.
_NEEDED = {256, 257, 258, 259, 270, 273, 277, 279, 282, 283, 322, 323, 324, 325, 339, 50838, 50839}


class _Layout(NamedTuple):
    """How a classic TIFF or a BigTIFF packs its directories."""

    number: str
    entry: str
    offset: str
    first: int


def check_tiff(path: Path) -> None:
    """Refuse a file that is empty, no TIFF, or cut off.

    Raises
    ------
    InputError
        With what the file is instead.
    OSError
        If it cannot be read at all.
    """
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty (0 bytes); a TIFF stack is needed. Copy or export it again.")
    with path.open("rb") as file:
        layout = _layout(file.read(16).ljust(16, b"\xff"))  # a cut-off header points beyond its end
        if layout is None:
            file.seek(0)
            raise InputError(
                f"{path} is not a TIFF file but {_kind(file.read(512))}. "
                "Give a stack saved as TIFF; renaming a file does not convert it."
            )
        if not all(end <= size for end in _ends(file, layout)):
            raise cut_off(path, size)


def cut_off(path: Path, size: int) -> InputError:
    """Make the error for a file that ends too early."""
    return InputError(
        f"{path} is cut off: it ends after {size} bytes, before all of its planes. "
        "Copy it again from where it was acquired, or export it again."
    )


def _layout(head: bytes) -> _Layout | None:
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        return None
    version = struct.unpack(order + "H", head[2:4])[0]
    if version == 42:
        return _Layout(order + "H", order + "HHI4s", order + "I", struct.unpack(order + "I", head[4:8])[0])
    if version == 43:
        return _Layout(order + "Q", order + "HHQ8s", order + "Q", struct.unpack(order + "Q", head[8:16])[0])
    return None


def _ends(file: BinaryIO, layout: _Layout) -> Iterator[int]:
    """Where each directory and each value that a needed tag points at would end; never reads past the end."""
    offset, seen = layout.first, set[int]()
    while offset and offset not in seen:
        seen.add(offset)
        start = offset + struct.calcsize(layout.number)
        yield start
        file.seek(offset)
        (count,) = struct.unpack(layout.number, file.read(struct.calcsize(layout.number)))
        entries_end = start + count * struct.calcsize(layout.entry)
        yield entries_end + struct.calcsize(layout.offset)
        entries = file.read(entries_end - start)
        (offset,) = struct.unpack(layout.offset, file.read(struct.calcsize(layout.offset)))
        yield from _value_ends(entries, layout)


def _value_ends(entries: bytes, layout: _Layout) -> Iterator[int]:
    for tag, kind, count, value in struct.iter_unpack(layout.entry, entries):
        length = _TYPE_BYTES.get(kind, 0) * count
        if tag in _NEEDED and length > len(value):
            yield struct.unpack(layout.offset, value)[0] + length


def _kind(head: bytes) -> str:
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "text"
    return f"something else (it starts with {head[:4].hex(' ')})"
