"""Intensities brought to one scale: two percentiles of a stack become 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.types import FloatArray
from napari_deep3d.core.volume import LazyStack, Stack

SAMPLED_VOXELS = 8_000_000
"""Percentiles are those of at most about so many voxels."""
MAX_SATURATED = 0.2
"""Share of saturated voxels beyond which a stack is of no use for registration or training."""
MOSTLY_SATURATED = 0.5
"""Share of saturated voxels beyond which a stack is of no use at all."""


def measure_intensities(stack: Stack, percentiles: tuple[float, float]) -> tuple[tuple[float, float], int]:
    """Intensities at two percentiles and the number of voxels that are not finite; every voxel is read once.

    Parameters
    ----------
    stack : Stack, axes (Z, Y, X)
        Read plane by plane.
    percentiles : tuple of float
        The lower and the upper one, 0 to 100, of the finite voxels. Beyond eight million voxels every n-th row and
        column of every plane stand for the whole, so that no more than one plane is in memory at a time.

    Returns
    -------
    intensities : tuple of float
        Those of the percentiles, the upper one the larger. Where both are the same, as with a few spots on black, the
        smallest and the largest intensity take their place. ``(nan, nan)`` if no voxel is finite.
    not_finite : int
        Number of voxels that are NaN or infinite.
    """
    bounds, not_finite, _ = measure_with_saturation(stack, percentiles)
    return bounds, not_finite


def measure_with_saturation(stack: Stack, percentiles: tuple[float, float]) -> tuple[tuple[float, float], int, float]:
    """As :func:`measure_intensities`, and the share of the finite voxels that have the largest value."""
    step = max(1, int(np.ceil(np.sqrt(np.prod(stack.shape) / SAMPLED_VOXELS))))
    samples, not_finite = [], 0
    for z in range(stack.shape[0]):
        plane = np.asarray(stack[z])
        samples.append(plane[::step, ::step].ravel())
        if plane.dtype.kind == "f":
            not_finite += int((~np.isfinite(plane)).sum())
    values = np.concatenate(samples)
    values = values[np.isfinite(values)]
    if not values.size:
        return (float("nan"), float("nan")), not_finite, 0.0
    low, high = (float(v) for v in np.percentile(values, percentiles))
    if low == high:
        low, high = float(values.min()), float(values.max())
    saturated = float(np.mean(values == values.max()))
    return (low, max(high, float(np.nextafter(np.float32(low), np.float32(np.inf))))), not_finite, saturated


def intensity_range(stack: Stack, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Intensities of a stack (Z, Y, X) at two percentiles, as :func:`measure_intensities` gives them."""
    return measure_intensities(stack, percentiles)[0]


def is_flat(bounds: tuple[float, float]) -> bool:
    """Whether two intensities are too alike, for their size, to bring one to 0 and the other to 1; or not numbers."""
    low, high = bounds
    least = max(1e-6 * max(abs(low), abs(high)), float(np.finfo(np.float32).tiny))
    return not high - low > least


def saturated_share(stack: Stack, largest: float) -> float:
    """Share of voxels (Z, Y, X) that have the largest value, from every fourth row and column of at most 32 planes."""
    planes = np.unique(np.linspace(0, stack.shape[0] - 1, 32).round().astype(int))
    return float(np.mean([np.mean(np.asarray(stack[int(z)])[::4, ::4] >= largest) for z in planes]))


def normalise(data: NDArray[np.generic], bounds: tuple[float, float]) -> FloatArray:
    """Bring intensities linearly from ``bounds`` to 0 and 1, float32; values beyond them stay beyond."""
    low, high = bounds
    return ((np.asarray(data, dtype=np.float32) - np.float32(low)) / np.float32(high - low)).astype(np.float32)


@dataclass(frozen=True)
class NormalisedStack(LazyStack):
    """A stack whose intensities are brought from ``bounds`` to 0 and 1; what is not finite becomes 0."""

    stack: Stack
    bounds: tuple[float, float]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along each axis."""
        return tuple(self.stack.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Kind of number that is read."""
        return np.dtype(np.float32)

    def _read(self, box: tuple[slice, ...]) -> FloatArray:
        voxels = normalise(np.asarray(self.stack[box]), self.bounds)
        return np.nan_to_num(voxels, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
