"""Where a confocal stack lies in a wide-field stack of the same sample, and how sure that is.

After the paper's Eq. 2 and 3: the wide-field stack is the confocal one, blurred by a point spread function f and
shifted; f's maximum is the shift. As printed this fails on thick samples (haze does not fit into any window, and the
maximum lands at the window's border). Here both stacks' slow parts are left out, and the data term ``||f * x - y||^2``
is weighted by frequency with one over the power of what the confocal stack does not explain, which makes it the
likelihood. The sub-voxel shift is the one of maximum likelihood under the same weights; f shows whether there is one
sharp peak there.
"""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.config import RegisterConfig
from napari_deep3d.core.events import Clock, Job, Stop
from napari_deep3d.core.registration.affine import MatchedBlock, fit_linear_map
from napari_deep3d.core.registration.checks import check_pair
from napari_deep3d.core.registration.coarse import LagRange, coarse_lag, lag_range
from napari_deep3d.core.registration.common_grid import CommonGrid, common_grid
from napari_deep3d.core.registration.confidence import FAIR, HIGH, Evidence, concentration, confidence_of
from napari_deep3d.core.registration.cross_spectrum import CrossSpectra, Lag, cross_spectra, shared_boxes
from napari_deep3d.core.registration.relative_psf import Maps, psf_as_printed, shift_maps
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.registration.subpixel import SubpixelShift, find_subpixel_shift, parabola
from napari_deep3d.core.registration.transform import Transform, centre_um
from napari_deep3d.core.types import DoubleArray, Shape
from napari_deep3d.core.volume import Volume

CHECK_OFFSET = (2, 2, 2)
CHECK_TILES = 9
MAX_MOVES = 2
MIN_CUT: Shape = (3, 8, 8)


def register_volumes(confocal: Volume, widefield: Volume, config: RegisterConfig, stop: Stop) -> Job[Registration]:
    """Find where a confocal stack lies in a wide-field stack.

    Parameters
    ----------
    confocal, widefield
        Stacks of one sample, axes (Z, Y, X); shapes and voxel sizes may differ.
    config
        Method, kind of transform, and largest shift.
    stop
        Asked between tiles.

    Returns
    -------
    Registration
        With ``refusal`` set where nothing can be trusted.

    Raises
    ------
    InputError
        If a stack cannot be registered: no voxel size, not finite, constant, mostly saturated, or too few voxels of
        the size that both are compared at.
    StoppedError
        If it was stopped; there is no partial result.
    """
    clock = Clock()
    notices = check_pair(confocal, widefield)
    grids = common_grid(confocal, widefield)
    searched = _searched(grids, config)
    yield clock.progress(0, 1, "looking for the overlap")
    lag = (0, 0, 0) if config.preset == "paper" else coarse_lag(grids.confocal, grids.widefield, searched, stop)
    spectra, delay, drift = yield from fine_lag(grids, lag, stop)
    found = delay.lag + spectra.lag
    yield clock.progress(0, 1, "estimating the PSF")
    maps = shift_maps(grids, spectra, delay, stop)
    evidence = Evidence(delay.prominence, drift, concentration(maps[0].values))
    found, maps = yield from _by_method(grids, config, found, maps, stop)
    confidence = _agreeing(confidence_of(evidence), found - (delay.lag + spectra.lag))
    if FAIR <= confidence < HIGH:
        notices.append(f"The confidence is only fair ({confidence:.2f}): look at the overlay before you use this.")
    transform, blocks = Transform.shift(grids.to_um(found)), list[MatchedBlock]()
    if config.transform != "shift":
        transform, blocks, more = yield from fit_linear_map(
            grids.confocal, grids.widefield, grids.step_um, grids.offset_um, found, config.transform, stop
        )
        notices += more
    shift = transform.shift_at(centre_um(confocal.shape, confocal.require_spacing_um()))
    z, y, x = (um / step for um, step in zip(shift, widefield.require_spacing_um(), strict=True))
    return Registration(
        transform=transform,
        shift_um=shift,
        shift_voxels=(z, y, x),
        confidence=confidence,
        refusal=_refusal(confidence, found, searched, config),
        method=config.method if config.preset == "default" else "psf (paper)",
        evidence=evidence,
        psf=maps[0],
        filtered_correlation=maps[1],
        plain_correlation=maps[2],
        blocks=tuple(blocks),
        notices=tuple(notices),
        seconds=clock.seconds,
    )


