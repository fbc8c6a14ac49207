"""A field shared out among cells: to each voxel the nearest cell centre, in a space that is stretched and warped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from napari_deep3d.core import DoubleArray, FloatArray
from napari_deep3d.core.simulation.samples.canvas import Canvas

Numbers = TypeVar("Numbers", NDArray[np.int32], FloatArray)

MAX_CELLS = 20_000
CANDIDATES, BLOCK, MIN_BLOCK = 6, 0.25, (1, 3, 3)
"""Nearest cells that are compared for each voxel; side of the blocks of voxels that share them, in radii and at least
in voxels."""


def scatter_seeds(canvas: Canvas, radius_um: float, stretch: DoubleArray) -> DoubleArray:
    """Centres (cells, 3) in um of cells in and around the field, each of the volume of a ball of about that radius.

    ``stretch`` (3,) is the size of the cells along each axis in that radius.
    """
    expected = (canvas.field_um + 4 * radius_um).prod() / (4 * (radius_um * stretch).prod())
    count = int(np.clip(expected, CANDIDATES + 1, MAX_CELLS))
    return canvas.rng.uniform(-2 * radius_um, canvas.field_um + 2 * radius_um, (count, 3))


@dataclass(frozen=True)
class Partition:
    """A field shared out among cells; arrays have the axes (Z, Y, X) of the field.

    Attributes
    ----------
    closest, other
        Index of the cell that a voxel belongs to, and of the next nearest.
    from_wall_um
        Distance in um from the wall half-way between both.
    voxel_um
        Width of the voxel across that wall in um.
    from_seed
        Distance from the cell's centre in um, along each axis divided by the stretch.
    """

    closest: NDArray[np.int32]
    other: NDArray[np.int32]
    from_wall_um: FloatArray
    voxel_um: FloatArray
    from_seed: FloatArray

    @classmethod
    def of(
        cls, canvas: Canvas, seeds: DoubleArray, stretch: DoubleArray, radius_um: float, warp_um: float, grain_um: float
    ) -> Self:
        """Share out a field.

        Parameters
        ----------
        canvas : Canvas
            The field, and the source of the warp.
        seeds : array of float64, axes (cells, 3)
            Centres of the cells in um.
        stretch : array of float64, axis (3,)
            Distances along each axis are divided by it.
        radius_um : float
            About the radius of a cell.
        warp_um, grain_um : float
            Standard deviation and size of the shifts that curve the walls.
        """
        shape, spacing_um = canvas.shape, canvas.spacing_um

        # 1. Where each voxel lies in the warped space, (Z, Y, X) in um.
        place = [canvas.noise(grain_um) * np.float32(warp_um) for _ in range(3)]
        for axis, (voxels, size) in enumerate(zip(shape, spacing_um, strict=True)):
            along = (np.arange(voxels) * size).astype(np.float32)
            place[axis] += along.reshape([-1 if a == axis else 1 for a in range(3)])

        # 2. The two cells nearest to each voxel; neighbouring voxels compare the same few.
        block = np.maximum(MIN_BLOCK, (BLOCK * radius_um / np.array(spacing_um)).astype(int))
        middles = tuple(np.minimum(np.arange(s // 2, n + s // 2, s), n - 1) for n, s in zip(shape, block, strict=True))
        points = np.stack([(p / s)[np.ix_(*middles)] for p, s in zip(place, stretch, strict=True)], axis=-1)
        nearest = np.asarray(KDTree(seeds / stretch).query(points, k=CANDIDATES)[1], dtype=np.int32)
        first, second, closest, other = _two_nearest(seeds, stretch, place, nearest, block)

        # 3. Distance from the wall between both.
        slope, width = np.full(shape, 1e-9, np.float32), np.zeros(shape, np.float32)
        for scaled, size in zip((seeds / stretch**2).astype(np.float32).T, spacing_um, strict=True):
            to_other = scaled[other] - scaled[closest]
            slope += to_other**2
            width += np.float32(size) * np.abs(to_other)
        slope = np.sqrt(slope)
        width /= slope
        return cls(closest, other, (second - first) / (2 * slope), width, np.sqrt(first))


def _two_nearest(
    seeds: DoubleArray,
    stretch: DoubleArray,
    place: list[FloatArray],
    nearest: NDArray[np.int32],
    block: NDArray[np.int_],
) -> tuple[FloatArray, FloatArray, NDArray[np.int32], NDArray[np.int32]]:
    """Squared distances to the two cells nearest to each voxel, and which cells they are, axes (Z, Y, X).

    ``seeds`` (cells, 3) are centres and ``place`` the position of each voxel along each axis, both in um; distances
    are divided by ``stretch`` (3,). Of each block of voxels, ``nearest`` (along Z, along Y, along X, candidate) names
    the cells to compare.
    """
    shape = place[0].shape
    first, second = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    closest, other = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for candidate in range(CANDIDATES):
        cells = nearest[..., candidate]
        square = np.zeros(shape, np.float32)
        for axis in range(3):
            away = place[axis] - _repeated(seeds[cells, axis].astype(np.float32), shape, block)
            away *= np.float32(1 / stretch[axis])
            square += away * away
        index = _repeated(cells, shape, block)
        nearer = square < first
        between = ~nearer & (square < second)
        other = np.where(nearer, closest, np.where(between, index, other))
        second = np.where(nearer, first, np.where(between, square, second))
        closest, first = np.where(nearer, index, closest), np.where(nearer, square, first)
    return first, second, closest, other


def _repeated(values: Numbers, shape: tuple[int, ...], block: NDArray[np.int_]) -> Numbers:
    """Each block's value for all of its voxels, cut to ``shape`` (Z, Y, X)."""
    for axis in range(3):
        values = values.repeat(block[axis], axis).take(np.arange(shape[axis]), axis)
    return values
