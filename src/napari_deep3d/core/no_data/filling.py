"""A stack whose voxels without image are filled, so that no edge is left, or are cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.no_data.mask import Mask, NoData
from napari_deep3d.core.types import Box, DoubleArray
from napari_deep3d.core.volume import LazyStack, Stack


@dataclass(frozen=True)
class FilledStack(LazyStack):
    """A stack (Z, Y, X) in which what is no image is filled from the image around it, when a box of it is read.

    Within a plane the image is mirrored at its edge, along rows and along columns, the nearer one counting more; a gap
    is bridged from both its sides. A plane that is wholly without image is interpolated between its neighbours; at the
    ends of the stack the nearest one is repeated. What a voxel is filled with does not depend on the box. Numbers keep
    their kind.
    """

    stack: Stack
    no_data: NoData

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(self.stack.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number that is read."""
        return np.dtype(self.stack.dtype)

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        region = Box(*box)
        voxels: NDArray[Any] = np.array(self.stack[box])
        with_image = np.flatnonzero(~self.no_data.empty[0])
        if not with_image.size:
            return voxels
        known: dict[int, NDArray[Any]] = {}
        for place, z in enumerate(range(region.z.start, region.z.stop)):
            below, above = _neighbours(with_image, z)
            if below == above:
                voxels[place] = self._plane(below, region, known)
            else:
                first, second = (self._plane(each, region, known).astype(np.float64) for each in (below, above))
                share = (z - below) / (above - below)
                voxels[place] = _as(self.dtype, first * (1 - share) + second * share)
        return voxels

    def _plane(self, z: int, region: Box, known: dict[int, NDArray[Any]]) -> NDArray[Any]:
        """The part of a plane that lies in the region, filled; ``known`` are those that were made before."""
        if z not in known:
            known[z] = self._fill_plane(z, region)
        return known[z]

    def _fill_plane(self, z: int, region: Box) -> NDArray[Any]:
        inside = region.y, region.x
        plane: NDArray[Any] = np.array(self.stack[(slice(z, z + 1), *inside)])[0]
        whole = self.no_data.plane(z)
        gaps = whole[inside]
        if not gaps.any():
            return plane

        def read_rows(part: slice) -> NDArray[Any]:
            rows: NDArray[Any] = np.asarray(self.stack[z : z + 1, part, :])[0]
            return rows

        def read_columns(part: slice) -> NDArray[Any]:
            columns: NDArray[Any] = np.asarray(self.stack[z : z + 1, :, part])[0].T
            return columns

        along_x, x_distance = _fill_along(read_rows, whole, region.y, region.x, gaps)
        along_y, y_distance = _fill_along(read_columns, whole.T, region.x, region.y, gaps.T)
        # The nearer one counts more.
        rows, columns = np.nonzero(gaps)
        near_x, near_y = (1 / distance.astype(np.float64) ** 2 for distance in (x_distance, y_distance.T))
        near_x, near_y = near_x[rows, columns], near_y[rows, columns]
        mixed = along_x[rows, columns] * near_x + along_y.T[rows, columns] * near_y
        plane[rows, columns] = _as(self.dtype, mixed / (near_x + near_y))
        return plane


@dataclass(frozen=True)
class CroppedStack(LazyStack):
    """A box of a stack (Z, Y, X) as a stack of its own."""

    stack: Stack
    box: Box

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return self.box.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number that is read."""
        return np.dtype(self.stack.dtype)

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        voxels: NDArray[Any] = np.asarray(self.stack[Box(*box).shifted(self.box.start)])
        return voxels


def _fill_along(
    read: Callable[[slice], NDArray[Any]], mask: Mask, lines: slice, part: slice, gaps: Mask
) -> tuple[DoubleArray, DoubleArray]:
    """Fill lines of a plane, each along itself; a line without image is taken from another one.

    Parameters
    ----------
    read : callable
        Reads whole lines, axes (line, place).
    mask : array of bool, axes (line, place)
        True where there is no image, of the whole plane.
    lines, part : slice
        The lines to fill, and the part of each.
    gaps : array of bool, axes (line, place)
        Those voxels of them that are to be filled.

    Returns
    -------
    values, distance : arrays, axes (line, place)
        What to fill with, and how many voxels away that is; meaningful in the gaps only.
    """
    numbers = np.arange(lines.start, lines.stop)
    left, right, to_left, to_right = _both_sides(~np.all(mask, axis=1, keepdims=True).T, numbers[None])
    from_left = (to_left > 0) & ((to_right == 0) | (to_left <= to_right))
    sources = np.where(from_left, left, np.where(to_right > 0, right, numbers))[0]
    needed = sources[gaps.any(axis=1)]
    block = slice(int(needed.min()), int(needed.max()) + 1)
    chosen = np.clip(sources - block.start, 0, block.stop - block.start - 1)
    voxels, image = np.asarray(read(block), dtype=np.float64)[chosen], ~mask[block][chosen]
    # The value of both sides, the nearer one counting more.
    places = np.broadcast_to(np.arange(part.start, part.stop), gaps.shape)
    number = np.arange(len(voxels))[:, None]
    left, right, to_left, to_right = _both_sides(image, places)
    values, weights = np.zeros(gaps.shape), np.zeros(gaps.shape)
    for source, to in ((left, to_left), (right, to_right)):
        weight = np.where(to > 0, 1 / np.maximum(to, 1), 0)
        values += np.where(to > 0, voxels[number, source], 0) * weight
        weights += weight
    here = image[number, places]
    values = np.where(here, voxels[number, places], values / np.where(weights > 0, weights, 1))
    distance = np.where(here, 0, 1 / np.where(weights > 0, weights, 1))
    return values, np.maximum(distance + np.abs(sources - numbers)[:, None], 1)


def _both_sides(has_image: Mask, places: NDArray[np.intp]) -> tuple[NDArray[np.intp], ...]:
    """Where to take the value of a place from, to its left and to its right, and how far the edge is; 0 for no edge.

    That is the mirror image of the place at the edge, or the edge itself where there is no image at the former. Axes
    are (line, place).
    """
    size = has_image.shape[1]
    index, number = np.arange(size), np.arange(len(has_image))[:, None]
    last = np.maximum.accumulate(np.where(has_image, index, -1), axis=1)
    following = np.minimum.accumulate(np.where(has_image, index, size)[:, ::-1], axis=1)[:, ::-1]
    sources, distances = [], []
    for edges in (last, following):
        edge = edges[number, places]
        is_edge = (edge >= 0) & (edge < size)
        mirror = 2 * edge - places
        mirrored = is_edge & (mirror >= 0) & (mirror < size)
        mirrored[mirrored] = has_image[np.broadcast_to(number, mirror.shape)[mirrored], mirror[mirrored]]
        sources.append(np.where(mirrored, mirror, np.where(is_edge, edge, places)))
        distances.append(np.where(is_edge, np.abs(edge - places), 0))
    return sources[0], sources[1], distances[0], distances[1]


def _neighbours(with_image: NDArray[np.intp], z: int) -> tuple[int, int]:
    """The nearest planes with image at or below, and at or above z; the same twice beyond the first or last one."""
    place = int(np.searchsorted(with_image, z))
    above = int(with_image[min(place, len(with_image) - 1)])
    if above == z or place in (0, len(with_image)):
        return above, above
    return int(with_image[place - 1]), above


def _as(dtype: np.dtype[Any], values: DoubleArray) -> NDArray[Any]:
    """Values as numbers of a kind, rounded for integers."""
    numbers: NDArray[Any] = (np.rint(values) if dtype.kind in "iu" else values).astype(dtype)
    return numbers
