"""Where two stacks lie on each other, to the voxel of a reduced copy, over every shift that leaves enough in common."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import scipy.fft

from napari_deep3d.core import (
    Box,
    FloatArray,
    InputError,
    Shape,
    Stack,
    Stop,
    StoppedError,
    Vector,
    read_box,
    shape_of,
    zyx,
)
from napari_deep3d.core.registration.cross_spectrum import (
    Lag,
    correlation,
    fade_window,
    fast_shape,
    highest_lag,
    whiten,
)

REDUCED: Shape = (160, 320, 320)
"""Sizes (Z, Y, X) of the reduced copies, at most."""
MIN_SHARED = 1 / 3
"""Share of the smaller stack, along each axis, that must overlap."""


@dataclass(frozen=True)
class LagRange:
    """Lags (Z, Y, X) in voxels that are searched, both ends included."""

    low: Lag
    high: Lag


def lag_range(confocal: Shape, widefield: Shape, max_lag: Vector | None = None, around: Lag = (0, 0, 0)) -> LagRange:
    """Lags at which two stacks share enough, cut to ``max_lag`` voxels either way of a lag where it is given.

    InputError if they share too little at all of these.
    """
    low, high = [], []
    bounds = (np.inf, np.inf, np.inf) if max_lag is None else max_lag
    for own, other, bound, middle in zip(confocal, widefield, bounds, around, strict=True):
        shared = ceil(MIN_SHARED * min(own, other))
        low.append(int(max(shared - own, middle - np.floor(bound))))
        high.append(int(min(other - shared, middle + np.floor(bound))))
    if any(a > b for a, b in zip(low, high, strict=True)):
        raise InputError(
            "within the largest shift allowed, what is image in the two stacks has too little in common. Allow a "
            "larger shift, or crop the stacks."
        )
    return LagRange(zyx(low), zyx(high))


def reduction(confocal: Shape, widefield: Shape) -> Shape:
    """Whole numbers of voxels to average along (Z, Y, X); y and x alike."""
    z, y, x = (ceil(max(a, b) / most) for a, b, most in zip(confocal, widefield, REDUCED, strict=True))
    return z, max(y, x), max(y, x)


def reduce_stack(stack: Stack, factors: Shape, stop: Stop) -> FloatArray:
    """Average blocks of ``factors`` voxels (Z, Y, X), read plane by plane; what is left over at the ends is cut off."""
    fz, fy, fx = factors
    depth, rows, columns = (n // f for n, f in zip(stack.shape, factors, strict=True))
    out = np.zeros((depth, rows, columns), dtype=np.float32)
    for z in range(depth * fz):
        if stop():
            raise StoppedError
        plane = read_box(stack, Box.at((z, 0, 0), (1, rows * fy, columns * fx)))[0]
        out[z // fz] += plane.reshape(rows, fy, columns, fx).mean(axis=(1, 3)) / fz
    return out


def coarse_lag(confocal: Stack, widefield: Stack, searched: LagRange, stop: Stop) -> Lag:
    """Find the lag (Z, Y, X) at which the stacks match best, to about ``reduction`` voxels.

    The maximum of their cross-correlation after whitening: structures count, not the bulk of the light. Stacks are
    faded towards their borders and padded, so that no lag wraps around.
    """
    shapes = [shape_of(stack) for stack in (confocal, widefield)]
    factors = reduction(*shapes)
    images = [reduce_stack(stack, factors, stop) for stack in (confocal, widefield)]
    grid = fast_shape(zyx(a + b for a, b in zip(images[0].shape, images[1].shape, strict=True)))
    spectra = [
        scipy.fft.rfftn((image - image.mean()) * fade_window(shape_of(image)), s=grid, workers=-1) for image in images
    ]
    match = correlation(whiten(np.conj(spectra[0]) * spectra[1], grid), grid)
    low = zyx(ceil(a / f) for a, f in zip(searched.low, factors, strict=True))
    high = zyx(max(b // f, a) for b, a, f in zip(searched.high, low, factors, strict=True))
    return zyx(d * f for d, f in zip(highest_lag(match, low, high), factors, strict=True))
