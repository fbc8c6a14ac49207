"""Richardson-Lucy deconvolution, the baseline: told the PSF, and stopped at its best by the truth.

The baseline is to be a strong one, so it is given what good programs have. Light that comes from beyond the stack's
border is allowed for: the estimate reaches beyond the border, and what is not observed makes no demand (Bertero and
Boccacci, Astron. Astrophys. 437, 369, 2005). Its steps are extrapolated (Biggs and Andrews, Appl. Opt. 36, 1766, 1997),
which needs about a fifth of the iterations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft

from napari_deep3d.core import ComplexArray, FloatArray, Shape, Spacing, shape_of
from napari_deep3d.core.evaluation.metrics import fit_scale, rmse
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.simulation.psf import transfer_function, widefield_psf

PAD: Shape = (24, 24, 24)
MIN_SEEN = 0.01
"""A voxel beyond the border of which less than this share of the light is observed stays dark."""


def richardson_lucy(
    image: FloatArray,
    scope: Microscope,
    spacing_um: Spacing,
    keep: tuple[int, ...],
    *,
    accelerated: bool = True,
) -> Iterator[tuple[int, FloatArray]]:
    """Yield iteration and estimate (Z, Y, X) at the iterations in ``keep``.

    With image g, PSF h and the observed window m: x <- y / (h^T m) * h^T (m g / (h y)), and y is x moved on in the
    direction of its last step. The PSF covers twice the depth, and the estimate reaches 24 voxels beyond the stack on
    every side. What lies below the 0.1st percentile is taken off as the camera's offset. Not ``accelerated``, y is x:
    the classical steps.
    """
    sizes = [scipy.fft.next_fast_len(n + 2 * p, real=True) for n, p in zip(image.shape, PAD, strict=True)]
    inner = tuple(slice(p, p + n) for p, n in zip(PAD, image.shape, strict=True))
    observed, seen = (np.zeros(sizes, dtype=np.float32) for _ in range(2))
    observed[inner] = np.maximum(image - np.percentile(image, 0.1), 0) + 1
    seen[inner] = 1
    transfer = transfer_function(widefield_psf(scope, spacing_um, 2 * image.shape[0] - 1), shape_of(observed))
    share = _filter(seen, transfer.conj())
    weight = np.where(share > MIN_SEEN, 1 / np.maximum(share, MIN_SEEN), 0).astype(np.float32)
    estimate = ahead = np.full_like(observed, observed[inner].mean())
    step: FloatArray | None = None
    for iteration in range(1, max(keep) + 1):
        ratio = np.zeros_like(observed)
        ratio[inner] = observed[inner] / np.maximum(_filter(ahead, transfer)[inner], 1e-3)
        new = np.maximum(ahead * weight * _filter(ratio, transfer.conj()), 0)
        last, step = step, new - ahead
        further = _extrapolation(step, last) if accelerated else np.float32(0)
        ahead = np.maximum(new + further * (new - estimate), 0)
        estimate = new
        if iteration in keep:
            yield iteration, estimate[inner].copy()


def best_richardson_lucy(
    image: FloatArray, truth: FloatArray, scopes: Sequence[Microscope], spacing_um: Spacing, keep: tuple[int, ...]
) -> tuple[int, FloatArray]:
    """Iteration and estimate, of those in ``keep``, closest to the truth after a fit of scale and offset.

    Of several microscopes, such as one focused to several depths, the one is taken whose estimate is closest at the
    first two of ``keep``. It ends at the first estimate that is worse than the one before: from there on
    Richardson-Lucy amplifies noise.
    """
    if len(scopes) > 1:
        early = [best_richardson_lucy(image, truth, [scope], spacing_um, keep[:2])[1] for scope in scopes]
        errors = [rmse(fit_scale(estimate, truth), truth) for estimate in early]
        scopes = [scopes[int(np.argmin(errors))]]
    best: tuple[int, FloatArray] | None = None
    least = np.inf
    for iteration, estimate in richardson_lucy(image, scopes[0], spacing_um, keep):
        error = rmse(fit_scale(estimate, truth), truth)
        if best is not None and error >= least:
            break
        best, least = (iteration, estimate), error
    if best is None:
        raise ValueError("keep names no iteration")
    return best


def _extrapolation(step: FloatArray, last: FloatArray | None) -> np.float32:
    """How far to go on: how much of the last step is in this one, 0 to 1."""
    if last is None:
        return np.float32(0)
    return np.float32(np.clip(np.vdot(step, last) / max(float(np.vdot(last, last)), 1e-30), 0, 1))


def _filter(image: FloatArray, transfer: ComplexArray) -> FloatArray:
    spectrum = scipy.fft.rfftn(image, workers=-1) * transfer
    return np.asarray(scipy.fft.irfftn(spectrum, s=image.shape, workers=-1), dtype=np.float32)
