"""Simple statistics of a stack that a simulated image should share with a real one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.stats

from napari_deep3d.core import DoubleArray, FloatArray, Spacing, finish
from napari_deep3d.core.evaluation.sharpness import measure_sharpness
from napari_deep3d.core.evaluation.spectrum import plane_power, ring_means

SLOPE_BAND = (0.05, 0.5)
"""Shares of the Nyquist frequency between which the slope of the spectrum is taken."""


def skewness(stack: FloatArray) -> float:
    """Third standardised moment of the intensities: large for few bright structures on black."""
    return float(scipy.stats.skew(stack, axis=None))


def median_position(stack: FloatArray) -> float:
    """Where the median lies between the percentiles 0.1 (0) and 99.9 (1): high in haze."""
    low, middle, high = np.percentile(stack, (0.1, 50, 99.9))
    return float((middle - low) / (high - low))


def lateral_spectrum(stack: FloatArray) -> tuple[DoubleArray, DoubleArray]:
    """Share of the Nyquist frequency, and mean power at it, of the planes of a stack (Z, Y, X), edges faded."""
    mean = float(stack.mean())
    power: DoubleArray = np.sum([plane_power(plane, mean) for plane in stack], axis=0)
    return ring_means(power)


def spectral_slope(stack: FloatArray) -> float:
    """Exponent of the lateral power spectrum as a power of frequency: the more negative, the smoother."""
    frequency, power = lateral_spectrum(stack)
    keep = (frequency > SLOPE_BAND[0]) & (frequency < SLOPE_BAND[1]) & (power > 0)
    return float(np.polyfit(np.log(frequency[keep]), np.log(power[keep]), 1)[0])


def fine_power(stack: FloatArray) -> float:
    """Share of the lateral power above half the Nyquist frequency: fine structure and noise."""
    frequency, power = lateral_spectrum(stack)
    total = power * frequency  # a ring holds frequencies in proportion to its radius
    return float(total[frequency > 0.5].sum() / total.sum())


def sharpness_ratio(stack: FloatArray) -> float:
    """Sharpness of the less sharp end, a quarter of the planes, to that of the brightest quarter: fall with depth.

    Which end is the deep one is not known of real stacks.
    """
    quarters = np.array_split(np.arange(stack.shape[0]), 4)
    values = finish(measure_sharpness(stack)).signal
    brightest = max(quarters, key=lambda planes: float(stack[planes].mean()))
    return float(min(values[quarters[0]].mean(), values[quarters[-1]].mean()) / values[brightest].mean())


def axial_width_um(stack: FloatArray, spacing_um: Spacing) -> float:
    """Full width at half maximum of the autocorrelation along z, in um; NaN where it never falls to half."""
    planes = stack.shape[0]
    spectrum = scipy.fft.rfft(stack - stack.mean(), n=2 * planes, axis=0)
    power = (np.abs(spectrum) ** 2).sum(axis=(1, 2), dtype=np.float64)
    correlation = scipy.fft.irfft(power)[:planes] / np.arange(planes, 0, -1)
    below = np.flatnonzero(correlation < 0.5 * correlation[0])
    if not below.size:
        return float("nan")
    after = int(below[0])
    upper, lower = correlation[after - 1] / correlation[0], correlation[after] / correlation[0]
    return float(2 * spacing_um[0] * (after - 1 + (upper - 0.5) / (upper - lower)))


STATISTICS: dict[str, Callable[[FloatArray, Spacing], float]] = {
    "skewness": lambda stack, _: skewness(stack),
    "position of the median": lambda stack, _: median_position(stack),
    "slope of the spectrum": lambda stack, _: spectral_slope(stack),
    "power above half Nyquist": lambda stack, _: fine_power(stack),
    "sharpness, worse end to brightest": lambda stack, _: sharpness_ratio(stack),
    "axial width (um)": axial_width_um,
}


def statistics(stack: FloatArray, spacing_um: Spacing) -> dict[str, float]:
    """All of them, of a stack (Z, Y, X)."""
    return {name: measure(stack, spacing_um) for name, measure in STATISTICS.items()}
