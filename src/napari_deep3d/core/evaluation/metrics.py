"""How close a stack in memory is to its confocal ground truth; :mod:`.agreement` reads stacks block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from napari_deep3d.core import FloatArray

SSIM_WINDOW = 7
"""Side in voxels of the window of the structural similarity."""


def rmse(image: FloatArray, truth: FloatArray, where: NDArray[np.bool_] | None = None) -> float:
    """Root mean squared difference, of the voxels ``where`` if that is given."""
    squares = (image.astype(np.float64) - truth) ** 2
    return float(np.sqrt(np.mean(squares if where is None else squares[where])))


def ssim(image: FloatArray, truth: FloatArray, where: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity in 3D (Wang et al. 2004; scikit-image's 7-voxel window), for a data range of 1.

    Of stacks with fewer than 7 planes the window is as large as they allow: an odd number. The mean over the stack
    without a border of half a window, of the voxels ``where`` if that is given.
    """
    window = ssim_window(truth.shape)
    if where is None:
        return float(structural_similarity(truth, image, data_range=1.0, win_size=window))
    _, values = structural_similarity(truth, image, data_range=1.0, win_size=window, full=True)
    inside = tuple(slice(window // 2, n - window // 2) for n in truth.shape)
    chosen = values[inside][where[inside]]
    return float(np.mean(chosen)) if chosen.size else float("nan")


def ssim_window(shape: Sequence[int]) -> int:
    """Side in voxels of the window for a stack (Z, Y, X): 7, or the largest odd number that fits."""
    return min(SSIM_WINDOW, (min(shape) - 1) // 2 * 2 + 1)


def fit_scale(image: FloatArray, truth: FloatArray) -> FloatArray:
    """``a * image + b`` with the a and b that make it closest to ``truth`` by least squares."""
    scale, offset = scale_and_offset(image.ravel(), truth.ravel())
    return np.asarray(scale * image + offset, dtype=np.float32)


def scale_and_offset(values: NDArray[np.floating], truth: NDArray[np.floating]) -> tuple[float, float]:
    """The a and b that bring ``a * values + b`` closest to ``truth`` by least squares; both of one shape, not empty."""
    x, y = values.astype(np.float64), truth.astype(np.float64)
    variance = x.var()
    scale = float(((x - x.mean()) * (y - y.mean())).mean() / variance) if variance > 0 else 0.0
    return scale, float(y.mean() - scale * x.mean())


@dataclass(frozen=True)
class Score:
    """RMSE and SSIM against the truth in [0, 1]; ``_fit`` after the best scale and offset."""

    rmse: float
    ssim: float
    rmse_fit: float
    ssim_fit: float


def score(image: FloatArray, truth: FloatArray) -> Score:
    """Score an image (Z, Y, X) against a truth whose intensities are already in [0, 1]."""
    fitted = fit_scale(image, truth)
    return Score(rmse(image, truth), ssim(image, truth), rmse(fitted, truth), ssim(fitted, truth))
