"""A stack as it is seen on the voxels of another one: a plane is resampled when napari asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.box import Box
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape
from napari_deep3d.core.volume import Stack, read_box

MAX_VOXELS = 1_500_000
"""A larger plane is resampled at every second, third ... voxel only: it is for looking at."""


@dataclass
class ResampledView:
    """Data of a layer that are made plane by plane, for looking at: linear interpolation, float32.

    Attributes
    ----------
    stack
        What is seen, axes (Z, Y, X).
    matrix
        4 x 4, from indices of the other stack to indices of this one; may be set anew.
    shape
        Of the layer: the other stack's Z, Y, X and any number of axes of length 1.
    zyx
        Positions of Z, Y, X in it.
    empty
        Value where the stack ends, and in the squares that are left out.
    squares
        Edge of a checkerboard's squares in voxels along (Z, Y, X), or None to show everything.
    is_odd
        Which of the squares are shown.
    """

    stack: Stack
    matrix: DoubleArray
    shape: tuple[int, ...]
    zyx: tuple[int, int, int]
    empty: float
    squares: tuple[float, float, float] | None = None
    is_odd: bool = False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return np.dtype(np.float32)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def __getitem__(self, key: Any, /) -> FloatArray:
        """Make a box, given by an index or a slice with a step of 1 for each axis; axes left out are whole."""
        parts = key if isinstance(key, tuple) else (key,)
        parts += (slice(None),) * (self.ndim - len(parts))
        whole = [part if isinstance(part, slice) else slice(part, part + 1) for part in parts]
        spans = [range(*part.indices(size)) for part, size in zip(whole, self.shape, strict=True)]
        values = self._box([spans[axis] for axis in self.zyx]).reshape([len(span) for span in spans])
        return values[tuple(slice(None) if isinstance(part, slice) else 0 for part in parts)]

    def _box(self, spans: list[range]) -> FloatArray:
        size = [len(span) for span in spans]
        if size == [self.shape[axis] for axis in self.zyx]:  # on its way to 3D, where the layer is hidden
            return np.broadcast_to(np.float32(self.empty), size)
        long = [n > 1 for n in size]
        step = ceil((np.prod(size) / MAX_VOXELS) ** (1 / max(1, sum(long))))
        steps = np.where(long, step, 1)
        values = self._resample(
            [span.start for span in spans], steps, [ceil(n / s) for n, s in zip(size, steps, strict=True)]
        )
        for axis in np.flatnonzero(steps > 1):
            values = values.repeat(steps[axis], axis=axis).take(range(size[axis]), axis=axis)
        if self.squares is not None:
            parity = np.zeros((1, 1, 1), dtype=int)
            for axis in np.flatnonzero(long):
                tiles = (np.array(spans[axis]) // self.squares[axis]).astype(int)
                parity = parity + np.expand_dims(tiles, [i for i in range(3) if i != axis])
            values = np.where(parity % 2 == self.is_odd, values, np.float32(self.empty))
        return values

    def _resample(self, start: Sequence[int], steps: NDArray[np.int_], size: Sequence[int]) -> FloatArray:
        """Voxels from ``start`` on, ``steps`` apart; all along (Z, Y, X) of the other stack."""
        matrix = np.round(self.matrix, 9)  # so that rounding errors put no border voxel outside
        linear = matrix[:3, :3] * steps
        origin = np.round(matrix[:3, :3] @ start + matrix[:3, 3], 6)
        ends = np.array(np.meshgrid(*((0, n - 1) for n in size), indexing="ij")).reshape(3, -1).T @ linear.T + origin
        low = np.clip(np.floor(ends.min(axis=0)).astype(int), 0, self.stack.shape)
        high = np.clip(np.ceil(ends.max(axis=0)).astype(int) + 1, 0, self.stack.shape)
        if np.any(low >= high):
            return np.full(size, self.empty, dtype=np.float32)
        voxels = read_box(self.stack, Box.spanning(low, high))
        moved = ndi.affine_transform(
            voxels, linear, origin - low, output_shape=tuple(size), order=1, mode="constant", cval=self.empty
        )
        return np.asarray(moved, dtype=np.float32)


def square_edges(shape: Shape, spacing_um: tuple[float, float, float]) -> tuple[float, float, float]:
    """Edge of a checkerboard's squares, in voxels along (Z, Y, X): a sixteenth of the stack's width."""
    edge_um = max(shape[1] * spacing_um[1], shape[2] * spacing_um[2]) / 16
    z, y, x = (max(2.0, edge_um / size) for size in spacing_um)
    return z, y, x
