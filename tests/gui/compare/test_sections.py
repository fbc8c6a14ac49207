"""Between places on the screen and points in space; no window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core import Box, InputError
from napari_deep3d.gui.compare.sections import Bounds, View, extent, lay_out, nice_length, section_at
from napari_deep3d.gui.compare.stacks import ComparedStack, OnVoxelsOf, shared_box

BOUNDS = Bounds((-1.0, 2.0, 5.0), (19.0, 42.0, 25.0))
inside = st.tuples(*(st.floats(low, high) for low, high in zip(BOUNDS.low_um, BOUNDS.high_um, strict=True)))


def stack(data: Any, spacing_um: Any = (0.5, 0.2, 0.1), origin_um: Any = (0, 0, 0), turn: Any = None) -> ComparedStack:
    """A stack in space; ``turn`` are the direction of its axes."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if turn is None else np.array(turn)) @ np.diag(spacing_um)
    matrix[:3, 3] = origin_um
    return ComparedStack("one", "", data, matrix, (0.0, 1.0), np.zeros((256, 3), np.uint8))


@pytest.fixture
def ramp() -> np.ndarray:
    """Voxels that tell where they are: 10000 z + 100 y + x."""
    z, y, x = np.indices((8, 20, 30))
    return (10000 * z + 100 * y + x).astype(np.float32)


@settings(max_examples=40)
@given(inside, inside, st.sampled_from(get_args(View)))
def test_a_place_on_the_screen_is_the_point_that_is_drawn_there(point: Any, other: Any, view: Any) -> None:
    placements = lay_out(view, BOUNDS)
    for placement in placements:
        row, column = placement.to_screen(point)
        assert section_at(placements, BOUNDS, row, column).normal == placement.normal
        back = placement.to_point(row, column, other)
        expected = list(point)
        expected[placement.normal] = other[placement.normal]
        assert back == pytest.approx(expected, abs=1e-9)


def test_three_sections_line_up_and_do_not_touch() -> None:
    placements = lay_out("all three", BOUNDS)
    assert [placement.name for placement in placements] == ["x-y", "x-z", "y-z"]
    plane, below, beside = (placement.frame(BOUNDS) for placement in placements)
    assert (below[1], below[3]) == (plane[1], plane[3])  # the same x
    assert (beside[0], beside[2]) == (plane[0], plane[2])  # the same y
    assert below[0] > plane[2]
    assert beside[1] > plane[3]
    assert extent(placements, BOUNDS) == (plane[0], plane[1], below[2], beside[3])


@pytest.mark.parametrize(("longest", "length"), [(37, 20), (0.9, 0.5), (10, 10), (199, 100)])
def test_scale_bars_are_1_2_or_5_times_a_power_of_ten(longest: float, length: float) -> None:
    assert nice_length(longest) == pytest.approx(length)


def test_a_section_holds_the_voxels_at_the_point_whatever_voxel_size_and_position(ramp: np.ndarray) -> None:
    for spacing, origin in (((0.5, 0.2, 0.1), (0, 0, 0)), ((1.0, 0.3, 0.4), (-3, 7, 20))):
        one = stack(ramp, spacing, origin)
        index = (5, 11, 23)
        point = tuple(o + i * s for o, i, s in zip(origin, index, spacing, strict=True))
        assert one.value_at(point) == ramp[index]
        for view in ("x-y", "x-z", "y-z", "all three"):
            for placement in lay_out(view, one.bounds):
                found = one.section(placement, point)
                assert found is not None
                top, left, height, width = found.rectangle
                rows, columns = found.pixels.shape
                row = (point[placement.rows] - top) / height * rows
                column = (point[placement.columns] - left) / width * columns
                assert (row % 1, column % 1) == pytest.approx((0.5, 0.5))  # the middle of a pixel
                assert found.pixels[int(row), int(column)] == ramp[index]
        beyond = (one.bounds.high_um[0] + 0.1, *point[1:])
        assert one.value_at(beyond) is None
        assert one.section(lay_out("x-y", one.bounds)[0], beyond) is None


def test_a_turned_stack_is_cut_straight_in_space(ramp: np.ndarray) -> None:
    """Turned by 90 degrees about z: its x runs along y, its y against x."""
    one = stack(ramp, (0.5, 0.2, 0.2), (0, 0, 10), [[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    point = (2.0, 23 * 0.2, 10 - 11 * 0.2)
    assert one.value_at(point) == ramp[4, 11, 23]
    found = one.section(lay_out("x-y", one.bounds)[0], point)
    assert found is not None
    assert found.pixels.shape == (30, 20)
    assert found.pixels[23, 20 - 1 - 11] == ramp[4, 11, 23]


def test_a_line_is_read_in_space(ramp: np.ndarray) -> None:
    """The value of the ramp tells the place; both stacks give the same along one line in um."""
    fine, coarse = stack(ramp), stack(ramp[:, ::2, ::2], (0.5, 0.4, 0.2), (1.0, 0.0, 0.0))
    start, end = (1.0, 0.4, 0.6), (2.5, 2.0, 2.2)
    for one, lift in ((fine, 0), (coarse, -20000)):
        profile = one.profile(start, end, 0.0, None)
        assert profile.values[0] == pytest.approx(20206 + lift, rel=1e-5)
        assert profile.values[-1] == pytest.approx(51022 + lift, rel=1e-5)
        assert profile.distance_um[-1] == pytest.approx(np.linalg.norm(np.subtract(end, start)))


def test_stacks_are_compared_on_the_voxels_that_both_show() -> None:
    z, y, x = np.indices((12, 40, 40), dtype=np.float32)
    reference = stack(z + y / 10 + x / 100, (1.0, 1.0, 1.0))
    z, y, x = np.indices((12, 40, 40), dtype=np.float32)
    moved = stack((z + 2) + (y / 2 + 3) / 10 + (x / 2 + 4) / 100, (1.0, 0.5, 0.5), (2, 3, 4))
    box = shared_box([moved], reference)
    assert box == Box.spanning((2, 3, 4), (12, 23, 24))
    both = OnVoxelsOf(moved, reference, box)
    inner = Box.spanning((1, 3, 3), (9, 17, 17))
    assert both[inner] == pytest.approx(reference.data[box][inner], abs=2e-3)
    assert shared_box([reference], reference) == Box.whole((12, 40, 40))
    with pytest.raises(InputError, match="share only"):
        shared_box([stack(moved.data, (1.0, 0.5, 0.5), (50, 3, 4))], reference)
    with pytest.raises(InputError, match="no voxel size, so how it lies"):
        shared_box([replace(moved, has_um=False)], reference)
