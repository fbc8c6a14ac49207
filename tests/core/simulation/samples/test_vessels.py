"""Vessels: walls as thick as told around a lumen that is dark, dim or filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.vessels import VesselsBounds, draw_vessels
from napari_deep3d.core.types import FloatArray

SHAPE, STEP_UM, WALL_UM = (52, 56, 60), 0.35, 1.0
EVEN: dict[str, Any] = {"contrast": (0.0, 0.0), "wall_um": (WALL_UM, WALL_UM), "brightness": (1.0, 1.0)}
TREES: dict[str, Any] = {"network_chance": 0.0, "both_chance": 0.0, "radius_um": (3.0, 3.0), "taper": (1.0, 1.0)}
NETWORK: dict[str, Any] = {"network_chance": 1.0, "capillary_um": (2.5, 2.5), "capillary_spread": (0.0, 0.0)}


def vessels(seed: int, **bounds: Any) -> FloatArray:
    canvas = Canvas.blank(np.random.default_rng(seed), SHAPE, (STEP_UM, STEP_UM, STEP_UM))
    draw_vessels(canvas, VesselsBounds.checked(**EVEN, **bounds))
    return canvas.density


def depth_um(filled: FloatArray) -> NDArray[np.float64]:
    """Depth of each voxel in filled vessels; not a number near the field's border, where it cannot be known."""
    depth = np.full(filled.shape, np.nan)
    inner = (slice(8, -8),) * 3
    depth[inner] = (ndi.distance_transform_edt(filled > 0.5)[inner] - 0.5) * STEP_UM
    return depth


@pytest.mark.parametrize("kind", [TREES, NETWORK], ids=["trees", "network"])
@pytest.mark.parametrize("seed", range(2))
def test_lumina_are_dark_within_a_wall_of_its_thickness(kind: dict[str, Any], seed: int) -> None:
    filled = vessels(seed, filled_chance=1.0, **kind)
    hollow = vessels(seed, filled_chance=0.0, dim_chance=0.0, **kind)
    depth = depth_um(filled)
    lumen, wall = depth > WALL_UM + STEP_UM, (depth > STEP_UM) & (depth < WALL_UM - STEP_UM)
    assert lumen.sum() > 100
    assert (hollow[lumen] < 0.1).mean() > 0.95
    assert (hollow[wall] > 0.9).mean() > 0.95


def test_dim_lumina_have_their_share_of_the_wall_s_brightness() -> None:
    dim = vessels(1, filled_chance=0.0, dim_chance=1.0, lumen=(0.2, 0.2), **TREES)
    lumen = depth_um(vessels(1, filled_chance=1.0, **TREES)) > WALL_UM + STEP_UM
    assert np.median(dim[lumen]) == pytest.approx(0.2, abs=0.01)


def test_vessels_have_their_radius() -> None:
    filled = [vessels(seed, filled_chance=1.0, fork_radius=(0.5, 0.5), **TREES) for seed in range(4)]
    deepest = [float(np.nanmax(depth_um(one))) for one in filled]
    assert np.median(deepest) == pytest.approx(3.0, rel=0.15)
