"""Tests on held-out pairs: as the finished model will predict them, whatever the size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.events import StoppedError
from napari_deep3d.core.types import Box
from napari_deep3d.core.volume import Volume
from napari_deep3d.nn import validation
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair, network_input
from napari_deep3d.nn.validation import (
    LEAST_TESTED,
    MOST_TESTED,
    TESTED_VOXELS,
    Predictor,
    pairs_to_test,
    preview,
    score_pairs,
)
from tests.helpers.nn import after, changed

CPU = torch.device("cpu")
Pairs = list[TrainingPair]


def whole(pair: TrainingPair) -> Box:
    return Box.whole(pair.shape)


def test_scores_are_of_the_whole_stack_against_confocal(
    pairs: Pairs, config: TrainConfig, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "__call__", lambda self, region: 1 - self._pair.crop_widefield(region))
    for rmse, ssim in score_pairs(generator, pairs, config, CPU, torch.float32):  # what these pairs are
        assert rmse == pytest.approx(0, abs=1e-5)
        assert ssim == pytest.approx(1, abs=1e-4)
    monkeypatch.setattr(Predictor, "__call__", lambda self, region: 1.5 - self._pair.crop_widefield(region))
    assert [rmse for rmse, _ in score_pairs(generator, pairs, config, CPU, torch.float32)] == pytest.approx([0.5] * 3)


@pytest.mark.parametrize(
    "change", [{}, {"dimensions": 2, "network_input": "plane"}, {"z_step": 2}, {"dimensions": 2}], ids=str
)
def test_prediction_is_that_of_the_frozen_network_and_never_negative(
    pairs: Pairs, config: TrainConfig, change: dict[str, object]
) -> None:
    config = changed(config, **change)
    torch.manual_seed(0)
    network = Generator(2, config.network.dimensions, 2 if config.network.network_input == "plane" else 1)
    seen = network_input(pairs[0], whole(pairs[0]), config)
    expected = np.maximum(FoldedNetwork(network, [seen], CPU, torch.float32)(seen), 0)
    found = Predictor(network, pairs[0], config, CPU, torch.float32)(whole(pairs[0]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_stack_that_takes_several_tiles_is_predicted_as_a_whole(
    pairs: Pairs, config: TrainConfig, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Predictor(generator, pairs[0], config, CPU, torch.float32)
    region = Box(slice(0, 16), slice(3, 41), slice(8, 45))
    expected = one(whole(pairs[0]))[region]
    monkeypatch.setattr(validation, "TILE", (16, 16, 24))
    monkeypatch.setattr(validation, "HALO", (16, 48, 48))
    found = Predictor(generator, pairs[0], config, CPU, torch.float32)(region)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_prediction_can_be_stopped(pairs: Pairs, config: TrainConfig, generator: Generator) -> None:
    with pytest.raises(StoppedError):
        score_pairs(generator, pairs, config, CPU, torch.float32, after(5))


def test_preview_shows_a_box_of_both_stacks_and_the_prediction(
    pairs: Pairs, config: TrainConfig, generator: Generator
) -> None:
    shown = preview(7, generator, pairs[0], config, CPU, torch.float32)
    region = whole(pairs[0])
    assert (shown.step, shown.spacing_um) == (7, pairs[0].spacing_um)
    np.testing.assert_array_equal(shown.widefield, pairs[0].crop_widefield(region))
    np.testing.assert_array_equal(shown.confocal, pairs[0].crop_confocal(region))
    expected = Predictor(generator, pairs[0], config, CPU, torch.float32)(region)
    np.testing.assert_allclose(shown.prediction, expected, atol=1e-5)


def test_as_many_small_pairs_are_tested_as_cost_little_and_four_in_any_case(pairs: Pairs) -> None:
    few, large = pairs[:1] * 3, replace(pairs[0], widefield=_of(40, 1024, 1024), confocal=_of(40, 1024, 1024))
    assert pairs_to_test(few) == few
    assert len(pairs_to_test(pairs[:1] * 100)) == MOST_TESTED
    assert len(pairs_to_test([large] * 100)) == LEAST_TESTED  # 10 million voxels of each are scored
    middle = replace(pairs[0], widefield=_of(16, 500, 500), confocal=_of(16, 500, 500))
    assert len(pairs_to_test([middle] * 100)) == TESTED_VOXELS // (16 * 500 * 500)


def _of(*shape: int) -> Volume:
    """A stack of a shape (Z, Y, X) that takes no memory."""
    return Volume(np.broadcast_to(np.float32(0), shape), None)
