"""A turned network is the network that sees its stack turned; several of them tell their mean and spread."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from napari_deep3d.core.evaluation.uncertainty import Calibration, Spread
from napari_deep3d.nn.ensemble import TestTimeEnsemble
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.generator import CHANNELS_IN, Generator
from napari_deep3d.nn.tta import TURNS, Turn, turned
from tests.helpers.nn import same_weights

ALL_TURNS = [Turn(flips, swap) for *flips, swap in product((False, True), repeat=4)]
CPU = torch.device("cpu")
CALIBRATION = Calibration(floor=0.01, per_spread=2, per_intensity=0.2)


def turn_array(turn: Turn, stack: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(turn(torch.from_numpy(stack)).numpy())


@pytest.mark.parametrize("turn", ALL_TURNS, ids=str)
def test_turning_back_undoes_a_turn(turn: Turn) -> None:
    x = torch.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert torch.equal(turn.back(turn(x)), x)
    assert turn(x).shape == ((2, 3, 5, 4) if turn.swap_yx else x.shape)


@pytest.mark.parametrize("turn", ALL_TURNS, ids=str)
@torch.no_grad()
def test_turned_network_is_the_network_on_the_turned_stack(generator: Generator, turn: Turn) -> None:
    x = torch.rand(1, 1, 8, 32, 48)
    torch.testing.assert_close(turned(generator, turn)(x), turn.back(generator(turn(x))), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dimensions", "network_input"), [(2, "stack"), (2, "plane")])
@torch.no_grad()
def test_networks_of_planes_are_turned_too(dimensions: int, network_input: str) -> None:
    generator = Generator(2, dimensions, CHANNELS_IN[network_input]).eval()
    x = torch.rand(1, CHANNELS_IN[network_input], 8, 32, 48)
    for turn in TURNS:
        torch.testing.assert_close(turned(generator, turn)(x), turn.back(generator(turn(x))), rtol=1e-4, atol=1e-5)


def test_a_turn_of_itself_or_none_gives_the_network_back(generator: Generator) -> None:
    assert same_weights(turned(generator, Turn()), generator)
    for flips in product((False, True), repeat=3):
        mirror = Turn(flips)
        assert same_weights(turned(turned(generator, mirror), mirror), generator)


def test_turning_leaves_the_network_as_it_was(generator: Generator) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    turned(generator, TURNS[1])
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_one_turn_after_another_is_one_of_them() -> None:
    x = torch.arange(4.0**3).reshape(4, 4, 4)
    results = [turn(x) for turn in TURNS]
    for first, second in product(TURNS, TURNS):
        assert sum(torch.equal(second(first(x)), result) for result in results) == 1


def test_frozen_network_can_be_turned(generator: Generator, smooth: np.ndarray) -> None:
    network = FoldedNetwork(generator, [smooth], CPU, torch.float32)
    other = np.roll(smooth, 7, axis=1)
    for turn in TURNS:
        expected = turn.back(torch.from_numpy(network(turn_array(turn, other)))).numpy()
        np.testing.assert_allclose(network.turned(turn)(other), expected, rtol=1e-3, atol=1e-4)


def test_ensemble_is_the_mean_and_calibrated_spread_of_its_turns(generator: Generator, smooth: np.ndarray) -> None:
    network = FoldedNetwork(generator, [smooth], CPU, torch.float32)
    parts = np.stack([np.maximum(network.turned(turn)(smooth), 0) for turn in TURNS])
    prediction, error = TestTimeEnsemble(network, CALIBRATION)(smooth)
    np.testing.assert_allclose(prediction, parts.mean(axis=0), rtol=1e-3, atol=1e-4)
    spread = Spread()
    for part in parts:
        spread.add(part)
    expected = CALIBRATION.expected_error(spread.deviation, prediction)
    np.testing.assert_allclose(error, expected, rtol=1e-2, atol=1e-3)
    _, raw = TestTimeEnsemble(network, None)(smooth)
    np.testing.assert_allclose(raw, spread.deviation, rtol=1e-2, atol=1e-3)
    assert raw.std() > 0


def test_ensemble_turns_with_its_stack(generator: Generator, smooth: np.ndarray) -> None:
    ensemble = TestTimeEnsemble(FoldedNetwork(generator, [smooth], CPU, torch.float32), CALIBRATION)
    stack = smooth[:, :32]
    for turn in TURNS:
        got = turn_array(turn, ensemble(stack))
        np.testing.assert_allclose(ensemble(turn_array(turn, stack)), got, rtol=1e-3, atol=1e-4)
