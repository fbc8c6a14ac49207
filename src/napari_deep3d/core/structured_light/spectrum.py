"""Single frequencies of images, off the grid of the FFT as well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core.types import FloatArray

Frequency = tuple[float, float]
"""Cycles per pixel along Y and X."""


def window(rows: int, columns: int) -> FloatArray:
    """A Hann window, axes (Y, X), sum 1: what lies beyond the field does not count as an edge."""
    y, x = (np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2 for size in (rows, columns))
    both = np.outer(y, x)
    return np.asarray(both / both.sum(), dtype=np.float32)


def coefficient(images: FloatArray, frequency: Frequency) -> NDArray[np.complex128]:
    """The Fourier coefficient of windowed images at any frequency; axes (..., Y, X) to (...).

    At frequency 0 it is the mean under the window.
    """
    rows, columns = images.shape[-2:]
    waves = [np.exp(-2j * np.pi * f * np.arange(n)) for f, n in zip(frequency, (rows, columns), strict=True)]
    wave = np.outer(*waves) * window(rows, columns)
    return np.asarray(images.reshape(*images.shape[:-2], -1) @ wave.ravel(), dtype=np.complex128)
