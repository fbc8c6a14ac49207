"""Test-time augmentation: flipped kernels predict as on a flipped stack; several of them give mean and spread."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from napari_deep3d.core import Box, finish
from napari_deep3d.core.evaluation.uncertainty import Calibration, Spread
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.generator import CHANNELS_IN, Generator
from napari_deep3d.nn.tta import AUGMENTATIONS, Augmentation, AugmentedNetwork, augmented
from tests.helpers.nn import same_weights

EVERY_ONE = [Augmentation(tuple(flips), transpose) for *flips, transpose in product((False, True), repeat=4)]
CPU = torch.device("cpu")
CALIBRATION = Calibration(floor=0.01, per_spread=2, per_intensity=0.2)


def augment_array(augmentation: Augmentation, stack: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(augmentation(torch.from_numpy(stack)).numpy())


def of_folded(network: FoldedNetwork, augmentation: Augmentation) -> FoldedNetwork:
    return network.with_generator(augmented(network.generator, augmentation))


def same_as_augmenting_the_stack(generator: Generator, augmentation: Augmentation, x: torch.Tensor) -> None:
    expected = augmentation.undo(generator(augmentation(x)))
    torch.testing.assert_close(augmented(generator, augmentation)(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("augmentation", EVERY_ONE, ids=str)
def test_undoing_gives_the_stack_back(augmentation: Augmentation) -> None:
    x = torch.arange(2.0 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert torch.equal(augmentation.undo(augmentation(x)), x)
    assert augmentation(x).shape == ((2, 3, 5, 4) if augmentation.transpose else x.shape)


@pytest.mark.parametrize("augmentation", EVERY_ONE, ids=str)
@torch.no_grad()
def test_augmented_network_is_the_network_on_the_augmented_stack(
    generator: Generator, augmentation: Augmentation
) -> None:
    x = torch.rand(1, 1, 8, 32, 48)
    same_as_augmenting_the_stack(generator, augmentation, x)


@pytest.mark.parametrize(("dimensions", "network_input"), [(2, "stack"), (2, "plane")])
@torch.no_grad()
def test_networks_of_planes_are_augmented_too(dimensions: int, network_input: str) -> None:
    generator = Generator(2, dimensions, CHANNELS_IN[network_input]).eval()
    x = torch.rand(1, CHANNELS_IN[network_input], 8, 32, 48)
    for augmentation in AUGMENTATIONS:
        same_as_augmenting_the_stack(generator, augmentation, x)


def test_nothing_or_a_flip_done_twice_gives_the_network_back(generator: Generator) -> None:
    assert same_weights(augmented(generator, Augmentation()), generator)
    for flips in product((False, True), repeat=3):
        flip = Augmentation(flips)
        assert same_weights(augmented(augmented(generator, flip), flip), generator)


def test_augmenting_leaves_the_network_as_it_was(generator: Generator) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    augmented(generator, AUGMENTATIONS[1])
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_one_after_another_is_one_of_them() -> None:
    x = torch.arange(4.0**3).reshape(4, 4, 4)
    results = [augmentation(x) for augmentation in AUGMENTATIONS]
    for first, second in product(AUGMENTATIONS, AUGMENTATIONS):
        assert sum(torch.equal(second(first(x)), result) for result in results) == 1


def test_folded_network_can_be_augmented(generator: Generator, smooth: np.ndarray) -> None:
    network = FoldedNetwork(generator, [smooth], CPU, torch.float32)
    other = np.roll(smooth, 7, axis=1)
    for augmentation in AUGMENTATIONS:
        expected = augmentation.undo(torch.from_numpy(network(augment_array(augmentation, other)))).numpy()
        np.testing.assert_allclose(of_folded(network, augmentation)(other), expected, rtol=1e-3, atol=1e-4)


def test_result_is_the_mean_and_calibrated_spread_of_all_predictions(generator: Generator, smooth: np.ndarray) -> None:
    network = FoldedNetwork(generator, [smooth], CPU, torch.float32)
    parts = np.stack([np.maximum(of_folded(network, augmentation)(smooth), 0) for augmentation in AUGMENTATIONS])
    prediction, error = AugmentedNetwork(network, CALIBRATION)(smooth)
    np.testing.assert_allclose(prediction, parts.mean(axis=0), rtol=1e-3, atol=1e-4)
    spread = Spread()
    for part in parts:
        spread.add(part)
    box = Box.spanning((2, 0, 20), (9, 40, 48))
    mean = finish(AugmentedNetwork(network, None).mean_steps(smooth, box))
    np.testing.assert_allclose(mean, prediction[box], rtol=1e-3, atol=1e-4)
    expected = CALIBRATION.expected_error(spread.deviation(), prediction)
    np.testing.assert_allclose(error, expected, rtol=1e-2, atol=1e-3)
    _, raw = AugmentedNetwork(network, None)(smooth)
    np.testing.assert_allclose(raw, spread.deviation(), rtol=1e-2, atol=1e-3)
    assert raw.std() > 0


def test_result_rotates_with_the_stack(generator: Generator, smooth: np.ndarray) -> None:
    network = AugmentedNetwork(FoldedNetwork(generator, [smooth], CPU, torch.float32), CALIBRATION)
    stack = smooth[:, :32]
    for augmentation in AUGMENTATIONS:
        got = augment_array(augmentation, network(stack))
        np.testing.assert_allclose(network(augment_array(augmentation, stack)), got, rtol=1e-3, atol=1e-4)
