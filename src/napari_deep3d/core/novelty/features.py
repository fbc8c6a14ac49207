"""What a stack looks like, in a few numbers: to tell a stack like those that a model was trained on from others.

The numbers come from a bounded part of the stack (at most :data:`MAX_PLANES` planes of :data:`MAX_LATERAL` squared),
so that they are there in a fraction of a second. They do not change with the camera's gain and offset or when the
stack is mirrored in Y or X.

What they measure, and why it separates: the distribution of intensities (fluorescence is bright on dark, transmitted
light is not); the share of voxels at the largest value; the noise; how fast structure loses power towards fine
detail across (Y, X); and how alike neighbouring planes are, octave by octave of lateral detail. The last is the mark
of a wide-field microscope: its transfer function has a missing cone (Streibl, J. Opt. Soc. Am. A 2, 121, 1985), so that
coarse structure hardly changes from plane to plane while fine structure does.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from itertools import product

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from napari_deep3d.core import Box, DoubleArray, FloatArray, Spacing, Stack, read_box, shape_of

MAX_PLANES = 64
MAX_LATERAL = 176
SEARCHED_PARTS = 3
"""Parts along Y and X that are looked at, where a stack is larger, to find the one with most structure."""
OCTAVE_EDGES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Lateral frequencies between octaves, in cycles per voxel: details of 32 to 16 voxels, ..., 4 to 2 voxels."""
OCTAVES = len(OCTAVE_EDGES) - 1
BULK_OCTAVES = 1
"""Frequencies up to this octave show the blurred bulk of the sample, above any noise."""
NEAR_PLANES, FAR_PLANES, FARTHEST_PLANES = 1, 3, 6
"""Distances in planes at which planes are compared."""
MIN_SIGNAL_SHARE = 0.1
"""Share of a band's power that is taken as signal at least, so that a band of mere noise gives no wild numbers."""
MAX_CORRELATION = 0.995
"""Correlation that counts as one."""
SLIGHT_FALL, SLIGHT_UNEVENNESS = 0.05, 0.03
"""log10 of ratios below which differences count evenly, above by their ratio: few stacks have large ones."""
STRUCTURE_BLUR = 1.5
"""Voxels (standard deviation) along Y and X, to tell the intensities of structure from noise."""
RANGE_PERCENTILES = (0.1, 99.9)
"""Of the blurred intensities: what counts as dark (0) and bright (1)."""
MIN_SATURATED_SHARE, MIN_JUMP, MIN_POWER = 1e-3, 1e-5, 1e-12
"""Added, so that logarithms of nothing are finite."""


@dataclass(frozen=True)
class Features:
    """What a stack looks like; every number is finite, or NaN where the stack is too small to measure it.

    Attributes
    ----------
    spacing_z_um, spacing_xy_um : float
        log10 of the voxel size.
    noise : float
        log10 of the amplitude of noise relative to the range of the (smoothed) intensities.
    fall_coarse, fall_middle, fall_fine, fall_finest
        How much power an octave of lateral detail has beyond the next finer one; the finest is compared with the
        corner of the spectrum, where hardly more than noise is left. Inverse hyperbolic sine of log10 of the ratio.
    near_coarse, near_middle, near_fine, near_finest, far_coarse, far_middle, far_fine, far_finest
        How alike planes are 1 and 3 planes apart, by octave: Fisher's z of the correlation, noise taken out.
    uneven_coarse, uneven_middle, uneven_fine
        How much the structure of an octave prefers Y or X: log10 of the absolute log10 of the ratio of powers.
    order : float
        How much coarse structure changes from plane to plane, relative to six planes (log10): 0 if in no order.
    median, upper, top
        Where the 50th, 90th and 99th percentile of the smoothed intensities lie between the 0.1st (0) and 99.9th (1).
    skewness : float
        Cube root of the skewness of the smoothed intensities.
    saturated : float
        log10 of the share of voxels at the largest value.
    jump : float
        log10 of the change of the mean from plane to plane, relative to the range of the intensities.
    """

    spacing_z_um: float
    spacing_xy_um: float
    noise: float
    fall_coarse: float
    fall_middle: float
    fall_fine: float
    fall_finest: float
    near_coarse: float
    near_middle: float
    near_fine: float
    near_finest: float
    far_coarse: float
    far_middle: float
    far_fine: float
    far_finest: float
    uneven_coarse: float
    uneven_middle: float
    uneven_fine: float
    order: float
    median: float
    upper: float
    top: float
    skewness: float
    saturated: float
    jump: float

    def values(self) -> DoubleArray:
        """The numbers in the order of their names."""
        return np.array(astuple(self), dtype=np.float64)


