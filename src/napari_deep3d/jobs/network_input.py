"""A stack as a model sees it: its intensities brought to 0 and 1, every voxel finite, on the model's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_deep3d.core.box import Box
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.intensity import intensity_range, is_flat, normalise
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.types import FloatArray
from napari_deep3d.core.volume import LazyStack, Volume

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo


def usable_range(volume: Volume, info: ModelInfo) -> tuple[tuple[float, float], int]:
    """Intensities that become 0 and 1, and the number of voxels that are not finite.

    Raises
    ------
    InputError
        If no voxel is finite, or all are alike.
    """
    bad = 0
    if np.dtype(volume.data.dtype).kind == "f":
        bad = sum(int((~np.isfinite(volume.data[z])).sum()) for z in range(volume.shape[0]))
    if bad == np.prod(volume.shape):
        raise InputError(f"{volume.name} holds no finite number, only NaN or infinity. Load the original stack.")
    low, high = intensity_range(volume.data, info.percentiles)
    if is_flat((low, high)):
        raise InputError(
            f"{volume.name} is constant (every voxel about {low:g}); a stack with structure is needed. "
            "Check that the right channel and file were chosen."
        )
    return (low, high), bad


@dataclass(frozen=True)
class StackInput:
    """Reads boxes of the model's grid, normalised, what is not finite taken as background."""

    volume: Volume
    grid: ModelGrid
    bounds: tuple[float, float]

    def __call__(self, region: Box) -> FloatArray:
        """Read a box of the model's grid, axes (Z, Y, X)."""
        return self.grid.read(_Finite(self.volume.data, self.bounds), region)


@dataclass(frozen=True)
class PlaneInput(StackInput):
    """Reads what DeepZ+ sees of a box: the stack's middle plane, and each plane's distance from it."""

    step_um: float

    def __call__(self, region: Box) -> FloatArray:
        """Read what the network sees of a box of the model's grid, axes (2, Z, Y, X)."""
        from napari_deep3d.nn.patches import plane_and_distance

        middle = self.grid.model_shape[0] // 2
        plane = super().__call__(region.with_axis(0, middle, middle + 1))[0]
        return plane_and_distance(plane, (np.arange(region[0].start, region[0].stop) - middle) * self.step_um)


@dataclass(frozen=True)
class _Finite(LazyStack):
    """A stack, normalised, with every voxel finite."""

    data: Any
    bounds: tuple[float, float]

    @property
    def dtype(self) -> np.dtype[np.float32]:
        return np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape)

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        voxels = normalise(np.asarray(self.data[box]), self.bounds)
        return np.nan_to_num(voxels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
