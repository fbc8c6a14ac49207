"""Metrics with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core.evaluation.metrics import fit_scale, rmse, score, ssim


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).random((8, 20, 24), dtype=np.float32)


def test_equal_images_are_at_distance_zero_and_similarity_one(image: np.ndarray) -> None:
    assert rmse(image, image) == 0
    assert ssim(image, image) == pytest.approx(1)


def test_rmse_of_known_differences(image: np.ndarray) -> None:
    assert rmse(image + np.float32(0.25), image) == pytest.approx(0.25, rel=1e-5)
    half = np.zeros((2, 10, 10), np.float32)
    half[0] = 3
    assert rmse(half, np.zeros_like(half)) == pytest.approx(3 / np.sqrt(2))


def test_ssim_falls_with_noise(image: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(size=image.shape).astype(np.float32)
    assert ssim(image + 0.5 * noise, image) < ssim(image + 0.05 * noise, image) < 1


@pytest.mark.parametrize("planes", [4, 5, 6])
def test_ssim_of_few_planes(planes: int) -> None:
    """As few as a stack may have; the window of seven voxels does not fit."""
    image = np.random.default_rng(0).random((planes, 16, 16), dtype=np.float32)
    assert ssim(image, image) == pytest.approx(1)
    assert ssim(image, image[::-1]) < 0.5


def test_fit_scale_finds_scale_and_offset(image: np.ndarray) -> None:
    np.testing.assert_allclose(fit_scale((image - 3) / 7, image), image, atol=1e-5)
    np.testing.assert_allclose(fit_scale(-image, image), image, atol=1e-5)


def test_fit_scale_of_a_constant_is_the_mean_of_the_truth(image: np.ndarray) -> None:
    np.testing.assert_allclose(fit_scale(np.ones_like(image), image), image.mean(), atol=1e-6)


def test_fit_scale_is_the_best_scale(image: np.ndarray) -> None:
    other = np.random.default_rng(2).random(image.shape, dtype=np.float32) + image
    best = rmse(fit_scale(other, image), image)
    for scale, offset in ((1.0, 0.0), (0.5, 0.01), (0.5, -0.01), (0.45, 0.0)):
        assert best <= rmse(np.float32(scale) * other + np.float32(offset), image) + 1e-9


def test_score_before_and_after_the_fit(image: np.ndarray) -> None:
    got = score(2 * image, image)
    assert got.rmse == pytest.approx(rmse(2 * image, image))
    assert got.ssim == pytest.approx(ssim(2 * image, image))
    assert got.rmse_fit == pytest.approx(0, abs=1e-6)
    assert got.ssim_fit == pytest.approx(1)


def test_scores_of_some_voxels_do_not_depend_on_the_others(image: np.ndarray) -> None:
    blurred = np.float32(0.5) * (image + image.mean())
    where = np.zeros(image.shape, bool)
    where[:, :, :14] = True
    spoilt = blurred.copy()
    spoilt[:, :, 17:] = 9  # beyond the windows of those
    assert rmse(spoilt, image, where) == rmse(blurred[:, :, :14], image[:, :, :14])
    assert ssim(spoilt, image, where) == pytest.approx(ssim(blurred, image, where))
    assert ssim(blurred, image, np.ones(image.shape, bool)) == pytest.approx(ssim(blurred, image))
