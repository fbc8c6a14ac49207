"""Where two stacks lie on each other, to the voxel of a reduced copy, over every shift that leaves enough in common."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
import scipy.fft

from napari_deep3d.core.box import Box
from napari_deep3d.core.events import Stop, StoppedError
from napari_deep3d.core.registration.cross_spectrum import Lag, fade_window, fast_shape, high_pass
from napari_deep3d.core.types import FloatArray, Shape
from napari_deep3d.core.volume import Stack, read_box, shape_of

REDUCED: Shape = (160, 320, 320)
"""Sizes (Z, Y, X) of the reduced copies, at most."""
MIN_SHARED = 1 / 3
"""Share of the smaller stack, along each axis, that must overlap."""
WHITENING = 0.8
"""Power of the amplitude that the cross spectrum is divided by; 0 is cross-correlation, 1 phase correlation."""
SMOOTHING = (0.5, 1.2, 1.2)


@dataclass(frozen=True)
class LagRange:
    """Lags (Z, Y, X) in voxels that are searched, both ends included."""

    low: Lag
    high: Lag


def lag_range(confocal: Shape, widefield: Shape, max_lag: tuple[float, float, float] | None = None) -> LagRange:
    """Lags at which two stacks share enough, cut to ``max_lag`` voxels either way where it is given."""
    low, high = [], []
    for axis, (own, other) in enumerate(zip(confocal, widefield, strict=True)):
        least = ceil(MIN_SHARED * min(own, other))
        bound = float("inf") if max_lag is None else max_lag[axis]
        low.append(int(max(least - own, -np.floor(bound))))
        high.append(int(min(other - least, np.floor(bound))))
    return LagRange((low[0], low[1], low[2]), (high[0], high[1], high[2]))


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
    sizes = [shape_of(image) for image in images]
    grid = fast_shape((sizes[0][0] + sizes[1][0], sizes[0][1] + sizes[1][1], sizes[0][2] + sizes[1][2]))
    spectra = [
        scipy.fft.rfftn((image - image.mean()) * fade_window(size), s=grid, workers=-1)
        for image, size in zip(images, sizes, strict=True)
    ]
    cross = np.conj(spectra[0]) * spectra[1]
    size = np.abs(cross)
    cross /= np.maximum(size, 1e-6 * size.mean() + 1e-30) ** WHITENING
    cross *= high_pass(grid, (2, 6, 6)) ** 2 * (1 - high_pass(grid, SMOOTHING))
    match = scipy.fft.irfftn(cross, s=grid, workers=-1)
    low = [int(np.ceil(a / f)) for a, f in zip(searched.low, factors, strict=True)]
    high = [max(int(np.floor(b / f)), a) for b, a, f in zip(searched.high, low, factors, strict=True)]
    lags = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    inside: FloatArray = match[np.ix_(*lags)]
    best = np.unravel_index(int(inside.argmax()), inside.shape)
    z, y, x = (int(axis[i]) * f for axis, i, f in zip(lags, best, factors, strict=True))
    return z, y, x
