"""How fast this computer runs a network, measured in a moment, to tell beforehand how long a prediction takes."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import nn

from napari_deep3d.core import Box, Shape, finish
from napari_deep3d.nn import slabs
from napari_deep3d.nn.folded_network import on_device
from napari_deep3d.nn.generator import CHANNELS_IN, Generator, ResidualBlock

TRIAL: dict[str, Shape] = {"cpu": (16, 48, 48), "mps": (32, 128, 128), "cuda": (32, 256, 256)}
"""Voxels of the box that is computed for it, by device."""
TRIALS = 4
"""It is computed so often, and the shortest time counts: the first one also prepares what the others use."""


@lru_cache(maxsize=16)
def work_per_second(device: torch.device, dtype: torch.dtype, width: int, dimensions: int, network_input: str) -> float:
    """Work, as of :func:`~napari_deep3d.nn.slabs.work`, that a network does in a second; measured once, in a moment.

    ``device`` and ``dtype`` are where and in which number format it computes; the others are as of the generator.
    """
    generator = on_device(_folded(width, dimensions, network_input), device, dtype)
    shape = TRIAL[device.type]
    x = torch.zeros((1, generator.channels_in, *shape), device=device, dtype=dtype)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    seconds = []
    for _ in range(TRIALS):
        start = time.perf_counter()
        finish(slabs.run(generator, x)).cpu()
        seconds.append(time.perf_counter() - start)
    return slabs.work(generator, shape, Box.whole(shape)) / min(seconds)


@lru_cache(maxsize=16)
def blank_generator(width: int, dimensions: int, network_input: str) -> Generator:
    """A generator without weights, to tell the work of one."""
    with torch.device("meta"):
        return _folded(width, dimensions, network_input)


def _folded(width: int, dimensions: int, network_input: str) -> Generator:
    generator = Generator(width, dimensions, CHANNELS_IN[network_input])
    for block in generator.modules():
        if isinstance(block, ResidualBlock):
            block.norm = nn.Identity()
    return generator
