"""MicroSSIM: structural similarity for micrographs, by the package ``microssim``.

Ashesh et al., "MicroSSIM: Improved structural similarity for comparing microscopy data", arXiv 2408.08747 (2024). The
3rd percentile of each stack is taken off, both are divided by the largest intensity of the confocal stack, and one
factor for all planes is sought that makes the mean SSIM (Gaussian windows, plane by plane) largest; so scale and offset
of the intensities do not count. No unit; 1 for equal stacks.

The package is an extra (``pip install "napari-deep3d[microssim]"``): it pins upper versions of scipy, scikit-image and
torch, so it cannot be asked of everybody.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_deep3d.core import DoubleArray, InputError, SampledIntensities, Stack, Steps, shape_of

BACKGROUND_PERCENTILE = 3
FITTED_VOXELS = 4_000_000
"""The factor is sought on evenly spread planes of at most about so many voxels."""


def measure_micro_ssim(image: Stack, truth: Stack) -> Steps[DoubleArray]:
    """MicroSSIM of each plane of a stack against its confocal one, (Z,); that of the stack is the mean.

    Parameters
    ----------
    image, truth : Stack, axes (Z, Y, X)
        One shape, at least 11 x 11 pixels, every voxel finite; of any scale.

    Raises
    ------
    InputError
        If the package is not installed, or is broken.
    """
    micro_ssim, elements_of, elements, factor_of = _package()
    planes, height, width = shape_of(truth)
    # 1. Backgrounds and the largest intensity, plane by plane.
    sampled = SampledIntensities(truth.shape), SampledIntensities(image.shape)
    largest = -np.inf
    for z in range(planes):
        both = np.asarray(truth[z]), np.asarray(image[z])
        largest = max(largest, float(both[0].max()))
        for each, plane in zip(sampled, both, strict=True):
            each.add(plane)
        yield 0.1 * (z + 1) / planes
    offsets = [float(np.percentile(each.values(), BACKGROUND_PERCENTILE)) for each in sampled]
    scale = largest - offsets[0]

    def scaled(z: int) -> tuple[DoubleArray, DoubleArray]:
        own, other = (np.asarray(stack[z], dtype=np.float64) for stack in (truth, image))
        return (own - offsets[0]) / scale, (other - offsets[1]) / scale

    # 2. The factor, as the package's `fit` finds it, on planes that stand for all.
    count = max(1, min(planes, FITTED_VOXELS // (height * width)))
    parts = []
    for z in np.unique(np.linspace(0, planes - 1, count).round().astype(int)):
        own, other = scaled(int(z))
        parts.append(elements_of(own, other, data_range=own.max() - own.min()))
        yield 0.2
    names = ("ux", "uy", "vx", "vy", "vxy")
    joined = {name: np.concatenate([getattr(part, name).ravel() for part in parts]) for name in names}
    factor = factor_of(elements(**joined, C1=parts[-1].C1, C2=parts[-1].C2))
    # 3. Each plane.
    measure = micro_ssim(
        bg_percentile=BACKGROUND_PERCENTILE,
        offset_gt=offsets[0],
        offset_pred=offsets[1],
        max_val=scale,
        ri_factor=factor,
    )
    found = np.full(planes, np.nan)
    for z in range(planes):
        own, other = (np.asarray(stack[z], dtype=np.float64) for stack in (truth, image))
        if own.max() > own.min():
            found[z] = measure.score(own, other)
        yield 0.3 + 0.7 * (z + 1) / planes
    return found


def check_micro_ssim() -> None:
    """InputError unless the package can be used: to be asked before anything else is measured."""
    _package()


def _package() -> tuple[Any, Any, Any, Any]:
    """What is used of the package: the measure, the elements of its SSIM, and how its factor is found."""
    try:
        from microssim import MicroSSIM
        from microssim.ri_factor import get_ri_factor
        from microssim.ssim import SSIMElements, compute_ssim_elements
    except ImportError as error:
        raise InputError(
            f"MicroSSIM needs the package microssim ({error}). Install it with: "
            'pip install "napari-deep3d[microssim]", or leave MicroSSIM out.'
        ) from None
    return MicroSSIM, compute_ssim_elements, SSIMElements, get_ri_factor
