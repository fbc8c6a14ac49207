"""RMSE and SSIM of a stack against its confocal one, of the whole and by depth, read block by block.

Normalisation: intensities of the confocal stack are on a scale where two of its percentiles are 0 and 1 (as a model is
trained; the paper's "images in [0, 1]"), and nothing is cut. The other stack is taken as it is, and once more after the
scale a and offset b that make a x + b closest to the confocal stack by least squares over all voxels (``_fit``).

- RMSE (paper, tables and Fig. 5a): the root of the mean squared difference; unit: that of the scale.
- SSIM (Wang et al., IEEE Trans. Image Process. 13, 600, 2004, Eq. 13; the paper names it without its settings): as
  scikit-image's ``structural_similarity`` gives it in 3D, with windows of 7 x 7 x 7 voxels, sample covariance and a
  data range of 1. Of a plane it is the mean over the windows whose middle lies in it. No unit; 1 for equal stacks.

The statistics of the windows of a x + b follow from those of x, so that both SSIMs cost one pass; that is why
scikit-image is not called here. Tests hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import Box, DoubleArray, FloatArray, InputError, NoData, Stack, Steps, read_box, shape_of
from napari_deep3d.core.evaluation.blocks import blank_in, blocks_of
from napari_deep3d.core.evaluation.metrics import Score, ssim_window

C1, C2 = 0.01**2, 0.03**2
"""Constants of the structural similarity for a data range of 1."""


@dataclass(frozen=True)
class Agreement:
    """How close a stack is to its confocal one.

    Attributes
    ----------
    score : Score
        RMSE and SSIM of the whole stack.
    by_plane : PlaneScores
        The same of each plane, arrays (Z,); NaN where a plane has no image or, of the SSIM, no whole window.
    scale, offset : float
        What the fit brings the stack to the confocal one by.
    """

    score: Score
    by_plane: PlaneScores = field(repr=False)
    scale: float
    offset: float


class PlaneScores(NamedTuple):
    """RMSE and SSIM of each plane, arrays (Z,); ``_fit`` after the scale and offset of the whole stack."""

    rmse: DoubleArray
    ssim: DoubleArray
    rmse_fit: DoubleArray
    ssim_fit: DoubleArray


def measure_agreement(image: Stack, truth: Stack, no_data: NoData | None = None) -> Steps[Agreement]:
    """Compare a stack with its confocal one.

    Parameters
    ----------
    image, truth : Stack, axes (Z, Y, X)
        One shape, every voxel finite; the truth with intensities from 0 to 1.
    no_data : NoData or None
        Voxels that do not count.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    shape = shape_of(truth)
    if shape_of(image) != shape:
        raise InputError(f"stacks of {shape_of(image)} and {shape} voxels cannot be compared; crop them to one size.")
    # 1. Differences, and what the fit needs: sums by plane, of intensities less those of the middle plane.
    middle = Box.whole(shape).with_axis(0, shape[0] // 2, shape[0] // 2 + 1)
    zero = float(np.mean(read_box(image, middle), dtype=np.float64))
    sums = np.zeros((shape[0], 7))
    for z in range(shape[0]):
        plane = Box.whole(shape).with_axis(0, z, z + 1)
        x, y = (np.asarray(stack[plane], dtype=np.float64) for stack in (image, truth))
        blank = blank_in(no_data, plane)
        if blank is not None:
            x, y = x[~blank], y[~blank]
        difference = x - y
        x = x - zero
        sums[z] = [x.size, np.vdot(difference, difference), x.sum(), y.sum(), *(np.vdot(*p) for p in _pairs(x, y))]
        yield 0.25 * (z + 1) / shape[0]
    fit = _Fit.of(sums.sum(axis=0), zero)
    # 2. Windows of the structural similarity.
    ssim_sums = np.zeros((shape[0], 3))
    window = ssim_window(shape)
    blocks = list(blocks_of(shape, window // 2))
    for number, (box, wider) in enumerate(blocks):
        blank = blank_in(no_data, wider)
        values = _similarity(read_box(image, wider), read_box(truth, wider), fit, zero, window)
        kept = _whole_windows(box, shape, window).relative_to(wider)
        counts = np.ones(kept.shape, bool) if blank is None else ~ndi.maximum_filter(blank, window)[kept]
        planes = slice(kept.z.start + wider.z.start, kept.z.stop + wider.z.start)
        ssim_sums[planes, 0] += counts.sum(axis=(1, 2))
        for place, value in enumerate(values, 1):
            ssim_sums[planes, place] += np.sum(value[kept], axis=(1, 2), where=counts, dtype=np.float64)
        yield 0.25 + 0.75 * (number + 1) / len(blocks)
    # 3. Means over planes and over all.
    fitted = fit.squares(sums)
    by_plane = PlaneScores(
        *(
            np.divide(total, counts, out=np.full(shape[0], np.nan), where=counts > 0)
            for total, counts in (
                (sums[:, 1], sums[:, 0]),
                (ssim_sums[:, 1], ssim_sums[:, 0]),
                (fitted, sums[:, 0]),
                (ssim_sums[:, 2], ssim_sums[:, 0]),
            )
        )
    )
    by_plane = by_plane._replace(rmse=np.sqrt(by_plane.rmse), rmse_fit=np.sqrt(by_plane.rmse_fit))
    n, windows = float(sums[:, 0].sum()), float(ssim_sums[:, 0].sum())
    of_windows = ssim_sums[:, 1:].sum(axis=0) / windows if windows else np.full(2, np.nan)
    whole = Score(
        float(np.sqrt(sums[:, 1].sum() / n)),
        float(of_windows[0]),
        float(np.sqrt(fitted.sum() / n)),
        float(of_windows[1]),
    )
    return Agreement(whole, by_plane, fit.scale, fit.offset - fit.scale * zero)


def _pairs(x: DoubleArray, y: DoubleArray) -> tuple[tuple[DoubleArray, DoubleArray], ...]:
    return (x, x), (y, y), (x, y)


class _Fit(NamedTuple):
    """Scale and offset that bring x (less ``zero``) closest to y, and the mean and spread of x."""

    scale: float
    offset: float
    mean: float
    deviation: float

    @classmethod
    def of(cls, sums: DoubleArray, zero: float) -> _Fit:
        _, _, x, y, xx, _, xy = sums / max(sums[0], 1)
        variance = max(0.0, xx - x * x)
        if variance < (1e-12 * zero) ** 2:  # rounding, of a stack that is constant
            variance = 0.0
        scale = (xy - x * y) / variance if variance > 0 else 0.0
        return cls(float(scale), float(y - scale * x), float(x), float(np.sqrt(variance)) or 1.0)

    def squares(self, sums: DoubleArray) -> DoubleArray:
        """Sum of the squared differences of a x + b from y, from the sums of each plane (Z, 7)."""
        n, _, x, y, xx, yy, xy = sums.T
        a, b = self.scale, self.offset
        squares = a * a * xx + 2 * a * b * x + n * b * b - 2 * a * xy - 2 * b * y + yy
        return np.asarray(np.maximum(0, squares))


def _similarity(image: FloatArray, truth: FloatArray, fit: _Fit, zero: float, window: int) -> list[FloatArray]:
    """SSIM of the windows around each voxel: of the image as it is, and after the fit."""
    # The image is brought to mean 0 and deviation 1, where float32 holds its variances.
    first = fit.mean + zero
    unit = (image - np.float32(first)) / np.float32(fit.deviation)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (
        ndi.uniform_filter(product, window) for product in (unit, truth, unit * unit, truth * truth, unit * truth)
    )
    voxels = window**3
    sample = np.float32(voxels / (voxels - 1))
    var_x = sample * (mean_xx - mean_x * mean_x)
    var_y = sample * (mean_yy - mean_y * mean_y)
    cov = sample * (mean_xy - mean_x * mean_y)
    found = []
    for scale, offset in (
        (fit.deviation, first),
        (fit.scale * fit.deviation, fit.offset + fit.scale * fit.mean),
    ):
        a, mean = np.float32(scale), np.float32(scale) * mean_x + np.float32(offset)
        likeness = (2 * mean * mean_y + C1) * (2 * a * cov + C2)
        found.append(likeness / ((mean * mean + mean_y * mean_y + C1) * (a * a * var_x + var_y + C2)))
    return found


def _whole_windows(box: Box, shape: tuple[int, int, int], window: int) -> Box:
    """The voxels of a box whose windows lie within the stack."""
    inner = [(window // 2, n - window // 2) for n in shape]
    start = [max(part.start, low) for part, (low, _) in zip(box, inner, strict=True)]
    stop = [max(first, min(part.stop, high)) for first, part, (_, high) in zip(start, box, inner, strict=True)]
    return Box.spanning(start, stop)
