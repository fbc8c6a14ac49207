"""Cells side by side: hollow or filled, with a nucleus or without, as many as told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.cells import BRIGHTEST, CellsBounds, draw_cells
from napari_deep3d.core.types import FloatArray

SHAPE, STEP_UM = (40, 52, 56), 0.25
PLAIN: dict[str, Any] = {
    "cell_um": (4.0, 4.0),
    "stretch": (1.0, 1.0),
    "stained": (1.0, 1.0),
    "gap_um": (0.8, 0.8),
    "brightness": (1.0, 1.0),
    "contrast": (0.0, 0.0),
    **dict.fromkeys(
        ("layer_chance", "granule_chance", "vacuole_chance", "hollow_chance", "nucleus_chance"),
        0.0,
    ),
}
LEVEL = 1 / (1 + 1 / BRIGHTEST)
"""Density of cytoplasm without any grain."""


def cells(seed: int, **bounds: Any) -> FloatArray:
    canvas = Canvas.blank(np.random.default_rng(seed), SHAPE, (STEP_UM, STEP_UM, STEP_UM))
    draw_cells(canvas, CellsBounds.checked(**(PLAIN | bounds)))
    return canvas.density


def test_cells_without_grain_are_even() -> None:
    assert cells(0).max() == pytest.approx(LEVEL, rel=1e-3)


@pytest.mark.parametrize("shell_um", [0.75, 1.25])
@pytest.mark.parametrize("seed", range(2))
def test_hollow_cells_are_bright_in_a_shell_of_its_thickness_and_dim_within(shell_um: float, seed: int) -> None:
    own = {"warp": (0.1, 0.1), "hollow_level": (0.2, 0.2), "shell_um": (shell_um, shell_um)}
    hollow = cells(seed, hollow_chance=1.0, **own)
    inner = (slice(8, -8),) * 3
    depth = (ndi.distance_transform_edt(hollow > 0.1 * LEVEL)[inner] - 0.5) * STEP_UM
    shell, within = (depth > STEP_UM) & (depth < shell_um - STEP_UM), depth > shell_um + 2 * STEP_UM
    assert within.sum() > 100
    assert np.median(hollow[inner][shell]) == pytest.approx(LEVEL, rel=0.05)
    assert np.median(hollow[inner][within]) == pytest.approx(0.2 * LEVEL, rel=0.05)
    assert (hollow[inner][within] < 0.5 * LEVEL).mean() > 0.95


def test_nuclei_are_darker_balls_of_their_radius() -> None:
    own = {"warp": (0.0, 0.0), "reach": (2.2, 2.2), "gap_um": (0.1, 0.1), "cell_um": (3.0, 3.0)}
    dark = {"nucleus_chance": 1.0, "bright_nucleus_chance": 0.0, "dark_nucleus": (0.1, 0.1)}
    plain = cells(3, **own)
    nuclei = []
    for radius in (0.3, 0.6):
        drawn = cells(3, nucleus_radius=(radius, radius), **dark, **own)
        assert (drawn <= plain + 1e-6).all()
        nuclei.append((drawn < 0.5 * plain).sum() / (plain > 0.5 * LEVEL).sum())
    assert nuclei[0] == pytest.approx(0.3**3, rel=0.4)  # the cell has the volume of a ball of radius 1, about
    assert 4 < nuclei[1] / nuclei[0] < 9  # the walls cut a part of the larger ones


def test_bright_nuclei_are_brighter() -> None:
    bright = cells(3, nucleus_chance=1.0, bright_nucleus_chance=1.0, bright_nucleus=(2.0, 2.0))
    assert bright.max() == pytest.approx(2 * LEVEL, rel=0.02)


def test_stained_cells_are_their_share_of_all() -> None:
    for stained in (0.25, 0.6):
        shares = [(cells(s, stained=(stained, stained), cell_um=(2.0, 2.0)) > 0).sum() for s in range(2)]
        everything = [(cells(s, cell_um=(2.0, 2.0)) > 0).sum() for s in range(2)]
        assert sum(shares) / sum(everything) == pytest.approx(stained, abs=0.12)


def test_cells_fill_much_of_the_field_unless_gaps_are_wide() -> None:
    filled = [(cells(1, gap_um=(um, um), reach=(2.2, 2.2)) > 0.5 * LEVEL).mean() for um in (0.1, 0.8, 2.0)]
    assert filled[0] > 0.8
    assert filled[0] > filled[1] > filled[2]


def test_a_layer_of_cells_is_as_thick_as_told() -> None:
    thin, thick = ((cells(2, layer_chance=1.0, layer_um=(um, um), cell_um=(1.5, 1.5)) > 0).mean() for um in (3, 9))
    assert thick > 1.5 * thin


def test_fine_grain_gives_contrast() -> None:
    spread = []
    for contrast in (0.1, 0.7):
        drawn = cells(0, contrast=(contrast, contrast))
        spread.append(drawn[drawn > 0.5 * np.median(drawn[drawn > 0])].std())
    assert spread[1] > 2 * spread[0]
