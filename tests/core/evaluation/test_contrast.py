"""Contrast-to-noise, MicroSSIM, and the measures of one stack together."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_deep3d.core import InputError, NoData, finish
from napari_deep3d.core.evaluation.contrast import measure_contrast_to_noise
from napari_deep3d.core.evaluation.micro_ssim import measure_micro_ssim
from napari_deep3d.core.evaluation.no_reference import measure_stack


@pytest.fixture
def blocks() -> np.ndarray:
    """Bright boxes, 10 above a background of 5 whose noise has a deviation of 2."""
    stack = np.random.default_rng(0).normal(5, 2, (12, 60, 60))
    stack[3:8, 10:30, 20:50] += 10
    return stack


def test_contrast_to_noise(blocks: np.ndarray) -> None:
    mask = np.zeros(blocks.shape)
    mask[3:8, 10:30, 20:50] = 1
    assert finish(measure_contrast_to_noise(blocks, mask)) == pytest.approx(5, rel=0.02)
    assert finish(measure_contrast_to_noise(3 * blocks - 400, mask)) == pytest.approx(5, rel=0.02)
    assert finish(measure_contrast_to_noise(blocks)) == pytest.approx(5, rel=0.1)  # by its own threshold
    assert finish(measure_contrast_to_noise(mask)) == np.inf
    assert np.isnan(finish(measure_contrast_to_noise(np.ones(blocks.shape))))


def test_blank_voxels_have_no_contrast(blocks: np.ndarray) -> None:
    blank = np.zeros(blocks.shape, bool)
    blank[:, :, 54:] = True
    expected = finish(measure_contrast_to_noise(blocks[:, :, :54]))
    spoilt = np.where(blank, -500, blocks)
    assert finish(measure_contrast_to_noise(spoilt, no_data=NoData.of(blank, (-500.0,)))) == pytest.approx(expected)


def test_measures_of_one_stack() -> None:
    rng = np.random.default_rng(0)
    stack = ndi.gaussian_filter(rng.random((16, 64, 64), dtype=np.float32), 1)
    sharp, blurred = (
        finish(measure_stack(each, (0.3, 0.1, 0.1))).figures() for each in (stack, ndi.gaussian_filter(stack, 2))
    )
    assert sharp["resolution_xy_um"] < blurred["resolution_xy_um"]
    assert sharp["sharpness_signal"] > blurred["sharpness_signal"] > blurred["sharpness_background"]
    assert sharp["high_frequency_share"] > blurred["high_frequency_share"]


def test_micro_ssim_as_the_package_tells_it() -> None:
    package = pytest.importorskip("microssim")
    rng = np.random.default_rng(0)
    truth = ndi.gaussian_filter(rng.random((5, 48, 48)), (0, 1, 1)) * 1000
    image = 0.02 * ndi.gaussian_filter(truth, (0, 1, 1)) + 0.1 * rng.random(truth.shape) + 3
    found = finish(measure_micro_ssim(image, truth))
    expected = package.micro_structural_similarity(truth, image)
    assert found == pytest.approx(expected, rel=1e-3)
    assert finish(measure_micro_ssim(4 * image + 100, truth)) == pytest.approx(found, rel=1e-2)
    assert finish(measure_micro_ssim(truth, truth)) == pytest.approx(1)


def test_micro_ssim_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "microssim", None)
    stack = np.random.default_rng(0).random((4, 16, 16))
    with pytest.raises(InputError, match=r"pip install .*napari-deep3d\[microssim\]"):
        finish(measure_micro_ssim(stack, stack))
