"""The lag between two stacks to a fraction of a voxel, from their cross spectrum.

A *lag* is counted in voxels (Z, Y, X), of one size in both stacks: what is at index i of the confocal stack is at
i + lag of the wide-field stack. The *shift* that it stands for is in um between the two stacks' own positions;
:meth:`~.common_grid.CommonGrid.to_um` makes the one of the other.

1. :func:`gather_spectra`. Welch's method (IEEE Trans. Audio Electroacoust. 15, 70, 1967): tiles of what the stacks
   have in common are faded out towards their borders, Fourier transformed, and their cross and power spectra added up.
   Memory is that of one tile, whatever the stacks' size.
2. :func:`measure_shells`. Frequencies are grouped into shells of equal ``|kz|`` and lateral ``|k|``. In each, the
   coherence g says how much of the two stacks' light varies together; where an optical transfer function passes
   nothing, or noise or scattered light prevails, g is near zero. The lag of maximum likelihood weights each frequency
   by g^2 / (1 - g^2) over the size of the cross spectrum, which is g times the stacks' amplitudes: by g / (1 - g^2)
   over these (Hannan and Thomson, Biometrika 60, 469, 1973; Knapp and Carter, IEEE Trans. ASSP 24, 320, 1976).
3. :func:`find_subpixel_shift`. The maximum of the correlation with these weights, how far it stands out, and how
   exact it can be.
4. :func:`lag_window`. Any correlation, for every whole-voxel lag around one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from math import ceil

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal.windows import tukey
from threadpoolctl import ThreadpoolController

from napari_deep3d.core import (
    Box,
    Clock,
    ComplexArray,
    DoubleArray,
    FloatArray,
    Job,
    Shape,
    Stack,
    Stop,
    StoppedError,
    Vector,
    read_box,
    shape_of,
    zyx,
)

Lag = tuple[int, int, int]
"""Whole voxels (Z, Y, X) from a place in the confocal stack to the same place in the wide-field stack."""

TILE: Shape = (96, 256, 256)
FADED_SHARE = (0.3, 0.2, 0.2)
"""Share of a tile's length over which it is faded in and out, both ends together."""
TILE_STRIDE = 0.85
"""Distance of tiles as a share of their length, so that what is faded in one is whole in the next."""
AXIAL_SHELLS, LATERAL_SHELLS = 10, 14
MAX_COHERENCE = 0.97
HIGH_PASS_SIGMA: Vector = (2.0, 6.0, 6.0)
"""The slow part of the light, haze above all, is left out: minus a Gaussian blur of so many voxels (Z, Y, X)."""
LOW_PASS_SIGMA: Vector = (0.5, 1.2, 1.2)
"""Blur in voxels (Z, Y, X) that takes the noise out of a whitened cross spectrum."""
WHITENING = 0.8
"""Power of the amplitude that a cross spectrum is divided by; 0 is cross-correlation, 1 phase correlation."""
LAG_REACH: Shape = (8, 16, 16)
"""Lags (Z, Y, X) around the one at which the tiles were cut that are looked at."""
WEIGHT_ROUNDS = 3
REFINING_GRIDS = ((1.0, 0.25), (0.3, 0.05))
"""Half-width and step, in voxels, of the grids on which a maximum is sought, one after the other."""
PEAK_SURROUNDINGS: Shape = (4, 10, 10)
"""Lags (Z, Y, X) on either side of a peak that belong to it."""

_blas = cache(ThreadpoolController)


# 1. The spectra of what two stacks share


@dataclass(frozen=True)
class CrossSpectra:
    """Sums over tiles of ``conj(X) Y``, ``|X|^2`` and ``|Y|^2``, X confocal and Y wide-field.

    Attributes
    ----------
    shape : Shape
        Voxels (Z, Y, X) of the Fourier grid; the spectra are those of a real FFT of it.
    cross, confocal, widefield
        The three sums.
    lag : Lag
        Whole-voxel lag at which the tiles were cut; lags in the spectra come on top of it.
    is_whole : bool
        Whether all tiles were taken.
    """

    shape: Shape
    cross: ComplexArray
    confocal: FloatArray
    widefield: FloatArray
    lag: Lag
    is_whole: bool = True


