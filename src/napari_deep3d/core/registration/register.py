"""Where a confocal stack lies in a wide-field stack of the same sample, and how sure that is.

After the paper's Eq. 2 and 3: the wide-field stack is the confocal one, blurred by a point spread function f and
shifted; f's maximum is the shift. As printed this fails on thick samples (haze does not fit into any window, and the
maximum lands at the window's border). Here both stacks' slow parts are left out, and the data term ``||f * x - y||^2``
is weighted by frequency with one over the power of what the confocal stack does not explain, which makes it the
likelihood. The sub-voxel shift is the one of maximum likelihood under the same weights; f shows whether there is one
sharp peak there.

A lag is in voxels of the grid that both stacks are seen on, a shift in um between their own positions
(:mod:`~.cross_spectrum`).
"""

from __future__ import annotations

import numpy as np

from napari_deep3d.core import Clock, DoubleArray, Job, RegisterConfig, Shape, Stop, Volume, zyx
from napari_deep3d.core.registration.affine import MatchedBlock, fit_linear_map
from napari_deep3d.core.registration.coarse import LagRange, coarse_lag, lag_range
from napari_deep3d.core.registration.common_grid import CommonGrid, check_pair, common_grid
from napari_deep3d.core.registration.cross_spectrum import (
    CrossSpectra,
    Lag,
    SubpixelShift,
    find_subpixel_shift,
    gather_spectra,
    parabola,
    shared_boxes,
)
from napari_deep3d.core.registration.relative_psf import psf_as_printed, shift_maps
from napari_deep3d.core.registration.result import (
    FAIR,
    HIGH,
    Evidence,
    Registration,
    concentration,
    confidence_of,
)
from napari_deep3d.core.registration.transform import Transform, centre_um

CHECK_OFFSET: Lag = (2, 2, 2)
"""Voxels (Z, Y, X) by which the tiles are cut elsewhere, to see whether the lag stays."""
CHECK_TILES = 9
"""Tiles of a quick look."""
MAX_RECUTS = 2
MIN_SHARED_VOXELS: Shape = (3, 8, 8)
"""What the stacks must share, at least, at a lag that tiles are cut at."""


