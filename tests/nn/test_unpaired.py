"""Training on stacks of different fields: what a step does, and that it can be resumed bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi
import torch

from napari_deep3d.core import StoppedError, TrainConfig, Volume, drain
from napari_deep3d.nn.patches import TrainingPair, draw_unpaired_batch
from napari_deep3d.nn.training import Control, train_generator
from napari_deep3d.nn.unpaired import UnpairedTrainer, make_trainer, noise_level, spectrum_loss
from tests.helpers.nn import after, changed, same_state, same_weights, state

Stacks = tuple[list[TrainingPair], list[TrainingPair]]


@pytest.fixture
def stacks(smooth: np.ndarray) -> Stacks:
    """Two wide-field stacks, and three confocal ones of another shape."""

    def stack(name: str, data: np.ndarray) -> TrainingPair:
        return TrainingPair.of_stack(name, Volume(data, (0.5, 0.2, 0.2)), (0.0, 100.0))

    widefield = [stack(f"w{i}", np.roll(smooth, 5 * i, axis=2)) for i in range(2)]
    return widefield, [stack(f"c{i}", 1000 - 500 * smooth[:12, i:, ::-1]) for i in range(3)]


def test_no_stack_is_drawn_from_the_other_list_and_a_step_draws_the_same_again(
    stacks: Stacks, plain: TrainConfig
) -> None:
    widefield, confocal = (
        [replace(pair, widefield_range=(low, low + 1), confocal_range=(low, low + 1)) for pair in side]
        for side, low in zip(stacks, (-1000.0, -9000.0), strict=True)
    )
    batch = draw_unpaired_batch(widefield, confocal, changed(plain, batch_size=4), 7)
    assert batch.widefield.shape == batch.confocal.shape == batch.noise.shape == (4, 1, 8, 32, 32)
    assert batch.widefield.max() < 3000 < 8000 < batch.confocal.min()
    again = draw_unpaired_batch(widefield, confocal, changed(plain, batch_size=4), 7)
    assert all(np.array_equal(a, b) for a, b in zip(batch, again, strict=True))
    assert not np.array_equal(batch.noise[0], batch.noise[1])


def test_the_cycle_costs_nothing_where_the_blurred_prediction_is_the_stack(stacks: Stacks, plain: TrainConfig) -> None:
    trainer = UnpairedTrainer(changed(plain, weight_cycle=3.0), *stacks)
    perfect = torch.full((1, 1, 8, 32, 32), 0.4)
    trainer.generator.forward = lambda stack: stack.requires_grad_()  # type: ignore[method-assign]
    losses = trainer._accumulate([perfect, perfect, torch.zeros_like(perfect)], torch.arange(1), 1.0)
    assert float(losses["cycle"].detach()) == pytest.approx(0, abs=1e-4)
    other = perfect + torch.linspace(0, 0.5, 32)
    worse = trainer._accumulate([other, perfect, torch.zeros_like(perfect)], torch.arange(1), 1.0)
    assert float(worse["cycle"].detach()) > 0.001


def test_a_step_updates_generator_discriminator_and_blur(stacks: Stacks, config: TrainConfig) -> None:
    trainer = make_trainer(changed(config, weight_cycle=1.0), *stacks)
    before = [[value.clone() for value in network.state_dict().values()] for network in trainer.networks]
    trainer.step(0)
    assert len(before) == 3
    for network, old in zip(trainer.networks, before, strict=True):
        assert not all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), old, strict=True))
    assert {"l1", "vgg", "gan", "cycle", "blur", "discriminator", "loss"} == trainer.recent().keys()


def test_patches_taken_one_after_another_give_the_same_step(stacks: Stacks, plain: TrainConfig) -> None:
    settings = changed(plain, batch_size=2)
    whole, parts = UnpairedTrainer(settings, *stacks), UnpairedTrainer(settings, *stacks, voxels_at_once=1)
    for trainer in (whole, parts):
        trainer._gradients(trainer._draw(0), 0)
    one, other = (
        torch.cat([parameter.grad.ravel() for parameter in trainer.generator.parameters()])
        for trainer in (whole, parts)
    )
    assert (one - other).norm() < 1e-2 * one.norm()  # rounding decides on which side of a ReLU's kink some values are


def test_a_stopped_training_goes_on_bit_for_bit(stacks: Stacks, config: TrainConfig, tmp_path: Path) -> None:
    widefield, confocal = stacks
    for name in "ab":
        (tmp_path / name).mkdir()
    unbroken = drain(train_generator(widefield, config, tmp_path / "a", confocal=confocal))
    seen: list[object] = []
    control = Control(stop=lambda: len(seen) >= 2)
    first = train_generator(widefield, config, tmp_path / "b", control, confocal)
    drain(first, lambda event: seen.append(event) if _is_step(event) else None)
    rest = drain(train_generator(widefield, config, tmp_path / "b", confocal=confocal))
    assert rest.steps_made < unbroken.steps_made == 4
    assert same_weights(rest.last, unbroken.last)
    assert not rest.validation


def _is_step(event: object) -> bool:
    return "loss" in getattr(event, "values", {})


def test_a_step_that_is_left_changes_nothing(stacks: Stacks, plain: TrainConfig) -> None:
    trainer = UnpairedTrainer(plain, *stacks)
    before = state(trainer)
    trainer.stop = after(20)
    with pytest.raises(StoppedError):
        trainer.step(0)
    assert same_state(state(trainer), before)


def test_spectra_tell_how_far_a_stack_of_another_field_is_blurred() -> None:
    rng = np.random.default_rng(0)
    fields = [ndi.gaussian_filter(rng.random((24, 48, 48)), 1) for _ in range(2)]

    def blurred(number: int, sigma: float) -> torch.Tensor:
        stack = ndi.gaussian_filter(fields[number], sigma)
        return torch.tensor(100 * stack[None, None], dtype=torch.float32)

    wanted = blurred(0, 2.0)
    assert float(spectrum_loss(wanted, wanted)) == 0
    right, sharper, softer = (float(spectrum_loss(blurred(1, sigma), wanted)) for sigma in (2.0, 1.5, 2.5))
    assert right < 0.7 * min(sharper, softer)
    assert float(spectrum_loss(wanted + 1, wanted)) > 1  # the mean counts, which no spectrum tells


def test_noise_is_told_from_what_bends_slowly() -> None:
    rng = np.random.default_rng(0)
    y = np.linspace(-1, 1, 64)
    smooth = np.tile(y**2 + 3 * y[:, None], (8, 1, 1))
    noisy = smooth + 0.05 * rng.standard_normal(smooth.shape)
    levels = noise_level(torch.tensor(np.stack([smooth, noisy])[:, None], dtype=torch.float32)).flatten()
    assert float(levels[0]) < 0.002
    assert float(levels[1]) == pytest.approx(0.05, rel=0.1)
