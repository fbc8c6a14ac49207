"""Resolution of a stack without a reference, in um: decorrelation analysis.

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

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_deep3d.core import Box, DoubleArray, Spacing, Stack, Steps, finish, read_box, shape_of

RADII = 200
FILTERS = 20
NARROWEST_PX = 0.15
"""Of the Gaussians taken off; the widest is a quarter of the image."""
MIN_FALL = 1e-3
"""By how much d has to fall after a peak, in units of d, for the peak to be one."""
SECTOR_DEGREES = 30.0
FADE = 0.1
SECTIONS = 16
"""Planes, and x-z sections, with the most contrast, that stand for a stack."""


class Resolution(NamedTuple):
    """The smallest period in um that stands out from noise, in planes and along z; NaN where none is found."""

    lateral_um: float
    axial_um: float


def measure_resolution(stack: Stack, spacing_um: Spacing) -> Steps[Resolution]:
    """Resolution of a stack (Z, Y, X) in x-y and along z, read plane by plane; voxels must be finite.

    In x-y it is that of the sixteen planes with the most contrast (standard deviation), with the pixel along y as unit;
    along z that of the sixteen x-z sections with the most, within a sector of 30 degrees around z.
    """
    planes, height, width = shape_of(stack)
    whole = Box.whole(stack.shape)
    # 1. Contrast of planes and of x-z sections.
    of_planes, sums, squares = np.zeros(planes), np.zeros(height), np.zeros(height)
    middle = float(np.mean(read_box(stack, whole.with_axis(0, planes // 2, planes // 2 + 1)), dtype=np.float64))
    for z in range(planes):
        plane = read_box(stack, whole.with_axis(0, z, z + 1))[0] - np.float32(middle)
        of_planes[z] = plane.std(dtype=np.float64)
        sums += plane.sum(axis=1, dtype=np.float64)
        squares += np.einsum("yx,yx->y", plane, plane, dtype=np.float64)
        yield 0.3 * (z + 1) / planes
    n = planes * width
    of_rows = squares / n - (sums / n) ** 2
    # 2. The planes.
    lateral = _RingSums()
    chosen = np.argsort(-of_planes)[:SECTIONS]
    for number, z in enumerate(chosen):
        lateral.add(read_box(stack, whole.with_axis(0, int(z), int(z) + 1))[0])
        yield 0.3 + 0.4 * (number + 1) / len(chosen)
    # 3. The x-z sections.
    rows = np.argsort(-of_rows)[:SECTIONS]
    sections = np.empty((len(rows), planes, width), np.float32)
    for z in range(planes):
        sections[:, z] = np.asarray(stack[z])[rows]
        yield 0.7 + 0.2 * (z + 1) / planes
    axial = _RingSums(axis=0)
    for section in sections:
        axial.add(section)
        yield 0.95
    return Resolution(2 * spacing_um[1] / lateral.cutoff(), 2 * spacing_um[0] / axial.cutoff())


def lateral_resolution(stack: Stack, spacing_um: Spacing) -> float:
    """Resolution in x-y in um, as :func:`measure_resolution` tells it."""
    return finish(measure_resolution(stack, spacing_um)).lateral_um


def axial_resolution(stack: Stack, spacing_um: Spacing) -> float:
    """Resolution along z in um, as :func:`measure_resolution` tells it."""
    return finish(measure_resolution(stack, spacing_um)).axial_um


def cutoff(images: Iterable[NDArray[np.generic]], axis: int | None = None) -> float:
    """Highest frequency at which images hold signal, as a share of the Nyquist frequency; NaN if none is found.

    Parameters
    ----------
    images
        Of one size, analysed as one: axes (Y, X), or (Z, X) of sections.
    axis
        Look only within 30 degrees of this axis (0 or 1 of an image) in frequency; in all directions if None.
    """
    sums = _RingSums(axis)
    for image in images:
        sums.add(image)
    return sums.cutoff()


class _RingSums:
    """Sums of |I| and |I|^2 of images of a size, and number of frequencies, in rings up to the Nyquist frequency."""

    def __init__(self, axis: int | None = None) -> None:
        self._axis, self._size = axis, 1
        self._amplitudes, self._powers, self._counts = np.zeros((3, RADII))

    def add(self, image: NDArray[np.generic]) -> None:
        """Take in an image, its mean taken off and its edges faded out."""
        size = image.shape
        self._size = min(size)
        values = np.asarray(image, dtype=np.float64)
        amplitude = np.abs(scipy.fft.fft2((values - values.mean()) * np.outer(*(_fade(n) for n in size))))
        ky, kx = (2 * np.abs(scipy.fft.fftfreq(n)) for n in size)
        radius = np.hypot(ky[:, None], kx[None, :])
        keep = (radius > 0) & (radius < 1)
        if self._axis is not None:
            along, across = (ky[:, None], kx[None, :]) if self._axis == 0 else (kx[None, :], ky[:, None])
            keep &= across <= np.tan(np.radians(SECTOR_DEGREES)) * along
        ring = (radius[keep] * RADII).astype(int)
        kept = amplitude[keep]
        self._amplitudes += np.bincount(ring, kept, RADII)
        self._powers += np.bincount(ring, kept**2, RADII)
        self._counts += np.bincount(ring, minlength=RADII)

    def cutoff(self) -> float:
        """The farthest peak over all filters, as a share of the Nyquist frequency; NaN if there is none."""
        radius = (np.arange(RADII) + 0.5) / RADII
        widths = np.geomspace(self._size / 4, NARROWEST_PX, FILTERS)
        gains = [np.ones(RADII), *(1 - np.exp(-0.5 * (np.pi * radius * width) ** 2) for width in widths)]
        peaks = [_peak(self._correlation(gain)) for gain in gains]
        return float(max((radius[peak] for peak in peaks if peak is not None), default=np.nan))

    def _correlation(self, gain: DoubleArray) -> DoubleArray:
        power = max(float((self._powers * gain**2).sum()), 1e-300)
        within = np.maximum(np.cumsum(self._counts), 1)
        return np.asarray(np.cumsum(self._amplitudes * gain) / np.sqrt(power * within))


def _fade(size: int) -> DoubleArray:
    """1 in the middle, falling to 0 over a tenth at either end."""
    distance = (np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5) / (FADE * size)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1)))


def _peak(correlation: DoubleArray) -> int | None:
    """Index of the highest point from which the correlation falls again; None if it only rises."""
    end = len(correlation)
    while end > 1:
        peak = int(correlation[:end].argmax())
        if correlation[peak] - correlation[peak:].min() > MIN_FALL:
            return peak
        end = peak
    return None
