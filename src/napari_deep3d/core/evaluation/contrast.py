"""Contrast-to-noise ratio of structures against what is around them.

CNR = (mean of the structures - mean of the background) / standard deviation of the background (Rose's criterion as used
in imaging: Bushberg et al., The Essential Physics of Medical Imaging, ch. 4; no unit, and no scale or offset of the
intensities changes it). Structures are the voxels above Otsu's threshold of a stack, the rest is background: of the
confocal stack where there is one, so that the same voxels are judged in all stacks. Haze that varies counts as noise
of the background, as it does for the eye.
"""

from __future__ import annotations

import numpy as np
from skimage.filters import threshold_otsu

from napari_deep3d.core import Box, NoData, SampledIntensities, Stack, Steps, shape_of
from napari_deep3d.core.evaluation.blocks import blank_in


def measure_contrast_to_noise(
    stack: Stack, structures_of: Stack | None = None, no_data: NoData | None = None
) -> Steps[float]:
    """CNR of a stack, read plane by plane.

    Parameters
    ----------
    stack : Stack, axes (Z, Y, X)
        Every voxel finite.
    structures_of : Stack or None
        Stack of the same shape that tells which voxels are structures; the stack itself by default.
    no_data : NoData or None
        Voxels that do not count.

    Returns
    -------
    float
        NaN if all is structure or all background, infinite for a background without any noise.
    """
    shown, planes = stack if structures_of is None else structures_of, stack.shape[0]
    sampled = SampledIntensities(shape_of(shown))
    for z in range(planes):
        sampled.add(np.asarray(shown[z]))
        yield 0.4 * (z + 1) / planes
    values = sampled.values(no_data)
    if not values.size or values.min() == values.max():
        return float("nan")
    threshold = threshold_otsu(values)
    # Number, sum and sum of squares of structures and of background; less about their mean, so that nothing cancels.
    zero, sums = None, np.zeros((2, 3))
    for z in range(planes):
        box = Box.whole(shape_of(stack)).with_axis(0, z, z + 1)
        blank = blank_in(no_data, box)
        plane, marks = np.asarray(stack[box], dtype=np.float64), np.asarray(shown[box]) > threshold
        zero = float(plane.mean()) if zero is None else zero
        for place, chosen in enumerate((marks, ~marks)):
            found = plane[chosen if blank is None else chosen & ~blank] - zero
            sums[place] += found.size, found.sum(), np.vdot(found, found)
        yield 0.4 + 0.6 * (z + 1) / planes
    if not sums[:, 0].all():
        return float("nan")
    (_, signal, _), (_, background, squares) = sums / sums[:, :1]
    noise = float(np.sqrt(max(0.0, squares - background**2)))
    return float((signal - background) / noise) if noise > 0 else float("inf")
