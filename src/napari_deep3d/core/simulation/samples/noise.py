"""Smooth random fields and linear interpolation, both axis by axis, because that is quick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing

GRID_PER_GRAIN = 0.8
"""Step of the coarse grid on which noise is drawn, in standard deviations of its grains."""


def smooth_noise(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, grain_um: float) -> FloatArray:
    """Gaussian noise of mean 0 and standard deviation 1 with Gaussian grains, axes (Z, Y, X).

    Grains finer than a voxel are averaged by it: the deviation falls below 1 accordingly.

    Parameters
    ----------
    rng, shape, spacing_um
        Random numbers; voxels; voxel size.
    grain_um
        Standard deviation of the Gaussian that white noise is blurred with.
    """
    step = np.array(spacing_um)
    sigma = np.sqrt(grain_um**2 + step**2 / 12)  # a voxel averages over its width
    ratio = np.maximum(1.0, GRID_PER_GRAIN * sigma / step)
    coarse = np.ceil((np.array(shape) - 1) / ratio).astype(int) + 2
    grid_sigma = sigma / (step * ratio)
    white = rng.standard_normal(coarse, dtype=np.float32)
    grains = ndi.gaussian_filter(white, grid_sigma, mode="wrap", truncate=3.0)
    # white noise blurred by a Gaussian: its variance falls by 2 sqrt(pi) sigma per axis (until below a voxel)
    gain = np.prod([_deviation(s) for s in grid_sigma])
    seen = np.prod(np.sqrt(grain_um / sigma))
    positions = [np.arange(n) / r for n, r in zip(shape, ratio, strict=True)]
    return interpolate(grains * np.float32(seen / gain), positions)


def _deviation(sigma: float) -> float:
    """Standard deviation that unit white noise keeps along one axis after the sampled Gaussian."""
    reach = int(3.0 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return float(np.sqrt(np.sum((weights / weights.sum()) ** 2)))


def interpolate(image: FloatArray, positions: Sequence[DoubleArray]) -> FloatArray:
    """Linear interpolation on a grid; the image is mirrored at its edges.

    Parameters
    ----------
    image
        Axes (Z, Y, X).
    positions
        For each axis the places to read at, in voxels of the image.
    """
    result = image
    for axis, places in enumerate(positions):
        count = image.shape[axis]
        if len(places) == count and np.array_equal(places, np.arange(count)):
            continue
        below = np.floor(places).astype(int)
        share = (places - below).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        first, second = (result.take(_mirrored(i, count), axis) for i in (below, below + 1))
        second -= first
        second *= share
        second += first
        result = second
    return np.asarray(result, dtype=np.float32)


def _mirrored(index: NDArray[np.int_], count: int) -> NDArray[np.int_]:
    wrapped = index % (2 * count)
    return np.minimum(wrapped, 2 * count - 1 - wrapped)


def log_uniform(
    rng: np.random.Generator, bounds: tuple[float, float], size: int | tuple[int, ...] | None = None
) -> DoubleArray:
    """Random numbers whose logarithm is evenly spread between two bounds."""
    return np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), size))
