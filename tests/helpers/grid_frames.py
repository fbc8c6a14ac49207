"""Frames through a grid whose images are known: ``W + S cos(k r + phase)``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_deep3d.core import FloatArray

FREQUENCY = (0.05, 0.11)
TWO = (FREQUENCY, (0.11, -0.05))
"""Of two grids at right angles."""
EQUAL = (0.0, 120.0, 240.0)


def striped(
    widefield: FloatArray,
    sectioned: FloatArray,
    phases_deg: Sequence[float] = EQUAL,
    frequencies: Sequence[tuple[float, float]] = (FREQUENCY,),
) -> FloatArray:
    """Frames of images with the axes (Z, Y, X): axes (Z, angle, phase, Y, X)."""
    y, x = np.arange(widefield.shape[1])[:, None], np.arange(widefield.shape[2])
    frames = [
        [widefield + sectioned * np.cos(2 * np.pi * (fy * y + fx * x) + np.deg2rad(phase)) for phase in phases_deg]
        for fy, fx in frequencies
    ]
    return np.moveaxis(np.array(frames, dtype=np.float32), 2, 0)


def texture(shape: tuple[int, int, int], seed: int = 0) -> FloatArray:
    """Smooth blobs, 0 to about 1, axes (Z, Y, X)."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (1, 4, 4))
    return np.asarray(np.maximum(noise / noise.std(), 0), dtype=np.float32)


def blobs_in_haze(
    shape: tuple[int, int, int],
    phases_deg: Sequence[float] = EQUAL,
    frequencies: Sequence[tuple[float, float]] = (FREQUENCY,),
) -> FloatArray:
    """Frames, axes (Z, angle, phase, Y, X), of blobs in focus and haze, some hundred counts, with noise."""
    sectioned = 100 * texture(shape)
    frames = striped(2 * sectioned + 200, sectioned, phases_deg, frequencies)
    return np.random.default_rng(0).poisson(frames).astype(np.float32)
