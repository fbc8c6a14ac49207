"""Cross spectra of two stacks, gathered tile by tile, and how much of each frequency the stacks share.

Welch's method (IEEE Trans. Audio Electroacoust. 15, 70, 1967): tiles of what the stacks have in common are faded out
towards their borders, Fourier transformed, and their cross and power spectra added up. Memory is that of one tile,
whatever the stacks' size.

Frequencies are then grouped into shells of equal ``|kz|`` and lateral ``|k|``. In each, the coherence g says how much
of the two stacks' light varies together; where an optical transfer function passes nothing, or noise or scattered
light prevails, g is near zero. The delay of maximum likelihood weights each frequency by g / (1 - g^2) over its
expected amplitude (Hannan and Thomson, Biometrika 60, 469, 1973; Knapp and Carter, IEEE Trans. ASSP 24, 320, 1976).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil
from typing import Any, TypeVar

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.signal.windows import tukey

from napari_deep3d.core.box import Box
from napari_deep3d.core.events import Clock, Job, Stop, StoppedError
from napari_deep3d.core.types import ComplexArray, DoubleArray, FloatArray, Shape
from napari_deep3d.core.volume import Stack, read_box, shape_of

A = TypeVar("A", bound=NDArray[Any])
Lag = tuple[int, int, int]
"""Whole voxels (Z, Y, X) from a place in the confocal stack to the same place in the wide-field stack."""

TILE: Shape = (96, 256, 256)
FADE = (0.3, 0.2, 0.2)
"""Share of a tile's length over which it is faded in and out, both ends together."""
STRIDE = 0.85
"""Distance of tiles as a share of their length, so that what is faded in one is whole in the next."""
AXIAL_SHELLS, LATERAL_SHELLS = 10, 14
MAX_COHERENCE = 0.97


@dataclass(frozen=True)
class CrossSpectra:
    """Sums over tiles of ``conj(X) Y``, ``|X|^2`` and ``|Y|^2``, X confocal and Y wide-field.

    Attributes
    ----------
    shape
        Voxels (Z, Y, X) of the Fourier grid; the spectra are those of a real FFT of it.
    cross, confocal, widefield
        The three sums.
    lag
        Whole-voxel lag at which the tiles were cut; lags in the spectra come on top of it.
    is_whole
        Whether all tiles were taken.
    """

    shape: Shape
    cross: ComplexArray
    confocal: FloatArray
    widefield: FloatArray
    lag: Lag
    is_whole: bool = True


def shared_boxes(confocal: Shape, widefield: Shape, lag: Lag) -> tuple[Box, Box] | None:
    """What two stacks share at a lag: a box in each, or None if there is nothing."""
    low = [max(0, -shift) for shift in lag]
    high = [min(n, m - shift) for n, m, shift in zip(confocal, widefield, lag, strict=True)]
    if any(stop <= start for start, stop in zip(low, high, strict=True)):
        return None
    own = Box.spanning(low, high)
    return own, own.shifted(lag)


def tile_starts(size: int, tile: int) -> list[int]:
    """Starts of tiles that cover a length evenly, faded parts overlapping."""
    if size <= tile:
        return [0]
    count = ceil((size - tile) / (STRIDE * tile)) + 1
    return [round(i * (size - tile) / (count - 1)) for i in range(count)]


