"""Frames brought to one brightness: lamps flicker and dyes bleach from frame to frame."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.structured_light.spectrum import window
from napari_deep3d.core.types import DoubleArray, FloatArray


def frame_means(frames: FloatArray) -> DoubleArray:
    """The mean of every frame, axes (..., Y, X) to (...), fading out to the borders, where stripes are cut."""
    return np.asarray(np.einsum("...yx,yx->...", frames, window(*frames.shape[-2:]), dtype=np.float64))


def even_brightness(frames: FloatArray) -> FloatArray:
    """Scale each frame of a plane, axes (angle, phase, Y, X), to the mean of all; a black frame stays as it is.

    Frames that differ in brightness leave stripes in both images. The mean of a frame hardly depends on where the
    stripes lie as long as many cross what is in it, which a few bright points in a small field do not fulfil.
    """
    means = frame_means(frames)
    factors = np.divide(means.mean(), means, out=np.ones_like(means), where=means > 0)
    return np.asarray(frames * factors[..., None, None], dtype=np.float32)


def brightness_variation(frames: FloatArray) -> float:
    """Standard deviation of the frames' means within a plane as a share of their mean.

    The root mean square over planes; axes (Z, angle, phase, Y, X).
    """
    means = frame_means(frames)
    whole = means.mean(axis=(1, 2), keepdims=True)
    shares = np.divide(means - whole, whole, out=np.zeros_like(means), where=whole > 0)
    return float(np.sqrt(np.mean(shares**2)))
