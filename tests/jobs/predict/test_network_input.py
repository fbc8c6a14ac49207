"""A stack is looked at once before its prediction: how often each voxel is read, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.events import drain
from napari_deep3d.core.volume import LazyStack, Volume
from napari_deep3d.jobs.predict import network_input
from napari_deep3d.jobs.predict.network_input import prepare
from napari_deep3d.jobs.predict.predict import Output, predict
from tests.helpers.novelty import SPACING, known, widefield

SHAPE = (16, 64, 64)


class Counted(LazyStack):
    """A stack that counts how often each voxel is read."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self.readings = data, np.zeros(data.shape, int)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        return self._data.dtype

    def _read(self, box: tuple[slice, ...]) -> np.ndarray:
        self.readings[box] += 1
        return self._data[box]


@pytest.fixture
def model(make_model: Callable[..., Path]) -> Path:
    """A model that knows what it was trained on."""
    return make_model(novelty=known(), halo=(4, 16, 16))


def settings(model: Path, **changes: object) -> PredictConfig:
    return PredictConfig.checked(**({"model": str(model), "device": "cpu", "precision": "float32"} | changes))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("uncertainty", [False, True])
@pytest.mark.parametrize("tile", [SHAPE, (16, 32, 32)])
def test_each_voxel_is_read_once_before_the_networks_own_readings(
    model: Path, dtype: type, uncertainty: bool, tile: tuple[int, int, int]
) -> None:
    stack = Counted(widefield(5000, SHAPE).astype(dtype))
    prepared = prepare(Volume(stack, SPACING), settings(model, uncertainty=uncertainty, tile=tile))
    assert prepared.novelty is not None
    assert (stack.readings == 1).all()
    stack.readings[:] = 0
    result = drain(predict(prepared, Output.in_memory(SHAPE, uncertainty)))
    assert result.complete
    # The network reads a stack once to measure its norm statistics, and once for each tile that sees the voxel; also
    # where every tile is predicted several times for the uncertainty.
    tiles = len(prepared.plan.layout)
    assert tiles == (1 if tile == SHAPE else 4)
    assert stack.readings.min() >= 2
    assert stack.readings.max() <= 1 + tiles


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_of_a_large_stack_a_part_is_read_once_more(model: Path, dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    data = widefield(5000, (16, 200, 64)).astype(dtype)  # wider than the part that is compared
    at_once = prepare(Volume(data, SPACING), settings(model))
    monkeypatch.setattr(network_input, "MAX_HELD_VOXELS", 1000)
    stack = Counted(data)
    prepared = prepare(Volume(stack, SPACING), settings(model))
    assert stack.readings.max() <= 2
    assert prepared.intensity_range == at_once.intensity_range
    assert prepared.novelty == at_once.novelty


def test_what_was_found_is_told(model: Path) -> None:
    data = widefield(5000, SHAPE).astype(np.float32)
    data = data.max() - data
    data[3, 4, 5:7] = np.nan
    prepared = prepare(Volume(data, (0.5, 0.4, 0.4)), settings(model))
    assert prepared.not_finite == 2
    assert prepared.novelty is not None
    resampled, not_finite, unlike = prepared.notices
    assert (resampled,) == prepared.plan.notices
    assert not_finite.startswith("2 voxels are not finite")
    assert unlike == prepared.novelty.notice


def test_stop_ends_the_reading_within_a_plane(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_input, "MAX_HELD_VOXELS", 1000)
    stack = Counted(widefield(5000, SHAPE).astype(np.uint16))

    def stop() -> bool:
        return bool(stack.readings[4].any())

    prepared = prepare(Volume(stack, SPACING), settings(model), stop)
    assert stack.readings[4].any()
    assert not stack.readings[5:].any()
    result = drain(predict(prepared, Output.in_memory(SHAPE, uncertainty=False), stop))
    assert not result.complete
    assert not result.data.any()
