"""Light from far outside of a stack: smooth, of its mean, brighter towards what lies beside the field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.simulation.glow import Glow, add_glow

SPACING = (0.5, 0.25, 0.25)
DARK_BUT_ONE = np.zeros((12, 40, 40), np.float32)
DARK_BUT_ONE[4:8, 10:20, 10:20] = 3.0


@settings(deadline=None, max_examples=25)
@given(st.floats(0.05, 3), st.floats(4, 60), st.floats(0, 0.8), st.integers(0, 1000))
def test_mean_light_is_its_share_of_the_bright_voxels(level: float, grain: float, contrast: float, seed: int) -> None:
    seen = add_glow(np.random.default_rng(seed), DARK_BUT_ONE, Glow(level, grain, contrast), SPACING)
    added = seen - DARK_BUT_ONE
    assert added.min() >= 0
    assert added.mean() == pytest.approx(3 * level, rel=1e-3)


def test_it_is_smooth_on_the_scale_of_its_clouds() -> None:
    wide, narrow = (
        add_glow(np.random.default_rng(1), DARK_BUT_ONE, Glow(1.0, grain, 0.5), SPACING) - DARK_BUT_ONE
        for grain in (40.0, 2.0)
    )
    steps = [np.abs(np.diff(np.log(light), axis=2)).max() for light in (wide, narrow)]
    assert steps[0] < 0.5 * SPACING[2] / 40 * 5
    assert steps[1] > 5 * steps[0]


def test_what_is_beside_the_field_lights_one_side() -> None:
    light = add_glow(np.random.default_rng(2), DARK_BUT_ONE, Glow(1.0, 60.0, 0.0, beside=4.0), SPACING) - DARK_BUT_ONE
    assert light.max() == pytest.approx(3 * 5, rel=0.01)
    border = np.ones(light.shape[1:], bool)
    border[1:-1, 1:-1] = False
    assert border[np.unravel_index(light.max(axis=0).argmax(), border.shape)]


def test_no_glow_changes_nothing() -> None:
    assert add_glow(np.random.default_rng(0), DARK_BUT_ONE, Glow(), SPACING) is DARK_BUT_ONE
