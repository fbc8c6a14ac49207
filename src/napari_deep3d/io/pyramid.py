"""The levels of an OME-Zarr image, written as one stack: what is put into the finest goes into the coarser ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import LazyStack, keep_on_disk, spans_of

if TYPE_CHECKING:
    from pathlib import Path

    import zarr

MAX_COARSEST = 512
"""Voxels along each axis of the coarsest level at most: napari shows only that one in 3D, where it still is a picture,
and fits into the memory of a graphics card."""
_PIECE_VOXELS = 8_000_000
"""About as many are averaged at a time."""


def coarser_shapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes of the levels below the finest one, axes (..., Z, Y, X).

    Each level halves the axes of the one before that are longer than :data:`MAX_COARSEST`; a last odd voxel stays one.
    """
    shapes = []
    while max(shape[-3:]) > MAX_COARSEST:
        shape = (*shape[:-3], *(-(-n // 2) if n > MAX_COARSEST else n for n in shape[-3:]))
        shapes.append(shape)
    return shapes


def level_name(number: int) -> str:
    """Name of a level within the folder, the finest being 0."""
    return str(number)


class Pyramid(LazyStack):
    """A stack in several levels, the finest first; every box that is assigned is averaged into the coarser ones.

    Parameters
    ----------
    folder : Path
        The OME-Zarr folder; its levels lie under :func:`level_name`.
    levels : sequence of Zarr arrays, axes (..., Z, Y, X)
        All levels, of the shapes that :func:`coarser_shapes` gives.
    """

    def __init__(self, folder: Path, levels: Sequence[zarr.Array[Any]]) -> None:
        self._folder, self._levels = folder, list(levels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis of the finest level."""
        return tuple(self._levels[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return np.dtype(self._levels[0].dtype)

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        return np.asarray(self._levels[0][box])

    def __setitem__(self, key: Any, value: Any, /) -> None:
        self.put(key, value)
        for number, box in list(enumerate(self._boxes(key)))[1:]:
            self.average(number, box)

    def level_shape(self, number: int) -> tuple[int, ...]:
        """Number of voxels along each axis of a level."""
        return tuple(self._levels[number].shape)

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self._levels)

    def put(self, key: Any, value: Any) -> None:
        """Assign to a box of the finest level alone; the coarser ones are for :meth:`average`."""
        self._levels[0][key] = value

    def average(self, number: int, box: tuple[slice, ...]) -> None:
        """Fill a box of a level, axes (..., Z, Y, X), with the means of the finer level."""
        finer, coarser = self._levels[number - 1], self._levels[number]
        factors = [1 if n == m else 2 for n, m in zip(finer.shape, coarser.shape, strict=True)]
        for piece in _pieces(box):
            read = tuple(
                slice(span.start * f, min(span.stop * f, n))
                for span, f, n in zip(piece, factors, finer.shape, strict=True)
            )
            coarser[piece] = _as_kind(block_means(np.asarray(finer[read]), factors), self.dtype)

    def flush(self, key: Any) -> None:
        """Have the disk hold all that was assigned to a box, so that a power cut cannot take it."""
        for number, box in enumerate(self._boxes(key)):
            self.flush_level(number, box)

    def flush_level(self, number: int, box: tuple[slice, ...]) -> None:
        """Have the disk hold a box of a level, axes (..., Z, Y, X)."""
        level, folder = self._levels[number], self._folder / level_name(number)
        keep_on_disk(self._folder / "zarr.json")
        keep_on_disk(folder / "zarr.json")
        chunks = (range(s.start // c, -(-s.stop // c)) for s, c in zip(box, level.chunks, strict=True))
        for chunk in product(*chunks):
            keep_on_disk(folder / level.metadata.encode_chunk_key(chunk))

    def _boxes(self, key: Any) -> Iterator[tuple[slice, ...]]:
        """For each level the box of it that an assignment changes."""
        box = spans_of(key, self.shape)
        yield box
        for finer, coarser in zip(self._levels, self._levels[1:], strict=False):
            halved = [n != m for n, m in zip(finer.shape, coarser.shape, strict=True)]
            box = tuple(
                slice(s.start // 2, -(-s.stop // 2)) if half else s for s, half in zip(box, halved, strict=True)
            )
            yield box


def block_means(values: NDArray[Any], factors: Sequence[int]) -> NDArray[Any]:
    """Means of blocks of ``factors`` voxels along each axis; the last block of an axis may be smaller."""
    means = values.astype(np.float64 if values.dtype.kind in "ui" or values.dtype.itemsize > 4 else np.float32)
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        starts = np.arange(0, means.shape[axis], factor)
        counts = np.diff(starts, append=means.shape[axis]).astype(means.dtype)
        sums = np.add.reduceat(means, starts, axis=axis)
        means = sums / counts.reshape(-1, *(1,) * (means.ndim - 1 - axis))
    return means


def _as_kind(means: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return (np.rint(means) if dtype.kind in "ui" else means).astype(dtype)


def _pieces(box: tuple[slice, ...]) -> Iterator[tuple[slice, ...]]:
    """A box (..., Z, Y, X) in pieces of whole planes."""
    *before, z, y, x = box
    planes = max(1, _PIECE_VOXELS // max(1, prod(span.stop - span.start for span in (y, x))))
    for index in product(*(range(span.start, span.stop) for span in before)):
        for start in range(z.start, z.stop, planes):
            yield (*(slice(i, i + 1) for i in index), slice(start, min(start + planes, z.stop)), y, x)
