"""The point spread function between two stacks, and their cross-correlation, for every shift near the one found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from napari_deep3d.core import DoubleArray, Job, Shape, Stop, intensity_range, zyx
from napari_deep3d.core.registration.common_grid import CommonGrid
from napari_deep3d.core.registration.cross_spectrum import (
    HIGH_PASS_SIGMA,
    CrossSpectra,
    SubpixelShift,
    gather_spectra,
    high_pass,
    lag_window,
)
from napari_deep3d.core.registration.primal_dual import PsfProblem, solve
from napari_deep3d.core.registration.result import ShiftMap

PSF_RADIUS: Shape = (8, 10, 10)
"""Lags (Z, Y, X) on either side of the peak on which the PSF is estimated."""
VARIATION_WEIGHT = 0.005
"""Weight of the total variation as a share of the largest value of b; above it everything would be flat."""
ENERGY_WEIGHT = 0.0
"""Without the stacks' slow parts nothing says how much light there is in all, and the peak needs no such constraint."""
ITERATIONS = 150
PAPER_LAMBDA, PAPER_MU = 1.0, 10.0
"""As printed, for intensities in [0, 1]."""


class ShiftMaps(NamedTuple):
    """The PSF, and the cross-correlation of the stacks without their slow parts and as they are."""

    psf: ShiftMap
    filtered_correlation: ShiftMap
    plain_correlation: ShiftMap


def shift_maps(grids: CommonGrid, spectra: CrossSpectra, estimate: SubpixelShift, stop: Stop) -> ShiftMaps:
    """PSF, filtered and plain cross-correlation around the lag that was found from the spectra, with its weights.

    ``stop`` is asked between iterations; the PSF so far is returned.
    """
    shape, lag = spectra.shape, estimate.lag
    radius = zyx(max(1, min(r, (n - 1) // 4)) for r, n in zip(PSF_RADIUS, shape, strict=True))

    # 1. The parts of Eq. 3, weighted by frequency with one over the power of what the confocal stack does not explain.
    fast = high_pass(shape, HIGH_PASS_SIGMA) ** 2
    weight = estimate.shells.on_grid(estimate.shells.inverse_noise) * fast
    cross = lag_window(spectra.cross * weight, shape, lag, radius)
    power = (spectra.confocal * weight).astype(np.complex64)
    auto = lag_window(power, shape, np.zeros(3), zyx(2 * r for r in radius))

    # 2. The PSF, in units in which the autocorrelation is 1, with a voxel of the volume 1.
    scale = float(auto.max())
    psf = np.zeros_like(cross)
    if scale > 0:
        cross, auto = cross / scale, auto / scale
        size = float(np.prod(grids.step_um) ** (1 / 3))
        step = zyx(um / size for um in grids.step_um)
        variation = VARIATION_WEIGHT * float(np.abs(cross).max())
        psf = solve(PsfProblem(cross, auto, variation, ENERGY_WEIGHT, step), ITERATIONS, stop)

    # 3. The correlations, for comparison.
    filtered = lag_window(spectra.cross * fast, shape, lag, radius)
    plain = lag_window(spectra.cross, shape, lag, radius)
    centre = grids.to_um(np.round(lag) + spectra.lag)
    return ShiftMaps(*(ShiftMap(values, grids.step_um, centre) for values in (psf, filtered, plain)))


def psf_as_printed(grids: CommonGrid, stop: Stop) -> Job[tuple[DoubleArray, ShiftMap]]:
    """Eq. 3 as the paper prints it: no filter, no weights, window around lag 0, whole-voxel maximum.

    Intensities are divided by the largest; the window doubles once if the maximum lies at its border.
    """
    origin = np.zeros(3)
    for factor in (1, 2):
        radius = zyx(min(factor * r, n // 2) for r, n in zip(PSF_RADIUS, grids.shapes[0], strict=True))
        double = zyx(2 * r for r in radius)
        spectra = yield from gather_spectra(
            grids.confocal, grids.widefield, (0, 0, 0), faded=False, padding=double, stop=stop
        )
        largest = [intensity_range(stack, (0, 100))[1] for stack in (grids.confocal, grids.widefield)]
        cross = lag_window(spectra.cross, spectra.shape, origin, radius) / (largest[0] * largest[1])
        auto = lag_window(spectra.confocal.astype(np.complex64), spectra.shape, origin, double) / largest[0] ** 2
        problem = PsfProblem(cross, auto, PAPER_LAMBDA / 2, PAPER_MU, (1, 1, 1), non_negative=False)
        psf = solve(problem, ITERATIONS, stop)
        best = np.array(np.unravel_index(int(psf.argmax()), psf.shape)) - radius
        if np.all(np.abs(best) < radius):
            break
    return best.astype(np.float64), ShiftMap(psf, grids.step_um, grids.to_um(origin))
