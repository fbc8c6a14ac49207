"""Training: it learns, it can be stopped and resumed bit for bit, and it survives a damaged checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Metrics, Notice, Progress, drain
from napari_deep3d.core.volume import Volume
from napari_deep3d.nn.checkpoint import KEPT, checkpoints, load_newest, save_checkpoint
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.training import Trained, Trainer, learning_rate, split_pairs, train_generator

Pairs = list[TrainingPair]


def same_weights(a: Generator, b: Generator) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def after(steps: int):
    """A stop that comes after so many steps."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps


@pytest.fixture
def unbroken(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> Trained:
    (tmp_path / "unbroken").mkdir()
    return drain(train_generator(pairs, config, tmp_path / "unbroken"))


def test_stopped_and_resumed_training_is_an_unbroken_one_bit_for_bit(
    unbroken: Trained, pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    half = drain(train_generator(pairs, config, tmp_path, stop=after(2)))
    assert (half.step, half.steps_made) == (2, 2)
    assert not same_weights(half.generator, unbroken.generator)
    rest = drain(train_generator(pairs, config, tmp_path))
    assert (rest.step, rest.steps_made) == (4, 2)
    assert same_weights(rest.generator, unbroken.generator)
    assert rest.validation == unbroken.validation


def test_same_seed_trains_the_same_other_seed_another(
    unbroken: Trained, pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    for seed, same in ((config.seed, True), (config.seed + 1, False)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        again = drain(train_generator(pairs, config.model_copy(update={"seed": seed}), folder))
        assert same_weights(again.generator, unbroken.generator) == same


def test_stop_between_checkpoints_keeps_what_was_learned(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    stopped = drain(train_generator(pairs, config, tmp_path, stop=after(3)))
    assert [path.name for path in checkpoints(tmp_path)] == ["step_0000002.safetensors", "step_0000003.safetensors"]
    trainer = Trainer(config, pairs, [])
    assert load_newest(tmp_path, trainer.generator, trainer.optimiser) == 3
    assert same_weights(trainer.generator, stopped.generator)


def test_damaged_newest_checkpoint_falls_back_to_the_one_before(
    unbroken: Trained, pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    drain(train_generator(pairs, config, tmp_path, stop=after(3)))
    newest = checkpoints(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    events: list[Event] = []
    resumed = drain(train_generator(pairs, config, tmp_path), events.append)
    assert any(isinstance(event, Notice) and "resumed at step 2" in event.message for event in events)
    assert same_weights(resumed.generator, unbroken.generator)


def test_only_damaged_checkpoints_are_an_error(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    for step in (1, 2):
        (tmp_path / f"step_{step:07d}.safetensors").write_bytes(b"junk")
    with pytest.raises(InputError, match=r"none of the 2 checkpoints .* can be read.*Start a new run"):
        drain(train_generator(pairs, config, tmp_path))


def test_checkpoint_of_another_network_is_an_error(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    drain(train_generator(pairs, config, tmp_path, stop=after(1)))
    with pytest.raises(InputError, match="of another network"):
        drain(train_generator(pairs, config.model_copy(update={"width": 3}), tmp_path))


def test_no_more_checkpoints_than_needed_stay_and_no_part(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, pairs, [])
    for step in (1, 5, 9, 10, 100):
        save_checkpoint(tmp_path, step, trainer.generator, trainer.optimiser)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step_0000010.safetensors",
        "step_0000100.safetensors",
    ]
    assert len(checkpoints(tmp_path)) == KEPT


def test_failed_checkpoint_leaves_the_others(
    pairs: Pairs, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config, pairs, [])
    old = save_checkpoint(tmp_path, 1, trainer.generator, trainer.optimiser)

    def breaks(tensors: object, part: Path, metadata: object) -> None:
        Path(part).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_deep3d.nn.checkpoint.save_file", breaks)
    with pytest.raises((OSError, InputError)):
        save_checkpoint(tmp_path, 2, trainer.generator, trainer.optimiser)
    assert list(tmp_path.iterdir()) == [old]


def test_no_checkpoint_is_a_fresh_start(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, pairs, [])
    assert load_newest(tmp_path, trainer.generator, trainer.optimiser) == 0


def test_loss_falls_on_what_is_easy_to_learn(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    losses: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, Metrics) and "loss" in event.values:
            losses.append(event.values["loss"])

    longer = config.model_copy(update={"iterations": 30, "learning_rate": 0.02, "validation_share": 0.0})
    drain(train_generator(pairs, longer, tmp_path), note)
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_events_tell_loss_rate_validation_and_progress(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    events: list[Event] = []
    result = drain(train_generator(pairs, config, tmp_path), events.append)
    rows = [event for event in events if isinstance(event, Metrics)]
    losses = [row for row in rows if "loss" in row.values]
    assert [row.step for row in losses] == [1, 2, 3, 4]
    assert [row.values["learning_rate"] for row in losses] == [learning_rate(config, step) for step in range(4)]
    (tested,) = (row for row in rows if "validation_rmse" in row.values)
    assert tested.step == 4
    assert tested.values["validation_rmse"] == result.validation["rmse"] > 0
    assert -1 <= result.validation["ssim"] <= 1
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4]
    assert result.loss == losses[-1].values["loss"]
    assert next(result.generator.parameters()).device.type == "cpu"
    assert not result.generator.training


def test_logged_loss_is_the_mean_since_the_last_row(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    rows: dict[int, list[float]] = {1: [], 2: []}
    for every, found in rows.items():
        folder = tmp_path / str(every)
        folder.mkdir()
        job = train_generator(pairs, config.model_copy(update={"log_every": every}), folder)
        drain(job, lambda e, found=found: found.append(e.values["loss"]) if "loss" in getattr(e, "values", {}) else 0)
    assert rows[2] == pytest.approx([np.mean(rows[1][:2]), np.mean(rows[1][2:])])


def test_too_few_pairs_to_hold_one_out_is_said(pairs: Pairs, config: TrainConfig, tmp_path: Path) -> None:
    events: list[Event] = []
    result = drain(train_generator(pairs[:2], config, tmp_path), events.append)
    assert any(isinstance(event, Notice) and "no validation" in event.message for event in events)
    assert result.validation == {}


def test_no_pair_is_an_error(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pair to train on"):
        drain(train_generator([], config, tmp_path))


def test_loss_that_is_no_number_ends_the_training_and_spares_the_weights(
    pairs: Pairs, config: TrainConfig, tmp_path: Path
) -> None:
    drain(train_generator(pairs, config, tmp_path, stop=after(2)))
    nothing = Volume(np.full(pairs[0].shape, np.nan, np.float32), (1, 1, 1))
    broken = [TrainingPair("x", p.widefield, nothing, p.widefield_range, (0, 1)) for p in pairs]
    with pytest.raises(InputError, match=r"the loss became nan at step 3; the last checkpoint is kept.*Start a new"):
        drain(train_generator(broken, config, tmp_path))
    trainer = Trainer(config, pairs, [])
    assert load_newest(tmp_path, trainer.generator, trainer.optimiser) == 2


def test_weight_of_the_loss_scales_it(pairs: Pairs, config: TrainConfig) -> None:
    losses = []
    for weight in (1.0, 10.0):
        trainer = Trainer(config.model_copy(update={"weight_l1": weight}), pairs, [])
        trainer.step(0)
        losses.append(trainer.recent_loss)
    assert losses[1] == pytest.approx(10 * losses[0], rel=1e-5)


def test_smallest_patches_that_are_allowed_can_be_trained_on(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(TrainConfig.checked(**(config.model_dump() | {"patch": (4, 16, 16)})), pairs, [])
    trainer.step(0)
    assert math.isfinite(trainer.recent_loss)


def gradient(pairs: Pairs, config: TrainConfig, **changes: object) -> torch.Tensor:
    trainer = Trainer(TrainConfig.checked(**(config.model_dump() | {"width": 8} | changes)), pairs, [])
    trainer.step(0)
    assert all(p.dtype == torch.float32 for p in trainer.generator.parameters())
    return torch.cat([p.grad.ravel() for p in trainer.generator.parameters() if p.grad is not None])


@pytest.mark.parametrize("planes", [4, 8, 12])
def test_bfloat16_has_the_gradient_of_float32(pairs: Pairs, config: TrainConfig, planes: int) -> None:
    """Also where the lowest level is two planes deep: oneDNN's bfloat16 convolution returns garbage there."""
    patch = (planes, 32, 32)
    exact = gradient(pairs, config, patch=patch)
    for _ in range(3):
        coarse = gradient(pairs, config, patch=patch, precision="bfloat16")
        assert torch.isfinite(coarse).all()
        assert torch.nn.functional.cosine_similarity(exact, coarse, dim=0) > 0.9


def test_gradient_that_is_no_number_ends_the_training_and_spares_the_weights(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(config, pairs, [])
    trainer.generator.head.weight.register_hook(lambda grad: grad * math.nan)
    before = [p.clone() for p in trainer.generator.parameters()]
    with pytest.raises(InputError, match=r"the gradient became nan at step 1; the last checkpoint is kept"):
        trainer.step(0)
    assert all(torch.equal(p, old) for p, old in zip(trainer.generator.parameters(), before, strict=True))


def test_float16_is_refused(pairs: Pairs, config: TrainConfig) -> None:
    with pytest.raises(InputError, match="float16"):
        Trainer(config.model_copy(update={"precision": "float16"}), pairs, [])


def test_validation_scores_the_whole_stack(pairs: Pairs, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(config, pairs, pairs[:2])
    monkeypatch.setattr(trainer.generator, "forward", lambda x: 1 - x)  # what these pairs are
    trainer.validate()
    assert trainer.validation["rmse"] == pytest.approx(0, abs=1e-5)
    assert trainer.validation["ssim"] == pytest.approx(1, abs=1e-4)


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
