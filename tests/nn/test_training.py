"""Training: it learns, it can be stopped and resumed bit for bit, and it keeps the best weights."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Metrics, Notice, Preview, Progress, StoppedError, drain
from napari_deep3d.core.types import Box
from napari_deep3d.core.volume import Volume
from napari_deep3d.nn import trainer as trainer_module
from napari_deep3d.nn import training
from napari_deep3d.nn.checkpoint import BestWeights, TrainingState, checkpoints, load_newest
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.trainer import Trainer, learning_rate
from napari_deep3d.nn.training import Control, TrainedGenerator, begin_from, split_pairs, train_generator
from napari_deep3d.nn.unpaired import make_trainer
from tests.helpers.nn import changed, same_weights

pytestmark = pytest.mark.slow

Pairs = list[TrainingPair]
BOX = Box(slice(0, 16), slice(0, 48), slice(0, 48))
"""All of a pair."""


class Until:
    """Notes events, and says stop once a step has told a figure."""

    def __init__(self, step: int, figure: str = "loss") -> None:
        self.step, self.figure, self.events = step, figure, list[Event]()

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def stop(self) -> bool:
        rows = (event for event in self.events if isinstance(event, Metrics))
        return self.step == 0 or any(row.step >= self.step and self.figure in row.values for row in rows)


def train_until(step: int, pairs: Pairs, config: TrainConfig, folder: Path, figure: str = "loss") -> TrainedGenerator:
    until = Until(step, figure)
    return drain(train_generator(pairs, config, folder, Control(stop=until.stop)), until)


def notices(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


@pytest.fixture
def unbroken(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> TrainedGenerator:
    (tmp_path / "unbroken").mkdir()
    return drain(train_generator(pairs, config, tmp_path / "unbroken"))


# Stop and resume


@pytest.mark.parametrize("step", [1, 2, 3])
def test_stopped_and_resumed_training_is_an_unbroken_one_bit_for_bit(
    unbroken: TrainedGenerator, pairs: Pairs, config: TrainConfig, tmp_path: Path, step: int
) -> None:
    """With all losses, both networks and the running mean; at checkpoints and between them."""
    assert config.losses.weight_gan > 0 < config.losses.weight_vgg
    assert config.optimizer.ema > 0
    half = train_until(step, pairs, config, tmp_path)
    assert (half.step, half.steps_made) == (step, step)
    assert not same_weights(half.last, unbroken.last)
    events: list[Event] = []
    rest = drain(train_generator(pairs, config, tmp_path), events.append)
    assert f"resumed at step {step}" in notices(events)
    assert (rest.step, rest.steps_made) == (4, 4 - step)
    assert same_weights(rest.last, unbroken.last)
    assert same_weights(rest.generator, unbroken.generator)
    assert (rest.validation, rest.losses, rest.weights) == (unbroken.validation, unbroken.losses, unbroken.weights)
    ends = [checkpoints(folder)[-1].read_bytes() for folder in (tmp_path, tmp_path / "unbroken")]
    assert ends[0] == ends[1]


def test_best_weights_survive_a_stop(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    """Tested after every step, and stopped after each test."""
    config = changed(config, validate_every=1, learning_rate=0.02)
    (tmp_path / "unbroken").mkdir()
    unbroken = drain(train_generator(pairs, config, tmp_path / "unbroken"))
    for step in (1, 2, 3):
        train_until(step, pairs, config, tmp_path, "validation_rmse")
    rest = drain(train_generator(pairs, config, tmp_path))
    assert same_weights(rest.generator, unbroken.generator)
    assert (rest.validation, rest.weights) == (unbroken.validation, unbroken.weights)


def test_same_seed_trains_the_same_other_seed_another(
    unbroken: TrainedGenerator, pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    for seed, same in ((config.runtime.seed, True), (config.runtime.seed + 1, False)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        again = drain(train_generator(pairs, changed(config, seed=seed), folder))
        assert same_weights(again.last, unbroken.last) == same


def test_stop_between_checkpoints_keeps_what_was_learned(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    stopped = train_until(3, pairs, config, tmp_path)
    assert [path.name for path in checkpoints(tmp_path)] == ["step_0000002.safetensors", "step_0000003.safetensors"]
    trainer = Trainer(config, pairs)
    assert load_newest(tmp_path, trainer).step == 3
    assert same_weights(trainer.generator, stopped.last)


def test_stop_before_the_first_step_leaves_no_checkpoint(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    stopped = train_until(0, pairs, config, tmp_path)
    assert (stopped.step, stopped.losses, stopped.validation) == (0, {}, {})
    assert list(tmp_path.iterdir()) == []


def test_stop_within_a_step_leaves_the_step_out(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    until, asked = Until(2), [0]

    def some_layers_later() -> bool:
        asked[0] += until.stop()
        return asked[0] > 60

    (tmp_path / "between").mkdir()
    between = train_until(2, pairs, config, tmp_path / "between")
    within = drain(train_generator(pairs, config, tmp_path, Control(stop=some_layers_later)), until)
    assert within.step == 2
    assert same_weights(within.last, between.last)


def test_damaged_newest_checkpoint_falls_back_to_the_one_before(
    unbroken: TrainedGenerator, pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    train_until(3, pairs, config, tmp_path)
    newest = checkpoints(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    events: list[Event] = []
    resumed = drain(train_generator(pairs, config, tmp_path), events.append)
    assert "resumed at step 2" in notices(events)
    assert same_weights(resumed.last, unbroken.last)


def test_resumed_training_takes_as_many_patches_at_a_time_as_before(
    pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    """Sums in another order would round otherwise."""
    until = Until(1)
    control = Control(stop=until.stop, voxels_at_once=12345)
    drain(train_generator(pairs, config, tmp_path, control), until)
    assert load_newest(tmp_path, Trainer(config, pairs)).voxels_at_once == 12345
    drain(train_generator(pairs, config, tmp_path))
    assert load_newest(tmp_path, Trainer(config, pairs)).voxels_at_once == 12345


# Pause


def test_paused_training_waits_and_goes_on_to_the_same_end(
    unbroken: TrainedGenerator, pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    asked = iter([False, True, True, True, False, True, True])
    start = time.perf_counter()
    paused = drain(train_generator(pairs, config, tmp_path, Control(paused=lambda: next(asked, False))))
    assert time.perf_counter() - start - paused.seconds > 5 * 0.05
    assert same_weights(paused.last, unbroken.last)


def test_paused_training_can_be_stopped(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    until, waits = Until(1), [0]

    def stop() -> bool:
        waits[0] += until.stop()
        return waits[0] > 3

    control = Control(paused=until.stop, stop=stop)
    assert drain(train_generator(pairs, config, tmp_path, control), until).step == 1


# The best weights


class Scripted:
    """Scores by a script, two for each test (the weights, their running mean), and the weights that got them."""

    def __init__(self, *rmse: float) -> None:
        self.rmse, self.scored = list(rmse), list[dict[str, Tensor]]()

    def __call__(self, generator: Generator, pairs: Pairs, *_: Any) -> list[tuple[float, float]]:
        self.scored.append(copy.deepcopy(generator.state_dict()))
        return [(self.rmse[len(self.scored) - 1], 0.5)] * len(pairs)


def has(network: Generator, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


SCRIPTS = {
    "weights": ((0.4, 0.9, 0.2, 0.9, 0.3, 0.9, 0.3, 0.9), 2, "the weights after step 2", 0.2),
    "running mean": (
        (0.4, 0.9, 0.3, 0.25, 0.3, 0.9, 0.3, 0.9),
        3,
        "the running mean of the weights after step 2",
        0.25,
    ),
    "last": ((0.4, 0.9, 0.3, 0.9, 0.2, 0.9, 0.1, 0.9), 6, "the weights after step 4", 0.1),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_best_weights_are_kept_and_used_at_the_end(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    scores, place, words, rmse = SCRIPTS[script]
    scripted = Scripted(*scores)
    monkeypatch.setattr(training, "score_pairs", scripted)
    done = drain(train_generator(pairs, changed(config, validate_every=1), tmp_path))
    assert has(done.generator, scripted.scored[place])
    assert has(done.last, scripted.scored[6])
    assert same_weights(done.generator, done.last) == (script == "last")
    assert done.validation == pytest.approx({"rmse": rmse, "ssim": 0.5})
    assert done.weights == f"{words}, best on held-out pairs"
    best = load_file(sorted(tmp_path.glob("best_*.safetensors"))[-1])
    assert has(done.generator, best)


def test_a_test_that_a_stop_cut_short_is_made_when_resumed(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: object) -> None:
        raise StoppedError

    config = changed(config, validate_every=2)
    with monkeypatch.context() as patch:
        patch.setattr(training, "score_pairs", leave)
        stopped = train_until(2, pairs, config, tmp_path)
    assert (stopped.step, stopped.validation) == (2, {})
    rows: list[Event] = []
    drain(train_generator(pairs, config, tmp_path), rows.append)
    tests = [row.step for row in rows if isinstance(row, Metrics) and "validation_rmse" in row.values]
    assert tests == [2, 4]


def test_best_weights_of_steps_that_a_crash_lost_are_not_taken_for_those_of_the_checkpoint(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted(0.4, 0.9, 0.5, 0.9, 0.1, 0.9)  # best at step 1, then at step 3, which the crash loses
    monkeypatch.setattr(training, "score_pairs", scripted)
    config = changed(config, validate_every=1, checkpoint_every=2)
    job = train_generator(pairs, config, tmp_path)
    while not (tmp_path / "best_0000003.safetensors").exists():
        next(job)
    job.close()
    stopped = drain(train_generator(pairs, config, tmp_path, Control(stop=lambda: True)))
    assert stopped.step == 2
    assert has(stopped.generator, scripted.scored[0])
    assert stopped.weights == "the weights after step 1, best on held-out pairs"


def test_stopped_after_its_best_test_the_newest_weights_are_used(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "score_pairs", Scripted(0.4, 0.9))
    config = changed(config, validate_every=2)
    stopped = train_until(3, pairs, config, tmp_path)
    assert stopped.step == 3
    assert same_weights(stopped.generator, stopped.last)
    assert stopped.weights == "as after step 3"
    assert stopped.validation == pytest.approx({"rmse": 0.4, "ssim": 0.5})


def test_stopped_after_its_best_test_of_the_running_mean_that_is_used(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores were those of the running mean: the weights themselves did worse."""
    monkeypatch.setattr(training, "score_pairs", Scripted(0.9, 0.4))
    stopped = train_until(3, pairs, changed(config, validate_every=2), tmp_path)
    trainer = Trainer(config, pairs)
    load_newest(tmp_path, trainer)
    assert trainer.ema is not None
    assert same_weights(stopped.generator, trainer.ema)
    assert not same_weights(stopped.generator, stopped.last)
    assert stopped.weights == "the running mean of the weights as after step 3"


