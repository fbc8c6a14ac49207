"""Between the voxels of a stack and the voxels that a model was trained on, box by box."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import Box, FloatArray, LazyStack, Shape, Spacing, Stack, read_box, zyx

TOLERANCE = 0.02
"""Voxel sizes this close (as a share) to the range of the model are taken as they are."""


@dataclass(frozen=True)
class ModelGrid:
    """A stack's own grid and the model's grid over the same field; axes (Z, Y, X).

    Attributes
    ----------
    shape, zoom
        Voxels of the stack, and model voxels per voxel of the stack; 1 where they are the same.
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
        return (max(1, round((self.shape[0] - 1) * self.zoom[0]) + 1), y, x) if self.first_on_first else (z, y, x)

    @property
    def _origin(self) -> tuple[float, float, float]:
        """Where the first voxel of the model's grid lies, in voxels of the stack."""
        z, y, x = (0.5 / zoom - 0.5 for zoom in self.zoom)
        return (0.0, y, x) if self.first_on_first else (z, y, x)

    def model_step_um(self, spacing_um: Spacing) -> float:
        """Distance in um between planes of the model's grid, for a stack's voxel size."""
        return spacing_um[0] / self.zoom[0]

    def to_model(self, region: Box) -> Box:
        """The box of the model's grid that covers a box of the stack."""
        return Box(
            *(
                slice(max(0, min(size - 1, floor(part.start * zoom))), min(size, max(1, ceil(part.stop * zoom))))
                for part, zoom, size in zip(region, self.zoom, self.model_shape, strict=True)
            )
        )

    def read(self, stack: Stack, region: Box) -> FloatArray:
        """Read a box given on the model's grid, resampled to it, float32.

        Linear interpolation; where voxels become coarser the stack is blurred first so that nothing aliases.
        """
        if self.is_identity:
            return read_box(stack, region)
        # 1. What has to be read of each axis: the field of the box, and a margin for blurring and interpolating.
        source, sigma, offset = [], [], []
        for part, zoom, size, origin in zip(region, self.zoom, self.shape, self._origin, strict=True):
            blur = max(0.0, (1 / zoom - 1) / 2)
            margin = ceil(4 * blur) + 1
            low, high = floor(part.start / zoom + origin), ceil((part.stop - 1) / zoom + origin) + 1
            start = min(max(0, low - margin), size - 1)
            source.append(slice(start, max(start + 1, min(size, high + margin))))
            sigma.append(blur)
            offset.append(part.start / zoom + origin - start)
        # 2. Blur, then interpolate.
        voxels = ndi.gaussian_filter(read_box(stack, Box(*source)), sigma)
        return _affine(voxels, [1 / zoom for zoom in self.zoom], offset, region.shape)

    def back(self, values: FloatArray, model_region: Box, region: Box) -> FloatArray:
        """Resample values on a box of the model's grid to a box of the stack within it."""
        offset = [
            (box.start - origin) * zoom - piece.start
            for box, zoom, piece, origin in zip(region, self.zoom, model_region, self._origin, strict=True)
        ]
        if self.is_identity:
            return values[Box.at([round(o) for o in offset], region.shape)]
        return _affine(values, list(self.zoom), offset, region.shape)


@dataclass(frozen=True)
class Resampled(LazyStack):
    """A stack (Z, Y, X) seen on another grid; a box is resampled when it is read."""

    stack: Stack
    grid: ModelGrid

    @property
    def shape(self) -> Shape:
        """Number of voxels along Z, Y, X on the grid."""
        return self.grid.model_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number that is read."""
        return np.dtype(np.float32)

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        return self.grid.read(self.stack, Box(*box))


def _affine(values: FloatArray, scale: list[float], offset: list[float], shape: Shape) -> FloatArray:
    resampled = ndi.affine_transform(values, scale, offset, output_shape=shape, order=1, mode="nearest")
    return np.asarray(resampled, dtype=np.float32)


def target_spacing(spacing_um: Spacing, low_um: Spacing, high_um: Spacing) -> Spacing:
    """The voxel size nearest to a stack's own that the model knows; its own if it is within the range."""
    return zyx(
        own if low * (1 - TOLERANCE) <= own <= high * (1 + TOLERANCE) else min(max(own, low), high)
        for own, low, high in zip(spacing_um, low_um, high_um, strict=True)
    )


def grid_for(shape: Shape, spacing_um: Spacing, model_um: Spacing, first_on_first: bool = False) -> ModelGrid:
    """The grid of a stack for a model that wants voxels of ``model_um``."""
    zoom = zyx(own / wanted for own, wanted in zip(spacing_um, model_um, strict=True))
    return ModelGrid(shape, zoom, first_on_first and zoom[0] > 1)
