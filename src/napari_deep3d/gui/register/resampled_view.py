"""A stack as it is seen on the voxels of another one: a plane is resampled when napari asks for it."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import Box, DoubleArray, FloatArray, LazyStack, Shape, Spacing, Stack, Vector, read_box, zyx
from napari_deep3d.core.registration import HIGH_PASS_SIGMA, LOW_PASS_SIGMA

MAX_VOXELS = 1_500_000
"""A larger plane is resampled at every second, third ... voxel only: it is for looking at."""
SQUARES_ACROSS = 16
"""Squares of a checkerboard along the longer side of a plane."""
MIN_SQUARE_VOXELS = 2.0
TINY = 1e-6
"""Instead of no weight at all."""
DETAIL_PERCENTILE, DETAIL_SECTIONS = 99.8, 3
"""Of fine detail in so many sections through the depth: what is seen brightest."""


class ResampledView(LazyStack):
    """Data of a layer that are made plane by plane, for looking at: linear interpolation, float32.

    Parameters
    ----------
    stack : Stack, axes (Z, Y, X)
    shape : tuple of int
        Of the layer: the Z, Y, X of the stack on whose voxels it is seen, and any number of axes of length 1.
    zyx_axes : tuple of int
        Positions of Z, Y, X in ``shape``, rising.
    empty : float
        Value where the stack ends, and in the squares of a checkerboard that are left out.
    max_voxels : int
        A plane of more voxels is resampled at every second, third ... voxel only.
    """

    def __init__(
        self,
        stack: Stack,
        shape: tuple[int, ...],
        zyx_axes: tuple[int, int, int],
        empty: float,
        max_voxels: int = MAX_VOXELS,
    ) -> None:
        self._stack, self._shape, self._zyx_axes, self._max_voxels = stack, shape, zyx_axes, max_voxels
        self.empty = np.float32(empty)
        self.matrix: DoubleArray = np.eye(4)
        self.square_edges: Vector | None = None
        self.shows_odd_squares = self.is_detail = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis of the layer."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        return np.dtype(np.float32)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def change(
        self, matrix: DoubleArray, square_edges: Vector | None, shows_odd_squares: bool, is_detail: bool = False
    ) -> bool:
        """Set how it is seen; return whether that is new.

        Parameters
        ----------
        matrix : array of float64, (4, 4)
            From indices of the other stack to indices of this one.
        square_edges : tuple of float, or None
            Edges of a checkerboard's squares in voxels along (Z, Y, X); None shows everything.
        shows_odd_squares : bool
        is_detail : bool
            Whether the slow part of the light is left out of each plane, as the estimate leaves it out of the stacks.
        """
        is_new = (self.square_edges, self.is_detail) != (square_edges, is_detail)
        is_new = is_new or not np.array_equal(self.matrix, matrix)
        self.matrix, self.square_edges, self.shows_odd_squares = matrix, square_edges, shows_odd_squares
        self.is_detail = is_detail
        return is_new

    def detail_limit(self) -> float:
        """What fine detail is as bright as, from a few sections through the depth."""
        z, y, x = (slice(0, self.shape[axis]) for axis in self._zyx_axes)
        rows = np.unique(np.linspace(0, y.stop - 1, DETAIL_SECTIONS + 2).astype(int)[1:-1])
        sections = [_fine_detail(self._resample(Box(z, slice(row, row + 1), x), np.nan)) for row in rows.tolist()]
        values = np.concatenate([section[np.isfinite(section)] for section in sections])
        return float(np.percentile(values, DETAIL_PERCENTILE)) if values.size and values.max() > 0 else 1.0

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        wanted = Box(*(box[axis] for axis in self._zyx_axes))
        is_3d = wanted.shape == zyx(self.shape[axis] for axis in self._zyx_axes)
        # napari asks for all on its way to 3D, where the layer is hidden
        if is_3d:
            values = np.broadcast_to(self.empty, wanted.shape)
        elif self.is_detail:
            values = np.nan_to_num(_fine_detail(self._resample(wanted, np.nan)))
        else:
            values = self._resample(wanted, self.empty)
        if not is_3d and self.square_edges is not None:
            parity = np.zeros((1, 1, 1), dtype=int)
            for axis, part in enumerate(wanted):
                if wanted.shape[axis] > 1:
                    squares = (np.arange(part.start, part.stop) // self.square_edges[axis]).astype(int)
                    parity = parity + np.expand_dims(squares, [i for i in range(3) if i != axis])
            values = np.where(parity % 2 == self.shows_odd_squares, values, self.empty)
        return values.reshape([part.stop - part.start for part in box])

    def _resample(self, box: Box, empty: float | np.float32) -> FloatArray:
        """Voxels of a box of the other stack, axes (Z, Y, X); ``empty`` where this one ends."""
        # 1. Where the box is large: at which voxels
        is_long = np.array(box.shape) > 1
        step = ceil((np.prod(box.shape) / self._max_voxels) ** (1 / max(1, is_long.sum())))
        steps = np.where(is_long, step, 1)
        size = tuple(ceil(n / s) for n, s in zip(box.shape, steps, strict=True))
        # 2. The part of this stack that they lie in
        matrix = np.round(self.matrix, 9)  # so that rounding errors put no border voxel outside
        linear = matrix[:3, :3] * steps
        origin = np.round(matrix[:3, :3] @ box.start + matrix[:3, 3], 6)
        ends = np.array(np.meshgrid(*((0, n - 1) for n in size), indexing="ij")).reshape(3, -1).T @ linear.T + origin
        low = np.clip(np.floor(ends.min(axis=0)).astype(int), 0, self._stack.shape)
        high = np.clip(np.ceil(ends.max(axis=0)).astype(int) + 1, 0, self._stack.shape)
        if np.any(low >= high):
            return np.full(box.shape, empty, dtype=np.float32)
        # 3. Interpolate, and repeat what was left out
        voxels = np.asarray(read_box(self._stack, Box.spanning(low, high)), dtype=np.float32)
        values: FloatArray = ndi.affine_transform(
            voxels, linear, origin - low, output_shape=size, order=1, mode="constant", cval=empty
        )
        for axis in np.flatnonzero(steps > 1):
            values = values.repeat(steps[axis], axis=axis).take(range(box.shape[axis]), axis=axis)
        return values


def _fine_detail(section: FloatArray) -> FloatArray:
    """What is brighter than around it in a section, axes (Z, Y, X), one of length 1: no noise, no slow part.

    NaN is no part of it, and stays.
    """
    is_there = np.isfinite(section)
    values, weights = np.where(is_there, section, 0), is_there.astype(np.float32)
    fast, slow = (
        _blurred(values, sigma) / np.maximum(_blurred(weights, sigma), TINY)
        for sigma in (LOW_PASS_SIGMA, HIGH_PASS_SIGMA)
    )
    return np.where(is_there, np.maximum(fast - slow, 0), np.nan).astype(np.float32)


def _blurred(section: FloatArray, sigma: Vector) -> FloatArray:
    widths = [width if size > 1 else 0 for width, size in zip(sigma, section.shape, strict=True)]
    blurred: FloatArray = ndi.gaussian_filter(section, widths)
    return blurred


def square_edges(shape: Shape, spacing_um: Spacing) -> Vector:
    """Edges of a checkerboard's squares on a stack, in voxels along (Z, Y, X): as many um along each axis."""
    edge_um = max(shape[1] * spacing_um[1], shape[2] * spacing_um[2]) / SQUARES_ACROSS
    return zyx(max(MIN_SQUARE_VOXELS, edge_um / size) for size in spacing_um)
