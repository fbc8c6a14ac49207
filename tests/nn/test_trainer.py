"""A step of training: the gradients of Eq. 1, in parts or whole, and never half a step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import StoppedError, never
from napari_deep3d.nn import trainer as trainer_module
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.losses import PerceptualLoss
from napari_deep3d.nn.patches import TrainingPair, draw_batch
from napari_deep3d.nn.trainer import (
    GRADIENT_NORM,
    MOMENTA,
    WEIGHT_DECAY,
    DivergedError,
    Trainer,
    learning_rate,
    rate_share,
    stopping,
)
from tests.helpers.nn import after, changed, same_state, same_weights, state

Pairs = list[TrainingPair]
Gradients = list[dict[str, torch.Tensor]]
PATCH_VOXELS = 8 * 32 * 32


def gradients_of(trainer: Trainer) -> Gradients:
    """What the optimisers are given in the next steps: a dictionary for each network and step, in order."""
    found: Gradients = []

    def noting(network: torch.nn.Module, update: Callable[[], object]) -> Callable[[], object]:
        def step() -> object:
            found.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
            return update()

        return step

    for network, optimiser in zip(trainer.networks, trainer.optimisers, strict=True):
        optimiser.step = noting(network, optimiser.step)  # type: ignore[method-assign, assignment]
    return found


def assert_close(found: Gradients, expected: Gradients) -> None:
    """Compare the gradients of each network and step as a whole: norms make single entries rounding alone.

    Rounding decides on which side of a ReLU's kink some values are, so whole gradients differ by up to a thousandth; a
    step that is made wrong differs by all of its size.
    """
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.keys() == b.keys()
        error, size = (
            torch.cat([v.ravel() for v in values]).norm() for values in ([a[n] - b[n] for n in a], b.values())
        )
        assert error < 1e-2 * size


def opinionated(trainer: Trainer) -> Trainer:
    """Let the discriminator care about what it sees in these small patches, and be wrong about it."""
    assert trainer.discriminator is not None
    with torch.no_grad():
        for block in trainer.discriminator.blocks[2:]:
            block.first.weight *= 3
            block.second.weight *= 3
        trainer.discriminator.verdict.bias.fill_(0.6)
    return trainer


class Reference:
    """A step of the paper's training, written out; ``alternately`` as a careless one would make it."""

    def __init__(self, trainer: Trainer, pairs: Pairs, config: TrainConfig) -> None:
        self.pairs, self.config = pairs, config
        self.generator, self.discriminator = (copy.deepcopy(network) for network in trainer.networks)
        self.perceptual = PerceptualLoss()
        rates = config.optimizer.learning_rate, config.optimizer.discriminator_learning_rate
        self.optimisers = [
            torch.optim.AdamW(network.parameters(), lr=rate, betas=MOMENTA, weight_decay=WEIGHT_DECAY)
            for network, rate in zip((self.generator, self.discriminator), rates, strict=True)
        ]
        self.gradients: Gradients = []
        self.losses: dict[str, float] = {}

    def step(self, step: int, given: Gradients | None = None, alternately: bool = False) -> None:
        """Compute the gradients, and update both networks with these, or with those ``given``."""
        batch, losses = draw_batch(self.pairs, self.config, step), self.config.losses
        x, y = (torch.from_numpy(np.ascontiguousarray(side)) for side in (batch.network_input, batch.confocal))
        prediction = self.generator(x)
        parts = {
            "l1": losses.weight_l1 * (prediction - y).abs().mean(),
            "gan": losses.weight_gan * ((self.discriminator(prediction) - 1) ** 2).mean(),
            "vgg": losses.weight_vgg * self.perceptual(prediction, y),
        }
        loss = torch.stack(list(parts.values())).sum()
        loss.backward()
        self.discriminator.zero_grad()
        if alternately:
            self._update(0, step, given)
            prediction = self.generator(x)
        made, real = self.discriminator(prediction.detach()), self.discriminator(y)
        verdict = (made**2).mean() + ((real - 1) ** 2).mean()
        verdict.backward()
        if not alternately:
            self._update(0, step, given)
        self._update(1, step, given)
        parts |= {"loss": loss, "discriminator": verdict}
        self.losses = {name: float(value.detach()) for name, value in parts.items()}

    def _update(self, index: int, step: int, given: Gradients | None) -> None:
        network, optimiser = (self.generator, self.discriminator)[index], self.optimisers[index]
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in network.parameters() if p.grad is not None))
        for parameter in network.parameters():
            assert parameter.grad is not None
            parameter.grad *= min(1.0, GRADIENT_NORM / norm)
        self.gradients.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
        if given is not None:
            for name, parameter in network.named_parameters():
                parameter.grad = given[index][name]
        optimizer = self.config.optimizer
        peak = (optimizer.learning_rate, optimizer.discriminator_learning_rate)[index]
        optimiser.param_groups[0]["lr"] = peak * rate_share(self.config, step)
        optimiser.step()
        optimiser.zero_grad()


