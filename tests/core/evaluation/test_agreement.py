"""RMSE and SSIM block by block: as in one go, and as scikit-image tells them."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import scipy.ndimage as ndi
from skimage.metrics import structural_similarity

from napari_deep3d.core import InputError, NoData, finish
from napari_deep3d.core.evaluation import blocks
from napari_deep3d.core.evaluation.agreement import measure_agreement
from napari_deep3d.core.evaluation.metrics import fit_scale, rmse, score


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    smooth = ndi.gaussian_filter(np.random.default_rng(0).random((19, 50, 41)), (0.7, 1, 1))
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)


@pytest.fixture(scope="module")
def image(truth: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=truth.shape)
    return (40 * ndi.gaussian_filter(truth, 1) + noise + 7).astype(np.float32)


def test_as_in_one_go(image: np.ndarray, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finish(measure_agreement(image, truth))
    monkeypatch.setattr(blocks, "BLOCK_VOXELS", 16_000)
    assert len(list(blocks.blocks_of((19, 50, 41), 3))) > 4
    found = finish(measure_agreement(image, truth))
    expected = score(image, truth)
    for name in ("rmse", "ssim", "rmse_fit", "ssim_fit"):
        assert getattr(found.score, name) == pytest.approx(getattr(expected, name), rel=1e-5)
        np.testing.assert_allclose(getattr(found.by_plane, name), getattr(whole.by_plane, name), rtol=1e-5)
    fitted = np.float32(found.scale) * image + np.float32(found.offset)
    np.testing.assert_allclose(fitted, fit_scale(image, truth), atol=1e-5)


def test_by_plane(image: np.ndarray, truth: np.ndarray) -> None:
    found = finish(measure_agreement(image, truth)).by_plane
    fitted = fit_scale(image, truth)
    assert found.rmse == pytest.approx([rmse(a, b) for a, b in zip(image, truth, strict=True)])
    assert found.rmse_fit == pytest.approx([rmse(a, b) for a, b in zip(fitted, truth, strict=True)])
    _, values = structural_similarity(truth, fitted, data_range=1.0, full=True)
    assert found.ssim_fit[3:-3] == pytest.approx(values[3:-3, 3:-3, 3:-3].mean(axis=(1, 2)), rel=1e-5)
    assert np.isnan(found.ssim[[0, 1, 2, -3, -2, -1]]).all()  # no whole window has its middle there


def test_an_offset_that_dwarfs_the_structure(truth: np.ndarray) -> None:
    found = finish(measure_agreement(2.0 * truth.astype(np.float64) + 3e4, truth)).score
    assert found.rmse_fit == pytest.approx(0, abs=1e-3)
    assert found.ssim_fit == pytest.approx(1, abs=1e-3)


def test_equal_and_constant_stacks(truth: np.ndarray) -> None:
    same = finish(measure_agreement(truth, truth)).score
    assert (same.rmse, same.rmse_fit) == pytest.approx((0, 0), abs=1e-7)
    assert (same.ssim, same.ssim_fit) == pytest.approx((1, 1))
    for value in (5, 0.1, 1e-9):
        flat = finish(measure_agreement(np.full_like(truth, value), truth))
        assert flat.score.rmse_fit == pytest.approx(truth.std(), rel=1e-5)
        assert flat.scale == 0


def test_what_is_no_image_does_not_count(image: np.ndarray, truth: np.ndarray) -> None:
    blank = np.zeros(truth.shape, bool)
    blank[:, :, :12] = True
    blank[5] = True
    spoilt = np.where(blank, 900, image)
    no_data = NoData.of(blank, (900.0,))
    found, other = (finish(measure_agreement(stack, truth, no_data)) for stack in (spoilt, image))
    assert astuple(found.score) == pytest.approx(astuple(other.score), rel=1e-4)
    assert found.score.rmse == pytest.approx(rmse(image, truth, ~blank))
    windows = ~ndi.binary_dilation(blank, np.ones((7, 7, 7)))
    _, values = structural_similarity(truth, image, data_range=1.0, full=True)
    inside = (slice(3, -3),) * 3
    assert found.score.ssim == pytest.approx(values[inside][windows[inside]].mean(), rel=1e-4)
    assert np.isnan(found.by_plane.rmse[5])


def test_few_planes(truth: np.ndarray) -> None:
    thin, other = truth[:4], np.ascontiguousarray(truth[4:8])
    assert finish(measure_agreement(other, thin)).score.ssim == pytest.approx(score(other, thin).ssim, rel=1e-4)


def test_shapes_that_differ(truth: np.ndarray) -> None:
    with pytest.raises(InputError, match="crop them to one size"):
        finish(measure_agreement(truth[:-1], truth))