def _searched(grids: CommonGrid, config: RegisterConfig) -> LagRange:
    most = config.max_shift_um
    lags = None
    if most is not None:
        lags = (most[0] / grids.step_um[0], most[1] / grids.step_um[1], most[2] / grids.step_um[2])
    return lag_range(*grids.shapes, lags)


def fine_lag(grids: CommonGrid, lag: Lag, stop: Stop) -> Job[tuple[CrossSpectra, SubpixelShift, DoubleArray]]:
    """Sub-voxel lag near a coarse one, and how far the lag follows when the tiles are cut elsewhere, in voxels.

    A first look at a few tiles tells where to cut; the second one, at all tiles cut there, gives the lag. A third one,
    cut some voxels off, should give the same: if it follows the cut, what is seen is the tiles' own fading.
    """
    spectra, delay = yield from _look(grids, lag, CHECK_TILES, stop)
    cut = _nearest_cut(grids, delay.lag + lag, lag)
    if cut != lag or not spectra.is_whole:
        spectra, delay = yield from _look(grids, cut, None, stop)
    for _ in range(MAX_MOVES):  # the first look was too far off for a good cut
        moved = _nearest_cut(grids, delay.lag + cut, cut)
        if np.abs(np.subtract(moved, cut)).max() <= 1:
            break
        cut = moved
        spectra, delay = yield from _look(grids, cut, None, stop)
    aside = _nearest_cut(grids, np.array(cut) + CHECK_OFFSET, cut)
    _, check = yield from _look(grids, aside, CHECK_TILES, stop)
    return spectra, delay, np.abs(check.lag + aside - delay.lag - cut)


def _look(grids: CommonGrid, cut: Lag, tiles: int | None, stop: Stop) -> Job[tuple[CrossSpectra, SubpixelShift]]:
    spectra = yield from cross_spectra(grids.confocal, grids.widefield, cut, most=tiles, stop=stop)
    return spectra, find_subpixel_shift(spectra)


def _nearest_cut(grids: CommonGrid, lag: DoubleArray, otherwise: Lag) -> Lag:
    """The whole-voxel lag to cut tiles at, if the stacks share enough there."""
    z, y, x = (round(float(v)) for v in lag)
    boxes = shared_boxes(*grids.shapes, (z, y, x))
    if boxes is None or any(b.stop - b.start < least for b, least in zip(boxes[0], MIN_CUT, strict=True)):
        return otherwise
    return z, y, x


def _by_method(
    grids: CommonGrid,
    config: RegisterConfig,
    found: DoubleArray,
    maps: Maps,
    stop: Stop,
) -> Job[tuple[DoubleArray, Maps]]:
    """The lag by another method than the default, where one is asked for."""
    if config.preset == "paper":
        lag, psf = yield from psf_as_printed(grids, stop)
        return lag, (psf, *maps[1:])
    if config.method == "psf":
        return found, maps
    shown = maps[1] if config.method == "cross-correlation" else maps[2]
    best = np.unravel_index(int(shown.values.argmax()), shown.values.shape)
    offset = np.array(best) - np.array(shown.values.shape) // 2 + parabola(shown.values, best)
    return np.round(found) + offset, maps


def _agreeing(confidence: float, difference: DoubleArray) -> float:
    """Confidence in another method's lag: the default's where they agree, else at most the default's being wrong."""
    return confidence if np.all(np.abs(difference) <= 0.5) else min(confidence, 1 - confidence)


def _refusal(confidence: float, lag: DoubleArray, searched: LagRange, config: RegisterConfig) -> str:
    at_border = [
        name
        for name, value, low, high in zip("zyx", lag, searched.low, searched.high, strict=True)
        if not low - 0.5 < value < high + 0.5
    ]
    if at_border and confidence >= FAIR:
        limit = (
            "the largest shift allowed"
            if config.max_shift_um
            else "a shift that leaves a third of the stacks in common"
        )
        where = f"at or beyond {limit}, along {', '.join(at_border)}"
        return f"The best match lies {where}. Allow a larger shift, or crop the stacks."
    if confidence >= FAIR:
        return ""
    wider = "allow a larger shift than the one given; " if config.max_shift_um else ""
    return (
        "No alignment was found that can be trusted: the stacks share too little structure. Check that both show the "
        "same field and channel, that their voxel sizes are right, and that they overlap in depth; "
        f"{wider}or set the shift by hand."
    )
