"""Stripes that a grid leaves in an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_deep3d.core.structured_light.spectrum import Frequency, coefficient
from napari_deep3d.core.types import FloatArray

HARMONICS = (1, 2, 3)
"""Of the grid's frequency: unequal brightness leaves the first, unequal phases the second, an uneven grid the third."""
NYQUIST = 0.5
ASIDE_BINS = (3.0, 5.0, 7.0, 9.0)
"""Distances, along a circle around frequency 0, of those that tell what the sample itself has: beyond the window's."""
ALONG_BINS = (-5.0, -3.0, 3.0, 5.0)
"""Distances of those in the same direction, where a sample of parallel fibres has most of its own."""
STANDS_OUT = 4.0
"""Power over the sample's own from which it counts as stripes; a speckled sample reaches it at one frequency in 16."""


def residual_stripes(images: FloatArray, frequencies: Sequence[Frequency]) -> float:
    """Amplitude of the stripes left in planes, axes (Z, Y, X), as a share of the mean brightness.

    From the power at each grid frequency and its harmonics up to the camera's limit, less the sample's own there: the
    larger one of the median over frequencies as high in other directions, and of the geometric mean over neighbours in
    the same direction. Root of the sum over harmonics and angles. What does not stand out from the sample's own, as
    in a field of a few bright points, is not told: 0.
    """
    mean = float(np.linalg.norm(coefficient(images, (0.0, 0.0))))
    if mean == 0:
        return 0.0
    power = 0.0
    for y, x in frequencies:
        for order in HARMONICS:
            if order * max(abs(y), abs(x)) < NYQUIST:
                power += _excess(images, (order * y, order * x))
    return 2 * float(np.sqrt(power)) / mean


def _excess(images: FloatArray, frequency: Frequency) -> float:
    """Power at a frequency above the sample's own; 0 if it does not stand out."""
    y, x = frequency
    steps = min(images.shape[-2:]) * float(np.hypot(y, x))  # from frequency 0, in steps of the FFT
    turns = np.divide(ASIDE_BINS, steps)
    aside = [
        _power(images, (y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)))
        for turn in (*turns, *-turns)
    ]
    along = [_power(images, (y * (1 + bins / steps), x * (1 + bins / steps))) for bins in ALONG_BINS]
    own, tiny = _power(images, frequency), float(np.finfo(np.float32).tiny)
    sample = max(float(np.median(aside)), float(np.exp(np.mean(np.log(np.add(along, tiny))))))
    return own - sample if own > STANDS_OUT * sample else 0.0


def _power(images: FloatArray, frequency: Frequency) -> float:
    return float(np.sum(np.abs(coefficient(images, frequency)) ** 2))
