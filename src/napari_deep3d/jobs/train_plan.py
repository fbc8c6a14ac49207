"""What a training will do, told before it starts: device, memory, time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Job, Notice, Progress, Stop, StoppedError
from napari_deep3d.jobs.pairs import PairFacts
from napari_deep3d.jobs.predict_plan import free_memory

if TYPE_CHECKING:
    from napari_deep3d.nn.patches import TrainingPair

MEMORY_SHARE = 0.6
BYTES_PER_CHANNEL = {"bfloat16": 75.0, "float32": 100.0}
"""Memory at the peak of a step, per voxel and channel of the first level; measured on a processor."""
BYTES_PER_VGG_VOXEL, BYTES_PER_GAN_VOXEL, BYTES_OF_NETWORKS = 1000.0, 150.0, 3.0e7
FLOP_PER_CHANNEL_2 = 1440.0
"""Floating-point operations per voxel of a step, of the generator, for a width of 1; they grow with its square."""
FLOP_PER_VGG_VOXEL, FLOP_PER_GAN_VOXEL = 1.1e6, 2.0e4
EFFICIENCY = {"cpu": 0.6, "cuda": 0.25, "mps": 0.25}
"""Share of the rate of a large matrix product that a step reaches; measured on a processor, guessed for GPUs."""
PROBES = 3
"""Rounds of one step of each patch size, after one that does not count; the quickest says the speed."""
CHECKPOINT_SECONDS = 60.0
TESTS = 10
MIN_STEPS, MAX_STEPS = 20, 1_000_000


@dataclass(frozen=True)
class TrainPlan:
    """What a training will do, before it starts; ``seconds`` is a rough estimate, ``memory_bytes`` what it needs."""

    device_label: str
    memory_bytes: int
    free_bytes: int
    iterations: int
    seconds_per_step: float
    seconds: float
    notices: tuple[str, ...]


def plan_training(pairs: Sequence[PairFacts], config: TrainConfig, *, minutes: float | None = None) -> TrainPlan:
    """Say which device will be used, and estimate memory and time.

    Parameters
    ----------
    pairs
        What will be trained on.
    config
        Settings; its number of steps is replaced where ``minutes`` are given.
    minutes
        How long the training may take.

    Raises
    ------
    InputError
        If there is no pair, or the device is not there or cannot compute in the number format.
    """
    if not pairs:
        raise InputError("there is no pair to train on; at least one registered pair is needed.")
    import torch

    from napari_deep3d.nn.devices import choose_device, device_label
    from napari_deep3d.nn.trainer import training_precision

    device = choose_device(config.device)
    dtype = training_precision(device, config)
    precision = str(dtype).removeprefix("torch.")
    voxels = _voxels(pairs, config)
    free = free_memory(device)
    limit = voxels_at_once(config, device.type, precision)
    seconds_per_step = voxels * _flop_per_voxel(config) / (_rate(device, dtype) * EFFICIENCY[device.type])
    steps = config.iterations
    if minutes is not None:
        steps = min(MAX_STEPS, max(MIN_STEPS, int(60 * minutes / seconds_per_step)))
    notices = []
    if limit < voxels:
        notices.append("The patches of one step do not fit into memory together; they are taken one after another.")
    if device.type == "cuda" and torch.cuda.device_count() > 1:
        notices.append(f"One of {torch.cuda.device_count()} GPUs is used; torchrun on the command line uses all.")
    if len(pairs) < 3:
        notices.append("With fewer than three pairs none is held out for testing, unless you choose one.")
    memory = min(voxels, limit) * _bytes_per_voxel(config, precision) + BYTES_OF_NETWORKS * (config.width / 16) ** 2
    return TrainPlan(
        device_label(device, dtype),
        int(memory),
        free,
        steps,
        seconds_per_step,
        steps * seconds_per_step,
        tuple(notices),
    )


def voxels_at_once(config: TrainConfig, device: str, precision: str) -> int:
    """Voxels of a batch that are taken at a time.

    On a processor it comes from the memory that is built in, not from what is free at the moment: a resumed training
    must sum in the same order. A GPU tells when memory runs out, and then fewer are taken.
    """
    if device != "cpu":
        return 2**62
    return max(1, int(MEMORY_SHARE * psutil.virtual_memory().total / _bytes_per_voxel(config, precision)))


def _bytes_per_voxel(config: TrainConfig, precision: str) -> float:
    vgg = BYTES_PER_VGG_VOXEL * config.vgg_share * bool(config.weight_vgg)
    return BYTES_PER_CHANNEL[precision] * config.width + vgg + BYTES_PER_GAN_VOXEL * bool(config.weight_gan)


def _voxels(pairs: Sequence[PairFacts], config: TrainConfig) -> float:
    """Mean number of voxels of a step."""
    sizes = []
    for size in config.patch:
        z, y, x = (min(want, *(pair.shape[axis] for pair in pairs)) for axis, want in enumerate(size))
        largest = max(a * b * c for a, b, c in config.patch)
        sizes.append(max(1, round(config.batch_size * largest / (size[0] * size[1] * size[2]))) * z * y * x)
    return sum(sizes) / len(sizes)


def _flop_per_voxel(config: TrainConfig) -> float:
    planar = 1 / 3 if config.dimensions == 2 else 1.0
    vgg = FLOP_PER_VGG_VOXEL * config.vgg_share * bool(config.weight_vgg)
    gan = FLOP_PER_GAN_VOXEL * (8 * config.discriminator_width) ** 2 * bool(config.weight_gan)
    return FLOP_PER_CHANNEL_2 * config.width**2 * planar + vgg + gan


def _rate(device: object, dtype: object) -> float:
    """Floating-point operations per second of a large matrix product, measured at once."""
    import torch

    size = 1024 if str(device) == "cpu" else 4096
    a = torch.ones(size, size, device=device, dtype=dtype)  # type: ignore[call-overload]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        float((a @ a)[0, 0])
        seconds.append(time.perf_counter() - start)
    return float(2 * size**3 / min(seconds))


def _one_of_each_size(pairs: Sequence[TrainingPair], config: TrainConfig) -> list[int]:
    """Find for every patch size a step that draws it."""
    from napari_deep3d.nn.patches import patch_size

    found: dict[object, int] = {}
    for step in range(20 * len(config.patch)):
        found.setdefault(patch_size(pairs, config, step), step)
    return list(found.values())


def fit_to_time(
    pairs: Sequence[TrainingPair], config: TrainConfig, minutes: float, voxels_at_once: int, stop: Stop
) -> Job[TrainConfig]:
    """Measure the speed of a few steps, and set the number of steps, tests and checkpoints so that they fit a time.

    Parameters
    ----------
    pairs
        Prepared training pairs.
    config, minutes
        Settings, and how long the training may take.
    voxels_at_once
        Voxels of a batch that fit into memory.
    stop
        Asked between steps.

    Raises
    ------
    StoppedError
        If it was stopped.
    InputError
        If a loss is no longer a number.
    """
    from napari_deep3d.nn.trainer import DivergedError, Trainer

    trainer = Trainer(config, pairs, voxels_at_once=voxels_at_once)
    each = _one_of_each_size(pairs, config)
    seconds = []
    for _ in range(1 + PROBES):  # the first step of a size is slow: kernels are made for it
        start = time.perf_counter()
        for number in each:
            if stop():
                raise StoppedError
            try:
                trainer.step(number)
            except DivergedError as error:
                raise InputError(f"{error} while the speed was measured. Choose a lower learning_rate.") from None
            yield Progress(0, len(each), "measuring the speed")
        seconds.append((time.perf_counter() - start) / len(each))
    per_step = min(seconds[1:])
    steps = min(MAX_STEPS, max(MIN_STEPS, int(60 * minutes / per_step)))
    yield Notice(f"{per_step:.2g} s a step: {steps} steps in {minutes:g} minutes")
    return config.model_copy(
        update={
            "iterations": steps,
            "checkpoint_every": max(1, min(steps, round(CHECKPOINT_SECONDS / per_step))),
            "validate_every": max(1, steps // TESTS),
        }
    )
