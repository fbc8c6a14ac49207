"""A stack walked through in blocks or looked at in boxes, so that measures need no more memory than a few planes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from napari_deep3d.core import Box, NoData, Shape
from napari_deep3d.core.no_data.mask import Mask

BLOCK_VOXELS = 2_000_000
"""About the largest block that is read at a time: a third of a second of work, so that it can be stopped at once."""
FOURIER_BOX = (96, 192, 192)
"""Voxels of the boxes that 3D transforms are made of, at most."""
FOURIER_BOXES = 16


def blocks_of(shape: Shape, margin: int, depth: int = 16) -> Iterator[tuple[Box, Box]]:
    """Boxes (Z, Y, X) that make up a stack, each with the box around it that is wider by a margin, within the stack.

    They are ``depth`` planes deep and as wide as the stack; of wide stacks some rows at a time.
    """
    rows = max(16, BLOCK_VOXELS // ((depth + 2 * margin) * shape[2]) - 2 * margin)
    for z in range(0, shape[0], depth):
        for y in range(0, shape[1], rows):
            box = Box.at((z, y, 0), (depth, rows, shape[2])).clipped(shape)
            yield box, box.grown((margin, margin, 0), shape)


def fourier_boxes(shape: Shape) -> list[Box]:
    """Boxes of one size, at most `FOURIER_BOX`, that make up a stack, the last ones overlapping the others.

    Of more than `FOURIER_BOXES` so many, spread over the stack.
    """
    size = Box.centred(FOURIER_BOX, shape).shape
    starts = [
        np.unique(np.linspace(0, n - m, -(-n // m)).round().astype(int)) for n, m in zip(shape, size, strict=True)
    ]
    places = list(product(*starts))
    chosen = np.unique(np.linspace(0, len(places) - 1, FOURIER_BOXES).round().astype(int))
    return [Box.at(places[index], size) for index in chosen]


def blank_in(no_data: NoData | None, box: Box) -> Mask | None:
    """Which voxels of a box are no image; None if all are image."""
    if no_data is None:
        return None
    blank = no_data.mask(box)
    return blank if blank.any() else None
