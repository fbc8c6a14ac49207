"""RMSE and sharpness by depth (Fig. 1, 5a and 5b), in bands of depth."""

from __future__ import annotations

import numpy as np

from benchmarks.common.tables import Row
from benchmarks.study.pairs import TEST, test_pairs
from benchmarks.study.scoring import Ask, mean_by_depth
from benchmarks.study.study import Part, Study
from benchmarks.study.trainings import BASE
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

NAMES = ("rmse", "rmse_fit", "ssim_fit", "sharpness_signal", "sharpness_background")
BAND_UM = 6.0


def asks(study: Study) -> list[Ask]:
    """Wide-field, confocal and predictions of the test set."""
    return [study.itself(), study.itself(CONFOCAL), study.bundled(), *study.trained()]


def rows(study: Study) -> list[Row]:
    """A row for each band of depth and each method."""
    pairs = PairsFolder(test_pairs(study.store, study.size, TEST))
    step_um = pairs.volume(WIDEFIELD, pairs.names()[0]).require_spacing_um()[0]
    return [row for ask in asks(study) for row in _bands(study, ask, step_um)]


def bands(planes: int, step_um: float) -> dict[str, slice]:
    """The planes of each band of depth, by its first and last depth in um; all of `BAND_UM` but the last."""
    each = max(1, round(BAND_UM / step_um))
    starts = range(0, planes, each)
    return {
        f"{start * step_um:g} to {min(start + each, planes) * step_um:g}": slice(start, start + each)
        for start in starts
    }


def _bands(study: Study, ask: Ask, step_um: float) -> list[Row]:
    values = mean_by_depth(study.store, ask, NAMES)
    found = []
    for name, planes in bands(len(values[NAMES[0]]), step_um).items():
        inside = {k: v[planes] for k, v in values.items()}
        means = {k: float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for k, v in inside.items()}
        found.append({"depth_um": name} | ask.facts | means)
    return found


PARTS = {"depth": Part("paper_depth.csv", rows, (BASE,), asks)}
