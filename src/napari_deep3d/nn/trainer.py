"""One step of training: the gradients of generator and discriminator, the learning rate, the update of both."""

from __future__ import annotations

import copy
import math
import sys
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from napari_deep3d.core import InputError, Stop, StoppedError, TrainConfig, is_out_of_memory, never
from napari_deep3d.nn.devices import choose_device, pinned, training_precision
from napari_deep3d.nn.discriminator import Discriminator
from napari_deep3d.nn.drawn_ahead import DrawnAhead
from napari_deep3d.nn.generator import CHANNELS_IN, Generator
from napari_deep3d.nn.losses import (
    PerceptualLoss,
    correlation_loss,
    discriminator_loss,
    generator_loss,
    l1_loss,
    l2_loss,
)
from napari_deep3d.nn.patches import AnyBatch, TrainingPair, draw_batch
from napari_deep3d.nn.processes import Processes

WEIGHT_DECAY = 1e-2
GRADIENT_NORM = 1.0
MOMENTA = (0.5, 0.999)
"""Of Adam for both networks where there is a discriminator: the usual choice for GANs."""
WARM_UP_SHARE, LAST_SHARE = 0.05, 0.01
"""Share of the steps in which the learning rate rises; where it ends, as a share of the largest."""
PLANES_SEED = 0x566

N = TypeVar("N", bound=nn.Module)


class DivergedError(Exception):
    """A loss or gradient is no longer a number; the weights are those before the step."""


