"""Wide-field and section: exact where the definition says what they are, and close to the confocal image where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.common.grid_microscope import GridMicroscope, simulated_grid_images
from napari_deep3d.core.evaluation.metrics import fit_scale, rmse
from napari_deep3d.core.structured_light.brightness import brightness_variation, even_brightness
from napari_deep3d.core.structured_light.demodulation import (
    harmonic_section,
    section,
    three_phase_section,
    wide_field,
)
from tests.helpers.grid_frames import striped, texture

SHAPE = (1, 32, 40)


@given(
    phases=st.integers(3, 9),
    offset=st.floats(0, 360),
    haze=st.floats(1, 100),
    depth=st.floats(0.01, 1),
    step=st.sampled_from((1, -1)),
)
@settings(max_examples=40, deadline=None)
def test_both_images_are_those_of_the_model_wherever_the_first_stripe_lies(
    phases: int, offset: float, haze: float, depth: float, step: int
) -> None:
    sectioned = depth * texture(SHAPE)
    widefield = sectioned + np.float32(haze)
    turns = offset + step * 360 * np.arange(phases) / phases
    frames = striped(widefield, sectioned, tuple(turns))[0]
    np.testing.assert_allclose(wide_field(frames), widefield[0], rtol=1e-5)
    np.testing.assert_allclose(section(frames), sectioned[0], atol=2e-6 * haze + 1e-5)


def test_a_constant_object_gives_constants() -> None:
    flat = np.full(SHAPE, 8, dtype=np.float32)
    frames = striped(flat, flat / 4)[0]
    np.testing.assert_allclose(wide_field(frames), 8, rtol=1e-6)
    np.testing.assert_allclose(section(frames), 2, rtol=1e-5)


def test_the_harmonic_of_three_phases_is_the_square_law() -> None:
    frames = np.random.default_rng(0).random((3, 20, 30), dtype=np.float32)
    np.testing.assert_allclose(harmonic_section(frames), three_phase_section(*frames), atol=1e-6)


def test_light_that_is_the_same_in_all_frames_is_not_in_the_section() -> None:
    frames = striped(texture(SHAPE), texture(SHAPE, 1), (0, 90, 180, 270))[0]
    np.testing.assert_allclose(section(frames + 50), section(frames), atol=1e-4)


def test_angles_are_averaged() -> None:
    frames = striped(texture(SHAPE) + 3, texture(SHAPE, 1), frequencies=((0.1, 0.02), (-0.03, 0.12)))[0]
    frames[1] *= 3
    np.testing.assert_allclose(section(frames), 2 * texture(SHAPE, 1)[0], atol=1e-5)


def test_brightness_that_changes_from_frame_to_frame_is_taken_out() -> None:
    flat = np.full((1, 40, 40), 10, dtype=np.float32)
    frames = striped(flat, flat / 4, frequencies=((0.1, 0.0),))  # 4 whole stripes: every frame has the same mean
    assert brightness_variation(frames) == pytest.approx(0, abs=1e-6)
    flickering = frames * np.array([0.9, 1.0, 1.1], dtype=np.float32)[:, None, None]
    assert brightness_variation(flickering) == pytest.approx(np.std([0.9, 1, 1.1]), rel=1e-3)
    np.testing.assert_allclose(even_brightness(flickering[0]), frames[0], rtol=1e-5)


def test_black_frames_stay_black() -> None:
    assert not even_brightness(np.zeros((1, 3, 4, 4), dtype=np.float32)).any()


def test_of_a_thick_sample_the_section_is_closer_to_the_confocal_image_than_the_wide_field_image() -> None:
    images = simulated_grid_images("filaments", (8, 64, 64), 1, GridMicroscope())
    truth = images.confocal / images.confocal.max()
    frames = images.frames((0, 120, 240))
    errors = [
        rmse(fit_scale(np.stack([make(plane) for plane in frames]), truth), truth) for make in (wide_field, section)
    ]
    assert errors[1] < errors[0] / 2
