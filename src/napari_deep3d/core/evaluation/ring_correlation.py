"""Correlation of two stacks by frequency: Fourier ring and shell correlation (FRC, FSC).

For two images with Fourier transforms A and B, and a ring (in 3D a shell) of frequencies of one size,

    FRC = Re sum(A B*) / sqrt(sum |A|^2 sum |B|^2)

(Saxton and Baumeister, J. Microsc. 127, 127, 1982; Nieuwenhuizen et al., Nat. Methods 10, 557, 2013; Banterle et al.,
J. Struct. Biol. 183, 363, 2013). Images are faded out by Hann windows, which leak into the next two rings but hardly
beyond, and their means taken off. The resolution is 1 / k at the frequency k where the curve first falls below 1/7
(Nieuwenhuizen et al.), and so does the mean of that ring and the two after it.

It is the resolution of an image where both stacks are recordings of the same sample with noise of their own. Of a
prediction and the confocal stack it tells down to which period the two agree: noise of the confocal stack counts
against it, and a pattern that both have, such as hot pixels, for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.fft

from napari_deep3d.core import Box, DoubleArray, FloatArray, InputError, Spacing, Stack, Steps, read_box, shape_of
from napari_deep3d.core.evaluation.blocks import fourier_boxes

THRESHOLD = 1 / 7
AVERAGED = 3
"""Rings whose mean must be below the threshold as well, so that one noisy ring is no crossing."""


@dataclass(frozen=True)
class RingCorrelation:
    """Correlation by frequency.

    Attributes
    ----------
    frequency : array
        Middle of each ring, cycles per um.
    values : array
        -1 to 1; 0 of a ring without power.
    resolution_um : float
        Period at which it falls below 1/7: NaN if it never is above, the smallest period looked at if it never falls.
    """

    frequency: DoubleArray = field(repr=False)
    values: DoubleArray = field(repr=False)
    resolution_um: float


def measure_ring_correlation(first: Stack, second: Stack, spacing_um: Spacing) -> Steps[RingCorrelation]:
    """FRC of the planes of two stacks (Z, Y, X), all planes as one curve; rings up to the Nyquist frequency."""
    shape = shape_of(first)
    planes = [Box.whole(shape).with_axis(0, z, z + 1) for z in range(shape[0])]
    return (yield from _correlate(first, second, planes, (0.0, *spacing_um[1:])))


def measure_shell_correlation(first: Stack, second: Stack, spacing_um: Spacing) -> Steps[RingCorrelation]:
    """FSC of two stacks (Z, Y, X): shells in cycles per um, up to the Nyquist frequency of the coarsest axis.

    Sums over boxes of at most 96 x 192 x 192 voxels spread over the stacks, all of stacks of up to 16 such.
    """
    return (yield from _correlate(first, second, fourier_boxes(shape_of(first)), spacing_um))


def _correlate(first: Stack, second: Stack, boxes: list[Box], spacing_um: tuple[float, ...]) -> Steps[RingCorrelation]:
    """Sums over boxes of one size; an axis with a voxel size of 0 has no frequencies."""
    if first.shape != second.shape:
        raise InputError(
            f"stacks of {first.shape} and {second.shape} voxels cannot be compared; crop them to one size."
        )
    shape = boxes[0].shape
    sides = [n * step for n, step in zip(shape, spacing_um, strict=True) if step]
    highest = 1 / (2 * max(step for step in spacing_um if step))
    rings = max(4, int(highest * min(sides)))
    frequencies = [
        scipy.fft.fftfreq(n, step) if step else np.zeros(n) for n, step in zip(shape, spacing_um, strict=True)
    ]
    radius = np.sqrt(sum(np.square(k) for k in np.ix_(*frequencies)))
    keep = (radius > 0) & (radius < highest)
    ring = (radius[keep] * (rings / highest)).astype(int)
    sums = np.zeros((3, rings))
    for number, box in enumerate(boxes):
        a, b = (_transform(read_box(stack, box))[keep] for stack in (first, second))
        for place, product_ in enumerate(((a * b.conj()).real, np.square(np.abs(a)), np.square(np.abs(b)))):
            sums[place] += np.bincount(ring, product_, rings)
        yield (number + 1) / len(boxes)
    full = np.bincount(ring, minlength=rings) > 0
    power = np.sqrt(sums[1] * sums[2])[full]
    values = np.divide(sums[0][full], power, out=np.zeros(len(power)), where=power > 0)
    middles = (np.arange(rings)[full] + 0.5) * highest / rings
    return RingCorrelation(middles, values, _resolution_um(middles, values, highest))


def _transform(voxels: FloatArray) -> FloatArray:
    values = voxels - voxels.mean(dtype=np.float64)
    for axis, size in enumerate(voxels.shape):
        if size > 1:
            values = values * np.hanning(size).reshape([-1 if i == axis else 1 for i in range(3)])
    return np.asarray(scipy.fft.fftn(values.astype(np.float32)))


def _resolution_um(frequency: DoubleArray, values: DoubleArray, highest: float) -> float:
    """Period at the first crossing after which the curve stays below, for this ring and the two after it on average."""
    after = 0
    while after < len(values) and not (
        values[after] < THRESHOLD and values[after : after + AVERAGED].mean() < THRESHOLD
    ):
        after += 1
    if after == len(values):
        return 1 / highest
    if after == 0:
        return float("nan")
    upper, lower = values[after - 1], values[after]
    share = float(np.clip((upper - THRESHOLD) / (upper - lower), 0, 1)) if upper > lower else 1.0
    return float(1 / (frequency[after - 1] + share * (frequency[after] - frequency[after - 1])))
