"""Sharpness of signal and background by depth (paper, Fig. 1 and 5b).

The sharpness of a patch of 32 x 32 pixels is the mean of |dI/dx| + |dI/dy| over it, in intensity per pixel; slopes are
central differences. In each plane the patch with the largest value is "signal", the one with the smallest "background".
The paper does not say where patches may lie: here everywhere in the plane. Stacks are comparable where their
intensities are on one scale, as 0 to 1 by percentiles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import Box, DoubleArray, FloatArray, NoData, Stack, Steps, read_box, shape_of
from napari_deep3d.core.evaluation.blocks import blank_in
from napari_deep3d.core.no_data.mask import Mask

PATCH = 32


class Sharpness(NamedTuple):
    """Of each plane, arrays (Z,): intensity per pixel; NaN where no patch is all image."""

    signal: DoubleArray
    background: DoubleArray


def measure_sharpness(stack: Stack, no_data: NoData | None = None) -> Steps[Sharpness]:
    """Sharpness of signal and background of each plane of a stack (Z, Y, X); patches without image do not count."""
    found = Sharpness(*np.full((2, stack.shape[0]), np.nan))
    for z in range(stack.shape[0]):
        plane = Box.whole(shape_of(stack)).with_axis(0, z, z + 1)
        blank = blank_in(no_data, plane)
        found.signal[z], found.background[z] = sharpness(read_box(stack, plane)[0], None if blank is None else blank[0])
        yield (z + 1) / stack.shape[0]
    return found


def sharpness(plane: FloatArray, blank: Mask | None = None) -> tuple[float, float]:
    """Of a plane (Y, X): that of the sharpest patch and of the least sharp one; NaN if no patch is all image."""
    slopes = np.abs(np.gradient(plane, axis=0)) + np.abs(np.gradient(plane, axis=1))
    patch = min(PATCH, *plane.shape)
    inside = (
        slice(patch // 2, plane.shape[0] - (patch - 1) // 2),
        slice(patch // 2, plane.shape[1] - (patch - 1) // 2),
    )
    means = ndi.uniform_filter(slopes, patch)[inside]
    if blank is not None:
        # A slope next to what is no image is none, either.
        means = means[~ndi.maximum_filter(ndi.binary_dilation(blank), patch)[inside]]
    return (float(means.max()), float(means.min())) if means.size else (np.nan, np.nan)
