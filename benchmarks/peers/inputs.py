"""What is measured on: stacks of noise, and pairs of known shift, as .npy files that every program can read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.fft
import scipy.ndimage as ndi
from numpy.typing import NDArray

from benchmarks.peers.given import CONFOCAL, PSF, SPACING_UM, STACK, WIDEFIELD
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.simulation.psf import widefield_psf

SHIFT = (2.3, -7.4, 12.25)
"""Of the wide-field stack against the confocal one, in voxels."""
TILE = 256
PSF_PLANES, PSF_PIXELS = 31, 63


def make_stack(folder: Path, shape: tuple[int, ...]) -> None:
    """Write noise, uint16, axes (Z, Y, X), and a wide-field PSF; what is in them does not change the programs' times.

    Light is everywhere, so that no part of the stack can be passed over as empty.
    """
    rng = np.random.default_rng(0)
    np.save(folder / STACK, rng.integers(100, 1000, shape, dtype=np.uint16))
    psf = widefield_psf(Microscope(), SPACING_UM, PSF_PLANES)
    edge = max(0, (psf.shape[1] - PSF_PIXELS) // 2)
    inner = psf[:, edge : psf.shape[1] - edge, edge : psf.shape[2] - edge]
    np.save(folder / PSF, inner / inner.sum())


def make_pair(folder: Path, shape: tuple[int, ...]) -> None:
    """Write a confocal and a wide-field stack: random spots, and the same blurred, noisy and moved by ``SHIFT``."""
    rng = np.random.default_rng(0)
    confocal, widefield = np.empty(shape, np.uint16), np.empty(shape, np.uint16)
    for y in range(0, shape[1], TILE):
        for x in range(0, shape[2], TILE):
            box = np.s_[:, y : y + TILE, x : x + TILE]
            confocal[box], widefield[box] = _spots(rng, confocal[box].shape)
    np.save(folder / CONFOCAL, confocal)
    np.save(folder / WIDEFIELD, widefield)


def _spots(rng: np.random.Generator, shape: tuple[int, ...]) -> list[NDArray[np.uint16]]:
    """A part of both stacks; what is moved out at one side comes in at the other."""
    spots = np.zeros(shape, np.float32)
    spots.ravel()[rng.integers(0, spots.size, spots.size // 2000)] = 1
    sharp = ndi.gaussian_filter(spots, (1, 1.5, 1.5), mode="wrap", truncate=3)
    blurred = ndi.gaussian_filter(spots, (4, 3, 3), mode="wrap", truncate=3)
    moved = scipy.fft.irfftn(ndi.fourier_shift(scipy.fft.rfftn(blurred), SHIFT, n=shape[2]), shape)
    images = sharp, np.maximum(moved, 0)
    return [rng.poisson(image * (500 / image.max()) + 20).astype(np.uint16) for image in images]
