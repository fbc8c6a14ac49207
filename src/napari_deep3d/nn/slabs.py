"""A pass through the generator slab by slab: little memory, and a place to stop or to tell progress every moment.

A block of the network needs of its input no more than two voxels beyond the box that it computes. So each block is
computed box by box, from real neighbouring voxels; zeros stand only where the stack itself ends, as in a pass at once.
The result is the same up to rounding, and what lies between two convolutions is never held for the whole stack. Where
only a box of the result is wanted, each level is computed no further than that box needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 (the name everybody uses)
from torch import Tensor, nn

from napari_deep3d.core import Box, Shape, Steps, mapped, zyx
from napari_deep3d.nn import generator as network
from napari_deep3d.nn.generator import STRIDE, ResidualBlock, Up, norms, pad_to_stride

SLAB_VOXELS = {"cpu": 100_000, "cuda": 16_000_000, "mps": 4_000_000}
"""Voxels of a slab on the first level, of all items of a batch together, by device; on a processor times its threads,
of which 2 to MOST_THREADS are counted. A slab then takes a small part of a second, and what is computed of it stays in
the processor's cache: with larger ones a pass takes up to 1.6 times as long."""
MOST_THREADS = 8
MIN_SLAB = 50_000
"""Voxels: slabs are not smaller, as they would be in a small tile."""
MIN_SIDE = 16
"""Voxels: a slab is not thinner, or its margin would cost more than it."""
FLOP_PER_CHANNEL = 400.0
"""What moving a value of a channel through a block costs beside the convolutions, in the time of so many of their
operations."""


@dataclass(frozen=True)
class _Level:
    """A box of a level of the network, of which the whole has ``shape`` (Z, Y, X); axes (N, C, Z, Y, X)."""

    data: Tensor
    box: Box
    shape: Shape

    def cut(self, box: Box) -> Tensor:
        return self.data[(slice(None), slice(None), *box.relative_to(self.box))]


@dataclass(frozen=True)
class _Step:
    """A block of the network, and the box of its level that it computes."""

    block: ResidualBlock
    box: Box
    shape: Shape

    @property
    def reach(self) -> Shape:
        """Voxels that each of its two convolutions sees beyond what it computes."""
        return zyx(k // 2 for k in self.block.first.kernel_size)

    @property
    def needs(self) -> Box:
        """The box of its input that it needs."""
        return self.box.grown([2 * r for r in self.reach], self.shape)

    @property
    def work(self) -> float:
        """As of :func:`work`."""
        return prod(self.box.shape) * flop_per_voxel(self.block)


def flop_per_voxel(block: ResidualBlock) -> float:
    """Work, as of :func:`work`, for a voxel of the level of a block."""
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv3d)]
    moved = block.first.in_channels + 2 * block.first.out_channels
    return sum(2.0 * layer.weight.numel() for layer in convolutions) + FLOP_PER_CHANNEL * moved


@torch.no_grad()
def run(generator: network.Generator, x: Tensor, wanted: Box | None = None, slab: int | None = None) -> Steps[Tensor]:
    """Map (N, C, Z, Y, X) as the generator does, slab by slab.

    Parameters
    ----------
    generator : Generator
        Its norms folded, or pooled to be measured: then a whole level is held for each of them.
    x : tensor
        Normalised wide-field.
    wanted : Box or None
        The box of the result that is computed and returned; all of it if not given.
    slab : int or None
        Voxels of a slab on the first level; by :data:`SLAB_VOXELS` if not given.
    """
    wanted = wanted or Box.whole(x.shape[2:])
    x = pad_to_stride(x)
    shape = zyx(x.shape[2:])
    computed = Box.whole(shape) if norms(generator) else wanted
    downs, ups = plan_steps(generator, shape, computed)
    total = sum(step.work for step in (*downs, *ups))
    limit = (slab or _slab_voxels(x)) / len(x)
    done = 0.0

    def block(step: _Step, source: Callable[[Box], Tensor], head: nn.Module | None = None) -> Steps[Tensor]:
        nonlocal done
        before = done
        channels = step.block.first.out_channels
        computing = _block(step, source, head, limit * (generator.width / channels) ** 1.5)
        result = yield from mapped(computing, lambda share: (before + share * step.work) / total)
        done += step.work
        return result

    # 1. Down: what each level needs of the one above it.
    above = _Level(x, Box.whole(shape), shape)
    del x
    levels = []
    for step, factor in zip(downs, ((1, 1, 1), *generator.pooling), strict=True):
        above = _Level((yield from block(step, _pooled(above, factor))), step.box, step.shape)
        levels.append(above)
    # 2. Up again; the head is applied to the last one, so that its channels are never held for the whole stack.
    below = levels.pop()
    del above
    for step, up in zip(ups, generator.ups, strict=True):
        source = _merged(cast(Up, up), below, levels.pop())
        below = _Level((yield from block(step, source, generator.head if not levels else None)), step.box, step.shape)
        del source
    return below.cut(wanted)


