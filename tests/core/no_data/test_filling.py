"""What is no image is filled from the image around it, whatever box is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core import Box
from napari_deep3d.core.no_data import FilledStack, NoData, find_no_data
from tests.core.no_data.test_finding import KINDS, SHAPE, camera


def filled(kind: str) -> tuple[np.ndarray, FilledStack]:
    stack = camera()
    stack[KINDS[kind]] = 0
    no_data = find_no_data(stack)
    assert no_data is not None
    return stack, FilledStack(stack, no_data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_filled_stack_has_the_image_and_nothing_that_is_none(kind: str) -> None:
    stack, whole = filled(kind)
    mask = whole.no_data.mask(Box.whole(SHAPE))
    voxels = whole[...]
    assert voxels.dtype == stack.dtype
    assert np.array_equal(voxels[~mask], stack[~mask])
    assert voxels[mask].min() >= stack[~mask].min()
    assert voxels[mask].max() <= stack[~mask].max()


@settings(max_examples=20, deadline=None)
@given(st.data())
@pytest.mark.parametrize("kind", ["padding", "drift", "a turned frame", "every fourth plane", "a dead tile"])
def test_what_a_voxel_is_filled_with_does_not_depend_on_the_box(kind: str, data: st.DataObject) -> None:
    _, stack = filled(kind)
    start = [data.draw(st.integers(0, size - 1)) for size in SHAPE]
    box = Box.spanning(start, [data.draw(st.integers(a + 1, size)) for a, size in zip(start, SHAPE, strict=True)])
    assert np.array_equal(stack[box], stack[...][box])


def test_gaps_are_bridged_and_edges_mirrored() -> None:
    stack = np.broadcast_to(np.arange(1.0, 21), (5, 20, 20)).copy()
    mask = np.zeros(stack.shape, bool)
    mask[:, :, 9:11], mask[2], mask[:, :, :2] = True, True, True
    stack[mask] = np.nan
    whole = FilledStack(stack, NoData.of(mask, (float("nan"),)))[...]
    assert np.allclose(whole[:, :, 11:], np.arange(12.0, 21))
    assert np.allclose(whole[:, :, :2], [5, 4])
    assert np.all((whole[:, :, 9:11] >= 9) & (whole[:, :, 9:11] <= 12))


def test_the_image_is_described() -> None:
    mask = np.ones((8, 40, 50), bool)
    mask[1:-1, 4:-6, 5:] = False
    mask[3], mask[:, 10], mask[:, 20:22] = True, True, True
    no_data = NoData.of(mask, (0.0,))
    assert no_data.image_box == np.s_[1:7, 4:34, 5:50]
    assert no_data.share == mask.mean()
    assert [list(np.flatnonzero(empty)) for empty in no_data.empty] == [
        [0, 3, 7],
        [0, 1, 2, 3, 10, 20, 21, *range(34, 40)],
        [0, 1, 2, 3, 4],
    ]
    assert no_data.sentence == "62 % of the voxels are no image (black edges, 1 black plane, 3 black rows)"
    assert not no_data.is_everything
