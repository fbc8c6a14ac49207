"""A training that may take so many minutes: how its time is shared, on a clock of our own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_deep3d.core import Event, InputError, Metrics, Notice, StoppedError, TrainConfig, drain
from napari_deep3d.core import events as core_events
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.jobs.train import time_plan
from napari_deep3d.jobs.train.run_folder import read_run
from napari_deep3d.jobs.train.time_plan import GRACE_SECONDS, TimePlan, fit_to_time, reading_is_over, time_limit
from napari_deep3d.jobs.train.train import train_model
from napari_deep3d.nn import training, validation
from napari_deep3d.nn.model_file import read_info
from napari_deep3d.nn.trainer import Trainer

pytestmark = pytest.mark.slow


class Time:
    """A clock that only steps and tests move on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now

    def taking(self, seconds: Callable[[], float], does: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*words: Any, **more: Any) -> Any:
            self.now += seconds()
            return does(*words, **more)

        return slow


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    for module in (core_events, time_plan):
        monkeypatch.setattr(module.time, "perf_counter", clock.perf_counter)
    return clock


@pytest.fixture
def plan(clock: Time, pairs_folder: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Plans for pairs of 8 x 32 x 32, of which steps of all voxels take so many seconds."""
    pairs = prepare_pairs(PairsFolder(pairs_folder).load(), (0, 100))

    def make(minutes: float, per_step: float, held_out: int = 1) -> TimePlan:
        monkeypatch.setattr(Trainer, "step", lambda *_: setattr(clock, "now", clock.now + per_step))
        told = (pairs[1:], pairs[:held_out], train_config, minutes, time_limit(minutes), 2**40, (8, 32, 32))
        return drain(fit_to_time(*told, lambda: False))

    return make


def test_steps_fit_into_the_time(plan: Any) -> None:
    made = plan(minutes=10, per_step=2.0)
    assert 200 < made.config.optimizer.iterations < 300 - 4  # of 300 in all, four of them to measure the speed
    assert 5 <= made.config.optimizer.iterations / made.config.runtime.validate_every <= 11
    assert made.tests
    assert GRACE_SECONDS < made.reserved_seconds < GRACE_SECONDS + 0.25 * 600


def test_without_held_out_pairs_less_time_is_kept(plan: Any) -> None:
    assert plan(10, 2.0, held_out=0).reserved_seconds < plan(10, 2.0).reserved_seconds


def test_a_very_short_time_has_a_few_steps_at_most(plan: Any) -> None:
    assert plan(0.001, 0.01).config.optimizer.iterations == 20
    assert plan(0.001, 1.0).config.optimizer.iterations == 5
    assert plan(0.05, 4.0).config.optimizer.iterations == 1
    with pytest.raises(InputError, match=r"0.05 minutes are too short: a step takes about 30 s here\. Give more time"):
        plan(0.05, 30.0)


def test_pairs_are_read_within_their_share(clock: Time) -> None:
    limit = time_limit(1)
    assert not reading_is_over(1, limit)
    clock.now += 19
    assert reading_is_over(1, limit)
    assert not reading_is_over(None, time_limit(None))


def trained(pairs: Path, run: Path, config: TrainConfig, minutes: float) -> tuple[Any, list[str]]:
    events: list[Event] = []
    done = drain(train_model(pairs, run, config, minutes=minutes), events.append)
    return done, [event.message for event in events if isinstance(event, Notice)]


def test_steps_that_become_slow_are_fewer(
    clock: Time, pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine is three times as slow as when its speed was measured: the time counts, not the plan."""
    steps = list[int]()
    step = Trainer.step

    def counted(self: Trainer, number: int) -> None:
        clock.now += 1.0 if len(steps) < 4 else 3.0
        steps.append(number)
        step(self, number)

    monkeypatch.setattr(Trainer, "step", counted)
    done, told = trained(pairs_folder, tmp_path / "run", train_config, minutes=2)
    assert 0 < clock.now - 1000 <= 120 + GRACE_SECONDS
    assert 20 < done.iterations < 40
    assert done.complete
    assert done.validation.keys() == {"rmse", "ssim"}
    assert any(f"The time is over after {done.iterations} of " in notice for notice in told)
    assert read_run(tmp_path / "run").complete
    assert read_info(done.model).training["steps"] == done.iterations


def test_tests_and_what_follows_are_left_out_where_they_take_too_long(
    clock: Time, pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test takes as long as the whole training may: it is broken off, and so is what follows."""

    class Slow(validation.Predictor):
        def __init__(self, *told: Any) -> None:
            super().__init__(*told)
            self.stop = told[-1]

        def __call__(self, region: Any) -> Any:
            clock.now += 70
            if self.stop():
                raise StoppedError
            return super().__call__(region)

    monkeypatch.setattr(validation, "Predictor", Slow)
    monkeypatch.setattr(Trainer, "step", clock.taking(lambda: 1.0, Trainer.step))
    done, told = trained(pairs_folder, tmp_path / "run", train_config, minutes=1)
    assert done.complete
    assert done.validation == {}
    assert any("The time was too short to measure" in notice for notice in told)
    assert clock.now - 1000 <= 60 + GRACE_SECONDS + 70
    assert read_info(done.model).uncertainty is None


def test_a_pause_does_not_count(
    clock: Time, pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "wait", lambda *_: clock.taking(lambda: 50.0, lambda: 50.0)())
    monkeypatch.setattr(Trainer, "step", clock.taking(lambda: 2.0, Trainer.step))
    events: list[Event] = []
    done = drain(train_model(pairs_folder, tmp_path / "run", train_config, minutes=1), events.append)
    assert done.iterations > 10
    assert done.iterations == max(event.step for event in events if isinstance(event, Metrics))


def test_without_a_time_nothing_ends_early(clock: Time, pairs_folder: Path, tmp_path: Path, train_config: Any) -> None:
    done = drain(train_model(pairs_folder, tmp_path / "run", train_config))
    assert (done.iterations, done.complete) == (4, True)
