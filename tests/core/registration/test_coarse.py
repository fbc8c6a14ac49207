"""The first look: where two stacks lie on each other, whatever their sizes."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.events import StoppedError, never
from napari_deep3d.core.registration.coarse import coarse_lag, lag_range, reduce_stack, reduction
from napari_deep3d.core.types import Shape
from tests.helpers.registration import cut, texture

few = settings(deadline=None, max_examples=80)
shapes = st.tuples(*[st.integers(4, 300)] * 3)


def overlap(own: int, other: int, lag: int) -> int:
    """Number of indices i of the one with i + lag in the other."""
    return max(0, min(own, other - lag) - max(0, -lag))


@few
@given(shapes, shapes)
def test_every_lag_searched_leaves_a_third_of_the_smaller_stack(confocal, widefield) -> None:
    searched = lag_range(confocal, widefield)
    for own, other, low, high in zip(confocal, widefield, searched.low, searched.high, strict=True):
        least = ceil(min(own, other) / 3)
        assert all(overlap(own, other, lag) >= least for lag in range(low, high + 1))
        assert overlap(own, other, low - 1) < least
        assert overlap(own, other, high + 1) < least


@few
@given(shapes, shapes, st.tuples(*[st.floats(0, 400)] * 3))
def test_search_keeps_to_the_largest_lag(confocal, widefield, most) -> None:
    searched, free = lag_range(confocal, widefield, most), lag_range(confocal, widefield)
    for axis, bound in enumerate(most):
        allowed = [lag for lag in range(free.low[axis], free.high[axis] + 1) if abs(lag) <= bound]
        assert (searched.low[axis], searched.high[axis]) == (allowed[0], allowed[-1])


@few
@given(shapes, shapes)
def test_swapped_stacks_are_searched_the_other_way_round(confocal, widefield) -> None:
    there, back = lag_range(confocal, widefield), lag_range(widefield, confocal)
    assert there.low == tuple(-v for v in back.high)
    assert there.high == tuple(-v for v in back.low)


@pytest.mark.parametrize(
    ("own", "first", "other", "second"),
    [
        ((20, 60, 64), (10, 20, 20), (20, 60, 64), (6, 33, 2)),
        ((12, 40, 90), (14, 30, 5), (34, 100, 60), (2, 4, 20)),  # the first lies within the other along z and y
        ((36, 100, 50), (1, 3, 40), (14, 48, 96), (20, 30, 10)),
    ],
)
def test_lag_between_stacks_of_different_shapes(own: Shape, first: Shape, other: Shape, second: Shape) -> None:
    field = texture(0, (40, 112, 112))
    confocal, widefield = cut(field, first, own), cut(field, second, other)
    expected = tuple(a - b for a, b in zip(first, second, strict=True))
    assert coarse_lag(confocal, widefield, lag_range(own, other), never) == expected


def test_bright_bulk_does_not_hide_the_structure() -> None:
    field = texture(0, (30, 80, 80))
    confocal, widefield = cut(field, (6, 10, 10), (20, 60, 60)), cut(field, (3, 14, 8), (20, 60, 60))
    rows = np.linspace(0, 1, 60)
    bulk = 20 * np.exp(-(((rows[:, None] - 0.5) ** 2 + (rows - 0.5) ** 2) / 0.1)).astype(np.float32)
    searched = lag_range(confocal.shape, widefield.shape)
    assert coarse_lag(confocal + bulk, widefield + bulk, searched, never) == (3, -4, 2)


def test_lag_stays_within_what_is_searched() -> None:
    field = texture(0, (20, 80, 80))
    confocal, widefield = cut(field, (0, 20, 10), (20, 60, 60)), cut(field, (0, 0, 10), (20, 60, 60))
    most = (4.0, 8.0, 8.0)
    found = coarse_lag(confocal, widefield, lag_range(confocal.shape, widefield.shape, most), never)
    assert all(abs(lag) <= bound for lag, bound in zip(found, most, strict=True))
    assert coarse_lag(confocal, widefield, lag_range(confocal.shape, widefield.shape), never) == (0, 20, 0)


def test_large_stacks_are_compared_on_reduced_copies() -> None:
    field = texture(0, (8, 760, 400), (1.0, 4.0, 4.0))
    confocal, widefield = cut(field, (1, 40, 30), (6, 700, 360)), cut(field, (0, 10, 36), (6, 700, 360))
    factors = reduction(confocal.shape, widefield.shape)
    assert factors == (1, 3, 3)
    found = coarse_lag(confocal, widefield, lag_range(confocal.shape, widefield.shape), never)
    np.testing.assert_array_less(np.abs(np.subtract(found, (1, 30, -6))), np.array(factors) + 0.5)


@few
@given(st.tuples(*[st.integers(4, 2000)] * 3), st.tuples(*[st.integers(4, 2000)] * 3))
def test_reduced_copies_are_small_enough_and_have_square_pixels(confocal, widefield) -> None:
    factors = reduction(confocal, widefield)
    assert factors[1] == factors[2]
    for shape in (confocal, widefield):
        assert all(n // f <= most for n, f, most in zip(shape, factors, (160, 320, 320), strict=True))


def test_reduced_voxel_is_the_mean_of_its_block() -> None:
    stack = np.random.default_rng(0).integers(0, 60_000, (7, 10, 17)).astype(np.uint16)
    reduced = reduce_stack(stack, (2, 3, 3), never)
    assert reduced.shape == (3, 3, 5)
    for z, y, x in np.ndindex(reduced.shape):
        block = stack[2 * z : 2 * z + 2, 3 * y : 3 * y + 3, 3 * x : 3 * x + 3]
        assert reduced[z, y, x] == pytest.approx(block.mean(), rel=1e-5)


def test_stop_is_asked_while_the_stacks_are_read() -> None:
    image = texture(0, (8, 32, 32))
    answers = iter([False] * 10 + [True])
    with pytest.raises(StoppedError):
        coarse_lag(image, image, lag_range(image.shape, image.shape), lambda: next(answers))