class Trainer:
    """The networks, their optimisers and the figures of a training.

    Both gradients of a step are computed before either network is updated: the generator learns from the
    discriminator as it was, the discriminator from what the generator had made. So a step can be left at any point
    without having half happened.

    Parameters
    ----------
    config, pairs : TrainConfig, sequence of TrainingPair
        How, and from what to learn.
    processes : Processes, optional
        The processes that train together; this one alone by default.
    voxels_at_once : int
        How many voxels of a batch fit into memory; a larger batch is taken in parts whose gradients are summed.

    Attributes
    ----------
    generator, ema : Generator
        The network that is trained, and the exponential moving average (EMA) of its weights, if one is kept.
    discriminator, perceptual
        What the GAN and the VGG loss need; None where their weight is 0.
    networks, optimisers
        The networks that are updated, and the optimiser of each.
    notices : list of str
        What the user should be told of the last steps.
    """

    def __init__(
        self,
        config: TrainConfig,
        pairs: Sequence[TrainingPair],
        processes: Processes | None = None,
        voxels_at_once: int = sys.maxsize,
    ) -> None:
        self.config, self.pairs, self.voxels_at_once = config, pairs, voxels_at_once
        self.processes = processes or Processes()
        self.device = self.processes.place(choose_device(config.runtime.device))
        self.dtype = training_precision(self.device, config)
        # On a processor the network itself needs all of its cores.
        self._ahead = None if self.device.type == "cpu" else DrawnAhead(self._draw_pinned, config.optimizer.iterations)
        self.notices: list[str] = []
        self.stop: Stop = never
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=config.runtime.log_every))

        network, losses, optimizer = config.network, config.losses, config.optimizer
        torch.manual_seed(config.runtime.seed)
        generator = Generator(network.width, network.dimensions, CHANNELS_IN[network.network_input])
        self.generator: Generator = self._placed(generator)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False) if optimizer.ema else None
        self.discriminator = self._placed(Discriminator(network.discriminator_width)) if losses.weight_gan else None
        self.perceptual = PerceptualLoss().to(self.device) if losses.weight_vgg else None
        self.networks: list[nn.Module] = []
        self.optimisers: list[torch.optim.Optimizer] = []
        self._update_too(self.generator, optimizer.learning_rate)
        if self.discriminator is not None:
            self._update_too(self.discriminator, optimizer.discriminator_learning_rate)

    def _placed(self, network: N) -> N:
        return network.to(self.device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]

    def _update_too(self, network: nn.Module, rate: float, weight_decay: float = WEIGHT_DECAY) -> None:
        """Make a network one of those that are updated, with an optimiser of its own."""
        momenta = MOMENTA if self.config.losses.weight_gan else (0.9, 0.999)
        optimiser = torch.optim.AdamW(network.parameters(), lr=rate, betas=momenta, weight_decay=weight_decay)
        optimiser.param_groups[0]["peak"] = rate
        self.networks.append(network)
        self.optimisers.append(optimiser)
        for parameter in network.parameters():
            parameter.register_post_accumulate_grad_hook(self._leave_if_stopped)  # type: ignore[no-untyped-call]

    def recent(self) -> dict[str, float]:
        """Mean of the last steps' losses: ``loss`` and its weighted parts, and that of the discriminator."""
        return {name: float(np.mean(values)) for name, values in self._recent.items()}

    def step(self, step: int) -> None:
        """Make one update; learning rate and random numbers depend on the number of the step, from 0.

        Raises
        ------
        DivergedError
            If a loss is no longer a number.
        StoppedError
            If it was stopped meanwhile; nothing is changed then.
        InputError
            If not even one patch fits into memory.
        """
        # 1. The learning rates of this step.
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate_share(self.config, step)

        # 2. The gradients of both networks: means over the processes, cut to a norm.
        batch = self._draw(step) if self._ahead is None else self._ahead.take(step)
        losses = self._gradients(batch, step)
        norms = []
        for network in self.networks:
            self.processes.average_gradients(network)
            norms.append(torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM))
        names = sorted(losses)
        means = self.processes.mean(torch.stack([losses[name] for name in names]))

        # 3. Nothing is updated unless all of them are numbers.
        values = dict(zip(names, means.tolist(), strict=True))
        for name, value in {**values, "gradient": float(sum(norms))}.items():
            if not math.isfinite(value):
                self._zero_grad()
                what = "the gradient" if name == "gradient" else f"the loss ({name})"
                raise DivergedError(f"{what} became {value} at step {step + 1}")
        for name, value in values.items():
            self._recent[name].append(value)

        # 4. The update of both networks, and of the EMA of the generator's weights.
        for optimiser in self.optimisers:
            optimiser.step()
        self._zero_grad()
        self._update_ema()

    @torch.no_grad()
    def _update_ema(self) -> None:
        if self.ema is not None:
            for mean, weight in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(weight, 1 - self.config.optimizer.ema)

    def _draw(self, step: int) -> AnyBatch:
        return draw_batch(self.pairs, self.config, step, self.processes.rank)

    def _draw_pinned(self, step: int) -> AnyBatch:
        """The same, where a GPU copies it from faster, and while others draw."""
        batch = self._draw(step)
        return type(batch)(*(pinned(side, self.device) for side in batch))

    def _zero_grad(self) -> None:
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)

    # The gradients, in parts that fit into memory

    def _gradients(self, batch: AnyBatch, step: int) -> dict[str, Tensor]:
        """Sum the gradients of a batch in both networks; fewer at once if memory is short. Returns the mean losses."""
        voxels = batch.confocal[0].size
        while True:
            at_once = max(1, self.voxels_at_once // voxels)
            try:
                return self._in_parts(batch, step, at_once)
            except Exception as error:
                self._zero_grad()
                if not is_out_of_memory(error):
                    raise
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            tried = min(at_once, len(batch.confocal))
            if tried == 1:
                z, y, x = batch.confocal.shape[2:]
                raise InputError(
                    f"not enough memory for a single patch of {z} x {y} x {x}. Take a smaller patch (--set "
                    "patch=12,64,64) or width, or close other programs."
                )
            fewer = tried // 2
            self.voxels_at_once = fewer * voxels
            self.notices.append(
                f"Not enough memory for {tried} patches at once; {fewer} at a time are taken, the result is the same."
            )

    def _in_parts(self, batch: AnyBatch, step: int, at_once: int) -> dict[str, Tensor]:
        """The same, so many patches at a time."""
        count, depth = len(batch.confocal), batch.confocal.shape[2]
        # The VGG loss looks at an equal number of planes from all depths in the long run.
        rng = np.random.default_rng((self.config.runtime.seed, step, PLANES_SEED))
        number = max(1, round(self.config.losses.vgg_share * depth))
        planes = torch.from_numpy(np.sort(rng.permutation(depth)[:number])).to(self.device)
        totals: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        for start in range(0, count, at_once):
            sides = [
                torch.from_numpy(np.ascontiguousarray(side[start : start + at_once])).to(
                    self.device, non_blocking=True, memory_format=torch.channels_last_3d
                )
                for side in batch
            ]
            share = len(sides[0]) / count
            for name, value in self._accumulate(sides, planes, share).items():
                totals[name] += value.detach() * share
        return totals

    def _accumulate(self, sides: Sequence[Tensor], planes: Tensor, share: float) -> dict[str, Tensor]:
        """Add the gradients of some patches to all networks (Li et al. 2021, Eq. 1).

        ``sides`` are the arrays of a batch, (N, C, Z, Y, X); ``planes`` are those that the VGG loss looks at, ``share``
        is these patches' share of the batch. Returns the mean of ``loss``, of its weighted parts and of the
        discriminator's loss.
        """
        network_input, confocal = sides
        with self._forward_pass():
            prediction = self.generator(network_input)
            losses = self._differences(prediction.float(), confocal, planes) | self._realism(prediction.float())
        losses["loss"] = self._backward(losses, share)
        return losses | self._teach_discriminator(prediction.detach().float(), confocal, share)

    def _backward(self, losses: Mapping[str, Tensor], share: float) -> Tensor:
        """Add the gradients of the sum of losses, and return the sum."""
        loss = torch.stack(list(losses.values())).sum()
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return loss

    def _differences(self, made: Tensor, confocal: Tensor, planes: Tensor) -> dict[str, Tensor]:
        """The weighted losses of what was made against what it should be."""
        weights = self.config.losses
        losses: dict[str, Tensor] = {}
        if weights.weight_l1:
            losses["l1"] = weights.weight_l1 * l1_loss(made, confocal)
        if weights.weight_l2:
            losses["l2"] = weights.weight_l2 * l2_loss(made, confocal)
        if weights.weight_correlation:
            losses["correlation"] = weights.weight_correlation * correlation_loss(made, confocal)
        if self.perceptual is not None:
            losses["vgg"] = weights.weight_vgg * self.perceptual(made[:, :, planes], confocal[:, :, planes])
        return losses

    def _realism(self, made: Tensor) -> dict[str, Tensor]:
        """The weighted loss of what the discriminator says of what was made."""
        discriminator = self.discriminator
        if discriminator is None:
            return {}
        discriminator.requires_grad_(False)  # gradients pass through it, it gathers none of its own
        try:
            return {"gan": self.config.losses.weight_gan * generator_loss(discriminator(made).float())}
        finally:
            discriminator.requires_grad_(True)

    def _teach_discriminator(self, fake: Tensor, confocal: Tensor, share: float) -> dict[str, Tensor]:
        """Add the discriminator's gradients, and return its loss."""
        if self.discriminator is None:
            return {}
        with self._forward_pass():
            on_fake, on_real = self.discriminator(torch.cat([fake, confocal])).float().chunk(2)
        loss = discriminator_loss(on_fake, on_real)
        (loss * share).backward()  # type: ignore[no-untyped-call]
        return {"discriminator": loss}

    @contextmanager
    def _forward_pass(self) -> Iterator[None]:
        """In the number format of the training, and left between two layers when it is stopped."""
        with (
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
            stopping(nn.ModuleList(self.networks), self.stop),
        ):
            yield

    def _leave_if_stopped(self, _parameter: Tensor) -> None:
        if self.stop():
            raise StoppedError


def rate_share(config: TrainConfig, step: int) -> float:
    """Learning rate of a step as a share of the largest: linear warm-up, then half a cosine down to a hundredth."""
    iterations = config.optimizer.iterations
    warm = max(1, int(WARM_UP_SHARE * iterations))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, iterations - warm)
    return LAST_SHARE + (1 - LAST_SHARE) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of the generator at a step."""
    return config.optimizer.learning_rate * rate_share(config, step)


@contextmanager
def stopping(network: nn.Module, stop: Stop) -> Iterator[None]:
    """Let a forward pass be left between two layers, by a StoppedError."""

    def check(*_: object) -> None:
        if stop():
            raise StoppedError

    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [leaf.register_forward_pre_hook(check) for leaf in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