def test_stopped_after_a_worse_test_the_best_weights_are_used(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted = Scripted(0.2, 0.9, 0.3, 0.9, 0.3, 0.9)
    monkeypatch.setattr(training, "score_pairs", scripted)
    stopped = train_until(3, pairs, changed(config, validate_every=1), tmp_path)
    assert has(stopped.generator, scripted.scored[0])
    assert not same_weights(stopped.generator, stopped.last)
    assert stopped.weights == "the weights after step 1, best on held-out pairs"
    assert stopped.validation == pytest.approx({"rmse": 0.2, "ssim": 0.5})
    standing = load_newest(tmp_path, Trainer(config, pairs))
    assert standing == TrainingState(3, BestWeights(1, "the weights", pytest.approx(0.2), 0.5), is_best=False, tested=3)


def test_validation_is_the_mean_of_the_held_out_pairs(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_name(_network: Generator, held: Pairs, *_: Any) -> list[tuple[float, float]]:
        return [({"pair0": 0.1, "pair2": 0.3}[pair.name], 0.4) for pair in held]

    monkeypatch.setattr(training, "score_pairs", by_name)
    config = changed(config, held_out=("pair0", "pair2"), iterations=1)
    done = drain(train_generator(pairs, config, tmp_path))
    assert done.validation == pytest.approx({"rmse": 0.2, "ssim": 0.4})


# What it tells


def test_loss_falls_on_what_is_easy_to_learn(pairs: Pairs, plain: TrainConfig, tmp_path: Path) -> None:
    losses: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Metrics) and "loss" in event.values:
            losses.append(event.values["loss"])

    longer = changed(plain, iterations=40, learning_rate=0.02, validation_share=0.0, checkpoint_every=100)
    drain(train_generator(pairs, longer, tmp_path), note)
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_events_tell_all_losses_rate_validation_and_progress(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    events: list[Event] = []
    result = drain(train_generator(pairs, config, tmp_path), events.append)
    rows = [event for event in events if isinstance(event, Metrics)]
    losses = [row for row in rows if "loss" in row.values]
    assert [row.step for row in losses] == [1, 2, 3, 4]
    for row in losses:
        assert set(row.values) == {"loss", "l1", "gan", "vgg", "discriminator", "learning_rate"}
        assert row.values["loss"] == pytest.approx(row.values["l1"] + row.values["gan"] + row.values["vgg"])
        assert all(math.isfinite(value) and value > 0 for value in row.values.values())
    assert [row.values["learning_rate"] for row in losses] == [learning_rate(config, step) for step in range(4)]
    assert (rows[0].step, set(rows[0].values)) == (0, {"widefield_rmse", "widefield_ssim"})  # no model to start from
    (tested,) = (row for row in rows if "validation_rmse" in row.values)
    assert tested.step == 4
    assert tested.values["validation_rmse"] == result.validation["rmse"] > 0
    assert -1 <= tested.values["validation_ssim"] == result.validation["ssim"] <= 1
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == [0, 0, 1, 2, 3, 4]
    assert progress[1].message == "step 1 begins"
    assert progress[-1].fraction == 1
    assert result.losses == {name: losses[-1].values[name] for name in result.losses}
    assert set(result.losses) == {"loss", "l1", "gan", "vgg", "discriminator"}
    assert next(result.generator.parameters()).device.type == "cpu"
    assert not result.generator.training
    assert result.reason == ""


def test_parts_that_are_left_out_are_not_told(pairs: Pairs, plain: TrainConfig, tmp_path: Path) -> None:
    events: list[Event] = []
    drain(train_generator(pairs, plain, tmp_path), events.append)
    rows = [event.values for event in events if isinstance(event, Metrics) and "loss" in event.values]
    assert {frozenset(row) for row in rows} == {frozenset({"loss", "l1", "learning_rate"})}


def test_logged_loss_is_the_mean_since_the_last_row(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    rows: dict[int, dict[int, float]] = {1: {}, 3: {}}
    config = changed(config, iterations=6)
    for every, found in rows.items():
        folder = tmp_path / str(every)
        folder.mkdir()
        job = train_generator(pairs, changed(config, log_every=every), folder)
        drain(job, lambda e, found=found: found.update(_losses(e)))
    each, third = rows[1], rows[3]
    assert list(each) == [1, 2, 3, 4, 5, 6]
    assert list(third) == [1, 2, 3, 5, 6]  # the first steps are told besides
    expected = {step: np.mean([each[s] for s in range(max(1, step - 2), step + 1)]) for step in third}
    assert third == pytest.approx(expected)


def _losses(event: Event) -> dict[int, float]:
    return {event.step: event.values["loss"]} if isinstance(event, Metrics) and "loss" in event.values else {}


def test_what_there_was_before_is_told_first(pairs: Pairs, plain: TrainConfig, tmp_path: Path) -> None:
    """The model to start from, and wide-field, on the held-out pair; not again in a training that is resumed."""
    plain = changed(plain, held_out=("pair1",))
    start = Trainer(changed(plain, seed=7), pairs).generator
    control = Control(preview_every=4, start=start.state_dict())
    events: list[Event] = []
    until = Until(1)
    drain(
        train_generator(pairs, plain, tmp_path, replace(control, stop=until.stop)),
        lambda e: events.append(e) or until(e),
    )
    before = next(event for event in events if isinstance(event, Metrics))
    ((rmse, ssim),) = training.score_pairs(start, pairs[1:2], plain, torch.device("cpu"), torch.float32)
    own = pairs[1].crop_widefield(BOX) - pairs[1].crop_confocal(BOX)
    assert before.step == 0
    assert (before.values["validation_rmse"], before.values["validation_ssim"]) == pytest.approx((rmse, ssim), rel=1e-5)
    assert before.values["widefield_rmse"] == pytest.approx(np.sqrt(np.mean(own**2)), rel=1e-5)
    assert [event.step for event in events if isinstance(event, Preview)] == [0]
    resumed: list[Event] = []
    drain(train_generator(pairs, plain, tmp_path, control), resumed.append)
    assert [event.step for event in resumed if isinstance(event, Metrics) and "widefield_rmse" in event.values] == []


@pytest.mark.parametrize(("every", "steps"), [(0, []), (2, [1, 2, 4]), (3, [1, 3])])
def test_previews_come_when_they_are_due(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, every: int, steps: list[int]
) -> None:
    """Of a held-out pair, beginning with the first step."""
    config = changed(config, held_out=("pair1",))
    events: list[Event] = []
    drain(train_generator(pairs, config, tmp_path, Control(preview_every=every)), events.append)
    shown = [event for event in events if isinstance(event, Preview)]
    assert [event.step for event in shown] == steps
    for event in shown:
        np.testing.assert_array_equal(event.widefield, pairs[1].crop_widefield(BOX))
        assert event.prediction.shape == event.confocal.shape == (16, 48, 48)
        assert event.prediction.min() >= 0
    assert len({event.prediction.tobytes() for event in shown}) == len(steps)


def test_too_few_pairs_to_hold_one_out_is_said(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    events: list[Event] = []
    result = drain(train_generator(pairs[:2], config, tmp_path, Control(preview_every=4)), events.append)
    assert any("no test on unseen pairs" in notice for notice in notices(events))
    assert result.validation == {}
    assert same_weights(result.generator, result.last)
    assert result.weights == "as after step 4"
    assert [event.step for event in events if isinstance(event, Preview)] == [1, 4]


def test_no_pair_is_an_error(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pair to train on"):
        drain(train_generator([], config, tmp_path))


def test_lack_of_memory_is_told(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Generator.forward

    def greedy(self: Generator, x: Tensor) -> Tensor:
        if len(x) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x)

    monkeypatch.setattr(Generator, "forward", greedy)
    events: list[Event] = []
    drain(train_generator(pairs, changed(config, batch_size=2), tmp_path), events.append)
    assert len([notice for notice in notices(events) if notice.startswith("Not enough memory for 2")]) == 1


# Numbers that are none


def diverges_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, loss = iter(range(1000)), training.Trainer.step

    def step(self: Trainer, number: int) -> None:
        if next(calls) >= steps:
            monkeypatch.setattr(trainer_module, "l1_loss", lambda a, _: a.mean() * math.nan)
        loss(self, number)

    monkeypatch.setattr(Trainer, "step", step)


def test_loss_that_is_no_number_ends_the_training_and_keeps_the_weights_before(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stopped").mkdir()
    expected = train_until(3, pairs, config, tmp_path / "stopped")
    diverges_after(3, monkeypatch)
    events: list[Event] = []
    ended = drain(train_generator(pairs, config, tmp_path), events.append)
    assert ended.step == 3
    assert ended.reason.startswith("the loss (l1) became nan at step 4; training has ended there. Start a new run with")
    assert notices(events).count(ended.reason) == 1
    assert same_weights(ended.generator, expected.last)
    trainer = Trainer(config, pairs)
    assert load_newest(tmp_path, trainer).step == 3
    assert same_weights(trainer.generator, expected.last)


def test_after_a_loss_that_is_no_number_the_best_weights_are_used(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came since may have been on its way out already."""
    scripted = Scripted(0.4, 0.9)
    monkeypatch.setattr(training, "score_pairs", scripted)
    diverges_after(3, monkeypatch)
    ended = drain(train_generator(pairs, changed(config, validate_every=2), tmp_path))
    assert ended.step == 3
    assert has(ended.generator, scripted.scored[0])
    assert ended.weights == "the weights after step 2, best on held-out pairs"


def test_voxels_that_are_no_numbers_end_the_training_at_once(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    nothing = Volume(np.full(pairs[0].shape, np.nan, np.float32), (1, 1, 1))
    broken = [TrainingPair("x", p.widefield, nothing, p.widefield_range, (0, 1)) for p in pairs]
    ended = drain(train_generator(broken, config, tmp_path))
    assert (ended.step, bool(ended.reason)) == (0, True)
    assert checkpoints(tmp_path) == []


# Beginning from other weights


def test_training_begins_from_given_weights(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    torch.manual_seed(7)
    weights = {name: value.half() for name, value in Generator(2).state_dict().items()}
    trainer = Trainer(config, split_pairs(pairs, config)[0])
    begin_from(trainer, weights)
    for network in (trainer.generator, trainer.ema):
        assert network is not None
        assert all(torch.equal(value, weights[name].float()) for name, value in network.state_dict().items())
    begun = drain(train_generator(pairs, config, tmp_path, Control(start=weights, stop=lambda: True)))
    assert same_weights(begun.generator, trainer.generator)
    ended = drain(train_generator(pairs, config, tmp_path, Control(start=weights)))
    for step in range(4):
        trainer.step(step)
    assert same_weights(ended.last, trainer.generator)


def test_resumed_training_goes_on_from_its_checkpoint_not_from_the_given_weights(
    pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    torch.manual_seed(7)
    weights = Generator(2).state_dict()
    (tmp_path / "unbroken").mkdir()
    unbroken = drain(train_generator(pairs, config, tmp_path / "unbroken", Control(start=weights)))
    until = Until(2)
    drain(train_generator(pairs, config, tmp_path, Control(start=weights, stop=until.stop)), until)
    resumed = drain(train_generator(pairs, config, tmp_path, Control(start=weights)))
    assert same_weights(resumed.last, unbroken.last)


@pytest.mark.parametrize("other", [Generator(3), Generator(2, 2), Generator(2, 3, 2)], ids=["width", "2D", "DeepZ+"])
def test_weights_of_another_network_are_refused(pairs: Pairs, config: TrainConfig, other: Generator) -> None:
    with pytest.raises(InputError, match=r"another network than width=2, dimensions=3, network_input=stack"):
        begin_from(Trainer(config, pairs), other.state_dict())


# Pairs put out of register, for comparison


def test_pairs_are_put_out_of_register_for_training_alone(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test must tell what that costs; and resumed it must be the same shifts."""
    config = changed(config, misregistration_um=(1.5, 2.0, 2.0), held_out=("pair1",), iterations=1)
    given: list[Pairs] = []
    scored: list[Pairs] = []

    def noted(config: TrainConfig, pairs: Pairs, *more: Any) -> Trainer:
        given.append(list(pairs))
        return make_trainer(config, pairs, *more)

    def note(_network: Generator, held: Pairs, *_: Any) -> list[tuple[float, float]]:
        scored.append(held)
        return [(0.1, 0.1)]

    monkeypatch.setattr(training, "make_trainer", noted)
    monkeypatch.setattr(training, "score_pairs", note)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        drain(train_generator(pairs, config, tmp_path / folder))
    shifts = [[pair.shift for pair in some] for some in given]
    assert shifts[0] == shifts[1]
    assert len(set(shifts[0])) == 2
    assert all(shift != (0, 0, 0) for shift in shifts[0])
    assert {pair.shift for some in scored for pair in some} == {(0, 0, 0)}


# Which pairs are held out


def many(count: int) -> Pairs:
    data = np.zeros((4, 16, 16), np.float32)
    side = Volume(data, (1, 1, 1))
    return [TrainingPair(f"{i:02d}", side, side, (0, 1), (0, 1)) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "share", "held"), [(20, 0.1, 2), (20, 0.5, 10), (3, 0.1, 1), (2, 0.5, 0), (20, 0, 0)]
)
def test_split_is_disjoint_complete_and_of_the_asked_share(count: int, share: float, held: int) -> None:
    pairs = many(count)
    training, held_out = split_pairs(pairs, TrainConfig(validation_share=share))
    assert len(held_out) == held
    names = [pair.name for pair in training + held_out]
    assert sorted(names) == [pair.name for pair in pairs]


def test_split_depends_on_the_seed_alone() -> None:
    pairs = many(20)
    splits = [
        [p.name for p in split_pairs(pairs, TrainConfig(validation_share=0.3, seed=seed, iterations=n))[1]]
        for seed, n in ((0, 10), (0, 20), (1, 10))
    ]
    assert splits[0] == splits[1] != splits[2]


def test_pairs_are_held_out_by_name() -> None:
    training_pairs, held_out = split_pairs(many(4), TrainConfig(held_out=("03", "01"), validation_share=0))
    assert [pair.name for pair in training_pairs] == ["00", "02"]
    assert [pair.name for pair in held_out] == ["01", "03"]


def test_one_of_two_pairs_can_be_held_out_by_name() -> None:
    training_pairs, held_out = split_pairs(many(2), TrainConfig(held_out=("00",)))
    assert ([pair.name for pair in training_pairs], [pair.name for pair in held_out]) == (["01"], ["00"])


@pytest.mark.parametrize(("names", "words"), [(("01", "07"), "names 07;"), (("00", "01"), "names every pair;")])
def test_names_to_hold_out_must_fit(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=rf"held_out {words} names of some of the pairs are allowed: 00, 01\."):
        split_pairs(many(2), TrainConfig(held_out=names))
