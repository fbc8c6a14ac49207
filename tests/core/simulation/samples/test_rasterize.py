"""Tubes and balls: each voxel holds the share of it that they fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.simulation.samples.rasterize import Tubes, draw_balls, draw_tubes
from napari_deep3d.core.types import DoubleArray, FloatArray, Spacing


def draw_tube(
    density: FloatArray, spacing_um: Spacing, path_um: DoubleArray, radii_um: DoubleArray, brightness: float
) -> None:
    draw_tubes(density, spacing_um, Tubes(path_um[None], radii_um[None], np.array([brightness])))


def test_tube_follows_its_path_and_has_its_radius() -> None:
    density = np.zeros((21, 41, 81), np.float32)
    path = np.stack([np.full(300, 2.0), np.full(300, 2.0), np.linspace(1, 7, 300)], axis=1)  # along x, in um
    draw_tube(density, (0.2, 0.1, 0.1), path, np.full(300, 0.5), 0.8)
    assert density.max() == pytest.approx(0.8)
    bright = density > 0.4
    area_um2 = bright[:, :, 40].sum() * 0.2 * 0.1
    assert area_um2 == pytest.approx(np.pi * 0.5**2, rel=0.15)
    centre = np.argwhere(bright[:, :, 40]).mean(axis=0) * (0.2, 0.1)
    np.testing.assert_allclose(centre, (2.0, 2.0), atol=0.05)
    assert not density[:, :, :4].any()
    assert not density[:, :, 77:].any()


def test_crossing_tubes_do_not_add_up() -> None:
    once, twice = np.zeros((9, 20, 20), np.float32), np.zeros((9, 20, 20), np.float32)
    path = np.stack([np.full(50, 1.0), np.full(50, 2.0), np.linspace(0, 4, 50)], axis=1)
    draw_tube(once, (0.2, 0.2, 0.2), path, np.full(50, 0.3), 1.0)
    for _ in range(2):
        draw_tube(twice, (0.2, 0.2, 0.2), path, np.full(50, 0.3), 1.0)
    np.testing.assert_array_equal(once, twice)


@pytest.mark.parametrize("along", [(0, 0, 1), (0, 1, 1), (1, 0, 0), (1, 1, 1)], ids=str)
@pytest.mark.parametrize("radius", [0.02, 0.1, 0.17, 0.25, 0.5, 0.8])
def test_brightness_of_a_tube_follows_its_cross_section(radius: float, along: tuple[int, int, int]) -> None:
    density, spacing_um = np.zeros((25, 60, 60), np.float32), (0.4, 0.2, 0.2)
    direction = np.array(along) / np.linalg.norm(along)
    path = np.array([4.8, 5.9, 5.93]) + np.linspace(-2.5, 2.5, 121)[:, None] * direction
    draw_tube(density, spacing_um, path, np.full(121, radius), 0.7)
    mass = density.sum() * np.prod(spacing_um)
    ends = 4 / 3 * np.pi * radius**3 if radius > 0.12 else 0  # a thick tube has round ends
    assert mass == pytest.approx(0.7 * (np.pi * radius**2 * 5 + ends), rel=0.3 if radius > 0.12 else 1e-3)


@pytest.mark.parametrize("radius", [0.02, 0.1, 0.3, 1.0])
def test_brightness_of_a_ball_follows_its_volume(radius: float) -> None:
    density = np.zeros((20, 40, 40), np.float32)
    draw_balls(density, (0.2, 0.1, 0.1), np.array([[2.03, 1.96, 2.01]]), np.array([radius]), np.array([0.5]))
    assert density.sum() * 0.002 == pytest.approx(0.5 * 4 / 3 * np.pi * radius**3, rel=0.2)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.integers(1, 30), st.floats(-3, 6), st.floats(0.01, 2.0))
def test_drawing_stays_in_its_field_and_within_its_brightness(planes: int, side: int, at: float, radius: float) -> None:
    density = np.zeros((planes, side, side + 1), np.float32)
    path = np.stack([np.full(60, at), np.linspace(-4, 4, 60), np.linspace(0, 3, 60)], axis=1)
    draw_tube(density, (0.5, 0.2, 0.2), path, np.full(60, radius), 0.8)
    assert np.isfinite(density).all()
    assert 0 <= density.min() <= density.max() <= 0.8 * 1.2


def test_tube_may_leave_the_stack() -> None:
    density = np.zeros((5, 10, 10), np.float32)
    path = np.stack([np.linspace(-5, 5, 100)] * 3, axis=1)
    draw_tube(density, (0.2, 0.2, 0.2), path, np.full(100, 0.4), 1.0)
    assert density[2, 2, 2] == pytest.approx(1)
