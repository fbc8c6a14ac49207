"""Image-stack files as Micro-Manager writes them: a header, an index map, notes on every page."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def write_micromanager(
    path: Path,
    pages: Sequence[NDArray[Any]],
    places: Sequence[tuple[int, int, int, int]],
    *,
    notes: Sequence[dict[str, Any]] = (),
    has_map: bool = True,
    **summary: Any,
) -> Path:
    """Write pages of 16 bits, each with its place (channel, z, time, position)."""
    text = json.dumps({"MicroManagerVersion": "2.0.1", "Prefix": path.name.split("_MMStack")[0]} | summary).encode()
    file = bytearray(
        b"II*\0" + struct.pack("<9I", 0, 54773648, 0, 483765892, 0, 99384722, 0, 2355492, len(text)) + text
    )
    link, offsets = 4, []
    for index, page in enumerate(pages):
        file += b" " * (len(file) % 2)
        offsets.append(len(file))
        file[link : link + 4] = struct.pack("<I", len(file))
        rows, columns = page.shape
        note = json.dumps(notes[index] if notes else {}).encode() + b"\0"
        values = len(file) + 2 + 13 * 12 + 4
        data = values + 16 + len(note)
        tags = [(256, 4, 1, columns), (257, 4, 1, rows), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1)]
        tags += [(273, 4, 1, data), (277, 3, 1, 1), (278, 3, 1, rows), (279, 4, 1, 2 * page.size)]
        tags += [(282, 5, 1, values), (283, 5, 1, values + 8), (296, 3, 1, 3), (51123, 2, len(note), values + 16)]
        link = len(file) + 2 + 13 * 12
        file += struct.pack("<H", 13) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", 0)
        file += struct.pack("<4I", 50000, 1, 50000, 1) + note + page.astype("<u2").tobytes()
    if has_map:
        file[8:16] = struct.pack("<II", 54773648, len(file))
        file += struct.pack("<II", 3453623, len(pages))
        for place, offset in zip(places, offsets, strict=True):
            file += struct.pack("<5I", *place, offset)
        file += b"\0" * 16
    path.write_bytes(bytes(file))
    return path
