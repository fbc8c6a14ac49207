"""Sheets: as thick, as folded, as many and as whole as their bounds say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.sheets import SheetsBounds, draw_sheets
from napari_deep3d.core.types import FloatArray, Spacing

SHAPE, SPACING_UM = (60, 64, 64), (0.15, 0.2, 0.2)
FLAT: dict[str, Any] = {
    "families": (1, 1),
    "family_brightness": (1.0, 1.0),
    "sheet_brightness": (1.0, 1.0),
    "flatness": (1e6, 1e6),
    "single_chance": 1.0,
    "thickness_spread": (0.0, 0.0),
    "patch_chance": 0.0,
    "contrast": (0.0, 0.0),
}


def sheets(seed: int, spacing_um: Spacing = SPACING_UM, **bounds: Any) -> FloatArray:
    canvas = Canvas.blank(np.random.default_rng(seed), SHAPE, spacing_um)
    draw_sheets(canvas, SheetsBounds.checked(**(FLAT | bounds)))
    return canvas.density


def heights_um(sheet: FloatArray) -> FloatArray:
    """Height of a single sheet that lies flat over each place in the plane, axes (Y, X)."""
    planes = np.arange(len(sheet))[:, None, None] * SPACING_UM[0]
    return np.asarray((sheet * planes).sum(axis=0) / sheet.sum(axis=0))


@pytest.mark.parametrize("thickness_um", [0.1, 0.4, 1.5])
@pytest.mark.parametrize("fold", [0.0, 0.15])
def test_sheets_are_as_thick_as_told_across_their_slope(thickness_um: float, fold: float) -> None:
    sheet = sheets(0, thickness_um=(thickness_um, thickness_um), fold=(fold, fold), fold_um=(4.0, 4.0))
    slopes = np.gradient(heights_um(sheet), *SPACING_UM[1:])
    upright = sheet.sum(axis=0) * SPACING_UM[0]
    across = upright / np.sqrt(1 + slopes[0] ** 2 + slopes[1] ** 2)
    assert across.mean() == pytest.approx(thickness_um, rel=0.08)


def test_folds_are_as_high_as_told() -> None:
    own = {"fold_um": (1.0, 1.0), "thickness_um": (0.2, 0.2)}
    for fold in (0.15, 0.5):
        spread = [heights_um(sheets(s, fold=(fold, fold), **own)).std() for s in range(4)]
        assert np.sqrt(np.mean(np.square(spread))) == pytest.approx(fold, rel=0.2)


def test_patches_leave_their_share_of_a_sheet() -> None:
    for filling in (0.3, 0.7):
        own = {"patch_um": (1.5, 1.5), "thickness_um": (0.5, 0.5), "fold": (0.0, 0.0)}
        patches = {"patch_chance": 1.0, "patch_filling": (filling, filling)}
        left = [sheets(s, **patches, **own).sum() / sheets(s, **own).sum() for s in range(3)]
        assert np.mean(left) == pytest.approx(filling, abs=0.08)


def test_stacks_have_their_mean_gap() -> None:
    gap_um, own = 1.0, {"single_chance": 0.0, "fold": (0.0, 0.0), "thickness_um": (0.05, 0.05)}
    count = [sheets(s, gap_um=(gap_um, gap_um), **own)[:, 40, 40].sum() * SPACING_UM[0] / 0.05 for s in range(6)]
    # Some fall into the voxel of another.
    assert 0.75 < np.mean(count) * gap_um / (SHAPE[0] * SPACING_UM[0]) < 1.05
