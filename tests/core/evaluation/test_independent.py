"""Resolution figures against the published formulas, computed in another way: voxel by voxel, without radial sums.

Fiji's plugins compute these: FRC (Herbert; Nieuwenhuizen et al. 2013) with rings of one frequency step, and Image
Decorrelation Analysis (Descloux et al. 2019) with one disc for each radius.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_deep3d.core import finish
from napari_deep3d.core.evaluation.resolution import cutoff
from napari_deep3d.core.evaluation.ring_correlation import measure_ring_correlation

SIDE = 128
PIXEL_UM = 0.1
RADII = 100
"""Of the discs; the analysis in one go has twice as many."""


def recording(blur_px: float, noise: float, seed: int) -> np.ndarray:
    """Points behind a Gaussian blur, with noise of its own; the same sample for every seed."""
    sample = np.zeros((SIDE, SIDE))
    sample.ravel()[np.random.default_rng(0).integers(0, sample.size, 300)] = 1
    image = ndi.gaussian_filter(sample, blur_px, mode="wrap")
    return np.asarray(image / image.max() + noise * np.random.default_rng(seed).standard_normal(image.shape))


def published_frc(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """FRC by the nearest ring of each frequency (Fiji's rings), and 1 / k where it first is below 1/7, in um."""
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    a, b = (np.fft.fftshift(np.fft.fft2((image - image.mean()) * window)) for image in (first, second))
    cross, powers = np.zeros(SIDE // 2), np.zeros((2, SIDE // 2))
    for row, column in product(range(SIDE), repeat=2):
        ring = round(np.hypot(row - SIDE // 2, column - SIDE // 2))
        if 0 < ring < SIDE // 2:
            cross[ring] += (a[row, column] * np.conj(b[row, column])).real
            powers[:, ring] += abs(a[row, column]) ** 2, abs(b[row, column]) ** 2
    curve = cross[1:] / np.sqrt(powers[0, 1:] * powers[1, 1:])
    below = next(n for n in range(len(curve)) if curve[n] < 1 / 7)
    rings = below + (curve[below - 1] - 1 / 7) / (curve[below - 1] - curve[below])
    return curve, SIDE * PIXEL_UM / rings


@pytest.mark.parametrize("blur_px", [1.5, 2.5])
def test_ring_correlation(blur_px: float) -> None:
    first, second = recording(blur_px, 0.02, 1), recording(blur_px, 0.02, 2)
    expected, resolution_um = published_frc(first, second)
    found = finish(measure_ring_correlation(first[None], second[None], (1.0, PIXEL_UM, PIXEL_UM)))
    step = 1 / (SIDE * PIXEL_UM)
    theirs = np.interp(found.frequency, step * np.arange(1, SIDE // 2), expected)
    within = found.frequency < 0.8 / resolution_um
    assert found.values[within] == pytest.approx(theirs[within], abs=0.05)
    assert abs(1 / found.resolution_um - 1 / resolution_um) < 1.5 * step


def published_decorrelation(image: np.ndarray) -> float:
    """The farthest peak of all d(r), as a share of the Nyquist frequency: Eq. 1 of Descloux et al., disc by disc."""
    edge = np.minimum((np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) + 0.5) / (0.1 * SIDE), 1)
    fade = 0.5 - 0.5 * np.cos(np.pi * edge)
    ky, kx = np.meshgrid(*2 * [np.fft.fftshift(2 * np.fft.fftfreq(SIDE))], indexing="ij")
    radius = np.hypot(ky, kx)
    spectrum = np.fft.fftshift(np.fft.fft2((image - image.mean()) * np.outer(fade, fade)))
    spectrum[(radius >= 1) | (radius == 0)] = 0
    normed = np.divide(spectrum, np.abs(spectrum), out=np.zeros_like(spectrum), where=spectrum != 0)
    farthest = np.nan
    for width in (None, *np.geomspace(SIDE / 4, 0.15, 20)):
        filtered = spectrum if width is None else spectrum * (1 - np.exp(-0.5 * (np.pi * radius * width) ** 2))
        curve = []
        for r in (np.arange(RADII) + 1) / RADII:
            disc = normed * (radius < r)
            norm = np.sqrt(np.sum(np.abs(filtered) ** 2) * np.sum(np.abs(disc) ** 2))
            curve.append(np.sum((filtered * np.conj(disc)).real) / norm if norm else 0.0)  # no frequency is so low
        for last in range(RADII, 1, -1):  # the farthest place from which the rest of the curve falls
            peak = int(np.argmax(curve[:last]))
            if curve[peak] - min(curve[peak:]) > 1e-3:
                farthest = np.nanmax([farthest, (peak + 1) / RADII])
                break
    return float(farthest)


@pytest.mark.parametrize(("blur_px", "noise"), [(1.5, 0.01), (2.5, 0.01), (2.5, 0.05)])
def test_decorrelation_analysis(blur_px: float, noise: float) -> None:
    image = recording(blur_px, noise, 1)
    assert cutoff([image]) == pytest.approx(published_decorrelation(image), abs=1.5 / RADII)
