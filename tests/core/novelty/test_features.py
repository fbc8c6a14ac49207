"""What a stack looks like: numbers that do not depend on the camera's gain and offset, nor on mirrors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.novelty.features import FEATURE_NAMES, MAX_LATERAL, MAX_PLANES, representative_part
from tests.helpers.novelty import SPACING, features_of, widefield


def close(stack: np.ndarray, other: np.ndarray, tolerance: float = 2e-3) -> None:
    expected, found = features_of(stack, SPACING).values(), features_of(other, SPACING).values()
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=tolerance)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 99), gain=st.floats(0.01, 100), offset=st.floats(-1000, 1000))
def test_gain_and_offset_change_nothing(seed: int, gain: float, offset: float) -> None:
    stack = widefield(seed)
    close(stack, gain * stack.astype(np.float64) + offset)


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 99), axes=st.sampled_from([(1,), (2,), (1, 2)]))
def test_mirrors_change_nothing(seed: int, axes: tuple[int, ...]) -> None:
    stack = widefield(seed, (9, 33, 40))
    close(stack, np.flip(stack, axes))


@pytest.mark.parametrize("dtype", [">u2", "int32", "float32", "float64"])
def test_kind_of_number_changes_nothing(dtype: str) -> None:
    close(widefield(0), widefield(0).astype(dtype), 1e-5)


def test_order_of_rows_and_columns_changes_nothing_for_square_pixels() -> None:
    close(widefield(1), widefield(1).transpose(0, 2, 1))


def test_few_voxels_that_are_not_finite_change_little() -> None:
    holes = widefield(2).astype(np.float32)
    holes[3, 5:8, 7], holes[9, 0, 0] = np.nan, np.inf
    close(widefield(2), holes, 0.1)


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_a_stack_without_structure_still_has_numbers(value: float) -> None:
    assert np.isfinite(features_of(np.full((8, 32, 32), value), SPACING).values()).all()


@pytest.mark.parametrize("shape", [(4, 16, 16), (4, 16, 400), (7, 17, 23)])
def test_what_a_small_stack_cannot_tell_is_left_open(shape: tuple[int, int, int]) -> None:
    values = features_of(widefield(3, shape), SPACING).values()
    assert not np.isinf(values).any()
    assert np.isfinite(
        values[[FEATURE_NAMES.index(name) for name in ("noise", "median", "saturated", "near_middle")]]
    ).all()


def test_of_a_large_stack_a_bounded_part_is_read_that_has_structure() -> None:
    class Large:
        shape, dtype, read = (200, 2000, 3000), np.dtype(np.uint8), 0

        def __getitem__(self, key: object) -> np.ndarray:
            if isinstance(key, int):
                plane = np.zeros(self.shape[1:], np.uint8)
                plane[1900:, 2900:] = np.arange(100)
                return plane
            boxes = [range(part.start, part.stop) for part in key]  # type: ignore[attr-defined]
            self.read += int(np.prod([len(box) for box in boxes]))
            assert 2999 in boxes[2]
            assert 1999 in boxes[1]
            return np.zeros([len(box) for box in boxes], np.uint8)

    stack = Large()
    assert representative_part(stack).shape == (MAX_PLANES, MAX_LATERAL, MAX_LATERAL)
    assert stack.read == (MAX_PLANES - 1) * MAX_LATERAL**2 <= 2e6  # besides the middle plane


def test_noise_is_told_as_it_is() -> None:
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(128) / 10)[None, :, None] * np.sin(np.arange(128) / 10) * np.ones((12, 1, 1))
    for sigma in (0.02, 0.1):  # the smoothed intensities range over 2
        noise = features_of(waves + rng.normal(0, sigma, waves.shape), SPACING).noise
        assert 10**noise == pytest.approx(sigma / 2, rel=0.1)


def test_repeated_planes_are_alike_and_noise_is_not() -> None:
    noise = np.random.default_rng(0).normal(size=(16, 64, 64))
    repeated = features_of(np.repeat(noise[:1], 16, axis=0), SPACING)
    assert min(repeated.near_fine, repeated.far_fine) > 2
    unrelated = features_of(noise, SPACING)
    assert max(abs(unrelated.near_finest), abs(unrelated.far_finest)) < 0.1
    assert unrelated.order == pytest.approx(0, abs=0.1)
