"""A stack walked through in blocks, so that measures need no more memory than a few planes."""

from __future__ import annotations

from collections.abc import Iterator

from napari_deep3d.core import Box, NoData, Shape
from napari_deep3d.core.no_data.mask import Mask

BLOCK_VOXELS = 2_000_000
"""About the largest block that is read at a time: a third of a second of work, so that it can be stopped at once."""


def blocks_of(shape: Shape, margin: int, depth: int = 16) -> Iterator[tuple[Box, Box]]:
    """Boxes (Z, Y, X) that make up a stack, each with the box around it that is wider by a margin, within the stack.

    They are ``depth`` planes deep and as wide as the stack; of wide stacks some rows at a time.
    """
    rows = max(16, BLOCK_VOXELS // ((depth + 2 * margin) * shape[2]) - 2 * margin)
    for z in range(0, shape[0], depth):
        for y in range(0, shape[1], rows):
            box = Box.at((z, y, 0), (depth, rows, shape[2])).clipped(shape)
            yield box, box.grown((margin, margin, 0), shape)


def blank_in(no_data: NoData | None, box: Box) -> Mask | None:
    """Which voxels of a box are no image; None if all are image."""
    if no_data is None:
        return None
    blank = no_data.mask(box)
    return blank if blank.any() else None
