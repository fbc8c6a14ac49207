"""A field shared out among cells: to the nearest centre, with true distances from the walls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.partition import Partition, scatter_seeds
from napari_deep3d.core.types import DoubleArray

SHAPE, SPACING_UM = (12, 30, 34), (0.5, 0.2, 0.25)
ROUND = np.ones(3)


def share_out(seeds: DoubleArray, stretch: DoubleArray = ROUND, radius_um: float = 1.5, seed: int = 0) -> Partition:
    canvas = Canvas.blank(np.random.default_rng(seed), SHAPE, SPACING_UM)
    return Partition.of(canvas, seeds, stretch, radius_um, 0.0, 1.0)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.tuples(*[st.floats(0.6, 1.6)] * 3))
def test_voxels_belong_to_the_nearest_centre(seed: int, stretch: tuple[float, float, float]) -> None:
    canvas = Canvas.blank(np.random.default_rng(seed), SHAPE, SPACING_UM)
    seeds = scatter_seeds(canvas, 1.5, np.array(stretch))
    cells = share_out(seeds, np.array(stretch))
    places = np.stack(np.meshgrid(*(np.arange(n) * d for n, d in zip(SHAPE, SPACING_UM, strict=True)), indexing="ij"))
    away = np.linalg.norm((places[:, ::3, ::3, ::3, None] - seeds.T[:, None, None, None]) / _four(stretch), axis=0)
    first, second = np.sort(away, axis=-1)[..., :2].transpose(3, 0, 1, 2)
    thinned = cells.closest[::3, ::3, ::3]
    assert (thinned == away.argmin(axis=-1)).mean() > 0.99
    np.testing.assert_allclose(np.percentile(np.abs(cells.from_seed[::3, ::3, ::3] - first), 98), 0, atol=1e-4)
    assert (cells.from_wall_um >= 0).all()
    assert ((cells.other[::3, ::3, ::3] != thinned) | (second - first < 1e-4)).all()


def _four(stretch: tuple[float, float, float]) -> DoubleArray:
    return np.array(stretch).reshape(3, 1, 1, 1, 1)


@pytest.mark.parametrize("axis", range(3))
def test_the_wall_between_two_cells_is_half_way_and_as_wide_as_a_voxel(axis: int) -> None:
    middle = np.array(SHAPE) * SPACING_UM / 2
    near, far = middle.copy(), middle.copy()
    near[axis] -= 1.0
    far[axis] += 1.5
    elsewhere = middle + 1000 + np.arange(12).reshape(4, 3)
    cells = share_out(np.array([near, far, *elsewhere]))
    along = np.arange(SHAPE[axis]) * SPACING_UM[axis] - (middle[axis] + 0.25)
    expected = np.abs(along).reshape([-1 if a == axis else 1 for a in range(3)])
    np.testing.assert_allclose(cells.from_wall_um, np.broadcast_to(expected, SHAPE), atol=1e-3)
    np.testing.assert_allclose(cells.voxel_um, SPACING_UM[axis], rtol=1e-4)
    assert set(np.unique(cells.closest)) == {0, 1}


def test_cells_have_the_volume_of_a_ball_of_their_radius() -> None:
    canvas = Canvas.blank(np.random.default_rng(0), (40, 100, 100), SPACING_UM)
    for radius, stretch in ((1.0, ROUND), (2.0, np.array((0.6, 1.0, 1.5)))):
        seeds = scatter_seeds(canvas, radius, stretch)
        inside = ((seeds > 0) & (seeds < canvas.field_um)).all(axis=1).sum()
        ball = 4 / 3 * np.pi * radius**3 * stretch.prod()
        assert canvas.field_um.prod() / inside == pytest.approx(ball, rel=0.15)
