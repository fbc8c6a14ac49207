"""Intensities: the range of a stack, what is flat or saturated, and one scale for all."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core import NoData, intensity
from napari_deep3d.core.intensity import (
    NormalisedStack,
    OffsetStack,
    SampledIntensities,
    intensity_range,
    is_flat,
    measure_intensities,
    normalise,
    saturated_share,
)


def test_intensity_range_is_the_percentiles_of_the_stack() -> None:
    stack = np.arange(1001, dtype=np.uint16).reshape(7, 11, 13)
    assert intensity_range(stack, (0, 100)) == (0, 1000)
    assert intensity_range(stack, (10, 90)) == (100, 900)


def test_intensity_range_leaves_out_what_is_not_finite() -> None:
    stack = np.arange(1001, dtype=np.float32).reshape(7, 11, 13)
    spoilt = np.concatenate([stack, np.full((1, 11, 13), np.nan, np.float32)])
    spoilt[-1, 0, 0], spoilt[-1, 0, 1] = np.inf, -np.inf
    assert intensity_range(spoilt, (0, 100)) == (0, 1000)
    assert np.isnan(intensity_range(np.full((4, 16, 16), np.nan), (0, 100))).all()


def test_voxels_that_are_not_finite_are_counted_beyond_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intensity, "SAMPLED_VOXELS", 200)
    stack = np.arange(1001, dtype=np.float32).reshape(7, 11, 13)
    stack[2, 1, 1:4] = np.nan, np.inf, -np.inf
    bounds, not_finite = measure_intensities(stack, (0, 100))
    assert not_finite == 3
    assert bounds == intensity_range(stack, (0, 100)) == (stack[0, 0, 0], stack[-1, 9, 12])
    assert measure_intensities(np.ones((4, 16, 16), np.uint8), (0, 100))[1] == 0


def test_what_is_no_image_does_not_count() -> None:
    stack = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    mask = np.zeros(stack.shape, bool)
    mask[:2], mask[:, :, 0] = True, True
    spoilt = np.where(mask, np.float32(65_535), stack)
    no_data = NoData.of(mask, (65_535.0,))
    assert intensity_range(spoilt, (0, 100), no_data) == (201, 999)
    sampled = SampledIntensities(stack.shape)
    for plane in spoilt:
        sampled.add(plane)
    assert sampled.saturated_share() == mask.mean()
    assert sampled.saturated_share(no_data) == 1 / (~mask).sum()


@pytest.mark.parametrize(
    ("dtype", "offset"), [(np.uint32, 4e9), (np.int32, -2e9), (np.int64, 2**50), (np.uint64, 2**52), (np.float64, 1e10)]
)
def test_a_large_offset_does_not_hide_what_lies_on_it(dtype: type, offset: float) -> None:
    plain = np.random.default_rng(0).integers(0, 200, (4, 32, 32))
    stack = (plain + int(offset)).astype(dtype)
    bounds = intensity_range(stack, (0, 100))
    assert not is_flat(bounds, stack.dtype)
    np.testing.assert_allclose(normalise(stack, bounds), plain / 199, atol=1e-6)
    np.testing.assert_allclose(OffsetStack(stack, bounds[0])[...], plain - plain.min(), atol=1e-3)
    assert is_flat(intensity_range(np.full_like(stack, stack.flat[0]), (0, 100)), stack.dtype)


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 0.1, 65_535.0])
def test_intensity_range_of_a_constant_still_rises(value: float) -> None:
    low, high = intensity_range(np.full((4, 16, 16), value), (0.1, 99.9))
    assert low == value
    assert low < high <= low + 0.01


def test_intensity_range_of_few_spots_on_black_is_that_of_the_spots() -> None:
    stack = np.zeros((16, 64, 64), np.uint16)
    stack[8, 20:23, 20:23] = 1000  # fewer voxels than the percentiles leave out
    assert intensity_range(stack, (0.1, 99.9)) == (0, 1000)


@pytest.mark.parametrize(
    ("bounds", "flat"),
    [
        ((0.0, 1.0), False),
        ((0.0, 1e-9), False),
        ((1e9, 1e9 + 1e5), False),
        ((0.0, 0.0), True),
        ((0.0, 1.4e-45), True),
        ((1e9, 1e9 + 64), True),
        ((-5.0, -5.0), True),
        ((float("nan"), float("nan")), True),
    ],
)
def test_bounds_are_flat_if_they_are_alike_for_their_size(bounds: tuple[float, float], flat: bool) -> None:
    assert is_flat(bounds) is flat


def test_large_stack_is_sampled_a_plane_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Planes:
        shape, dtype = (10, 64, 64), np.dtype(np.float32)
        asked: list[object]

        def __init__(self) -> None:
            self.asked = []

        def __getitem__(self, key: int) -> np.ndarray:
            self.asked.append(key)
            return np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1)) + key

    monkeypatch.setattr(intensity, "SAMPLED_VOXELS", 2000)
    taken = []
    percentile = np.percentile
    monkeypatch.setattr(np, "percentile", lambda v, q: taken.append(len(v)) or percentile(v, q))
    stack = Planes()
    low, high = intensity_range(stack, (0, 100))
    assert stack.asked == list(range(10))
    assert 1000 <= taken[0] <= 2000
    assert low == pytest.approx(0, abs=0.1)
    assert high == pytest.approx(10, abs=0.1)


def test_normalise_brings_the_bounds_to_0_and_1_and_clips_nothing() -> None:
    data = np.array([100, 150, 200, 300, 0], np.uint16)
    scaled = normalise(data, (100, 200))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [0, 0.5, 1, 2, -1])


def test_normalised_stack_is_finite_and_read_box_by_box() -> None:
    data = np.full((4, 16, 16), 150, np.float32)
    data[0, 0, :4] = np.nan, np.inf, -np.inf, 300
    stack = NormalisedStack(data, (100, 200))
    assert (stack.shape, stack.dtype) == ((4, 16, 16), np.float32)
    np.testing.assert_allclose(stack[0, 0, :5], [0, 0, 0, 2, 0.5])
    assert np.isnan(data[0, 0, 0])


def test_saturated_share_is_that_of_voxels_at_the_largest_value() -> None:
    stack = np.zeros((100, 16, 16), np.uint16)
    assert saturated_share(stack, 65_535) == 0
    stack[40:80] = 65_535
    assert saturated_share(stack, 65_535) == pytest.approx(0.4, abs=0.04)  # of 32 planes
