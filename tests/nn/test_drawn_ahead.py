"""Batches drawn ahead by other threads: those of the steps, each drawn once, errors where they belong."""

from __future__ import annotations

from threading import Lock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.nn.devices import pinned
from napari_deep3d.nn.drawn_ahead import DrawnAhead
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.trainer import Trainer
from tests.helpers.nn import same_weights

STEPS = 12


class Noting:
    """Draws the square of a step, and notes which were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._lock = Lock()

    def __call__(self, step: int) -> int:
        with self._lock:
            self.asked.append(step)
        return step**2


@given(steps=st.lists(st.integers(0, STEPS - 1), min_size=1, max_size=20), threads=st.integers(1, 4))
def test_any_order_of_steps_gives_what_belongs_to_them(steps: list[int], threads: int) -> None:
    draw = Noting()
    ahead = DrawnAhead(draw, STEPS, threads)
    assert [ahead.take(step) for step in steps] == [step**2 for step in steps]
    assert max(draw.asked) < STEPS


@pytest.mark.parametrize("threads", [1, 3])
def test_in_order_each_step_is_drawn_once_and_none_beyond_the_last(threads: int) -> None:
    draw = Noting()
    ahead = DrawnAhead(draw, STEPS, threads)
    for step in range(STEPS):
        ahead.take(step)
    assert sorted(draw.asked) == list(range(STEPS))


def test_the_next_steps_are_drawn_without_being_asked_for() -> None:
    draw = Noting()
    ahead = DrawnAhead(draw, STEPS, 2)
    ahead.take(4)
    ahead._pool.shutdown(wait=True)
    assert sorted(draw.asked) == [4, 5, 6]


def test_an_error_comes_with_its_own_step() -> None:
    def draw(step: int) -> int:
        if step == 2:
            raise ValueError("no such patch")
        return step

    ahead = DrawnAhead(draw, STEPS, 3)
    assert [ahead.take(0), ahead.take(1)] == [0, 1]
    with pytest.raises(ValueError, match="no such patch"):
        ahead.take(2)
    assert ahead.take(3) == 3


def test_a_training_learns_the_same_from_batches_drawn_ahead(pairs: list[TrainingPair], config: TrainConfig) -> None:
    ahead, plain = Trainer(config, pairs), Trainer(config, pairs)
    ahead._ahead = DrawnAhead(ahead._draw_pinned, config.optimizer.iterations, 2)
    for step in range(3):
        for trainer in (ahead, plain):
            trainer.step(step)
    assert same_weights(ahead.generator, plain.generator)


def test_an_array_that_cannot_be_pinned_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> torch.Tensor:
        raise RuntimeError("cannot lock more memory")

    monkeypatch.setattr(torch.Tensor, "pin_memory", refuse)
    values = torch.zeros(2, 3).numpy()
    assert pinned(values, torch.device("cuda", 0)) is values
    assert pinned(values, torch.device("cpu")) is values
