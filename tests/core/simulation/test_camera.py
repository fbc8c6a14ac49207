"""Camera, lamp and stage: photon statistics, and each fault by its definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_deep3d.core.simulation.camera import Camera, CameraBounds, Stage, expose, illumination, move

PLAIN = Camera(photons=400.0, background=0.0, read_noise=2.0, offset=0.0)


def electrons(counts: np.ndarray, mean: float) -> np.ndarray:
    return counts * (mean / counts.mean())


def test_noise_is_of_photons_and_of_reading() -> None:
    counts = expose(np.random.default_rng(0), np.ones((8, 64, 64), np.float32), PLAIN)
    assert electrons(counts, 400).var() == pytest.approx(400 + 4, rel=0.05)


def test_background_comes_on_top() -> None:
    image = np.zeros((4, 64, 64), np.float32)
    image[:, :32] = 1
    counts = expose(np.random.default_rng(0), image, replace(PLAIN, background=0.5)).astype(float)
    assert counts[:, :32].mean() / counts[:, 32:].mean() == pytest.approx(3, rel=0.02)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_counts_stay_within_the_bits(bits: int) -> None:
    counts = expose(np.random.default_rng(0), np.ones((2, 32, 32), np.float32), replace(PLAIN, bits=bits))
    assert counts.dtype == np.uint16
    assert 0 < counts.max() < 2**bits


def test_overexposed_voxels_are_cut_off_at_one_value() -> None:
    image = np.random.default_rng(1).gamma(2.0, 1.0, (4, 64, 64)).astype(np.float32)
    counts = expose(np.random.default_rng(0), image, replace(PLAIN, saturated=0.01, bits=12))
    assert (counts == 4095).mean() == pytest.approx(0.01, abs=0.003)


def test_hot_pixels_are_hot_in_every_plane() -> None:
    counts = expose(np.random.default_rng(0), np.full((20, 64, 64), 0.1, np.float32), replace(PLAIN, hot_pixels=0.005))
    excess = np.median(counts, axis=0) > 1.4 * np.median(counts)
    assert 0.001 < excess.mean() < 0.01


def test_pixels_differ_in_gain_alike_in_every_plane() -> None:
    counts = expose(np.random.default_rng(0), np.ones((200, 24, 24), np.float32), replace(PLAIN, gain_spread=0.05))
    by_pixel = counts.mean(axis=0)
    assert by_pixel.std() / by_pixel.mean() == pytest.approx(0.05, rel=0.2)


def test_fixed_pattern_is_the_same_in_every_plane() -> None:
    image = np.ones((300, 24, 24), np.float32)
    plain, patterned = (
        expose(np.random.default_rng(0), image, replace(PLAIN, pattern=pattern)) for pattern in (0, 20.0)
    )
    assert electrons(plain.mean(axis=0), 400).std() < 3
    assert electrons(patterned.mean(axis=0), 400).std() == pytest.approx(20, rel=0.4)


def test_light_without_noise_keeps_its_proportions() -> None:
    image = np.random.default_rng(1).random((4, 16, 16), dtype=np.float32)
    counts = expose(np.random.default_rng(0), image, replace(PLAIN, photons=5.0, noise_free=True))
    np.testing.assert_allclose(counts / counts.max(), image / image.max(), atol=2e-4)
    dark = expose(np.random.default_rng(0), np.eye(64, dtype=np.float32)[None], replace(PLAIN, noise_free=True))
    assert 0 < dark[dark < 100].std() < 3


def test_strong_backgrounds_do_not_drown_the_sample() -> None:
    bounds = CameraBounds(veiled=1.0, veil=(5.0, 50.0))
    cameras = [bounds.draw(np.random.default_rng(seed)) for seed in range(100)]
    assert any(camera.background > 5 for camera in cameras)
    for camera in cameras:  # the sample's light is well above the noise of all light
        assert camera.photons > 4 * np.sqrt(camera.photons * (1 + camera.background))


def test_light_falls_to_the_corners_and_across_the_field() -> None:
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(illumination(rng, (9, 9), PLAIN), 1)
    corners = illumination(rng, (9, 9), replace(PLAIN, vignetting=0.3))
    assert corners[4, 4] == pytest.approx(1)
    assert corners[0, 0] == pytest.approx(0.7)
    tilted = illumination(rng, (9, 9), replace(PLAIN, uneven=0.4))
    assert 0.2 < np.ptp(tilted) <= 0.4 + 1e-6


def test_steady_stage_and_lamp_change_nothing() -> None:
    image = np.random.default_rng(0).random((6, 8, 8), dtype=np.float32)
    np.testing.assert_array_equal(move(np.random.default_rng(0), image, Stage()), image)


def test_bleaching_takes_its_share_by_the_last_plane() -> None:
    planes = move(np.random.default_rng(0), np.ones((5, 4, 4), np.float32), Stage(bleached=0.4)).mean(axis=(1, 2))
    assert planes[0] == 1
    assert planes[-1] == pytest.approx(0.6)
    np.testing.assert_allclose(planes[1:] / planes[:-1], planes[1] / planes[0], rtol=1e-5)


def test_jitter_reads_planes_at_wrong_heights() -> None:
    ramp = np.broadcast_to(np.arange(60, dtype=np.float32)[:, None, None], (60, 4, 4))
    heights = move(np.random.default_rng(0), np.ascontiguousarray(ramp), Stage(jitter=0.1))[:, 0, 0] - np.arange(60)
    assert heights.std() == pytest.approx(0.1, rel=0.3)


def test_drift_moves_planes_sideways_about_their_mean() -> None:
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32), (30, 40, 40))
    moved = move(np.random.default_rng(0), np.ascontiguousarray(ramp), Stage(drift_px=1.0))
    by = moved[:, 20, 20] - 20
    assert 0.1 < by.std() < 3
    assert abs(by.mean()) < 0.05
