"""The grid as the frames show it, the stripes that it leaves, and frames that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core import FloatArray, InputError
from napari_deep3d.core.structured_light.grid import Grid, find_grid
from napari_deep3d.core.structured_light.report import examine
from napari_deep3d.core.structured_light.stripes import residual_stripes
from tests.helpers.grid_frames import FREQUENCY, TWO, blobs_in_haze, striped, texture

SHAPE = (4, 96, 96)


@given(offset=st.floats(0, 360), second=st.floats(90, 150), third=st.floats(210, 270))
@settings(max_examples=15, deadline=None)
def test_the_phases_are_those_of_the_frames(offset: float, second: float, third: float) -> None:
    sectioned = texture(SHAPE)
    phases = (offset, offset + second, offset + third)
    found = find_grid(striped(sectioned + 2, sectioned, phases)[:, 0])
    assert found.frequency == pytest.approx(FREQUENCY, abs=0.3 / 96)
    errors = np.array(found.phases_deg) - (0, second, third)
    assert np.abs((errors + 180) % 360 - 180).max() < 3
    assert found.modulation == pytest.approx(sectioned.mean() / (sectioned.mean() + 2), rel=0.15)


def test_a_grid_that_moves_the_other_way_is_as_good() -> None:
    found = find_grid(blobs_in_haze(SHAPE, (0, 240, 120))[:, 0])
    assert found.frequency == pytest.approx((-FREQUENCY[0], -FREQUENCY[1]), abs=0.3 / 96)
    assert found.phase_error_deg < 3


def test_the_noise_is_that_of_the_section() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((8, 64, 64), 1000, dtype=np.float32)
    frames = striped(flat, flat / 2) + 20 * rng.standard_normal((8, 1, 3, 64, 64)).astype(np.float32)
    assert find_grid(frames[:, 0]).noise == pytest.approx(20 * np.sqrt(2 / 3), rel=0.1)


@given(common=st.floats(-180, 180))
def test_phase_errors_do_not_depend_on_a_common_phase(common: float) -> None:
    own, moved = (0.0, 130.0, 240.0), (common, common + 130, common + 240)
    errors = [Grid(FREQUENCY, phases, 1, 1, 0, 0).phase_error_deg for phases in (own, moved)]
    assert errors[0] == pytest.approx(20 / 3, rel=0.05)
    assert errors[1] == pytest.approx(errors[0])


def stripes(phases_deg: tuple[float, ...], sectioned: FloatArray, haze: float = 2.0) -> float:
    return examine(striped(sectioned + np.float32(haze), sectioned, phases_deg), "x").stripes_confocal


@pytest.mark.parametrize("sectioned", [np.ones(SHAPE, dtype=np.float32), texture(SHAPE)], ids=["flat", "blobs"])
def test_perfect_phases_leave_no_stripes_and_wrong_ones_ever_more(sectioned: FloatArray) -> None:
    perfect, *wrong = (stripes((0, 120 + error, 240), sectioned) for error in (0, 6, 12, 24))
    assert perfect < 1e-3
    assert 0.02 < wrong[0] < wrong[1] < wrong[2]


def test_parallel_fibres_are_no_stripes() -> None:
    across = (np.arange(96)[:, None] * FREQUENCY[0] + np.arange(96) * FREQUENCY[1]) / np.hypot(*FREQUENCY)
    fibres = sum(np.exp(-((across - place) ** 2) / 8) for place in (20, 47, 58, 90))
    assert residual_stripes(np.repeat(fibres[None], 4, axis=0).astype(np.float32), [FREQUENCY]) < 1e-3


def test_the_amplitude_of_stripes() -> None:
    flat = np.ones(SHAPE, dtype=np.float32)
    assert residual_stripes(striped(flat, 0.1 * flat)[:, 0, 0], [FREQUENCY]) == pytest.approx(0.1, rel=1e-3)
    assert residual_stripes(np.zeros(SHAPE, dtype=np.float32), [FREQUENCY]) == 0


def test_flicker_leaves_stripes_unless_it_is_taken_out() -> None:
    frames = striped(texture(SHAPE) + 2, texture(SHAPE)) * np.array([0.95, 1.0, 1.05], dtype=np.float32)[:, None, None]
    even, uneven = examine(frames, "x"), examine(frames, "x", even=False)
    assert even.stripes_confocal < uneven.stripes_confocal / 3
    assert any("stripes of" in notice for notice in uneven.notices())


def test_good_frames_say_nothing() -> None:
    report = examine(blobs_in_haze(SHAPE), "x")
    assert list(report.notices()) == []
    period = report.values((1.0, 0.5, 0.5))["period_um"]
    assert period == pytest.approx([0.5 / np.hypot(*FREQUENCY)], rel=0.02)


def refusal(frames: FloatArray) -> str:
    with pytest.raises(InputError) as error:
        examine(frames, "cell")
    return str(error.value)


def test_bad_phases_are_refused() -> None:
    message = refusal(blobs_in_haze(SHAPE, (0, 60, 200)))
    assert "phases of the grid in cell" in message
    assert "120 degrees are needed" in message
    assert "--layout" in message


def test_equal_frames_are_refused() -> None:
    frames = blobs_in_haze(SHAPE)
    frames[:, :, 2] = frames[:, :, 0]
    assert "frames 0 and 2 of cell are the same" in refusal(frames)


def test_equal_phases_are_refused() -> None:
    assert "phases of the grid" in refusal(blobs_in_haze(SHAPE, (0, 0, 120)))


def test_frames_without_a_grid_are_refused() -> None:
    still = np.repeat(100 * texture(SHAPE)[:, None, None] + 200, 3, axis=2)
    assert "no grid is found in cell" in refusal(np.random.default_rng(0).poisson(still).astype(np.float32))


def test_stripes_in_noise_are_refused() -> None:
    flat = np.full(SHAPE, 100, dtype=np.float32)
    noise = 20 * np.random.default_rng(0).standard_normal((4, 1, 3, 96, 96)).astype(np.float32)
    assert "drown in noise" in refusal(striped(flat, flat / 50) + noise)


def test_faint_stripes_are_told() -> None:
    flat = np.full(SHAPE, 100, dtype=np.float32)
    noise = 20 * np.random.default_rng(0).standard_normal((4, 1, 3, 96, 96)).astype(np.float32)
    assert ["times its noise" in notice for notice in examine(striped(flat, flat / 2) + noise, "x").notices()] == [True]


def test_what_is_no_number_is_refused() -> None:
    frames = blobs_in_haze(SHAPE)
    frames[0, 0, 0, 5, 5] = np.nan
    assert "no numbers" in refusal(frames)


def test_the_angle_at_fault_is_named() -> None:
    frames = np.concatenate([blobs_in_haze(SHAPE), blobs_in_haze(SHAPE, (0, 60, 200), TWO[1:])], axis=1)
    assert "angle 1 of cell" in refusal(frames)


def test_two_angles_of_one_direction_are_refused() -> None:
    assert len(examine(blobs_in_haze(SHAPE, frequencies=TWO), "cell").grids) == 2
    back = (-FREQUENCY[0], -FREQUENCY[1])
    assert "angle 0 of cell show the grid of angle 1" in refusal(blobs_in_haze(SHAPE, frequencies=(FREQUENCY, back)))


def test_a_sample_that_moves_is_refused() -> None:
    frames = blobs_in_haze(SHAPE)
    frames[:, :, 1] = np.roll(frames[:, :, 1], (11, -5), axis=(-2, -1))  # along the stripes
    assert "differ in more than the grid" in refusal(frames)
