"""Lateral and 3D power spectra (paper, Fig. 6 and 7), and the power at high frequencies.

Of an image f faded out by Hann windows w, and less its mean, the power at a frequency is |FFT(w (f - mean))|^2 divided
by the number of pixels and by the sum of w^2. Summed over all frequencies it is the variance of the image, in intensity
squared. Frequencies are shares of the Nyquist frequency, 1 / (2 voxel size).

- Lateral spectrum: the mean over the planes; by rings of equal frequency it is a curve.
- 3D spectrum: the mean over boxes of all planes (at most 96) and 192 x 192 pixels spread over the stack (Welch's
  method), so that no transform of the whole is needed; as a map of the frequency along z and across it, averaged around
  the axis, since microscopes look alike in all directions across.
- The high-frequency sum of Fig. 7 is the lateral power inside a box of high frequencies. The paper does not say which:
  here all whose larger component is above half the Nyquist frequency. Its share of all power needs no scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.fft

from napari_deep3d.core import DoubleArray, FloatArray, Stack, Steps, read_box, shape_of
from napari_deep3d.core.evaluation.blocks import fourier_boxes

HIGH = 0.5
"""Share of the Nyquist frequency from which on a frequency is high."""
RINGS = 64


@dataclass(frozen=True)
class LateralSpectrum:
    """Mean power of the planes of a stack at each lateral frequency, (Y, X) in the order of the FFT."""

    power: DoubleArray = field(repr=False)

    def curve(self) -> tuple[DoubleArray, DoubleArray]:
        """Frequency, as a share of Nyquist's, and mean power in its ring."""
        return ring_means(self.power)

    def high_frequency_sum(self, low: float = HIGH) -> float:
        """Power inside the box of high frequencies: the larger component at ``low`` or more; intensity squared."""
        ky, kx = (2 * np.abs(scipy.fft.fftfreq(n)) for n in self.power.shape)
        return float(self.power[np.maximum(ky[:, None], kx[None, :]) >= low].sum())

    def high_frequency_share(self, low: float = HIGH) -> float:
        """The same as a share of the power at all frequencies but 0; NaN if there is none."""
        total = float(self.power.sum() - self.power[0, 0])
        return self.high_frequency_sum(low) / total if total > 0 else float("nan")


@dataclass(frozen=True)
class AxialSpectrum:
    """Mean power of a stack by its frequency along z and across z; NaN where no frequency falls.

    Attributes
    ----------
    power : array, axes (along, across)
        Intensity squared.
    along, across : array
        Middles of the bins, as shares of the Nyquist frequencies along z and in planes.
    """

    power: DoubleArray = field(repr=False)
    along: DoubleArray = field(repr=False)
    across: DoubleArray = field(repr=False)


def plane_power(image: FloatArray, mean: float | None = None) -> DoubleArray:
    """Power at each frequency of an image or box of any number of axes, in the order of the FFT.

    Its own mean is taken off if none is given.
    """
    values = image - (image.mean(dtype=np.float64) if mean is None else mean)
    weights = 1.0
    for axis, size in enumerate(image.shape):
        fade = np.hanning(size + 2)[1:-1] if size < 3 else np.hanning(size)
        values = values * fade.reshape([-1 if i == axis else 1 for i in range(image.ndim)])
        weights *= float(np.vdot(fade, fade))
    spectrum = scipy.fft.fftn(values.astype(np.float32))
    return np.asarray(np.square(np.abs(spectrum), dtype=np.float64) / (values.size * weights))


def ring_means(power: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Mean over rings of equal frequency of a lateral spectrum (Y, X): frequencies and means, without frequency 0."""
    rings = min(power.shape) // 2
    ky, kx = (2 * scipy.fft.fftfreq(n) for n in power.shape)
    radius = np.hypot(ky[:, None], kx[None, :])
    keep = (radius < 1) & (radius > 1 / rings)
    ring = (radius[keep] * rings).astype(int)
    counts = np.bincount(ring, minlength=rings)
    sums = np.bincount(ring, power[keep], minlength=rings)
    full = counts > 0
    return (np.arange(rings)[full] + 0.5) / rings, sums[full] / counts[full]


def measure_lateral_spectrum(stack: Stack) -> Steps[LateralSpectrum]:
    """Lateral spectrum of a stack (Z, Y, X), read plane by plane; every voxel finite."""
    planes, *size = stack.shape
    total = np.zeros(size)
    for z in range(planes):
        total += plane_power(np.asarray(stack[z], dtype=np.float32))
        yield (z + 1) / planes
    return LateralSpectrum(total / planes)


def measure_axial_spectrum(stack: Stack) -> Steps[AxialSpectrum]:
    """3D spectrum of a stack (Z, Y, X) as a map along and across z, read box by box; every voxel finite."""
    boxes = fourier_boxes(shape_of(stack))
    size = boxes[0].shape
    total = np.zeros(size)
    for number, box in enumerate(boxes):
        total += plane_power(read_box(stack, box))
        yield (number + 1) / len(boxes)
    kz, ky, kx = (2 * np.abs(scipy.fft.fftfreq(n)) for n in size)
    rows, columns = size[0] // 2 + 1, min(RINGS, min(size[1:]) // 2)
    row = np.rint(kz * (size[0] / 2)).astype(int)
    radius = np.hypot(ky[:, None], kx[None, :])
    keep = radius < 1
    bins = row[:, None] * columns + (radius[keep] * columns).astype(int)[None, :]
    counts = np.bincount(bins.ravel(), minlength=rows * columns)
    sums = np.bincount(bins.ravel(), total[:, keep].ravel(), minlength=rows * columns)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan) / len(boxes)
    return AxialSpectrum(
        means.reshape(rows, columns), 2 * np.arange(rows) / size[0], (np.arange(columns) + 0.5) / columns
    )