def cross_spectra(
    confocal: Stack,
    widefield: Stack,
    lag: Lag,
    *,
    tile: Shape = TILE,
    most: int | None = None,
    faded: bool = True,
    padding: Shape = (0, 0, 0),
    stop: Stop,
) -> Job[CrossSpectra]:
    """Gather the spectra of what two stacks share at a lag.

    Parameters
    ----------
    confocal, widefield
        Stacks, axes (Z, Y, X), of equal voxel size; read tile by tile.
    lag
        Whole voxels by which the wide-field tile lies further than the confocal one.
    tile
        Largest tile (Z, Y, X).
    most
        Take so many tiles at most, evenly spread; all of them if not given.
    faded
        Whether tiles are made free of their mean and faded out, so that their borders leave no trace.
    padding
        Voxels (Z, Y, X) of zeros behind each tile: lags up to so many do not wrap around.
    stop
        Asked before each tile; raises StoppedError.
    """
    boxes = shared_boxes(shape_of(confocal), shape_of(widefield), lag)
    if boxes is None:
        raise ValueError(f"nothing is shared at lag {lag}")
    size = boxes[0].shape
    tile = (min(tile[0], size[0]), min(tile[1], size[1]), min(tile[2], size[2]))
    grid = fast_shape((tile[0] + padding[0], tile[1] + padding[1], tile[2] + padding[2]))
    half = (grid[0], grid[1], grid[2] // 2 + 1)
    cross = np.zeros(half, dtype=np.complex64)
    powers = [np.zeros(half, dtype=np.float32) for _ in range(2)]
    fade = fade_window(tile) if faded else None
    starts = list(product(*(tile_starts(n, t) for n, t in zip(size, tile, strict=True))))
    is_whole = most is None or len(starts) <= most
    if most is not None and not is_whole:
        starts = [starts[(2 * i + 1) * len(starts) // (2 * most)] for i in range(most)]
    pairs = ((confocal, boxes[0]), (widefield, boxes[1]))
    clock = Clock()
    for done, start in enumerate(starts):
        if stop():
            raise StoppedError
        spectra = [_spectrum(stack, box, start, tile, grid, fade) for stack, box in pairs]
        cross += np.conj(spectra[0]) * spectra[1]
        for power, spectrum in zip(powers, spectra, strict=True):
            power += spectrum.real**2 + spectrum.imag**2
        yield clock.progress(done + 1, len(starts), "comparing the stacks")
    return CrossSpectra(grid, cross, powers[0], powers[1], lag, is_whole)


def _spectrum(
    stack: Stack, box: Box, start: tuple[int, ...], tile: Shape, grid: Shape, fade: FloatArray | None
) -> ComplexArray:
    voxels = read_box(stack, Box.at(start, tile).shifted(box.start))
    if fade is not None:
        voxels = (voxels - voxels.mean(dtype=np.float64).astype(np.float32)) * fade
    return np.asarray(scipy.fft.rfftn(voxels, s=grid, workers=-1), dtype=np.complex64)


def fade_window(shape: Shape) -> FloatArray:
    """A Tukey window along each axis, axes (Z, Y, X)."""
    z, y, x = (tukey(n + 2, share)[1:-1].astype(np.float32) for n, share in zip(shape, FADE, strict=True))
    return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :])


def fast_shape(shape: Shape) -> Shape:
    """The next larger sizes for which an FFT is fast."""
    z, y, x = (scipy.fft.next_fast_len(n, real=True) for n in shape)
    return z, y, x


def frequencies(shape: Shape) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Frequencies of a real FFT in cycles per voxel, as arrays that broadcast to (Z, Y, X)."""
    z, y, x = np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), np.fft.rfftfreq(shape[2])
    return np.asarray(z[:, None, None], float), np.asarray(y[None, :, None], float), np.asarray(x[None, None, :], float)


def phase_of(shape: Shape, lag: DoubleArray) -> ComplexArray:
    """``exp(2 pi i k . lag)`` on the grid of a real FFT: it takes a lag out of a cross spectrum."""
    z, y, x = (np.exp(2j * np.pi * k * d).astype(np.complex64) for k, d in zip(frequencies(shape), lag, strict=True))
    return np.asarray(z * y * x)


@lru_cache(maxsize=8)
def high_pass(shape: Shape, sigma: tuple[float, float, float]) -> FloatArray:
    """Gain of "minus a Gaussian blur" of ``sigma`` voxels (Z, Y, X), on the grid of a real FFT."""
    blur = np.exp(-2 * np.pi**2 * sum((s * k) ** 2 for s, k in zip(sigma, frequencies(shape), strict=True)))
    return _kept(np.asarray(1 - blur, dtype=np.float32))


def _kept(array: A) -> A:
    """An array that is handed out again and again: nobody may change it."""
    array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Shells:
    """What two stacks share in each shell of frequencies.

    Attributes
    ----------
    labels
        Shell of each frequency on the grid, axes (Z, Y, X).
    coherence
        Share of amplitude that varies together, 0 to 1, for each shell.
    weight
        The weight of maximum likelihood for the cross spectrum, for each shell.
    inverse_noise
        One over the power of what is in the wide-field stack and not explained by the confocal one, for each shell.
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
    """Number of the shell of each frequency; shells are narrower towards low frequencies, where spectra are steep."""
    kz, ky, kx = frequencies(shape)
    axial = np.minimum(np.sqrt(np.abs(kz) / 0.5) * AXIAL_SHELLS, AXIAL_SHELLS - 1).astype(np.int32)
    lateral = np.minimum(np.sqrt(np.hypot(ky, kx) / np.sqrt(0.5)) * LATERAL_SHELLS, LATERAL_SHELLS - 1).astype(np.int32)
    return _kept(np.asarray(axial * LATERAL_SHELLS + lateral))


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
