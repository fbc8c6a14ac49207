"""One step of training: the gradients of generator and discriminator, and the update of both."""

from __future__ import annotations

import copy
import math
import sys
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Stop, StoppedError, never
from napari_deep3d.nn.devices import choose_device, choose_precision
from napari_deep3d.nn.discriminator import Discriminator
from napari_deep3d.nn.folded_network import stopping
from napari_deep3d.nn.generator import CHANNELS_IN, Generator
from napari_deep3d.nn.inference import is_out_of_memory
from napari_deep3d.nn.losses import PerceptualLoss, discriminator_loss, generator_loss, l1_loss
from napari_deep3d.nn.patches import Batch, TrainingPair, draw_batch
from napari_deep3d.nn.processes import Processes
from napari_deep3d.nn.schedule import rate_share

WEIGHT_DECAY = 1e-2
GRADIENT_NORM = 1.0
MOMENTA = (0.5, 0.999)
"""Of Adam for both networks where there is a discriminator: the usual choice for GANs."""


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
    config
        Settings.
    pairs
        What to learn from.
    processes
        The processes that train together.
    voxels_at_once
        How many voxels of a batch fit into memory; a larger batch is taken in parts whose gradients are summed.
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
        self.device = self.processes.place(choose_device(config.device))
        self.dtype = training_precision(self.device, config)
        self.notices: list[str] = []
        self.stop: Stop = never
        self._make_networks()
        self._recent: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=config.log_every))
        self._next: tuple[int, Batch] | None = None

    def _make_networks(self) -> None:
        config = self.config
        torch.manual_seed(config.seed)
        generator = Generator(config.width, config.dimensions, CHANNELS_IN[config.network_input])
        self.generator: Generator = self._ready(generator)
        self.average = copy.deepcopy(self.generator).requires_grad_(False) if config.ema else None
        self.discriminator = self._ready(Discriminator(config.discriminator_width)) if config.weight_gan else None
        self.perceptual = PerceptualLoss().to(self.device) if config.weight_vgg else None
        momenta = MOMENTA if config.weight_gan else (0.9, 0.999)
        self.optimisers = [_adam(self.generator, config.learning_rate, momenta)]
        if self.discriminator is not None:
            self.optimisers.append(_adam(self.discriminator, config.discriminator_learning_rate, momenta))
        for network in self.networks:
            for parameter in network.parameters():
                parameter.register_post_accumulate_grad_hook(self._leave_if_stopped)  # type: ignore[no-untyped-call]

    def _ready(self, network: N) -> N:
        return network.to(self.device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload,no-any-return]

    @property
    def networks(self) -> list[nn.Module]:
        """The networks that are updated, in the order of their optimisers."""
        return [self.generator] if self.discriminator is None else [self.generator, self.discriminator]

    def recent(self) -> dict[str, float]:
        """Mean of the last steps' losses: ``loss`` and its weighted parts, and that of the discriminator."""
        return {name: float(np.mean(values)) for name, values in self._recent.items()}

    # A step

    def step(self, step: int) -> None:
        """Make one update.

        Raises
        ------
        DivergedError
            If a loss is no longer a number.
        StoppedError
            If it was stopped meanwhile; nothing is changed then.
        InputError
            If not even one patch fits into memory.
        """
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate_share(self.config, step)
        parts = self._gradients(self._batch(step), step)
        norms = []
        for network in self.networks:
            self.processes.average_gradients(network)
            norms.append(torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM))
        names = sorted(parts)
        values = self.processes.mean(torch.stack([parts[name] for name in names]))
        self._prefetch(step + 1)  # while a GPU is still computing
        self._check(dict(zip(names, values.tolist(), strict=True)), norms, step)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self._follow()

    def _check(self, values: dict[str, float], norms: list[Tensor], step: int) -> None:
        gradients = {"gradient": float(sum(norms))}
        for name, value in {**values, **gradients}.items():
            if not math.isfinite(value):
                for optimiser in self.optimisers:
                    optimiser.zero_grad(set_to_none=True)
                what = "the gradient" if name == "gradient" else f"the loss ({name})"
                raise DivergedError(f"{what} became {value} at step {step + 1}")
        for name, value in values.items():
            self._recent[name].append(value)

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the running mean of the weights follow them."""
        if self.average is not None:
            for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(value, 1 - self.config.ema)

    def _batch(self, step: int) -> Batch:
        ready, self._next = self._next, None
        return ready[1] if ready is not None and ready[0] == step else self._draw(step)

    def _prefetch(self, step: int) -> None:
        if self.device.type != "cpu" and step < self.config.iterations:
            self._next = (step, self._draw(step))

    def _draw(self, step: int) -> Batch:
        return draw_batch(self.pairs, self.config, step, self.processes.rank)

    # The gradients, in parts that fit into memory

    def _gradients(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Sum the gradients of a batch in both networks; return the mean losses."""
        while True:
            at_once = max(1, self.voxels_at_once // batch.confocal[0].size)
            try:
                return self._in_parts(batch, step, at_once)
            except Exception as error:
                self._forget()
                if not is_out_of_memory(error):
                    raise
            self._take_fewer(min(at_once, len(batch.confocal)), batch)

    def _forget(self) -> None:
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)

    def _take_fewer(self, tried: int, batch: Batch) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if tried == 1:
            z, y, x = batch.confocal.shape[2:]
            raise InputError(
                f"not enough memory for a single patch of {z} x {y} x {x}. Take a smaller patch (--set patch=12,64,64) "
                "or width, or close other programs."
            )
        self.voxels_at_once = tried // 2 * batch.confocal[0].size
        self.notices.append(
            f"Not enough memory for {tried} patches at once; {tried // 2} at a time are taken, the result is the same."
        )

    def _in_parts(self, batch: Batch, step: int, at_once: int) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        count = len(batch.confocal)
        planes = self._planes(batch.confocal.shape[2], step)
        for start in range(0, count, at_once):
            some = slice(start, start + at_once)
            seen, confocal = (self._tensor(side[some]) for side in (batch.network_input, batch.confocal))
            share = len(confocal) / count
            for name, value in self._accumulate(seen, confocal, planes, share).items():
                totals[name] += value.detach() * share
        return totals

    def _planes(self, depth: int, step: int) -> Tensor:
        """The planes that the VGG loss looks at: an equal number from all depths in the long run."""
        rng = np.random.default_rng((self.config.seed, step, 0x566))
        number = max(1, round(self.config.vgg_share * depth))
        return torch.from_numpy(np.sort(rng.permutation(depth)[:number])).to(self.device)

    def _accumulate(self, seen: Tensor, confocal: Tensor, planes: Tensor, share: float) -> dict[str, Tensor]:
        """Add the gradients of some patches to both networks; return their losses."""
        with self._autocast(), self._leaving():
            prediction = self.generator(seen)
            parts = self._generator_parts(prediction.float(), confocal, planes)
        loss = torch.stack(list(parts.values())).sum()
        (loss * share).backward()  # type: ignore[no-untyped-call]
        parts["loss"] = loss
        if self.discriminator is not None:
            fake = prediction.detach().float()
            with self._autocast(), self._leaving():
                on_fake, on_real = self.discriminator(torch.cat([fake, confocal])).float().chunk(2)
            parts["discriminator"] = discriminator_loss(on_fake, on_real)
            (parts["discriminator"] * share).backward()  # type: ignore[no-untyped-call]
        return parts

    def _generator_parts(self, prediction: Tensor, confocal: Tensor, planes: Tensor) -> dict[str, Tensor]:
        config, parts = self.config, {}
        if config.weight_l1:
            parts["l1"] = config.weight_l1 * l1_loss(prediction, confocal)
        if self.discriminator is not None:
            with _frozen(self.discriminator):
                parts["gan"] = config.weight_gan * generator_loss(self.discriminator(prediction).float())
        if self.perceptual is not None:
            seen, wanted = prediction[:, :, planes], confocal[:, :, planes]
            parts["vgg"] = config.weight_vgg * self.perceptual(seen, wanted)
        return parts

    def _tensor(self, side: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(side))
        return tensor.to(self.device, memory_format=torch.channels_last_3d)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    # Stop

    def _leave_if_stopped(self, _parameter: Tensor) -> None:
        if self.stop():
            raise StoppedError

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """Let a forward pass be left between two layers."""
        whole = nn.ModuleList(self.networks)
        with stopping(whole, self.stop):
            yield


def _adam(network: nn.Module, rate: float, momenta: tuple[float, float]) -> torch.optim.Optimizer:
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, betas=momenta, weight_decay=WEIGHT_DECAY)
    optimiser.param_groups[0]["peak"] = rate
    return optimiser


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through a network without gathering its own."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def training_precision(device: torch.device, config: TrainConfig) -> torch.dtype:
    """Number format of a training: bfloat16 or float32; float16 would need its losses scaled."""
    dtype = choose_precision(device, config.precision)
    if dtype == torch.float16 and config.precision == "float16":
        raise InputError("training in float16 is not supported; choose auto, bfloat16 or float32.")
    return torch.float32 if dtype == torch.float16 else dtype