FEATURE_NAMES = tuple(field.name for field in fields(Features))


def measure_features(voxels: FloatArray, spacing_um: Spacing) -> Features:
    """Measure what a part of a stack looks like.

    Parameters
    ----------
    voxels : array, axes (Z, Y, X)
        Every one finite.
    spacing_um : Spacing
        (Z, Y, X) in um; voxel size.
    """
    # 1. Intensities from 0 (dark) to 1 (bright), also blurred, so that noise hardly counts.
    saturated = float((voxels == voxels.max()).mean())
    smooth = scipy.ndimage.gaussian_filter(voxels, (0, STRUCTURE_BLUR, STRUCTURE_BLUR))
    low, high = (float(value) for value in np.percentile(smooth, RANGE_PERCENTILES))
    scale = np.float32(1 / (high - low) if high > low else 0)
    smooth = (smooth - np.float32(low)) * scale

    # 2. Their distribution. Skewness is the third standardised moment; a constant, which has none, gets 0.
    deviations = smooth - smooth.mean(dtype=np.float64).astype(np.float32)
    squares = np.square(deviations)
    cubed_spread = float(squares.mean(dtype=np.float64)) ** 1.5
    skewness = float((squares * deviations).mean(dtype=np.float64)) / cubed_spread if cubed_spread > 0 else 0.0
    jump = float(np.abs(np.diff(smooth.mean(axis=(1, 2)))).mean())

    # 3. The numbers, in the order of their names.
    z, y, x = spacing_um
    numbers = [
        *np.log10((z, np.sqrt(y * x))),
        *_spectral_features((voxels - np.float32(low)) * scale),
        *np.percentile(smooth, (50, 90, 99)),
        np.cbrt(skewness),
        np.log10(saturated + MIN_SATURATED_SHARE),
        np.log10(jump + MIN_JUMP),
    ]
    return Features(*(float(number) for number in numbers))


