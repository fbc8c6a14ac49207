"""The part of a stack that is image: its box, what is filled in it, and what of two stacks is none."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core import Box, NoData, saturated_share
from napari_deep3d.core.no_data.image_part import (
    cropped,
    either,
    filled,
    find_no_image,
    image_part,
)

SHAPE = (8, 40, 48)


@pytest.fixture
def stack() -> np.ndarray:
    return np.random.default_rng(0).normal(500, 20, SHAPE).astype(np.float32)


def no_data_of(mask: np.ndarray, value: float = 0) -> NoData:
    return NoData.of(iter(mask), (value,))


def mask_of(no_data: NoData | None) -> np.ndarray:
    assert no_data is not None
    return no_data.mask(Box.whole(no_data.shape))


def test_every_voxel_that_is_not_finite_is_no_image(stack: np.ndarray) -> None:
    assert find_no_image(stack) is None
    expected = np.zeros(SHAPE, bool)
    expected[:, :3] = expected[2, 20, 30] = expected[5, 9, 9] = True
    stack[:, :3], stack[2, 20, 30], stack[5, 9, 9] = 0, np.nan, np.inf
    found = find_no_image(stack)
    np.testing.assert_array_equal(mask_of(found), expected)
    assert found is not None
    assert found.not_finite == 2
    assert found.values[0] == 0
    assert np.isnan(found.values[1])


def test_the_part_is_the_box_of_the_image_and_the_rest_of_it_filled(stack: np.ndarray) -> None:
    spoilt = stack.copy()
    spoilt[:, :5] = spoilt[:, :, 40:] = spoilt[:, 22] = np.nan
    part = image_part(spoilt, find_no_image(spoilt))
    assert part.region == Box(slice(0, 8), slice(5, 40), slice(0, 40))
    data = np.asarray(part.data)
    kept = np.arange(35) != 17
    np.testing.assert_array_equal(data[:, kept], stack[:, 5:, :40][:, kept])
    assert abs(data[:, 17].mean() - 500) < 20
    whole = image_part(spoilt, find_no_image(spoilt), crop=False)
    assert np.asarray(whole.data).shape == SHAPE
    assert np.isfinite(np.asarray(whole.data)).all()
    assert image_part(stack, None).data is stack


def test_the_part_is_never_smaller_than_a_stack_may_be(stack: np.ndarray) -> None:
    stack[1:] = 0
    stack[:, 5:] = 0
    assert image_part(stack, find_no_image(stack)).region.shape == (4, 16, 48)


def test_a_box_without_gaps_is_a_view(stack: np.ndarray) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:, :4] = True
    assert np.shares_memory(np.asarray(filled(stack, no_data_of(mask), Box.at((0, 4, 0), (8, 36, 48)))), stack)


def test_what_is_no_image_in_either_of_two_stacks() -> None:
    masks = np.random.default_rng(0).random((2, *SHAPE)) < 0.2
    first, second = (no_data_of(mask, value) for mask, value in zip(masks, (0, 7), strict=True))
    both = either(first, second)
    np.testing.assert_array_equal(mask_of(both), masks[0] | masks[1])
    assert both is not None
    assert both.values == (0, 7)
    assert either(first, None) is either(None, first) is first
    assert either(None, None) is None


def test_what_is_no_image_in_a_box() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[3, 4:9, 10] = True
    inside = Box.at((2, 6, 5), (4, 10, 10))
    np.testing.assert_array_equal(mask_of(cropped(no_data_of(mask), inside)), mask[inside])
    assert cropped(no_data_of(mask), Box.at((4, 0, 0), (4, 40, 48))) is None
    assert cropped(None, inside) is None


def test_saturation_is_that_of_the_image(stack: np.ndarray) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:, :, 24:] = True
    stack[mask] = 1000
    stack[:, :20, :24] = 900
    assert saturated_share(stack, 900, no_data_of(mask)) == 0.5
