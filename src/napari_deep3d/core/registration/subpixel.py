"""From gathered spectra to a sub-voxel lag, to how sure it is, and to windows of lags."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from napari_deep3d.core.registration.coarse import SMOOTHING, WHITENING
from napari_deep3d.core.registration.cross_spectrum import (
    CrossSpectra,
    Shells,
    frequencies,
    high_pass,
    measure_shells,
    phase_of,
)
from napari_deep3d.core.types import ComplexArray, DoubleArray, FloatArray, Shape

REACH: Shape = (8, 16, 16)
"""Lags (Z, Y, X) around the one at which the tiles were cut that are looked at."""
ROUNDS = 3
GRIDS = ((1.0, 0.25), (0.3, 0.05))
"""Half-width and step, in voxels, of the grids on which the maximum is sought, one after the other."""
BAND_PASS = (2.0, 6.0, 6.0)
"""The slow part of the light, haze above all, is left out: minus a Gaussian blur of so many voxels (Z, Y, X)."""


@dataclass(frozen=True)
class SubpixelShift:
    """A lag between two stacks, and what speaks for it.

    Attributes
    ----------
    lag
        Voxels (Z, Y, X), on top of the lag at which the tiles were cut.
    prominence
        Height of the match at the lag over the usual height (root mean square) elsewhere.
    deviation
        Standard deviation of the lag in voxels (Z, Y, X) that the coherence allows (Cramer-Rao).
    shells
        The weights that led to it.
    """

    lag: DoubleArray
    prominence: float
    deviation: DoubleArray
    shells: Shells


def find_subpixel_shift(spectra: CrossSpectra, reach: Shape = REACH) -> SubpixelShift:
    """Lag of maximum likelihood: weights and lag in turn, from a whitened start.

    Parameters
    ----------
    spectra
        Of the two stacks.
    reach
        Largest lag (Z, Y, X), in voxels, to consider.
    """
    size = np.abs(spectra.cross)
    start = spectra.cross / np.maximum(size, 1e-6 * size.mean() + 1e-30) ** WHITENING
    start *= high_pass(spectra.shape, BAND_PASS) ** 2 * (1 - high_pass(spectra.shape, SMOOTHING))
    lag = _peak_lag(_lags(start, spectra.shape), reach)
    for _ in range(ROUNDS):
        shells = measure_shells(spectra, lag)
        weighted = weighted_cross(spectra, shells)
        match = _lags(weighted, spectra.shape)
        lag = refine_peak(weighted, spectra.shape, _peak_lag(match, reach))
    return SubpixelShift(lag, _prominence(match, lag), _deviation(spectra.shape, shells), shells)


def weighted_cross(spectra: CrossSpectra, shells: Shells) -> ComplexArray:
    """The cross spectrum with the weights of maximum likelihood, slow parts left out."""
    gain = shells.on_grid(shells.weight) * high_pass(spectra.shape, BAND_PASS) ** 2
    return np.asarray(spectra.cross * gain, dtype=np.complex64)


def _lags(cross: ComplexArray, shape: Shape) -> FloatArray:
    return np.asarray(scipy.fft.irfftn(cross, s=shape, workers=-1), dtype=np.float32)


def _peak_lag(match: FloatArray, reach: Shape) -> DoubleArray:
    """Whole-voxel lag of the maximum within reach."""
    lags = [np.arange(-r, r + 1) for r in _within(reach, match.shape)]
    inside = match[np.ix_(*lags)]
    best = np.unravel_index(int(inside.argmax()), inside.shape)
    return np.array([float(axis[i]) for axis, i in zip(lags, best, strict=True)])


def _within(reach: Shape, shape: tuple[int, ...]) -> Shape:
    z, y, x = (min(r, (n - 1) // 2) for r, n in zip(reach, shape, strict=True))
    return z, y, x


def refine_peak(cross: ComplexArray, shape: Shape, lag: DoubleArray) -> DoubleArray:
    """Sub-voxel maximum of a correlation near ``lag``: its spectrum evaluated on ever finer grids, then a parabola.

    The matrix product of Guizar-Sicairos et al. (Opt. Lett. 33, 156, 2008), in 3D.
    """
    k = [axis.ravel() for axis in frequencies(shape)]
    twice = np.full(k[2].size, 2.0)  # a real FFT keeps one of two conjugate frequencies
    twice[0] = 1.0
    if shape[2] % 2 == 0:
        twice[-1] = 1.0
    with single_threaded():  # waking threads for such small products takes longer than the products
        return _climb(cross, k, twice.astype(np.float32), lag)


def _climb(cross: ComplexArray, k: list[DoubleArray], twice: FloatArray, lag: DoubleArray) -> DoubleArray:
    for half, step in GRIDS:
        offsets = np.arange(-half, half + 1e-9, step)
        waves = [np.exp(2j * np.pi * np.outer(lag[i] + offsets, k[i])).astype(np.complex64) for i in range(3)]
        along_z = np.tensordot(waves[0], cross, (1, 0))
        along_y = np.tensordot(waves[1], along_z, (1, 1))
        values = np.tensordot(along_y, waves[2] * twice, (2, 1)).real.transpose(1, 0, 2)
        best = np.unravel_index(int(values.argmax()), values.shape)
        lag = lag + offsets[list(best)] + step * parabola(values, best)
    return np.asarray(lag)


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def single_threaded() -> AbstractContextManager[object]:
    """Keep NumPy's matrix products to one thread."""
    limited: AbstractContextManager[object] = _blas().limit(limits=1, user_api="blas")
    return limited