@pytest.fixture
def strong(config: TrainConfig) -> TrainConfig:
    """Two patches, all planes for the VGG loss, and parts of about the same size."""
    return changed(config, batch_size=2, vgg_share=1.0, weight_vgg=1.0, learning_rate=0.01)


def test_steps_are_those_of_the_paper(pairs: Pairs, strong: TrainConfig) -> None:
    """Eq. 1; the generator learns from the discriminator as it was, the discriminator from what had been made.

    Each step is compared from the same weights on: where a gradient is rounding alone, Adam makes a full step of it,
    so two trainings that round differently soon differ by more than rounding.
    """
    trainer = opinionated(Trainer(strong, pairs))
    reference, found = Reference(trainer, pairs, strong), gradients_of(trainer)
    for step in range(2):
        trainer.step(step)
        reference.step(step, given=found[-2:])
        recent = trainer.recent()  # of the last step, as log_every is 1
        assert recent == pytest.approx(reference.losses, rel=1e-4)
        for network, expected in zip(trainer.networks, (reference.generator, reference.discriminator), strict=True):
            assert same_weights(network, expected)
    assert_close(found, reference.gradients)


def test_a_careless_order_would_be_seen(pairs: Pairs, strong: TrainConfig) -> None:
    """The discriminator would learn from a prediction that nobody had been judged by."""
    trainer = opinionated(Trainer(strong, pairs))
    reference, found = Reference(trainer, pairs, strong), gradients_of(trainer)
    trainer.step(0)
    reference.step(0, alternately=True)
    with pytest.raises(AssertionError):
        assert_close(found, reference.gradients)


