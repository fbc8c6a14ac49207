"""Fixtures of the network's tests: the smallest networks and pairs that show what is to be shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.volume import Volume
from napari_deep3d.nn.generator import Generator, norms
from napari_deep3d.nn.patches import TrainingPair

SPACING_UM = (0.5, 0.2, 0.2)


@pytest.fixture
def generator() -> Generator:
    """A network of two channels whose norm layers have weights and biases of their own, as after training."""
    torch.manual_seed(0)
    network = Generator(2)
    for layer in norms(network):
        torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
        torch.nn.init.uniform_(layer.bias, -0.5, 0.5)
    return network.eval()


@pytest.fixture
def smooth() -> np.ndarray:
    """A smooth random stack, about 0 to 1, axes Z, Y, X."""
    rng = np.random.default_rng(0)
    coarse = rng.random((4, 12, 12), dtype=np.float32)
    return np.kron(coarse, np.ones((4, 4, 4), np.float32)) + 0.1 * rng.random((16, 48, 48), dtype=np.float32)


@pytest.fixture
def pairs(smooth: np.ndarray) -> list[TrainingPair]:
    """Three pairs in which confocal is a function of wide-field, voxel by voxel: counts turned around."""
    found = []
    for index in range(3):
        widefield = np.roll(smooth, 5 * index, axis=2) * 1000
        sides = (Volume(widefield, SPACING_UM, name="w"), Volume(2000 - widefield, SPACING_UM, name="c"))
        found.append(TrainingPair.prepare(f"pair{index}", *sides, (0.0, 100.0)))
    return found


TINY = {
    "iterations": 4,
    "batch_size": 1,
    "patch": (8, 32, 32),
    "width": 2,
    "discriminator_width": 0.02,
    "ema": 0.5,
    "blank_share": 0.0,
    "learning_rate": 1e-3,
    "precision": "float32",
    "device": "cpu",
    "checkpoint_every": 2,
    "validate_every": 4,
    "log_every": 1,
    "validation_share": 0.34,
}


@pytest.fixture
def config() -> TrainConfig:
    """All losses, and the running mean of the weights."""
    return TrainConfig.checked(**TINY)


@pytest.fixture
def plain() -> TrainConfig:
    """The absolute difference alone."""
    return TrainConfig.checked(**TINY | {"weight_gan": 0, "weight_vgg": 0, "ema": 0})