def register_volumes(confocal: Volume, widefield: Volume, config: RegisterConfig, stop: Stop) -> Job[Registration]:
    """Find where a confocal stack lies in a wide-field stack; where nothing can be trusted, ``refusal`` says so.

    Parameters
    ----------
    confocal, widefield : Volume
        Stacks of one sample, axes (Z, Y, X); shapes and voxel sizes may differ.
    config : RegisterConfig
        Method, kind of transform, and largest shift.
    stop : Stop
        Asked between tiles.

    Raises
    ------
    InputError
        If a stack cannot be registered: no voxel size, no image, constant, mostly saturated, or too few voxels of the
        size that both are compared at.
    StoppedError
        If it was stopped; there is no partial result.
    """
    clock = Clock()
    method = config.resolved_method

    # 1. Both stacks on voxels of one size, and the lags to look at.
    #    What is no image is cut off, and filled where that cannot be; the paper's method knows its window by the whole.
    own, other, notices = check_pair(confocal, widefield, crop=method != "psf (paper)")
    grids = common_grid(own.volume, other.volume, (own.start, other.start))
    max_lag = None
    if config.max_shift_um is not None:
        max_lag = zyx(um / step for um, step in zip(config.max_shift_um, grids.step_um, strict=True))
    searched = lag_range(*grids.shapes, max_lag, _nearest(-grids.offset_um / grids.step_um))

    # 2. The lag, first to about a voxel, then to a fraction of one.
    yield clock.progress(0, 1, "looking for the overlap")
    start = (0, 0, 0) if method == "psf (paper)" else coarse_lag(grids.confocal, grids.widefield, searched, stop)
    spectra, estimate, drift = yield from fine_lag(grids, start, stop)
    likeliest = estimate.lag + spectra.lag

    # 3. The PSF there, and how sure all this is.
    yield clock.progress(0, 1, "estimating the PSF")
    maps = shift_maps(grids, spectra, estimate, stop)
    evidence = Evidence(estimate.prominence, drift, concentration(maps.psf.values))
    confidence = confidence_of(evidence)

    # 4. The lag by another method, where one is asked for. Where it is not that of the default, it is at most as likely
    #    right as the default is wrong.
    lag = likeliest
    if method == "psf (paper)":
        lag, psf = yield from psf_as_printed(grids, stop)
        maps = maps._replace(psf=psf)
    elif method != "psf":
        shown = maps.filtered_correlation if method == "cross-correlation" else maps.plain_correlation
        best = np.unravel_index(int(shown.values.argmax()), shown.values.shape)
        lag = np.round(likeliest) + (np.array(best) - np.array(shown.values.shape) // 2 + parabola(shown.values, best))
    if not np.all(np.abs(lag - likeliest) <= 0.5):
        confidence = min(confidence, 1 - confidence)
    if FAIR <= confidence < HIGH:
        notices.append(f"The confidence is only fair ({confidence:.2f}): look at the overlay before you use this.")

    # 5. More than a shift, where it is asked for.
    transform, blocks = Transform.shift(grids.to_um(lag)), list[MatchedBlock]()
    if config.transform != "shift":
        transform, blocks, more = yield from fit_linear_map(grids, lag, config.transform, stop)
        notices += more
    shift = transform.shift_at(centre_um(confocal.shape, confocal.require_spacing_um()))
    return Registration(
        transform=transform,
        shift_um=shift,
        shift_voxels=zyx(um / step for um, step in zip(shift, widefield.require_spacing_um(), strict=True)),
        confidence=confidence,
        refusal=_refusal(confidence, lag, searched, config),
        method=method,
        evidence=evidence,
        psf=maps.psf,
        filtered_correlation=maps.filtered_correlation,
        plain_correlation=maps.plain_correlation,
        blocks=tuple(blocks),
        notices=tuple(notices),
        seconds=clock.seconds,
    )


def fine_lag(grids: CommonGrid, start: Lag, stop: Stop) -> Job[tuple[CrossSpectra, SubpixelShift, DoubleArray]]:
    """Sub-voxel lag near a coarse one, and how far the lag moves when the tiles are cut elsewhere, in voxels (Z, Y, X).

    A first look at a few tiles says where to cut; the second one, at all tiles cut there, gives the lag. A third one,
    cut some voxels off, should give the same: if it follows the cut, what is seen is the tiles' own fading.
    """
    spectra, estimate = yield from _look(grids, start, CHECK_TILES, stop)
    cut = _nearest_cut(grids, estimate.lag + start, start)
    if cut != start or not spectra.is_whole:
        spectra, estimate = yield from _look(grids, cut, None, stop)
    for _ in range(MAX_RECUTS):  # the first look was too far off for a good cut
        better = _nearest_cut(grids, estimate.lag + cut, cut)
        if np.abs(np.subtract(better, cut)).max() <= 1:
            break
        cut = better
        spectra, estimate = yield from _look(grids, cut, None, stop)
    aside = _nearest_cut(grids, np.array(cut) + CHECK_OFFSET, cut)
    _, check = yield from _look(grids, aside, CHECK_TILES, stop)
    return spectra, estimate, np.abs(check.lag + aside - estimate.lag - cut)


def _look(grids: CommonGrid, cut: Lag, max_tiles: int | None, stop: Stop) -> Job[tuple[CrossSpectra, SubpixelShift]]:
    """Spectra of tiles that are cut at a lag, and the lag, on top of it, that they show."""
    spectra = yield from gather_spectra(grids.confocal, grids.widefield, cut, max_tiles=max_tiles, stop=stop)
    return spectra, find_subpixel_shift(spectra)


def _nearest_cut(grids: CommonGrid, lag: DoubleArray, otherwise: Lag) -> Lag:
    """The whole-voxel lag to cut tiles at, if the stacks share enough there."""
    cut = _nearest(lag)
    boxes = shared_boxes(*grids.shapes, cut)
    if boxes is None or any(n < least for n, least in zip(boxes[0].shape, MIN_SHARED_VOXELS, strict=True)):
        return otherwise
    return cut


def _nearest(lag: DoubleArray) -> Lag:
    return zyx(round(float(v)) for v in lag)


def _refusal(confidence: float, lag: DoubleArray, searched: LagRange, config: RegisterConfig) -> str:
    at_border = [
        name
        for name, value, low, high in zip("zyx", lag, searched.low, searched.high, strict=True)
        if not low - 0.5 < value < high + 0.5
    ]
    if at_border and confidence >= FAIR:
        limit = "a shift that leaves a third of the stacks in common"
        limit = "the largest shift allowed" if config.max_shift_um else limit
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