def test_both_networks_and_the_mean_change(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(config, pairs)
    before = [copy.deepcopy(network) for network in (*trainer.networks, trainer.ema)]
    trainer.step(0)
    for network, old in zip((*trainer.networks, trainer.ema), before, strict=True):
        assert not same_weights(network, old)


@pytest.mark.parametrize("patches_at_once", [1, 2, 3])
def test_parts_of_a_batch_give_its_gradient(pairs: Pairs, strong: TrainConfig, patches_at_once: int) -> None:
    """Memory decides how many patches are taken at a time; it must decide nothing else."""
    config = changed(strong, batch_size=4)
    whole = opinionated(Trainer(config, pairs))
    parts = opinionated(Trainer(config, pairs, voxels_at_once=patches_at_once * PATCH_VOXELS))
    expected, found = gradients_of(whole), gradients_of(parts)
    batches = []
    forward = parts.generator.forward
    parts.generator.forward = lambda x: batches.append(len(x)) or forward(x)  # type: ignore[func-returns-value, method-assign]
    whole.step(0)
    parts.step(0)
    assert batches == {1: [1, 1, 1, 1], 2: [2, 2], 3: [3, 1]}[patches_at_once]
    assert_close(found, expected)
    assert parts.recent() == pytest.approx(whole.recent(), rel=1e-4)


def test_less_than_a_patch_at_once_is_one(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(changed(config, batch_size=2), pairs, voxels_at_once=1)
    trainer.step(0)
    assert np.isfinite(trainer.recent()["loss"])


# Memory


def short_of_memory(trainer: Trainer, patches: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the network run out of memory for more than so many patches."""
    forward = trainer.generator.forward

    def greedy(x: torch.Tensor) -> torch.Tensor:
        if len(x) > patches:
            raise error
        return forward(x)

    monkeypatch.setattr(trainer.generator, "forward", greedy)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
    ids=["GPU", "processor"],
)
def test_memory_that_runs_out_leads_to_parts_and_the_same_step(
    pairs: Pairs, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    config = changed(config, batch_size=4)
    roomy, short = Trainer(config, pairs, voxels_at_once=PATCH_VOXELS), Trainer(config, pairs)
    short_of_memory(short, 1, monkeypatch, error)
    roomy.step(0)
    short.step(0)
    assert same_state(state(short), state(roomy))
    assert short.voxels_at_once == PATCH_VOXELS
    assert [notice.split(";")[0] for notice in short.notices] == [
        "Not enough memory for 4 patches at once",
        "Not enough memory for 2 patches at once",
    ]
    short.notices.clear()
    short.step(1)  # it has learned
    assert short.notices == []


def test_patch_that_is_too_large_by_itself_is_an_error(
    pairs: Pairs, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(changed(config, batch_size=2), pairs)
    short_of_memory(trainer, 0, monkeypatch, torch.OutOfMemoryError("CUDA out of memory"))
    before = state(trainer)
    with pytest.raises(InputError, match=r"not enough memory for a single patch of 8 x 32 x 32\. Take a smaller patch"):
        trainer.step(0)
    assert same_state(state(trainer), before)


def test_other_errors_are_not_taken_for_a_lack_of_memory(
    pairs: Pairs, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config, pairs)
    short_of_memory(trainer, 0, monkeypatch, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        trainer.step(0)


# Stop


def calls_of_a_step(pairs: Pairs, config: TrainConfig) -> int:
    """How often stop is asked within a step."""
    trainer, asked = Trainer(config, pairs), []
    trainer.stop = lambda: bool(asked.append(1))  # type: ignore[func-returns-value]
    trainer.step(0)
    return len(asked)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.8, 0.999])
def test_stop_within_a_step_leaves_everything_as_it_was(pairs: Pairs, config: TrainConfig, share: float) -> None:
    """In the generator's forward pass, in its backward pass, and in those of the discriminator."""
    calls = calls_of_a_step(pairs, config)
    assert calls > 100
    trainer, fresh = Trainer(config, pairs), Trainer(config, pairs)
    before = state(trainer)
    trainer.stop = after(int(share * calls))
    with pytest.raises(StoppedError):
        trainer.step(0)
    assert same_state(state(trainer), before)
    assert trainer.recent() == {}
    trainer.stop = never
    trainer.step(0)
    fresh.step(0)
    assert same_state(state(trainer), state(fresh))


# Numbers that are none


def spoil(monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    monkeypatch.setattr(trainer_module, loss, lambda *verdicts: verdicts[0].mean() * math.nan)


@pytest.mark.parametrize(("loss", "name"), [("generator_loss", "gan"), ("discriminator_loss", "discriminator")])
def test_loss_that_is_no_number_leaves_everything_as_it_was(
    pairs: Pairs, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, loss: str, name: str
) -> None:
    trainer = Trainer(config, pairs)
    trainer.step(0)
    before, recent = state(trainer), trainer.recent()
    with monkeypatch.context() as patch:
        spoil(patch, loss)
        with pytest.raises(DivergedError, match=rf"the loss \({name}\) became nan at step 2"):
            trainer.step(1)
    assert same_state(state(trainer), before)
    assert trainer.recent() == recent
    fresh = Trainer(config, pairs)
    for step in (0, 1):
        fresh.step(step)
    trainer.step(1)
    assert same_state(state(trainer), state(fresh))


@pytest.mark.parametrize("network", [0, 1])
def test_gradient_that_is_no_number_leaves_everything_as_it_was(
    pairs: Pairs, config: TrainConfig, network: int
) -> None:
    """As where a loss is finite and its slope is not."""
    trainer = Trainer(config, pairs)
    next(trainer.networks[network].parameters()).register_hook(lambda grad: grad * math.nan)
    before = state(trainer)
    with pytest.raises(DivergedError, match="the gradient became nan at step 1"):
        trainer.step(0)
    assert same_state(state(trainer), before)


def test_large_gradients_are_cut_to_a_norm(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(changed(config, weight_l1=1000.0), pairs)
    found = gradients_of(trainer)
    trainer.step(0)
    norm = math.sqrt(sum(float((value**2).sum()) for value in found[0].values()))
    assert norm == pytest.approx(GRADIENT_NORM, rel=1e-3)


# The parts


def test_running_mean_follows_by_its_decay(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(changed(config, ema=0.75, learning_rate=0.01), pairs)
    mean = [p.detach().clone() for p in trainer.generator.parameters()]
    for step in range(3):
        trainer.step(step)
        mean = [0.75 * old + 0.25 * p.detach() for old, p in zip(mean, trainer.generator.parameters(), strict=True)]
        assert trainer.ema is not None
        for found, wanted in zip(trainer.ema.parameters(), mean, strict=True):
            torch.testing.assert_close(found, wanted)
    assert not same_weights(trainer.ema, trainer.generator)


def test_no_running_mean_is_kept_unless_asked(pairs: Pairs, config: TrainConfig) -> None:
    assert Trainer(changed(config, ema=0.0), pairs).ema is None


@pytest.mark.parametrize(
    ("zero", "left"),
    [
        ("weight_l1", {"gan", "vgg", "discriminator"}),
        ("weight_gan", {"l1", "vgg"}),
        ("weight_vgg", {"l1", "gan", "discriminator"}),
    ],
)
def test_weight_of_zero_leaves_a_part_out(pairs: Pairs, config: TrainConfig, zero: str, left: set[str]) -> None:
    trainer = Trainer(changed(config, **{zero: 0.0}), pairs)
    trainer.step(0)
    recent = trainer.recent()
    assert set(recent) == left | {"loss"}
    assert recent["loss"] == pytest.approx(sum(recent[name] for name in left - {"discriminator"}))
    assert (trainer.discriminator is None) == (zero == "weight_gan")
    assert (trainer.perceptual is None) == (zero == "weight_vgg")
    assert len(trainer.networks) == len(trainer.optimisers) == 2 - (zero == "weight_gan")


@pytest.mark.parametrize("part", ["l1", "l2", "correlation", "gan", "vgg"])
def test_weight_of_a_part_scales_it(pairs: Pairs, config: TrainConfig, part: str) -> None:
    weight = f"weight_{part}"
    found = []
    for factor in (1.0, 10.0):
        trainer = Trainer(changed(config, **{weight: factor * (getattr(config.losses, weight) or 1.0)}), pairs)
        trainer.step(0)
        found.append(trainer.recent()[part])
    assert found[1] == pytest.approx(10 * found[0], rel=1e-5)


@pytest.mark.parametrize(("share", "number"), [(1.0, 8), (0.5, 4), (0.25, 2), (0.01, 1)])
def test_vgg_loss_looks_at_a_share_of_the_planes(pairs: Pairs, config: TrainConfig, share: float, number: int) -> None:
    """The same planes of both stacks, all of them in the course of time."""
    config = changed(config, vgg_share=share, batch_size=2, weight_gan=0.0)
    trainer, seen = Trainer(config, pairs), set()
    assert trainer.perceptual is not None
    looks: list[tuple[torch.Tensor, torch.Tensor]] = []
    trainer.perceptual.forward = lambda *sides: looks.append(sides) or (sides[0] ** 2).mean()  # type: ignore[func-returns-value, method-assign, assignment]
    with torch.no_grad():
        predictions = [trainer.generator(torch.from_numpy(draw_batch(pairs, config, 0).network_input.copy()))]
    for step in range(40 if number < 8 else 1):
        trainer.step(step)
        prediction, confocal = looks.pop()
        assert prediction.shape == confocal.shape == (2, 1, number, 32, 32)
        whole = torch.from_numpy(draw_batch(pairs, config, step).confocal.copy())
        planes = [z for z in range(8) if any(torch.equal(whole[0, 0, z], plane) for plane in confocal[0, 0])]
        torch.testing.assert_close(whole[:, :, planes], confocal)
        if step == 0:
            torch.testing.assert_close(predictions[0][:, :, planes], prediction.detach(), rtol=1e-3, atol=1e-4)
        seen |= set(planes)
    assert seen == set(range(8))


def test_learning_rates_of_both_networks_follow_the_schedule(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(changed(config, iterations=40), pairs)
    for step in (0, 5, 39):
        trainer.step(step)
        rates = [optimiser.param_groups[0]["lr"] for optimiser in trainer.optimisers]
        share = rate_share(trainer.config, step)
        assert rates == [learning_rate(trainer.config, step), config.optimizer.discriminator_learning_rate * share]


def test_recent_losses_are_the_mean_of_the_last_steps(pairs: Pairs, config: TrainConfig) -> None:
    one, three = Trainer(config, pairs), Trainer(changed(config, log_every=3), pairs)
    losses = []
    for step in range(4):
        for trainer in (one, three):
            trainer.step(step)
        losses.append(one.recent())
    for name, value in three.recent().items():
        assert value == pytest.approx(np.mean([row[name] for row in losses[1:]]), rel=1e-5)


@pytest.mark.parametrize("change", [{"patch": (4, 16, 16)}, {"dimensions": 2}, {"dimensions": 2, "z_step": 2}])
def test_other_networks_and_patches_make_a_step(pairs: Pairs, config: TrainConfig, change: dict[str, object]) -> None:
    trainer = Trainer(changed(config, **change), pairs)
    trainer.step(0)
    assert math.isfinite(trainer.recent()["loss"])


def test_network_of_one_plane_makes_a_step(pairs: Pairs, config: TrainConfig) -> None:
    trainer = Trainer(changed(config, network_input="plane", dimensions=2), pairs)
    trainer.step(0)
    assert trainer.generator.channels_in == 2
    assert math.isfinite(trainer.recent()["loss"])


def test_bfloat16_makes_nearly_the_same_step(pairs: Pairs, config: TrainConfig) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        trainer = Trainer(changed(config, precision=precision), pairs)
        trainer.step(0)
        assert {p.dtype for network in trainer.networks for p in network.parameters()} == {torch.float32}
        losses.append(trainer.recent())
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_float16_is_refused(pairs: Pairs, config: TrainConfig) -> None:
    with pytest.raises(InputError, match="float16"):
        Trainer(changed(config, precision="float16"), pairs)


# The course of the learning rate


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


def test_pass_can_be_left_between_layers_and_nothing_stays_behind(generator: Generator) -> None:
    x, asked = torch.zeros(1, 1, 8, 32, 32), 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    with pytest.raises(StoppedError), stopping(generator, stop):
        generator(x)
    assert asked == 6
    generator(x)
    assert asked == 6
    assert not any(module._forward_pre_hooks for module in generator.modules())