def parabola(values: NDArray[np.floating], peak: tuple[np.intp, ...]) -> DoubleArray:
    """Offset of the vertex of the parabola through a maximum and its two neighbours along each axis; 0 at a border."""
    offset = np.zeros(3)
    for axis in range(3):
        others = tuple(int(p) for i, p in enumerate(peak) if i != axis)
        line = np.moveaxis(values, axis, -1)[others]
        i = int(peak[axis])
        if 0 < i < line.size - 1:
            before, here, after = (float(v) for v in line[i - 1 : i + 2])
            bend = before - 2 * here + after
            offset[axis] = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return offset


def _prominence(match: FloatArray, lag: DoubleArray) -> float:
    """Peak of a correlation over its root mean square outside the peak's surroundings."""
    peak = np.round(lag).astype(int)
    near = [np.arange(p - r, p + r + 1) for p, r in zip(peak, _within((4, 10, 10), match.shape), strict=True)]
    far = np.ones(match.shape, dtype=bool)
    far[np.ix_(*(np.unique(axis % n) for axis, n in zip(near, match.shape, strict=True)))] = False
    usual = float(np.sqrt(np.mean(match[far] ** 2))) if far.any() else 0.0
    return float(match[tuple(peak)]) / usual if usual > 0 else 0.0


def _deviation(shape: Shape, shells: Shells) -> DoubleArray:
    """Cramer-Rao bound of the lag, voxels (Z, Y, X), for the measured coherence."""
    coherence = shells.on_grid(shells.coherence)
    known = coherence**2 / (1 - coherence**2)
    known[..., 1:] *= 2
    information = [float(np.sum(known * (2 * np.pi * k) ** 2)) for k in frequencies(shape)]
    return np.array([1 / np.sqrt(value) if value > 0 else np.inf for value in information])


def lag_window(cross: ComplexArray, shape: Shape, lag: DoubleArray, radius: Shape) -> FloatArray:
    """Cut a correlation out of its spectrum: the lags within ``radius`` of the whole-voxel ``lag``."""
    match = _lags(cross * phase_of(shape, np.round(lag)), shape)
    return np.asarray(match[np.ix_(*(np.arange(-r, r + 1) for r in radius))])
