"""Scores of one stack against its confocal truth, and means over many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.ndimage as ndi
import scipy.stats
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from benchmarks.common.tables import Row
from napari_deep3d.core import FloatArray, intensity_range, normalise
from napari_deep3d.core.evaluation.metrics import score

PERCENTILES = (0.1, 99.9)
MIN_STRUCTURE_VOXELS = 20
MIN_STRUCTURES = 5
NAMES = ("rmse_fit", "ssim_fit", "rmse", "ssim")


def scaled(stack: NDArray[np.generic]) -> FloatArray:
    """Bring the percentiles 0.1 and 99.9 of a stack (Z, Y, X) to 0 and 1."""
    return normalise(stack, intensity_range(stack, PERCENTILES))


def structures(truth: FloatArray) -> NDArray[np.int32]:
    """Number the structures of a confocal stack (Z, Y, X), from 1 on; 0 is background.

    Connected voxels above Otsu's threshold of the stack smoothed by one voxel, 20 of them or more.
    """
    smooth = ndi.gaussian_filter(truth, 1)
    labels, count = ndi.label(smooth > threshold_otsu(smooth))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes >= MIN_STRUCTURE_VOXELS
    keep[0] = False
    return np.asarray(np.where(keep, np.cumsum(keep), 0)[labels], dtype=np.int32)


def rank_correlation(image: FloatArray, truth: FloatArray, labels: NDArray[np.int32]) -> float:
    """Spearman's correlation of the structures' mean intensities in an image and in the truth.

    NaN for fewer than five structures: an order of so few says nothing.
    """
    index = np.arange(1, int(labels.max()) + 1)
    if len(index) < MIN_STRUCTURES:
        return float("nan")
    own, true = (np.asarray(ndi.mean(stack, labels, index), dtype=np.float64) for stack in (image, truth))
    if np.ptp(own) == 0 or np.ptp(true) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(own, true).statistic)


def score_row(image: FloatArray, truth: FloatArray, labels: NDArray[np.int32]) -> Row:
    """RMSE and SSIM with and without a fit of scale and offset, and the order of the structures' brightness."""
    found = score(image, truth)
    values = {name: float(getattr(found, name)) for name in NAMES}
    return values | {"rank_correlation": rank_correlation(image, truth, labels)}


def summarise(rows: Sequence[Row], by: Sequence[str], baseline: str) -> list[Row]:
    """One line per group and method: number of stacks, mean scores, median order, RMSE as a share of the baseline's.

    Parameters
    ----------
    rows
        One per stack and method; with ``method``, the scores, and what they are grouped by.
    by
        Names to group by, one after the other; all stacks together come first.
    baseline
        Method whose mean RMSE, after the fit, is the whole of the share.
    """
    groups = [("all", rows)]
    for name in by:
        for value in sorted({row[name] for row in rows}):
            groups.append((f"{name}: {value}", [row for row in rows if row[name] == value]))
    lines = []
    for title, members in groups:
        whole = float(np.mean([row["rmse_fit"] for row in members if row["method"] == baseline]))
        for method in dict.fromkeys(row["method"] for row in members):
            mine = [row for row in members if row["method"] == method]
            means = {name: float(np.mean([row[name] for row in mine])) for name in NAMES}
            orders = [row["rank_correlation"] for row in mine if np.isfinite(row["rank_correlation"])]
            lines.append(
                {"group": title, "stacks": len(mine), "method": method, **means, "share": means["rmse_fit"] / whole}
                | {"rank_correlation": float(np.median(orders)) if orders else float("nan"), "ranked": len(orders)}
            )
    return lines