def _slab_voxels(x: Tensor) -> int:
    """Voxels of a slab of (N, C, Z, Y, X): fewer for a small tile, since its memory is small, too."""
    threads = min(max(2, torch.get_num_threads()), MOST_THREADS) if x.device.type == "cpu" else 1
    return min(SLAB_VOXELS[x.device.type] * threads, max(MIN_SLAB, x.numel() // x.shape[1] // 8))


def work(generator: network.Generator, shape: Shape, wanted: Box) -> float:
    """Work of a pass that sees ``shape`` voxels (Z, Y, X) and computes the ``wanted`` box of them.

    It is counted in operations; moving values counts as what is computed in the same time.
    """
    padded = zyx(-(-n // stride) * stride for n, stride in zip(shape, STRIDE, strict=True))
    downs, ups = plan_steps(generator, padded, wanted)
    return sum(step.work for step in (*downs, *ups))


def plan_steps(generator: network.Generator, shape: Shape, wanted: Box) -> tuple[list[_Step], list[_Step]]:
    """The blocks on the way down and on the way up, each with the box that a wanted box of the result needs of it.

    ``shape`` is that of the network's input (Z, Y, X), a multiple of its stride.
    """
    shapes = [shape]
    for factor in generator.pooling:
        shapes.append(zyx(n // f for n, f in zip(shapes[-1], factor, strict=True)))
    # From the result back: what each block on the way up needs of the level below and of its skip connection.
    ups, skips, box = [], [], wanted
    falling = zip(cast(Sequence[Up], generator.ups)[::-1], generator.pooling, pairwise(shapes), strict=True)
    for up, factor, (size, smaller) in falling:
        ups.append(_Step(up.block, box, size))
        skips.append(ups[-1].needs)
        box = _below(ups[-1].needs, factor, smaller)
    # What each block on the way down must compute: its skip connection, and what the next one pools.
    blocks = [generator.stem, *cast(Iterable[ResidualBlock], generator.downs)]
    downs = [_Step(blocks[-1], box, shapes[-1])]
    rising = zip(blocks[-2::-1], skips[::-1], generator.pooling[::-1], shapes[-2::-1], strict=True)
    for block, skip, factor, size in rising:
        pooled = downs[-1].needs
        start = [min(s, p * f) for s, p, f in zip(skip.start, pooled.start, factor, strict=True)]
        stop = [max(s, p * f) for s, p, f in zip(skip.stop, pooled.stop, factor, strict=True)]
        downs.append(_Step(block, Box.spanning(start, stop), size))
    return downs[::-1], ups[::-1]


def _below(box: Box, factor: Shape, shape: Shape) -> Box:
    """The voxels of the level below that a box is interpolated from."""
    start = [part.start // f - (f > 1) for part, f in zip(box, factor, strict=True)]
    stop = [-(-part.stop // f) + (f > 1) for part, f in zip(box, factor, strict=True)]
    return Box.spanning(start, stop).clipped(shape)


def _pooled(above: _Level, factor: Shape) -> Callable[[Box], Tensor]:
    def read(box: Box) -> Tensor:
        if factor == (1, 1, 1):
            return above.cut(box)
        start = [a * f for a, f in zip(box.start, factor, strict=True)]
        return F.max_pool3d(above.cut(Box.at(start, [n * f for n, f in zip(box.shape, factor, strict=True)])), factor)

    return read


def _merged(up: Up, below: _Level, skip: _Level) -> Callable[[Box], Tensor]:
    def read(box: Box) -> Tensor:
        source = _below(box, up.factor, below.shape)
        enlarged = up.enlarge(up.convolution(below.cut(source)), up.factor)
        start = [a - b * f for a, b, f in zip(box.start, source.start, up.factor, strict=True)]
        inner = enlarged[(slice(None), slice(None), *Box.at(start, box.shape))]
        return torch.cat([inner, skip.cut(box)], dim=1)

    return read


def _block(step: _Step, source: Callable[[Box], Tensor], head: nn.Module | None, limit: float) -> Steps[Tensor]:
    """Compute a block, slab by slab; ``source`` reads a box of its input."""
    block = step.block
    is_folded = isinstance(block.norm, nn.Identity)
    slabs = list(divide(step.box, limit))
    out = _Gathered(step.box)

    def finish(y: Tensor, x: Tensor) -> Tensor:
        y = F.relu(y.add_(block.shortcut(x)), inplace=True)
        return y if head is None else head(y.to(head.weight.dtype))  # type: ignore[arg-type]

    # 1. The convolutions, and where the norm is folded into them all the rest.
    for n, slab in enumerate(slabs, start=1):
        grown = slab.grown([2 * r for r in step.reach], step.shape)
        x = source(grown)
        y, inner = _convolve(block.first, x, grown, step.shape)
        y, inner = _convolve(block.second, F.relu(y, inplace=True), inner, step.shape)
        y = _cut(y, inner, slab)
        out.put(slab, finish(y, _cut(x, grown, slab)) if is_folded else y)
        del x, y
        yield n / len(slabs) if is_folded else 0.9 * n / len(slabs)
    if is_folded:
        return out.data
    # 2. A norm whose statistics are those of the whole level; the rest is computed in its place.
    normed = _Level(block.norm(out.data), step.box, step.shape)
    out = _Gathered(step.box)
    for slab in slabs:
        y = finish(normed.cut(slab), source(slab))
        if head is not None:
            out.put(slab, y)
        yield 0.95
    return normed.data if head is None else out.data


class _Gathered:
    """A box that is put together from slabs; a single one is taken as it is."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.data = torch.empty(0)

    def put(self, slab: Box, y: Tensor) -> None:
        if slab == self.box:
            self.data = y
            return
        if not self.data.numel():
            shape = (*y.shape[:2], *self.box.shape)
            self.data = torch.empty(shape, dtype=y.dtype, device=y.device, memory_format=torch.channels_last_3d)
        self.data[(slice(None), slice(None), *slab.relative_to(self.box))] = y


def _cut(y: Tensor, box: Box, part: Box) -> Tensor:
    return y if part == box else y[(slice(None), slice(None), *part.relative_to(box))]


def _convolve(layer: nn.Conv3d, x: Tensor, box: Box, shape: Shape) -> tuple[Tensor, Box]:
    """What can be computed from a box of a level of ``shape``, with zeros beyond the level, and its box."""
    padding: list[int] = []
    pads: list[int] = []
    start, stop = list(box.start), list(box.stop)
    for axis, size in enumerate(shape):
        reach = layer.kernel_size[axis] // 2
        first, last = reach * (start[axis] == 0), reach * (stop[axis] == size)
        start[axis] += reach - first
        stop[axis] -= reach - last
        # Zeros on both sides come with the convolution; on one, they are a copy.
        padding.append(reach if first and last else 0)
        pads = [*((0, 0) if first and last else (first, last)), *pads]
    if any(pads):
        x = F.pad(x, pads)
    return F.conv3d(x, layer.weight, layer.bias, padding=padding), Box.spanning(start, stop)


def divide(box: Box, limit: float) -> Iterator[Box]:
    """Boxes of at most ``limit`` voxels that fill a box, thicker than :data:`MIN_SIDE` as far as the box is."""
    counts = [1, 1, 1]
    while True:
        size = [-(-n // count) for n, count in zip(box.shape, counts, strict=True)]
        axis = max(range(3), key=lambda axis: size[axis])
        if prod(size) <= limit or size[axis] < 2 * MIN_SIDE:
            break
        counts[axis] += 1
    edges = [[n * i // count for i in range(count + 1)] for n, count in zip(box.shape, counts, strict=True)]
    for parts in product(*(list(pairwise(axis)) for axis in edges)):
        yield Box(*(slice(a, b) for a, b in parts)).shifted(box.start)
