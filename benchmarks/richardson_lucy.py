"""Richardson-Lucy deconvolution, the baseline: told the PSF, and stopped at its best by the truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_deep3d.core.optics import Microscope, transfer_function, widefield_psf
from napari_deep3d.core.volume import Shape, Spacing

Array = NDArray[np.float32]
PAD: Shape = (24, 24, 24)


def richardson_lucy(
    image: Array, scope: Microscope, spacing_um: Spacing, keep: tuple[int, ...]
) -> Iterator[tuple[int, Array]]:
    """Yield iteration and estimate (Z, Y, X) at the iterations in ``keep``.

    The PSF covers twice the depth, and the stack is mirrored on by 24 voxels on every side. What lies below the
    0.1st percentile is taken off as the camera's offset.
    """
    pads = [(p, p + (n % 2)) for p, n in zip(PAD, image.shape, strict=True)]
    padded = np.pad(np.maximum(image - np.percentile(image, 0.1), 0) + 1, pads, mode="symmetric").astype(np.float32)
    shape: Shape = (padded.shape[0], padded.shape[1], padded.shape[2])
    transfer = transfer_function(widefield_psf(scope, spacing_um, 2 * image.shape[0] - 1), shape)
    estimate = np.full_like(padded, padded.mean())
    inner = tuple(slice(p, p + n) for p, n in zip(PAD, image.shape, strict=True))
    for iteration in range(1, max(keep) + 1):
        blurred = _filter(estimate, transfer)
        ratio = np.asarray(padded / np.maximum(blurred, 1e-3), dtype=np.float32)
        estimate *= _filter(ratio, transfer.conj())
        np.maximum(estimate, 0, out=estimate)
        if iteration in keep:
            yield iteration, estimate[inner].copy()


def _filter(image: Array, transfer: NDArray[np.complex64]) -> Array:
    spectrum = scipy.fft.rfftn(image, workers=-1) * transfer
    return np.asarray(scipy.fft.irfftn(spectrum, s=image.shape, workers=-1), dtype=np.float32)
