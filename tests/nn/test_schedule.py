"""The course of the learning rate."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.nn.schedule import learning_rate, rate_share


def test_learning_rate_rises_then_falls_to_a_hundredth() -> None:
    config = TrainConfig(iterations=1000, learning_rate=1e-3)
    rates = np.array([learning_rate(config, step) for step in range(1000)])
    peak = int(rates.argmax())
    assert 45 <= peak <= 55
    assert rates.max() == pytest.approx(1e-3)
    assert (np.diff(rates[:50]) > 0).all()
    assert (np.diff(rates[55:]) < 0).all()
    assert 0 < rates[0] < 1e-4
    assert learning_rate(config, 1000) == pytest.approx(1e-5)
    assert learning_rate(config, 525) == pytest.approx(0.505e-3, rel=0.01)


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_learning_rate_of_short_trainings_is_positive(iterations: int) -> None:
    config = TrainConfig(iterations=iterations, learning_rate=1e-3)
    assert all(0 < learning_rate(config, step) <= 1e-3 for step in range(iterations))


def test_both_networks_share_one_course() -> None:
    config = TrainConfig(iterations=50, learning_rate=2e-3)
    shares = [learning_rate(config, step) / rate_share(config, step) for step in range(51)]
    assert shares == pytest.approx([2e-3] * 51)
