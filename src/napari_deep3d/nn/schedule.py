"""The course of the learning rate."""

from __future__ import annotations

import math

from napari_deep3d.core.config import TrainConfig

WARM_UP_SHARE = 0.05
LAST_SHARE = 0.01


def rate_share(config: TrainConfig, step: int) -> float:
    """Learning rate of a step as a share of the largest: linear warm-up, then half a cosine down to a hundredth."""
    warm = max(1, int(WARM_UP_SHARE * config.iterations))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, config.iterations - warm)
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of the generator at a step."""
    return config.learning_rate * rate_share(config, step)
