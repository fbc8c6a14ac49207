"""The canvas that samples are drawn on, and random paths over it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.simulation.samples.canvas import Canvas, directions, unit
from napari_deep3d.core.types import Box

SHAPE, SPACING_UM = (10, 30, 40), (0.5, 0.2, 0.1)


@pytest.fixture
def canvas() -> Canvas:
    return Canvas.blank(np.random.default_rng(0), SHAPE, SPACING_UM)


def test_a_layer_is_blank_and_goes_on_with_the_same_random_numbers(canvas: Canvas) -> None:
    canvas.balls(canvas.places(5), np.full(5, 0.5), np.ones(5))
    layer = canvas.layer()
    assert canvas.density.any()
    assert not layer.density.any()
    assert (layer.shape, layer.spacing_um) == (SHAPE, SPACING_UM)
    assert layer.rng is canvas.rng


def test_places_lie_in_and_around_the_field_and_the_first_one_well_inside(canvas: Canvas) -> None:
    np.testing.assert_allclose(canvas.field_um, (5, 6, 4))
    places = canvas.places(2000, margin_um=1.0)
    assert ((places > -1) & (places < canvas.field_um + 1)).all()
    assert ((places < 0) | (places > canvas.field_um)).any(axis=0).all()
    firsts = np.array([canvas.places(1)[0] for _ in range(200)]) / canvas.field_um
    assert 0.2 <= firsts.min() <= firsts.max() <= 0.8


@settings(deadline=None)
@given(st.tuples(*[st.floats(-5, 12)] * 3), st.floats(0, 4))
def test_a_box_holds_all_voxels_within_reach_of_its_centre(centre: tuple[float, float, float], reach: float) -> None:
    canvas = Canvas.blank(np.random.default_rng(0), SHAPE, SPACING_UM)
    away = [np.abs(np.arange(n) * d - c) for n, d, c in zip(SHAPE, SPACING_UM, centre, strict=True)]
    near = [np.flatnonzero(a < reach) for a in away]
    box = canvas.box_around(np.array(centre), reach)
    if box is None:
        assert any(len(axis) == 0 for axis in near)
    elif all(len(axis) for axis in near):
        assert all(part.start <= axis[0] and axis[-1] < part.stop for part, axis in zip(box, near, strict=True))


def test_lighten_keeps_the_larger_density(canvas: Canvas) -> None:
    box = Box.at((2, 3, 4), (1, 1, 3))
    canvas.density[box] = 0.5
    canvas.lighten(box, np.array([[[0.2, 0.5, 0.9]]]))
    np.testing.assert_allclose(canvas.density[box].ravel(), (0.5, 0.5, 0.9))
    assert np.count_nonzero(canvas.density) == 3


def test_straight_paths_have_their_length_and_direction(canvas: Canvas) -> None:
    away = directions(canvas.rng, 20)
    length = canvas.rng.uniform(1, 4, 20)
    start = canvas.places(20)
    path = canvas.paths(start, away, length, bend=0.0, persistence_um=2.0)
    np.testing.assert_allclose(path[:, 0], start)
    np.testing.assert_allclose(path[:, -1], start + length[:, None] * away, rtol=1e-9)
    assert np.linalg.norm(np.diff(path, axis=1), axis=2).max() < min(SPACING_UM)


def test_bent_paths_turn_but_keep_their_length(canvas: Canvas) -> None:
    length = np.full(20, 4.0)
    path = canvas.paths(canvas.places(20), directions(canvas.rng, 20), length, bend=0.8, persistence_um=1.0)
    np.testing.assert_allclose(np.linalg.norm(np.diff(path, axis=1), axis=2).sum(axis=1), 4.0)
    assert (np.linalg.norm(path[:, -1] - path[:, 0], axis=1) < 3.99).all()


def test_unit_vectors_have_length_one_and_nothing_stays_nothing() -> None:
    vectors = np.array([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(unit(vectors), [[0.6, 0, 0.8], [0, 0, 0]])


def test_flat_directions_lie_nearer_the_plane() -> None:
    heights = [np.abs(directions(np.random.default_rng(0), 500, flat)[:, 0]).mean() for flat in (1.0, 0.2)]
    assert heights[1] < 0.5 * heights[0]
