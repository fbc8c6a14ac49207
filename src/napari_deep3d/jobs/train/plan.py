"""What a training will do, told before it starts: settings, device, memory, time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from napari_deep3d.core import InputError, TrainConfig, doubt_spacings
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.pairs import PairFacts

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

FIXED_BY_START = ("width", "dimensions", "network_input", "percentiles")
"""Settings that a model to start from decides."""
START_LEARNING_RATE = 3e-4
"""Largest learning rate of a training that goes on from a model, where none is given: a larger one would forget."""
UNPAIRED = {
    "weight_l1": 0.5,
    "weight_l2": 4.0,
    "weight_correlation": 0.15,
    "weight_gan": 0.0,
    "weight_vgg": 0.0,
    "blank_share": 0.0,
}
"""Settings of a training on stacks that are no pairs."""
MEMORY_SHARE = 0.6
BYTES_PER_CHANNEL = {"bfloat16": 75.0, "float32": 100.0}
"""Memory at the peak of a step, per voxel and channel of the first level; measured on a processor."""
BYTES_PER_VGG_VOXEL, BYTES_PER_GAN_VOXEL, BYTES_OF_NETWORKS = 1000.0, 150.0, 3.0e7
FLOP_PER_CHANNEL_2 = 1440.0
"""Floating-point operations per voxel of a step, of the generator, for a width of 1; they grow with its square."""
FLOP_PER_VGG_VOXEL, FLOP_PER_GAN_VOXEL = 1.1e6, 2.0e4
EFFICIENCY = {"cpu": 0.6, "cuda": 0.25, "mps": 0.25}
"""Share of the rate of a large matrix product that a step reaches; measured on a processor, guessed for GPUs."""
MIN_STEPS, MAX_STEPS = 20, 1_000_000


@dataclass(frozen=True)
class TrainPlan:
    """What a training will do, before it starts: device, memory that it needs and that is free, steps, time, notices.

    The label is for people; the seconds are rough estimates; the notices are what the user should know.
    """

    device_label: str
    memory_bytes: int
    free_bytes: int
    iterations: int
    seconds_per_step: float
    seconds: float
    notices: tuple[str, ...]


def settings_from_start(config: TrainConfig, info: ModelInfo) -> TrainConfig:
    """The settings of a training that goes on from a model, which decides what kind of network it is.

    InputError if a setting was given that contradicts the model.
    """
    decided = {name: getattr(info, name) for name in FIXED_BY_START}
    given = config.flat(only_given=True)
    wrong = [name for name in FIXED_BY_START if name in given and given[name] != decided[name]]
    if wrong:
        raise InputError(
            f"the model {info.name} to start from has {', '.join(f'{n}={decided[n]}' for n in wrong)}; "
            f"{', '.join(f'{n}={given[n]}' for n in wrong)} was asked for. Leave that out, or start from scratch."
        )
    rate = {} if "learning_rate" in given else {"learning_rate": START_LEARNING_RATE}
    return config.changed(**decided, **rate)


def settings_of_unpaired(config: TrainConfig) -> TrainConfig:
    """The settings of a training on unpaired stacks: where none were given, those that were best for them."""
    given = config.flat(only_given=True)
    return config.changed(**{name: value for name, value in UNPAIRED.items() if name not in given})


def plan_training(
    pairs: Sequence[PairFacts],
    config: TrainConfig,
    *,
    start: str = "",
    minutes: float | None = None,
    confocal: Sequence[PairFacts] = (),
) -> TrainPlan:
    """Say which device will be used, and estimate memory and time.

    Parameters
    ----------
    pairs, config : sequence of PairFacts, TrainConfig
        What will be trained on, and how.
    start : str
        Name or file of the model to go on from; empty for none.
    minutes : float, optional
        How long the training may take, instead of the settings' number of steps.
    confocal : sequence of PairFacts
        Confocal stacks of other fields; ``pairs`` are then wide-field stacks.

    Raises
    ------
    InputError
        If there is no pair, the device is not there or cannot compute in the number format, or the model to go on from
        is not there or contradicts the settings.
    """
    if not pairs:
        raise InputError("there is no pair to train on; at least one registered pair is needed.")
    import torch

    from napari_deep3d.nn.devices import choose_device, device_label, free_memory, training_precision
    from napari_deep3d.nn.patches import patch_sizes

    # 1. Settings, device and number format.
    if confocal:
        config = settings_of_unpaired(config)
    if start:
        config = settings_from_start(config, model_info(start))
    device = choose_device(config.runtime.device)
    dtype = training_precision(device, config)
    precision = str(dtype).removeprefix("torch.")

    # 2. The mean number of voxels of a step, and the memory that they need.
    sizes = patch_sizes([pair.shape for pair in (*pairs, *confocal)], config)
    voxels = sum(number * z * y * x for (z, y, x), number in sizes) / len(sizes)
    limit = voxels_at_once(config, device.type, precision)
    networks = BYTES_OF_NETWORKS * (config.network.width / 16) ** 2
    memory = min(voxels, limit) * _bytes_per_voxel(config, precision) + networks

    # 3. The time: operations of a step, and how many of them a second the device makes.
    rate = _rate(device, dtype) * EFFICIENCY[device.type]
    network, losses = config.network, config.losses
    flop = FLOP_PER_CHANNEL_2 * network.width**2 * (1 / 3 if network.dimensions == 2 else 1.0)
    flop += FLOP_PER_VGG_VOXEL * losses.vgg_share * bool(losses.weight_vgg)
    flop += FLOP_PER_GAN_VOXEL * (8 * network.discriminator_width) ** 2 * bool(losses.weight_gan)
    both_ways = bool(confocal) and bool(losses.weight_gan or losses.weight_cycle)
    seconds_per_step = (2 if both_ways else 1) * voxels * flop / rate
    steps = config.optimizer.iterations if minutes is None else _steps_in(minutes, seconds_per_step)

    # 4. What the user should know.
    notices = []
    if limit < voxels:
        notices.append("The patches of one step do not fit into memory together; they are taken one after another.")
    if device.type == "cuda" and torch.cuda.device_count() > 1:
        notices.append(f"One of {torch.cuda.device_count()} GPUs is used; torchrun on the command line uses all.")
    if confocal:
        notices.append("Without registered pairs there is no test: compare predictions of a few stacks before use.")
    elif len(pairs) < 3:
        notices.append("With fewer than three pairs none is held out for testing, unless you choose one.")
    notices += doubt_spacings((pair.name, pair.spacing_um) for pair in pairs if pair.spacing_um is not None)
    return TrainPlan(
        device_label(device, dtype),
        int(memory),
        free_memory(device),
        steps,
        seconds_per_step,
        steps * seconds_per_step,
        tuple(notices),
    )


def _steps_in(minutes: float, seconds_per_step: float) -> int:
    """Without what comes before and after the steps, which the voxels of the pairs decide."""
    return min(MAX_STEPS, max(MIN_STEPS, int(60 * minutes / seconds_per_step)))


def voxels_at_once(config: TrainConfig, device: str, precision: str) -> int:
    """Voxels of a batch that are taken at a time.

    On a processor it comes from the memory that is built in, not from what is free at the moment: a resumed training
    must sum in the same order. A GPU tells when memory runs out, and then fewer are taken.
    """
    if device != "cpu":
        return 2**62
    return max(1, int(MEMORY_SHARE * psutil.virtual_memory().total / _bytes_per_voxel(config, precision)))


def _bytes_per_voxel(config: TrainConfig, precision: str) -> float:
    losses = config.losses
    vgg = BYTES_PER_VGG_VOXEL * losses.vgg_share * bool(losses.weight_vgg)
    return BYTES_PER_CHANNEL[precision] * config.network.width + vgg + BYTES_PER_GAN_VOXEL * bool(losses.weight_gan)


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