def representative_part(stack: Stack) -> FloatArray:
    """The middle planes of the part with most structure, axes (Z, Y, X), float32, every voxel finite.

    No voxel is read twice.
    """
    planes, rows, columns = shape_of(stack)
    depth, height, width = min(planes, MAX_PLANES), min(rows, MAX_LATERAL), min(columns, MAX_LATERAL)
    tops, lefts = (
        sorted({(size - part) * number // (SEARCHED_PARTS - 1) for number in range(SEARCHED_PARTS)})
        for size, part in ((rows, height), (columns, width))
    )
    corners, first = list(product(tops, lefts)), (planes - depth) // 2
    if len(corners) == 1:
        return _fill_gaps(read_box(stack, Box.at((first, *corners[0]), (depth, height, width))))
    middle = planes // 2
    plane = np.asarray(stack[middle], dtype=np.float32)
    filled = _fill_gaps(plane)
    spread = [float(filled[top : top + height, left : left + width].std()) for top, left in corners]
    top, left = corners[int(np.argmax(spread))]
    box = Box.at((first, top, left), (depth, height, width))
    above, below = box.with_axis(0, first, middle), box.with_axis(0, middle + 1, first + depth)
    parts = (read_box(stack, above), plane[None, box.y, box.x], read_box(stack, below))
    return _fill_gaps(np.concatenate(parts))


def _fill_gaps(voxels: FloatArray) -> FloatArray:
    """The voxels, what is not finite replaced by the median of what is."""
    finite = np.isfinite(voxels)
    if finite.all():
        return voxels
    return np.where(finite, voxels, np.median(voxels[finite]) if finite.any() else np.float32(0))


class _Bands:
    """The octaves, and the corner beyond them, in the real Fourier transform of a plane (Y, X)."""

    def __init__(self, height: int, width: int) -> None:
        along_y = np.abs(scipy.fft.fftfreq(height))[:, None]
        along_x = scipy.fft.rfftfreq(width)[None]
        self.labels = np.digitize(np.hypot(along_y, along_x), OCTAVE_EDGES)
        self.is_tall, self.is_wide = along_y > along_x, along_y < along_x
        self.is_bulk = self.labels <= BULK_OCTAVES
        self.weight = np.full(self.labels.shape, 2.0)  # a frequency stands for its mirror too
        self.weight[:, 0] = 1
        if width % 2 == 0:
            self.weight[:, -1] = 1

    def means(self, squares: FloatArray, where: NDArray[np.bool_] | None = None) -> DoubleArray:
        """Mean of planes (Z, frequencies) in each octave and in the corner; NaN in one that has no frequency."""
        weight = self.weight if where is None else self.weight * where
        values = weight * squares.mean(axis=0, dtype=np.float64)
        total, share = (
            np.bincount(self.labels.ravel(), each.ravel(), minlength=OCTAVES + 2)[1:] for each in (values, weight)
        )
        return np.asarray(np.divide(total, share, out=np.full(total.shape, np.nan), where=share > 0) + MIN_POWER)


def _spectral_features(voxels: FloatArray) -> list[float]:
    """The features from ``noise`` to ``order``: what the planes (Z, Y, X) show octave by octave."""
    planes, height, width = voxels.shape

    # 1. The spectrum of each plane, faded out towards its borders, and the power in each octave.
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)
    window /= np.sqrt(np.square(window).sum())
    spectrum = scipy.fft.rfft2((voxels - voxels.mean(axis=(1, 2), keepdims=True)) * window)
    bands, squares = _Bands(height, width), spectrum.real**2 + spectrum.imag**2
    power = bands.means(squares)

    # 2. Noise: the power in the corner, which has no more than that, or very fine structure. A band is never taken for
    #    noise alone.
    noise = np.minimum(power[-1], (1 - MIN_SIGNAL_SHARE) * power)
    least = MIN_SIGNAL_SHARE * power

    # 3. Similarity: correlation of planes that lie some planes apart, without the noise.
    similarity = []
    for lag in (NEAR_PLANES, FAR_PLANES):
        shared = np.full(OCTAVES + 1, np.nan)
        if planes > lag:
            first, second = spectrum[:-lag], spectrum[lag:]
            shared = bands.means(first.real * second.real + first.imag * second.imag)
        similarity.append(np.arctanh(np.clip(shared / (power - noise), -MAX_CORRELATION, MAX_CORRELATION))[:-1])

    # 4. Unevenness: power of waves that run rather along Y over that of those rather along X.
    tall, wide = (np.maximum(bands.means(squares, part) - noise, least) for part in (bands.is_tall, bands.is_wide))

    # 5. Order: how much the bulk changes from plane to plane, over how much it changes in the end.
    changes = []
    for lag in (NEAR_PLANES, FARTHEST_PLANES):
        change = float("nan")
        if planes > lag:
            difference = spectrum[lag:, bands.is_bulk] - spectrum[:-lag, bands.is_bulk]
            mean = np.square(np.abs(difference)).mean(axis=0, dtype=np.float64)
            change = float(np.average(mean, weights=bands.weight[bands.is_bulk])) + MIN_POWER
        changes.append(change)

    return [
        float(np.log10(power[-1]) / 2),
        *np.arcsinh(np.log10(power[:-1] / power[1:]) / SLIGHT_FALL).tolist(),
        *np.concatenate(similarity).tolist(),
        *np.log10(np.abs(np.log10(tall / wide)) + SLIGHT_UNEVENNESS)[: OCTAVES - 1].tolist(),
        float(np.log10(changes[0] / changes[1])),
    ]
