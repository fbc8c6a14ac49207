"""Training of the generator on registered pairs: the plain part, absolute difference (L1) alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Clock, Job, Metrics, Notice, Stop, never
from napari_deep3d.core.metrics import rmse, ssim
from napari_deep3d.nn.checkpoint import load_newest, save_checkpoint
from napari_deep3d.nn.devices import choose_device, choose_precision
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair, draw_batch

WARM_UP_SHARE = 0.05
WEIGHT_DECAY = 1e-2
VALIDATION_PAIRS = 4
GRADIENT_NORM = 1.0
MIN_BFLOAT16_PLANES = 12


@dataclass(frozen=True)
class Trained:
    """A trained generator (on the CPU), the steps it has made, and its last figures."""

    generator: Generator
    step: int
    loss: float
    validation: dict[str, float]
    seconds: float
    steps_made: int


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of a step: linear warm-up, then half a cosine down to a hundredth."""
    warm = max(1, int(WARM_UP_SHARE * config.iterations))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, config.iterations - warm)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def split_pairs(pairs: Sequence[TrainingPair], config: TrainConfig) -> tuple[list[TrainingPair], list[TrainingPair]]:
    """Training pairs and held-out pairs; with fewer than three pairs none is held out."""
    order = np.random.default_rng((config.seed, 0x5EED)).permutation(len(pairs))
    held = max(1, round(config.validation_share * len(pairs))) if config.validation_share else 0
    held = held if len(pairs) >= 3 else 0
    return [pairs[i] for i in sorted(order[held:])], [pairs[i] for i in sorted(order[:held])]


def train_generator(
    pairs: Sequence[TrainingPair], config: TrainConfig, checkpoint_folder: Path, *, stop: Stop = never
) -> Job[Trained]:
    """Train from the newest checkpoint of a folder, or from scratch.

    Yields Metrics (``loss``, ``learning_rate``, ``validation_rmse``, ``validation_ssim``), Progress and Notice.
    On stop the generator as it stands is checkpointed and returned.

    Raises
    ------
    InputError
        If there is no pair, or the loss is no longer a number.
    """
    if not pairs:
        raise InputError("there is no pair to train on; at least one registered pair is needed.")
    training, held_out = split_pairs(pairs, config)
    trainer = Trainer(config, training, held_out[:VALIDATION_PAIRS])
    first = load_newest(checkpoint_folder, trainer.generator, trainer.optimiser)
    if first:
        yield Notice(f"resumed at step {first}")
    if not held_out:
        yield Notice("fewer than three pairs, or no share held out: no validation")
    clock, done, saved = Clock(), first, first
    while done < config.iterations and not stop():
        trainer.step(done)
        done += 1
        if _due(done, config.log_every, config):
            yield Metrics(done, {"loss": trainer.recent_loss, "learning_rate": learning_rate(config, done - 1)})
            yield clock.progress(done - first, config.iterations - first, f"step {done} of {config.iterations}")
        if held_out and _due(done, config.validate_every, config):
            trainer.validate()
            yield Metrics(done, {f"validation_{name}": value for name, value in trainer.validation.items()})
        if _due(done, config.checkpoint_every, config):
            saved = done
            save_checkpoint(checkpoint_folder, done, trainer.generator, trainer.optimiser)
    if held_out and not trainer.validation and done == config.iterations:
        trainer.validate()
    if saved < done:
        save_checkpoint(checkpoint_folder, done, trainer.generator, trainer.optimiser)
    generator = trainer.generator.cpu().eval()
    return Trained(generator, done, trainer.recent_loss, trainer.validation, clock.seconds, done - first)


def _due(done: int, every: int, config: TrainConfig) -> bool:
    return done % every == 0 or done == config.iterations


class Trainer:
    """Generator, optimiser and figures of a training.

    Parameters
    ----------
    config
        The settings.
    pairs, held_out
        Pairs to learn from, and pairs to test on.
    """

    def __init__(self, config: TrainConfig, pairs: Sequence[TrainingPair], held_out: Sequence[TrainingPair]) -> None:
        self.config, self.pairs, self.held_out = config, pairs, held_out
        device = choose_device(config.device)
        self.dtype = training_precision(device, config)
        torch.manual_seed(config.seed)
        self.generator = Generator(config.width).to(device)
        self.generator.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(
            self.generator.parameters(), lr=config.learning_rate, weight_decay=WEIGHT_DECAY
        )
        self._losses: deque[float] = deque(maxlen=config.log_every)
        self.validation: dict[str, float] = {}

    @property
    def recent_loss(self) -> float:
        """Mean loss of the last steps; nan before the first."""
        return float(np.mean(self._losses)) if self._losses else math.nan

    def step(self, step: int) -> None:
        """Make one update.

        Raises
        ------
        InputError
            If the loss is no longer a number; the weights are then still those before the step.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, step)
        widefield, confocal = (to_tensor(s, self.generator) for s in draw_batch(self.pairs, self.config, step))
        with self._autocast(widefield):
            prediction = self.generator(widefield)
        loss = self.config.weight_l1 * (prediction.float() - confocal).abs().mean()
        if not torch.isfinite(loss):
            raise self._diverged("loss", loss, step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.generator.parameters(), GRADIENT_NORM)
        if not torch.isfinite(norm):
            raise self._diverged("gradient", norm, step)
        self.optimiser.step()
        self._losses.append(float(loss.detach()))

    @staticmethod
    def _diverged(what: str, value: Tensor, step: int) -> InputError:
        return InputError(
            f"the {what} became {float(value.detach())} at step {step + 1}; the last checkpoint is kept. "
            "Start a new run with a lower learning_rate or precision=float32."
        )

    def _autocast(self, batch: Tensor) -> torch.autocast:
        """The number format of a pass over a batch (N, 1, Z, Y, X).

        On a processor thin batches stay in float32: where a level of the network is two planes deep, the weight
        gradient of oneDNN's bfloat16 convolution is garbage (seen with torch 2.13 and AVX-512).
        """
        thin = batch.device.type == "cpu" and batch.shape[2] < MIN_BFLOAT16_PLANES
        return torch.autocast(batch.device.type, self.dtype, enabled=self.dtype != torch.float32 and not thin)

    @torch.no_grad()
    def validate(self) -> None:
        """Score whole-stack predictions of the held-out pairs against confocal in [0, 1]."""
        scores = []
        for pair in self.held_out:
            widefield, confocal = pair.crop((slice(None), slice(None), slice(None)))
            x = to_tensor(widefield[None, None], self.generator)
            with self._autocast(x):
                prediction = self.generator(x)[0, 0].float().cpu().numpy()
            scores.append((rmse(prediction, confocal), ssim(prediction, confocal)))
        mean_rmse, mean_ssim = np.mean(scores, axis=0)
        self.validation = {"rmse": float(mean_rmse), "ssim": float(mean_ssim)}


def training_precision(device: torch.device, config: TrainConfig) -> torch.dtype:
    """Number format of a training: bfloat16 or float32; float16 would need its losses scaled."""
    dtype = choose_precision(device, config.precision)
    if dtype == torch.float16 and config.precision == "float16":
        raise InputError("training in float16 is not supported; choose auto, bfloat16 or float32.")
    return torch.float32 if dtype == torch.float16 else dtype


def to_tensor(batch: NDArray[np.float32], like: torch.nn.Module) -> Tensor:
    """A batch (N, 1, Z, Y, X) on the network's device, channels last."""
    device = next(like.parameters()).device
    return torch.from_numpy(np.ascontiguousarray(batch)).to(device, memory_format=torch.channels_last_3d)
