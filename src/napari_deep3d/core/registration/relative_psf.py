"""The point spread function between two stacks, and their cross-correlation, for every shift near the one found."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.events import Job, Stop
from napari_deep3d.core.intensity import intensity_range
from napari_deep3d.core.registration.common_grid import CommonGrid
from napari_deep3d.core.registration.cross_spectrum import CrossSpectra, cross_spectra, high_pass
from napari_deep3d.core.registration.primal_dual import PsfProblem, solve
from napari_deep3d.core.registration.result import ShiftMap
from napari_deep3d.core.registration.subpixel import BAND_PASS, SubpixelShift, lag_window
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing

Maps = tuple[ShiftMap, ShiftMap, ShiftMap]
"""PSF, cross-correlation without the stacks' slow parts, and as they are."""

RADIUS: Shape = (8, 10, 10)
"""Lags (Z, Y, X) on either side of the peak on which the PSF is estimated."""
SMOOTHNESS = 0.005
"""Weight of the total variation as a share of the largest value of b; above it everything would be flat."""
ENERGY = 0.0
"""Without the stacks' slow parts nothing says how much light there is in all, and the peak needs no such constraint."""
ITERATIONS = 150
PAPER_SMOOTHNESS, PAPER_ENERGY = 1.0, 10.0
"""lambda and mu as printed, for intensities in [0, 1]."""


def shift_maps(grids: CommonGrid, spectra: CrossSpectra, delay: SubpixelShift, stop: Stop) -> Maps:
    """PSF, filtered and plain cross-correlation around a lag."""
    fast = high_pass(spectra.shape, BAND_PASS) ** 2
    quiet = delay.shells.on_grid(delay.shells.inverse_noise) * fast
    radius = _radius(spectra.shape)
    psf = _estimate_psf(spectra, quiet, delay.lag, radius, grids.step_um, stop)
    centre = grids.to_um(np.round(delay.lag) + spectra.lag)
    filtered = lag_window(spectra.cross * fast, spectra.shape, delay.lag, radius)
    plain = lag_window(spectra.cross, spectra.shape, delay.lag, radius)
    first, second, third = (ShiftMap(values, grids.step_um, centre) for values in (psf, filtered, plain))
    return first, second, third


def _radius(shape: Shape) -> Shape:
    z, y, x = (max(1, min(r, (n - 1) // 4)) for r, n in zip(RADIUS, shape, strict=True))
    return z, y, x


def _estimate_psf(
    spectra: CrossSpectra, quiet: FloatArray, lag: DoubleArray, radius: Shape, step_um: Spacing, stop: Stop
) -> FloatArray:
    cross = lag_window(spectra.cross * quiet, spectra.shape, lag, radius)
    double = (2 * radius[0], 2 * radius[1], 2 * radius[2])
    auto = lag_window((spectra.confocal * quiet).astype(np.complex64), spectra.shape, np.zeros(3), double)
    scale = float(auto.max())
    if scale <= 0:
        return np.zeros_like(cross)
    cross, auto = cross / scale, auto / scale
    size = float(np.prod(step_um) ** (1 / 3))
    step = (step_um[0] / size, step_um[1] / size, step_um[2] / size)
    smoothness = SMOOTHNESS * float(np.abs(cross).max())
    return solve(PsfProblem(cross, auto, smoothness, ENERGY, step), ITERATIONS, stop)


def psf_as_printed(grids: CommonGrid, stop: Stop) -> Job[tuple[DoubleArray, ShiftMap]]:
    """Eq. 3 as the paper prints it: no filter, no weights, window around shift 0, whole-voxel maximum.

    Intensities are divided by the largest; the window doubles once if the maximum lies at its border.
    """
    shape = grids.shapes[0]
    for factor in (1, 2):
        radius = (factor * RADIUS[0], factor * RADIUS[1], factor * RADIUS[2])
        radius = (min(radius[0], shape[0] // 2), min(radius[1], shape[1] // 2), min(radius[2], shape[2] // 2))
        padding = (2 * radius[0], 2 * radius[1], 2 * radius[2])
        spectra = yield from cross_spectra(
            grids.confocal, grids.widefield, (0, 0, 0), faded=False, padding=padding, stop=stop
        )
        scale = [intensity_range(stack, (0, 100))[1] for stack in (grids.confocal, grids.widefield)]
        cross = lag_window(spectra.cross, spectra.shape, np.zeros(3), radius) / (scale[0] * scale[1])
        auto = lag_window(spectra.confocal.astype(np.complex64), spectra.shape, np.zeros(3), padding) / scale[0] ** 2
        problem = PsfProblem(cross, auto, PAPER_SMOOTHNESS / 2, PAPER_ENERGY, (1, 1, 1), non_negative=False)
        psf = solve(problem, ITERATIONS, stop)
        best = np.array(np.unravel_index(int(psf.argmax()), psf.shape)) - radius
        if np.all(np.abs(best) < radius):
            break
    return best.astype(np.float64), ShiftMap(psf, grids.step_um, grids.to_um(np.zeros(3)))
