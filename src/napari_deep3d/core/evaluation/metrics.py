"""How close a stack is to its confocal ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.metrics import structural_similarity

from napari_deep3d.core import FloatArray


def rmse(image: FloatArray, truth: FloatArray) -> float:
    """Root mean squared difference."""
    return float(np.sqrt(np.mean((image.astype(np.float64) - truth) ** 2)))


def ssim(image: FloatArray, truth: FloatArray) -> float:
    """Structural similarity in 3D (Wang et al. 2004; scikit-image's 7-voxel window), for a data range of 1.

    Of stacks with fewer than 7 planes the window is as large as they allow: an odd number.
    """
    window = min(7, (min(truth.shape) - 1) // 2 * 2 + 1)
    return float(structural_similarity(truth, image, data_range=1.0, win_size=window))


def fit_scale(image: FloatArray, truth: FloatArray) -> FloatArray:
    """``a * image + b`` with the a and b that make it closest to ``truth`` by least squares."""
    x, y = image.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
    variance = x.var()
    scale = float(((x - x.mean()) * (y - y.mean())).mean() / variance) if variance > 0 else 0.0
    return np.asarray(scale * (image - x.mean()) + y.mean(), dtype=np.float32)


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
