"""Wide-field and optically sectioned images from frames taken through a grid at several phases.

Through a grid of the frequency k a frame shows ``W + S cos(k r + phase)``: W is the wide-field image, S what lies in
focus, since only there the grid is sharp. The mean over phases in equal steps is W, the modulus of the first harmonic
is S. Both come from the same frames, so they lie on each other voxel by voxel.
"""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.types import FloatArray

MIN_PHASES = 3
"""Three values are unknown in every pixel: the wide-field light, the sectioned light, and where the stripes lie."""


def wide_field(frames: FloatArray) -> FloatArray:
    """The mean of all frames, axes (Y, X); ``frames`` has the axes (angle, phase, Y, X)."""
    return np.asarray(frames.mean(axis=(0, 1), dtype=np.float64), dtype=np.float32)


def section(frames: FloatArray) -> FloatArray:
    """The optical section, axes (Y, X), the mean of those of all angles.

    ``frames`` has the axes (angle, phase, Y, X), three phases or more in equal steps over a turn. In the unit of the
    frames: of stripes that are fully modulated, the light in focus.
    """
    square_law = frames.shape[1] == MIN_PHASES
    sections = [three_phase_section(*angle) if square_law else harmonic_section(angle) for angle in frames]
    return np.asarray(np.mean(sections, axis=0), dtype=np.float32)


def three_phase_section(first: FloatArray, second: FloatArray, third: FloatArray) -> FloatArray:
    """The square law for phases of 0, 120 and 240 degrees (Neil, Juskaitis and Wilson, Opt. Lett. 22, 1905, 1997).

    Scaled by sqrt(2) / 3, which makes it the amplitude of the stripes. All axes (Y, X).
    """
    squares = (first - second) ** 2 + (second - third) ** 2 + (third - first) ** 2
    return np.asarray(np.sqrt(squares) * np.float32(np.sqrt(2) / 3), dtype=np.float32)


def harmonic_section(frames: FloatArray) -> FloatArray:
    """The amplitude of the stripes for any number of phases in equal steps, axes (phase, Y, X) to (Y, X)."""
    return np.asarray(np.abs(first_harmonic(frames)) * (2 / frames.shape[0]), dtype=np.float32)


def first_harmonic(frames: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.complex64]]:
    """The first Fourier coefficient over N phases in equal steps, ``sum I_n exp(-2 pi i n / N)``; complex.

    Synchronous detection, as in phase-stepping interferometry (Bruning et al., Appl. Opt. 13, 2693, 1974). The phases
    are the third axis from the end, which goes: (..., phase, Y, X) to (..., Y, X).
    """
    count = frames.shape[-3]
    turns = np.exp(-2j * np.pi * np.arange(count) / count).astype(np.complex64)
    return np.asarray(np.einsum("...pyx,p->...yx", frames, turns), dtype=np.complex64)
