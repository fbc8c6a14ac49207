"""Predictions of stacks with voxels that are no image: as without these, and background there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core import InputError, PredictConfig, Volume, drain
from napari_deep3d.jobs.predict.network_input import prepare
from napari_deep3d.jobs.predict.predict import Prediction, predict_volume
from tests.helpers.novelty import SPACING, known, widefield

SHAPE = (16, 64, 64)


@pytest.fixture
def model(make_model: Callable[..., Path]) -> Path:
    """A model that knows what it was trained on."""
    return make_model(novelty=known(), halo=(4, 16, 16))


@pytest.fixture
def stack() -> np.ndarray:
    return widefield(5000, SHAPE).astype(np.uint16)


def predict(stack: np.ndarray, model: Path, **changes: object) -> Prediction:
    settings = {"model": str(model), "device": "cpu", "precision": "float32", "tile": SHAPE} | changes
    return drain(predict_volume(Volume(stack, SPACING), PredictConfig.checked(**settings)))


@pytest.mark.parametrize(
    ("value", "pad"),
    [
        (0, ((0, 0), (1, 1), (1, 1))),
        (65_535, ((0, 0), (8, 8), (8, 8))),
        (65_535, ((3, 5), (20, 30), (40, 25))),
        (0, ((3, 5), (20, 30), (40, 25))),
        (np.nan, ((3, 5), (20, 30), (40, 25))),
    ],
)
def test_a_frame_changes_nothing_within_it(stack: np.ndarray, model: Path, value: float, pad: object) -> None:
    framed = np.pad(stack.astype(np.float32 if np.isnan(value) else np.uint16), pad, constant_values=value)
    inner = tuple(slice(low, size - high) for (low, high), size in zip(pad, framed.shape, strict=True))
    plain, result = predict(stack, model, uncertainty=True), predict(framed, model, uncertainty=True)
    np.testing.assert_allclose(result.data[inner], plain.data, atol=1e-5)
    np.testing.assert_allclose(result.uncertainty[inner], plain.uncertainty, atol=1e-5)
    assert result.intensity_range == plain.intensity_range
    assert result.mean_uncertainty == pytest.approx(plain.mean_uncertainty, rel=1e-4)
    assert result.novelty == plain.novelty
    outside = np.ones(framed.shape, bool)
    outside[inner] = False
    assert not result.data[outside].any()
    assert not result.uncertainty[outside].any()
    share = f"{100 * outside.mean():.0f} % of the voxels are no image"
    assert [notice for notice in result.notices if notice.startswith(share)]


@pytest.mark.parametrize("tile", [SHAPE, (16, 24, 24)])
def test_gaps_are_background_and_hardly_change_what_is_around_them(
    stack: np.ndarray, model: Path, tile: tuple[int, int, int]
) -> None:
    plain, spoilt = predict(stack, model, tile=tile), stack.copy()
    blank = np.zeros(SHAPE, bool)
    blank[7], blank[:, :, 20], blank[:, :20, 40:] = True, True, True
    spoilt[blank] = 0
    result = predict(spoilt, model, tile=tile)
    assert not result.data[blank].any()
    assert np.corrcoef(result.data[~blank], plain.data[~blank])[0, 1] > 0.94  # the network is an untrained one
    assert result.intensity_range == pytest.approx(plain.intensity_range, rel=0.02)
    assert result.novelty.distance == pytest.approx(plain.novelty.distance, abs=0.3)


def test_the_result_depends_no_more_on_the_tiles_than_without_gaps(stack: np.ndarray, model: Path) -> None:
    def difference(voxels: np.ndarray) -> float:
        whole, tiled = predict(voxels, model), predict(voxels, model, tile=(16, 32, 32))
        return float(np.abs(tiled.data - whole.data).mean() / whole.data.std())

    spoilt = stack.copy()
    spoilt[:, :, 30], spoilt[5] = 0, 0
    assert difference(spoilt) < 1.3 * difference(stack)


def test_tiles_without_image_are_not_computed(stack: np.ndarray, model: Path) -> None:
    stack[:, :32, 32:] = 0  # one of four tiles of a mosaic is missing
    settings = PredictConfig.checked(model=str(model), device="cpu", tile=(16, 16, 16))
    prepared = prepare(Volume(stack, SPACING), settings)
    assert prepared.plan.tiles == len(prepared.plan.layout) < 16
    result = drain(predict_volume(Volume(stack, SPACING), settings))
    assert result.complete
    assert not result.data[:, :32, 32:].any()
    assert result.data[:, :30, :30].any()


def test_a_stack_of_blank_planes_is_refused(model: Path) -> None:
    stack = np.zeros(SHAPE, np.uint16)
    stack[8:] = 4095
    with pytest.raises(InputError, match="holds no image, only blank planes"):
        predict(stack, model)


def test_a_large_offset_is_taken_off_in_the_stacks_own_numbers(stack: np.ndarray, model: Path) -> None:
    plain = predict(stack, model)
    for dtype, offset in ((np.uint32, 4_000_000_000), (np.int64, -(2**40)), (np.uint64, 2**40), (np.float64, 1e10)):
        result = predict(stack.astype(dtype) + dtype(offset), model)
        np.testing.assert_allclose(result.data, plain.data, atol=2e-3)
        assert result.novelty is not None
        assert result.novelty.distance == pytest.approx(plain.novelty.distance, rel=0.01)
