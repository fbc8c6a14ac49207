"""Smooth random fields and linear interpolation, both axis by axis, because that is quick."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import DoubleArray, FloatArray, Shape, Spacing

GRID_PER_GRAIN = 0.8
"""Step of the coarse grid on which noise is drawn, in standard deviations of its grains."""


def smooth_noise(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, grain_um: float) -> FloatArray:
    """Gaussian noise with Gaussian grains.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the noise.
    shape, spacing_um
        Voxels (Z, Y, X) and their size in um.
    grain_um : float
        Standard deviation, in um, of the Gaussian that white noise is blurred with.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Mean 0, standard deviation 1; less where grains are finer than a voxel, which averages over them.
    """
    step = np.array(spacing_um)
    sigma = np.sqrt(grain_um**2 + step**2 / 12)  # a voxel averages over its width
    ratio = np.maximum(1.0, GRID_PER_GRAIN * sigma / step)
    coarse = np.ceil((np.array(shape) - 1) / ratio).astype(int) + 2
    grid_sigma = sigma / (step * ratio)
    white = rng.standard_normal(coarse, dtype=np.float32)
    grains = ndi.gaussian_filter(white, grid_sigma, mode="wrap", truncate=3.0)
    # The blur lowers the noise's deviation, along each axis by the root of the kernel's summed squares.
    kernels = [np.exp(-0.5 * (np.arange(-int(3.0 * s + 0.5), int(3.0 * s + 0.5) + 1) / s) ** 2) for s in grid_sigma]
    gain = np.prod([float(np.sqrt(np.sum((kernel / kernel.sum()) ** 2))) for kernel in kernels])
    seen = np.prod(np.sqrt(grain_um / sigma))
    positions = [np.arange(n) / r for n, r in zip(shape, ratio, strict=True)]
    return interpolate(grains * np.float32(seen / gain), positions)


def interpolate(image: FloatArray, positions: Sequence[DoubleArray]) -> FloatArray:
    """Linear interpolation on a grid; the image is mirrored at its edges.

    Parameters
    ----------
    image : array of float32, axes (Z, Y, X)
        What to read from.
    positions : sequence of three arrays of float
        For each axis the places to read at, in voxels of the image.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        As many voxels along each axis as there are places.
    """
    result = image
    for axis, places in enumerate(positions):
        count = image.shape[axis]
        if len(places) == count and np.array_equal(places, np.arange(count)):
            continue
        below = np.floor(places).astype(int)
        share = (places - below).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        # Beyond the edge the image goes on mirrored: -1 is 0, and count is count - 1.
        first, second = (
            result.take(np.minimum(i, 2 * count - 1 - i), axis)
            for i in (below % (2 * count), (below + 1) % (2 * count))
        )
        second -= first
        second *= share
        second += first
        result = second
    return np.asarray(result, dtype=np.float32)