def gather_spectra(
    confocal: Stack,
    widefield: Stack,
    lag: Lag,
    *,
    tile: Shape = TILE,
    max_tiles: int | None = None,
    faded: bool = True,
    padding: Shape = (0, 0, 0),
    stop: Stop,
) -> Job[CrossSpectra]:
    """Gather the spectra of what two stacks share at a lag.

    Parameters
    ----------
    confocal, widefield : Stack
        Axes (Z, Y, X), of equal voxel size; read tile by tile.
    lag : Lag
        How much further the wide-field tile lies than the confocal one.
    tile : Shape
        Size of the largest tile in voxels (Z, Y, X).
    max_tiles : int | None
        Take so many tiles at most, evenly spread; all of them if not given.
    faded : bool
        Whether tiles are made free of their mean and faded out, so that their borders leave no trace.
    padding : Shape
        Zeros (Z, Y, X) behind each tile: lags up to so many voxels do not wrap around.
    stop : Stop
        Asked before each tile; raises StoppedError.
    """
    boxes = shared_boxes(shape_of(confocal), shape_of(widefield), lag)
    if boxes is None:
        raise ValueError(f"nothing is shared at lag {lag}")
    size = boxes[0].shape
    tile = zyx(min(t, n) for t, n in zip(tile, size, strict=True))
    grid = fast_shape(zyx(t + p for t, p in zip(tile, padding, strict=True)))
    starts = list(product(*(tile_starts(n, t) for n, t in zip(size, tile, strict=True))))
    is_whole = max_tiles is None or len(starts) <= max_tiles
    if max_tiles is not None and not is_whole:
        starts = [starts[(2 * i + 1) * len(starts) // (2 * max_tiles)] for i in range(max_tiles)]
    fade = fade_window(tile) if faded else None
    half = (grid[0], grid[1], grid[2] // 2 + 1)
    cross = np.zeros(half, dtype=np.complex64)
    powers = [np.zeros(half, dtype=np.float32) for _ in range(2)]
    clock = Clock()
    for done, start in enumerate(starts):
        if stop():
            raise StoppedError
        spectra: list[ComplexArray] = []
        for stack, box in ((confocal, boxes[0]), (widefield, boxes[1])):
            voxels = read_box(stack, Box.at(start, tile).shifted(box.start))
            if fade is not None:
                voxels = (voxels - voxels.mean(dtype=np.float64).astype(np.float32)) * fade
            spectra.append(np.asarray(scipy.fft.rfftn(voxels, s=grid, workers=-1), dtype=np.complex64))
        cross += np.conj(spectra[0]) * spectra[1]
        for power, spectrum in zip(powers, spectra, strict=True):
            power += spectrum.real**2 + spectrum.imag**2
        yield clock.progress(done + 1, len(starts), "comparing the stacks")
    return CrossSpectra(grid, cross, powers[0], powers[1], lag, is_whole)


def shared_boxes(confocal: Shape, widefield: Shape, lag: Lag) -> tuple[Box, Box] | None:
    """What two stacks share at a lag: a box in each, or None if there is nothing."""
    low = [max(0, -d) for d in lag]
    high = [min(n, m - d) for n, m, d in zip(confocal, widefield, lag, strict=True)]
    if any(stop <= start for start, stop in zip(low, high, strict=True)):
        return None
    own = Box.spanning(low, high)
    return own, own.shifted(lag)


def tile_starts(size: int, tile: int) -> list[int]:
    """Starts of tiles that cover a length evenly, faded parts overlapping."""
    if size <= tile:
        return [0]
    count = ceil((size - tile) / (TILE_STRIDE * tile)) + 1
    return [round(i * (size - tile) / (count - 1)) for i in range(count)]


def fade_window(shape: Shape) -> FloatArray:
    """A Tukey window along each axis, axes (Z, Y, X)."""
    z, y, x = (tukey(n + 2, share)[1:-1].astype(np.float32) for n, share in zip(shape, FADED_SHARE, strict=True))
    return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :])


def fast_shape(shape: Shape) -> Shape:
    """The next larger sizes for which an FFT is fast."""
    return zyx(scipy.fft.next_fast_len(n, real=True) for n in shape)


def frequencies(shape: Shape) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Frequencies of a real FFT in cycles per voxel, as arrays that broadcast to (Z, Y, X)."""
    z, y, x = np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])
    return np.asarray(z[:, None, None], float), np.asarray(y[None, :, None], float), np.asarray(x[None, None, :], float)


def phase_of(shape: Shape, lag: DoubleArray) -> ComplexArray:
    """``exp(2 pi i k . lag)`` on the grid of a real FFT: it takes a lag out of a cross spectrum."""
    z, y, x = (np.exp(2j * np.pi * k * d).astype(np.complex64) for k, d in zip(frequencies(shape), lag, strict=True))
    return np.asarray(z * y * x)


@lru_cache(maxsize=8)
def high_pass(shape: Shape, sigma: Vector) -> FloatArray:
    """Gain of "minus a Gaussian blur" of ``sigma`` voxels (Z, Y, X), on the grid of a real FFT; read-only."""
    blur = np.exp(-2 * np.pi**2 * sum((s * k) ** 2 for s, k in zip(sigma, frequencies(shape), strict=True)))
    gain = np.asarray(1 - blur, dtype=np.float32)
    gain.flags.writeable = False  # it is handed out again and again
    return gain


def whiten(cross: ComplexArray, shape: Shape) -> ComplexArray:
    """Make structures of all sizes count nearly alike in a cross spectrum, without haze and noise; changed in place."""
    size = np.abs(cross)
    cross /= np.maximum(size, 1e-6 * size.mean() + 1e-30) ** WHITENING
    cross *= high_pass(shape, HIGH_PASS_SIGMA) ** 2 * (1 - high_pass(shape, LOW_PASS_SIGMA))
    return cross


def correlation(cross: ComplexArray, shape: Shape) -> FloatArray:
    """The correlation of a cross spectrum for every lag, axes (Z, Y, X); negative lags count from the end."""
    return np.asarray(scipy.fft.irfftn(cross, s=shape, workers=-1), dtype=np.float32)


def highest_lag(match: FloatArray, low: Lag, high: Lag) -> Lag:
    """The lag from ``low`` to ``high``, both included, at which a :func:`correlation` is largest."""
    lags = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    inside: FloatArray = match[np.ix_(*lags)]
    best = np.unravel_index(int(inside.argmax()), inside.shape)
    return zyx(int(axis[i]) for axis, i in zip(lags, best, strict=True))


# 2. How much of each frequency the stacks share


@dataclass(frozen=True)
class Shells:
    """What two stacks share in each shell of frequencies.

    Attributes
    ----------
    labels : NDArray[np.int32]
        Shell of each frequency on the grid, axes (Z, Y, X).
    coherence : DoubleArray
        Share of amplitude that varies together, 0 to 1, for each shell.
    weight : DoubleArray
        The weight of maximum likelihood for the cross spectrum, for each shell.
    inverse_noise : DoubleArray
        One over the power, for each shell, of what the wide-field stack holds beyond the confocal one.
    """

    labels: NDArray[np.int32]
    coherence: DoubleArray
    weight: DoubleArray
    inverse_noise: DoubleArray

    def on_grid(self, values: DoubleArray) -> FloatArray:
        """Values of the shells at each frequency of the grid."""
        return np.asarray(values.astype(np.float32)[self.labels])


@lru_cache(maxsize=4)
def shell_labels(shape: Shape) -> NDArray[np.int32]:
    """Number of each frequency's shell, narrower towards low ones, where spectra are steep; read-only."""
    kz, ky, kx = frequencies(shape)
    axial = np.minimum(np.sqrt(np.abs(kz) / 0.5) * AXIAL_SHELLS, AXIAL_SHELLS - 1).astype(np.int32)
    lateral = np.minimum(np.sqrt(np.hypot(ky, kx) / np.sqrt(0.5)) * LATERAL_SHELLS, LATERAL_SHELLS - 1).astype(np.int32)
    labels = np.asarray(axial * LATERAL_SHELLS + lateral)
    labels.flags.writeable = False
    return labels


def measure_shells(spectra: CrossSpectra, lag: DoubleArray) -> Shells:
    """Coherence and weights of two stacks that lie ``lag`` voxels apart (on top of the spectra's own lag)."""
    labels = shell_labels(spectra.shape)
    flat, shells = labels.ravel(), AXIAL_SHELLS * LATERAL_SHELLS

    def total(values: FloatArray) -> DoubleArray:
        return np.asarray(np.bincount(flat, values.ravel(), shells), dtype=np.float64)

    shared = total((spectra.cross * phase_of(spectra.shape, lag)).real)
    confocal, widefield = total(spectra.confocal), total(spectra.widefield)
    count = np.bincount(flat, minlength=shells)
    amplitude = np.sqrt(confocal * widefield)
    found = np.divide(shared, amplitude, out=np.zeros(shells), where=amplitude > 0)
    # of unrelated stacks, coherence is about one over the root of the number of frequencies: chance, not signal
    coherence = np.clip(found - 1 / np.sqrt(np.maximum(count, 1)), 0, MAX_COHERENCE)
    gain = coherence / (1 - coherence**2) * count
    weight = np.divide(gain, amplitude, out=np.zeros(shells), where=amplitude > 0)
    quiet = np.divide(count, widefield * (1 - coherence**2), out=np.zeros(shells), where=(widefield > 0) & (gain > 0))
    return Shells(labels, coherence, weight, quiet)


# 3. The lag of maximum likelihood


@dataclass(frozen=True)
class SubpixelShift:
    """A lag between two stacks to a fraction of a voxel, and what speaks for it.

    Attributes
    ----------
    lag : DoubleArray
        Voxels (Z, Y, X), on top of the lag at which the tiles were cut.
    prominence : float
        Height of the match at the lag over the usual height (root mean square) elsewhere.
    deviation : DoubleArray
        Standard deviation of the lag in voxels (Z, Y, X) that the coherence allows (Cramer-Rao).
    shells : Shells
        The weights that led to it.
    """

    lag: DoubleArray
    prominence: float
    deviation: DoubleArray
    shells: Shells


def find_subpixel_shift(spectra: CrossSpectra, reach: Shape = LAG_REACH) -> SubpixelShift:
    """Find the lag of maximum likelihood, up to ``reach`` voxels (Z, Y, X) either way."""
    shape = spectra.shape
    high = zyx(min(r, (n - 1) // 2) for r, n in zip(reach, shape, strict=True))
    low = zyx(-r for r in high)

    # 1. A start to the whole voxel: the peak of the whitened correlation.
    start = correlation(whiten(spectra.cross.copy(), shape), shape)
    lag = np.array(highest_lag(start, low, high), dtype=np.float64)

    # 2. The weights follow from the lag and the lag from the weights: one after the other, some rounds.
    fast = high_pass(shape, HIGH_PASS_SIGMA) ** 2
    for _ in range(WEIGHT_ROUNDS):
        shells = measure_shells(spectra, lag)
        weighted = spectra.cross * (shells.on_grid(shells.weight) * fast)
        match = correlation(weighted, shape)
        lag = refine_peak(weighted, shape, np.array(highest_lag(match, low, high), dtype=np.float64))

    # 3. Prominence: the peak over the root mean square of all that is not around it. Lags wrap around.
    peak = np.round(lag).astype(int)
    radius = (min(r, (n - 1) // 2) for r, n in zip(PEAK_SURROUNDINGS, shape, strict=True))
    near = [np.arange(p - r, p + r + 1) % n for p, r, n in zip(peak, radius, shape, strict=True)]
    far = np.ones(shape, dtype=bool)
    far[np.ix_(*near)] = False
    usual = float(np.sqrt(np.mean(match[far] ** 2))) if far.any() else 0.0
    prominence = float(match[tuple(peak)]) / usual if usual > 0 else 0.0

    # 4. Cramer-Rao bound: one over the root of the Fisher information that the coherence g leaves, the sum of
    #    (2 pi k)^2 g^2 / (1 - g^2) over all frequencies. A real FFT keeps one of two conjugate ones.
    coherence = shells.on_grid(shells.coherence)
    signal = coherence**2 / (1 - coherence**2)
    signal[..., 1:] *= 2
    information = [float(np.sum(signal * (2 * np.pi * k) ** 2)) for k in frequencies(shape)]
    deviation = np.array([1 / np.sqrt(value) if value > 0 else np.inf for value in information])
    return SubpixelShift(lag, prominence, deviation, shells)


def refine_peak(cross: ComplexArray, shape: Shape, lag: DoubleArray) -> DoubleArray:
    """Sub-voxel maximum of a correlation near ``lag``: its spectrum evaluated on ever finer grids, then a parabola.

    The matrix product of Guizar-Sicairos et al. (Opt. Lett. 33, 156, 2008), in 3D.
    """
    k = [axis.ravel() for axis in frequencies(shape)]
    twice = np.full(k[2].size, 2.0, dtype=np.float32)  # a real FFT keeps one of two conjugate frequencies
    twice[0] = 1.0
    if shape[2] % 2 == 0:
        twice[-1] = 1.0
    with _blas().limit(limits=1, user_api="blas"):  # waking threads for such small products takes longer than these
        for half, step in REFINING_GRIDS:
            offsets = np.arange(-half, half + 1e-9, step)
            waves = [np.exp(2j * np.pi * np.outer(lag[i] + offsets, k[i])).astype(np.complex64) for i in range(3)]
            along_z = np.tensordot(waves[0], cross, (1, 0))
            along_y = np.tensordot(waves[1], along_z, (1, 1))
            values = np.tensordot(along_y, waves[2] * twice, (2, 1)).real.transpose(1, 0, 2)
            best = np.unravel_index(int(values.argmax()), values.shape)
            lag = lag + offsets[list(best)] + step * parabola(values, best)
    return np.asarray(lag)


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


# 4. Correlations for every lag of a window


def lag_window(cross: ComplexArray, shape: Shape, lag: DoubleArray, radius: Shape) -> FloatArray:
    """Cut a correlation out of its spectrum: the lags within ``radius`` of the whole-voxel ``lag``."""
    match = correlation(cross * phase_of(shape, np.round(lag)), shape)
    return np.asarray(match[np.ix_(*(np.arange(-r, r + 1) for r in radius))])
