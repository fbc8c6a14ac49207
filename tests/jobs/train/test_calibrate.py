"""The expected error of a trained network is learned from held-out pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.jobs.train.trained_model import calibrate, calibrate_on_folder
from napari_deep3d.nn import folded_network
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.model_file import load_model
from napari_deep3d.nn.patches import TrainingPair, network_input
from napari_deep3d.nn.tta import AugmentedNetwork

CPU = torch.device("cpu")
Pairs = list[TrainingPair]


@pytest.fixture
def pairs(pairs_folder: Path) -> Pairs:
    return prepare_pairs(PairsFolder(pairs_folder).load(), (0.0, 100.0))


@pytest.fixture
def generator(make_model: Callable[..., Path]) -> Generator:
    network: Generator = load_model(make_model())[0]
    return network


def test_expected_error_is_that_of_the_pairs(pairs: Pairs, train_config: TrainConfig, generator: Generator) -> None:
    found = calibrate(generator, pairs[:2], train_config, CPU, torch.float32)
    assert found is not None
    assert found.pairs == 2
    expected, error = [], []
    for pair in pairs[:2]:
        seen = network_input(pair, pair.whole, train_config)
        prediction, told = AugmentedNetwork(FoldedNetwork(generator, [seen], CPU, torch.float32), found)(seen)
        expected.append(told.mean())
        error.append(np.abs(prediction - pair.crop_confocal(pair.whole)).mean())
    assert np.mean(expected) == pytest.approx(np.mean(error), rel=0.05)


def test_same_seed_same_calibration(pairs: Pairs, train_config: TrainConfig, generator: Generator) -> None:
    first, again = (calibrate(generator, pairs, train_config, CPU, torch.float32) for _ in range(2))
    assert first == again


def test_without_pairs_or_when_stopped_nothing_is_told(
    pairs: Pairs, train_config: TrainConfig, generator: Generator
) -> None:
    assert calibrate(generator, [], train_config, CPU, torch.float32) is None
    assert calibrate(generator, pairs, train_config, CPU, torch.float32, stop=lambda: True) is None


def test_of_a_network_that_sees_a_plane_nothing_is_told(pairs: Pairs, train_config: TrainConfig) -> None:
    plane = train_config.changed(dimensions=2, network_input="plane")
    assert calibrate(Generator(2, 2, 2), pairs, plane, CPU, torch.float32) is None


def test_no_more_than_a_part_of_each_pair_is_predicted(
    pairs: Pairs, train_config: TrainConfig, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Looking(FoldedNetwork):
        def __init__(self, generator: Generator, pieces: list[np.ndarray], *rest: object) -> None:
            seen.append(pieces[0].shape)
            super().__init__(generator, pieces, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(folded_network, "FoldedNetwork", Looking)
    found = calibrate(generator, pairs, train_config, CPU, torch.float32, box=(8, 32, 16))
    assert found is not None
    assert (found.pairs, seen) == (3, [(1, 8, 32, 16)] * 3)


def test_model_is_calibrated_on_the_pairs_of_a_folder(
    pairs: Pairs, pairs_folder: Path, make_model: Callable[..., Path]
) -> None:
    """As after a training, but on all voxels."""
    model = make_model()
    found = calibrate_on_folder(model, pairs_folder, "float32")
    assert found == calibrate(load_model(model)[0], pairs, TrainConfig(), CPU, torch.float32)
    assert calibrate_on_folder(str(model), pairs_folder, "float32") == found
