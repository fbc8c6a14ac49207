"""Resolution of a stack without a reference: decorrelation analysis.

After Descloux, Grussmayer and Radenovic, Nat. Methods 16, 918 (2019). Let I(k) be the Fourier transform of an image
whose edges fade out, and J = I / |I| the same with all amplitudes made equal. Their correlation within the radius r,

    d(r) = sum_{|k| < r} Re(I J*) / sqrt(sum |I|^2 * sum_{|k| < r} |J|^2) = sum_{|k| < r} |I| / sqrt(sum |I|^2 * n(r)),

with n(r) the number of frequencies within r, rises as long as signal is added and falls where only noise is. Low
frequencies outweigh all others, so the image is high-pass filtered with ever narrower Gaussians, each giving a d(r)
with its own peak. The farthest peak is the cut-off k_c; the resolution is 1 / k_c. Since d needs sums over |k| alone,
the filters are applied to radial sums. Several images of one stack are summed up as one.

Frequencies are shares of the Nyquist frequency. A section with unequal voxels is analysed within a sector around one
axis: along that axis its scale is that of its voxels.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_deep3d.core import DoubleArray, Spacing

RADII = 200
FILTERS = 20
NARROWEST_PX = 0.15
"""Of the Gaussians taken off; the widest is a quarter of the image."""
MIN_FALL = 1e-3
"""By how much d has to fall after a peak, in units of d, for the peak to be one."""
SECTOR_DEGREES = 30.0
FADE = 0.1
SECTIONS = 16


def cutoff(images: NDArray[np.generic], axis: int | None = None) -> float:
    """Highest frequency at which images hold signal, as a share of the Nyquist frequency; NaN if none is found.

    Parameters
    ----------
    images
        One or several of a size, analysed as one: axes ([N,] Y, X), or ([N,] Z, X) of sections.
    axis
        Look only within 30 degrees of this axis (0 or 1 of an image) in frequency; in all directions if None.
    """
    amplitudes, powers, counts = _radial_sums(images if images.ndim == 3 else images[None], axis)
    radius = (np.arange(RADII) + 0.5) / RADII
    widths = np.geomspace(min(images.shape[-2:]) / 4, NARROWEST_PX, FILTERS)
    gains = [np.ones(RADII), *(1 - np.exp(-0.5 * (np.pi * radius * width) ** 2) for width in widths)]
    peaks = [_peak(_correlation(amplitudes * gain, powers * gain**2, counts)) for gain in gains]
    return float(max((radius[peak] for peak in peaks if peak is not None), default=np.nan))


def lateral_resolution(stack: NDArray[np.generic], spacing_um: Spacing) -> float:
    """Resolution in x-y in um, of the sixteen planes of a stack (Z, Y, X) with the most contrast; NaN if not found."""
    order = np.argsort(-np.asarray(stack, dtype=np.float32).std(axis=(1, 2)))[:SECTIONS]
    return 2 * spacing_um[1] / cutoff(stack[order])


def axial_resolution(stack: NDArray[np.generic], spacing_um: Spacing) -> float:
    """Resolution along z in um, of the sixteen x-z sections of a stack (Z, Y, X) with the most contrast."""
    order = np.argsort(-np.asarray(stack, dtype=np.float32).std(axis=(0, 2)))[:SECTIONS]
    return 2 * spacing_um[0] / cutoff(stack[:, order].swapaxes(0, 1), axis=0)


def _radial_sums(images: NDArray[np.generic], axis: int | None) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Sums of |I| and |I|^2, and number of frequencies, in rings up to the Nyquist frequency."""
    size = images.shape[-2:]
    values = np.asarray(images, dtype=np.float64)
    faded = values - values.mean(axis=(1, 2), keepdims=True)
    amplitude = np.abs(scipy.fft.fft2(faded * np.outer(_fade(size[0]), _fade(size[1]))))
    ky, kx = np.meshgrid(*(2 * np.abs(scipy.fft.fftfreq(n)) for n in size), indexing="ij")
    radius = np.hypot(ky, kx)
    keep = (radius > 0) & (radius < 1)
    if axis is not None:
        along, across = (ky, kx) if axis == 0 else (kx, ky)
        keep &= across <= np.tan(np.radians(SECTOR_DEGREES)) * along
    ring = np.tile((radius[keep] * RADII).astype(int), len(images))
    kept = amplitude[:, keep].ravel()
    sums = (np.bincount(ring, part, RADII).astype(np.float64) for part in (kept, kept**2, np.ones_like(kept)))
    amplitudes, powers, counts = sums
    return amplitudes, powers, counts


def _fade(size: int) -> DoubleArray:
    """1 in the middle, falling to 0 over a tenth at either end."""
    distance = (np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5) / (FADE * size)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1)))


def _correlation(amplitudes: DoubleArray, powers: DoubleArray, counts: DoubleArray) -> DoubleArray:
    return np.asarray(np.cumsum(amplitudes) / np.sqrt(max(powers.sum(), 1e-300) * np.maximum(np.cumsum(counts), 1)))


def _peak(correlation: DoubleArray) -> int | None:
    """Index of the highest point from which the correlation falls again; None if it only rises."""
    end = len(correlation)
    while end > 1:
        peak = int(correlation[:end].argmax())
        if correlation[peak] - correlation[peak:].min() > MIN_FALL:
            return peak
        end = peak
    return None
