"""Between the voxels of a stack and the voxels that a model was trained on, box by box."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.events import Region, sizes_of
from napari_deep3d.core.volume import Shape, Spacing, Stack, read_box

Array = NDArray[np.float32]
TOLERANCE = 0.02
"""Voxel sizes this close (as a share) to the range of the model are taken as they are."""


@dataclass(frozen=True)
class Grid:
    """A stack's own grid and the model's grid over the same field; axes (Z, Y, X).

    Attributes
    ----------
    shape
        Voxels of the stack.
    zoom
        Model voxels per voxel of the stack; 1 where they are the same.
    first_on_first
        Whether the first planes lie on each other, as where planes were left out of a stack; otherwise, and along y
        and x always, the edges of both fields do.
    """

    shape: Shape
    zoom: tuple[float, float, float] = (1.0, 1.0, 1.0)
    first_on_first: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether nothing is resampled."""
        return self.zoom == (1.0, 1.0, 1.0)

    @property
    def model_shape(self) -> Shape:
        """Voxels of the model's grid."""
        z, y, x = (max(1, round(n * zoom)) for n, zoom in zip(self.shape, self.zoom, strict=True))
        if self.first_on_first:
            z = max(1, round((self.shape[0] - 1) * self.zoom[0]) + 1)
        return z, y, x

    @property
    def _origin(self) -> tuple[float, float, float]:
        """Where the first voxel of the model's grid lies, in voxels of the stack."""
        z, y, x = (0.5 / zoom - 0.5 for zoom in self.zoom)
        return (0.0, y, x) if self.first_on_first else (z, y, x)

    def model_step_um(self, spacing_um: Spacing) -> float:
        """Distance in um between planes of the model's grid, for a stack's voxel size."""
        return spacing_um[0] / self.zoom[0]

    def to_model(self, region: Region) -> Region:
        """The box of the model's grid that covers a box of the stack."""
        z, y, x = (
            slice(max(0, min(size - 1, floor(box.start * zoom))), min(size, max(1, ceil(box.stop * zoom))))
            for box, zoom, size in zip(region, self.zoom, self.model_shape, strict=True)
        )
        return z, y, x

    def read(self, stack: Stack, region: Region) -> Array:
        """Read a box given on the model's grid, resampled to it, float32.

        Linear interpolation; where voxels become coarser the stack is blurred first so that nothing aliases.
        """
        if self.is_identity:
            return read_box(stack, region)
        sigma = [max(0.0, (1 / zoom - 1) / 2) for zoom in self.zoom]
        source = [
            self._source(box, zoom, size, spread, origin)
            for box, zoom, size, spread, origin in zip(region, self.zoom, self.shape, sigma, self._origin, strict=True)
        ]
        voxels = read_box(stack, (source[0], source[1], source[2]))
        offset = [
            box.start / zoom + origin - piece.start
            for box, zoom, piece, origin in zip(region, self.zoom, source, self._origin, strict=True)
        ]
        return _affine(ndi.gaussian_filter(voxels, sigma), [1 / zoom for zoom in self.zoom], offset, sizes_of(region))

    @staticmethod
    def _source(box: slice, zoom: float, size: int, spread: float, origin: float) -> slice:
        margin = ceil(4 * spread) + 1
        low, high = floor(box.start / zoom + origin), ceil((box.stop - 1) / zoom + origin) + 1
        start = min(max(0, low - margin), size - 1)
        return slice(start, max(start + 1, min(size, high + margin)))

    def back(self, values: Array, model_region: Region, region: Region) -> Array:
        """Resample values on a box of the model's grid to a box of the stack within it."""
        offset = [
            (box.start - origin) * zoom - piece.start
            for box, zoom, piece, origin in zip(region, self.zoom, model_region, self._origin, strict=True)
        ]
        if self.is_identity:
            corner = [round(o) for o in offset]
            z, y, x = (slice(o, o + n) for o, n in zip(corner, sizes_of(region), strict=True))
            return values[z, y, x]
        return _affine(values, list(self.zoom), offset, sizes_of(region))


@dataclass(frozen=True)
class Resampled:
    """A stack seen on another grid; a box is resampled when it is read.

    Attributes
    ----------
    stack
        Axes (Z, Y, X).
    grid
        From the stack's voxels to those that are read.
    """

    stack: Stack
    grid: Grid

    @property
    def shape(self) -> Shape:
        """Number of voxels along Z, Y, X on the grid."""
        return self.grid.model_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number that is read."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Any, /) -> Array:
        """Read a box, given by an index or a slice with a step of 1 for each axis; axes left out are whole."""
        parts = key if isinstance(key, tuple) else (key,)
        parts += (slice(None),) * (3 - len(parts))
        whole = [part if isinstance(part, slice) else slice(part, part + 1) for part in parts]
        z, y, x = (slice(*part.indices(size)[:2]) for part, size in zip(whole, self.shape, strict=True))
        box = self.grid.read(self.stack, (z, y, x))
        return box[tuple(slice(None) if isinstance(part, slice) else 0 for part in parts)]


def _affine(values: Array, scale: list[float], offset: list[float], shape: Shape) -> Array:
    resampled = ndi.affine_transform(values, scale, offset, output_shape=shape, order=1, mode="nearest")
    return np.asarray(resampled, dtype=np.float32)


def target_spacing(spacing_um: Spacing, low_um: Spacing, high_um: Spacing) -> Spacing:
    """The voxel size nearest to a stack's own that the model knows; its own if it is within the range."""
    z, y, x = (
        own if low * (1 - TOLERANCE) <= own <= high * (1 + TOLERANCE) else min(max(own, low), high)
        for own, low, high in zip(spacing_um, low_um, high_um, strict=True)
    )
    return z, y, x


def grid_for(shape: Shape, spacing_um: Spacing, model_um: Spacing, first_on_first: bool = False) -> Grid:
    """The grid of a stack for a model that wants voxels of ``model_um``."""
    z, y, x = (own / wanted for own, wanted in zip(spacing_um, model_um, strict=True))
    return Grid(shape, (z, y, x), first_on_first and z > 1)
