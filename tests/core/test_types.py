"""Boxes of voxels: NumPy takes them as an index, and their arithmetic is that of intervals."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.types import Box

small = settings(max_examples=50, deadline=None)
three = st.tuples(*[st.integers(1, 40)] * 3)
multiples = st.tuples(*[st.integers(1, 9)] * 3)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[Box, tuple[int, int, int]]:
    """A box that is not empty, and the shape of a stack that it lies in."""
    shape = draw(three)
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    return Box.spanning(starts, [draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]), shape


def test_a_box_is_an_index() -> None:
    stack = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    box = Box.at((1, 0, 2), (2, 3, 4))
    assert np.array_equal(stack[box], stack[1:3, 0:3, 2:6])
    assert stack[box].shape == box.shape == (2, 3, 4)
    assert stack[Box.whole(stack.shape)].shape == stack.shape


@small
@given(boxes(), st.tuples(*[st.integers(-9, 9)] * 3))
def test_moving_there_and_back_is_nothing(case, by) -> None:
    box, _ = case
    moved = box.shifted(by)
    assert moved.shape == box.shape
    assert tuple(b - a for a, b in zip(box.start, moved.start, strict=True)) == by
    assert moved.shifted([-d for d in by]) == box


@small
@given(boxes(), boxes())
def test_relative_to_another_box_its_voxels_are_the_same(case, other) -> None:
    box, outer = case[0], other[0]
    assert box.relative_to(outer).shifted(outer.start) == box


@small
@given(boxes(), multiples)
def test_snapped_is_the_smallest_box_on_the_grid_that_covers(case, multiple) -> None:
    box, shape = case
    snapped = box.snapped(multiple, shape)
    for part, out, m, size in zip(box, snapped, multiple, shape, strict=True):
        assert out.start <= part.start < part.stop <= out.stop <= size
        assert out.start % m == 0
        assert out.stop % m == 0 or out.stop == size
        assert part.start - out.start < m
        assert out.stop - part.stop < m
    assert snapped.snapped(multiple, shape) == snapped


@small
@given(boxes(), st.tuples(*[st.integers(0, 9)] * 3))
def test_grown_adds_the_margin_and_stays_within_the_stack(case, margin) -> None:
    box, shape = case
    for part, out, m, size in zip(box, box.grown(margin, shape), margin, shape, strict=True):
        assert out.start == (part.start - m if part.start >= m else 0)
        assert out.stop == (part.stop + m if part.stop + m <= size else size)


@small
@given(boxes(), three)
def test_clipped_holds_the_voxels_that_are_there(case, shape) -> None:
    box, _ = case
    assert np.zeros(shape)[box].shape == tuple(max(0, n) for n in box.clipped(shape).shape)


@small
@given(three, three)
def test_centred_leaves_as_much_on_either_side(size, shape) -> None:
    box = Box.centred(size, shape)
    for part, want, have in zip(box, size, shape, strict=True):
        assert part.stop - part.start == min(want, have)
        assert 0 <= (have - part.stop) - part.start <= 1


def test_centred_is_cut_to_the_stack() -> None:
    assert Box.centred((4, 30, 16), (10, 20, 31)) == Box(slice(3, 7), slice(0, 20), slice(7, 23))


def test_one_axis_can_be_replaced() -> None:
    box = Box.whole((4, 5, 6)).with_axis(1, 2, 3)
    assert (box.start, box.stop) == ((0, 2, 0), (4, 3, 6))
