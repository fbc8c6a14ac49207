"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.nn.trainer import Trainer


def changed(config: TrainConfig, **values: object) -> TrainConfig:
    """The settings with some of them changed, checked."""
    return config.changed(**values)


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks have the same weights, bit for bit."""
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def state(trainer: Trainer) -> list[torch.Tensor]:
    """Everything that a step changes: weights, their moving average, and what the optimisers remember."""
    networks = [*trainer.networks, *([] if trainer.ema is None else [trainer.ema])]
    tensors = [value for network in networks for value in network.state_dict().values()]
    for optimiser in trainer.optimisers:
        for _, entries in sorted(optimiser.state_dict()["state"].items()):
            tensors += [torch.as_tensor(entries[name]) for name in sorted(entries)]
    return [tensor.clone() for tensor in tensors]


def same_state(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    """Whether two states are the same, bit for bit."""
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def after(calls: int) -> Callable[[], bool]:
    """A stop that says yes after so many calls."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= calls
