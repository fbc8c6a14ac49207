"""The tile plan as data: which boxes of a result are computed one at a time, and how they are joined.

A plan divides the result into *cores*. Each tile writes its core and a narrow band around it, where it is blended
with its neighbours by linear ramps that sum to one; and it reads a *halo* beyond that, so that the network sees
what it would see in the whole stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod

import numpy as np

from napari_deep3d.core import Box, FloatArray, InputError, Shape, zyx

BLEND: Shape = (2, 8, 8)
"""Half width, in voxels, of the band in which neighbouring tiles are blended."""
MAX_PIECES = 64
"""Most tiles per axis that the automatic choice considers."""
CORE_SHARE = 0.4
"""Share of the computing of a tile that is done for its core alone, not for what it reads around it."""
CHEAP = 1.1
"""The automatic choice prefers smaller tiles while they need no more computing than this, relative to the cheapest."""


@dataclass(frozen=True)
class Segment:
    """A piece of one axis: the core it owns and the wider range it writes, as start and stop."""

    core: tuple[int, int]
    write: tuple[int, int]
    ramp: FloatArray
    """Weight of every voxel of ``write``; the ramps of all segments sum to one."""


@dataclass(frozen=True)
class Tile:
    """One tile: its place in the grid of tiles and its segment of each axis, Z, Y, X."""

    index: Shape
    segments: tuple[Segment, Segment, Segment]

    @property
    def core(self) -> Box:
        """The box that only this tile owns."""
        return Box(*(slice(*segment.core) for segment in self.segments))

    @property
    def write(self) -> Box:
        """The box that this tile adds to."""
        return Box(*(slice(*segment.write) for segment in self.segments))

    @property
    def window(self) -> FloatArray:
        """Blend weights of the ``write`` box; over all tiles they sum to one everywhere."""
        return self.window_of(self.write)

    def window_of(self, box: Box) -> FloatArray:
        """Blend weights of a box within the ``write`` box."""
        within = box.relative_to(self.write)
        z, y, x = (segment.ramp[part] for segment, part in zip(self.segments, within, strict=True))
        return np.asarray(z[:, None, None] * y[:, None] * x, dtype=np.float32)


@dataclass(frozen=True)
class TilePlan:
    """All tiles of a result of ``shape`` (Z, Y, X), in the order in which they are computed.

    ``left_out`` are the indices of tiles that are not computed: the result stays 0 there.
    """

    shape: Shape
    tile: Shape
    axes: tuple[tuple[Segment, ...], tuple[Segment, ...], tuple[Segment, ...]]
    left_out: frozenset[Shape] = frozenset()

    def __iter__(self) -> Iterator[Tile]:
        """Tiles row by row."""
        for index in product(*(range(len(axis)) for axis in self.axes)):
            if zyx(index) not in self.left_out:
                yield Tile(zyx(index), zyx(axis[i] for axis, i in zip(self.axes, index, strict=True)))

    def __len__(self) -> int:
        """Number of tiles."""
        return prod(len(axis) for axis in self.axes) - len(self.left_out)


def plan_tiles(shape: Shape, tile: Shape, blend: Shape = BLEND) -> TilePlan:
    """Divide a result into tiles.

    Parameters
    ----------
    shape, tile
        Voxels (Z, Y, X) of the result, and of a core; the last one of an axis may be smaller, or take a remainder too
        narrow to blend.
    blend
        Half width of the band in which neighbours are blended; cut to half a core.

    Raises
    ------
    InputError
        If a tile has no voxels.
    """
    if min(tile) < 1:
        raise InputError(f"tile {tile} has no voxels; three positive numbers Z,Y,X are needed, or 'auto'.")
    axes = (tuple(_segments(size, min(core, size), half)) for size, core, half in zip(shape, tile, blend, strict=True))
    return TilePlan(shape, tile, zyx(axes))


def blend_weight(plan: TilePlan, tiles: int) -> Callable[[Box], FloatArray]:
    """What the blend weights of the first ``tiles`` tiles of a plan sum to, as a function of a box, axes (Z, Y, X).

    It is 1 where all tiles that write a voxel are among them, and 0 where none is.
    """
    counts = [len(axis) for axis in plan.axes]
    # Row by row: all tiles of the layers before, of the rows before in the layer, and before in the row.
    row, before_x = divmod(min(tiles, len(plan)), counts[2])
    before_z, before_y = divmod(row, counts[1])
    sums, own = [], []
    for axis, size, before in zip(plan.axes, plan.shape, (before_z, before_y, before_x), strict=True):
        lines = np.zeros((2, size), dtype=np.float32)
        for segment in axis[:before]:
            lines[0, slice(*segment.write)] += segment.ramp
        if before < len(axis):
            lines[1, slice(*axis[before].write)] = axis[before].ramp
        sums.append(lines[0])
        own.append(lines[1])

    def weight(box: Box) -> FloatArray:
        in_z, in_y, in_x = box
        y = sums[1][in_y][:, None] + own[1][in_y][:, None] * sums[2][in_x]
        return np.asarray(sums[0][in_z][:, None, None] + own[0][in_z][:, None, None] * y, dtype=np.float32)

    return weight


def in_planes(box: Box, max_voxels: int) -> Iterator[Box]:
    """A box in pieces of whole planes, of no more voxels than given where that is more than a plane."""
    planes = max(1, max_voxels // max(1, box.shape[1] * box.shape[2]))
    for start in range(box.z.start, box.z.stop, planes):
        yield box.with_axis(0, start, min(start + planes, box.z.stop))


def _segments(size: int, core: int, blend: int) -> Iterator[Segment]:
    half = min(blend, core // 2)
    for start, stop in pairwise(_edges(size, core, half)):
        low, high = max(0, start - half), min(size, stop + half)
        voxels = np.arange(low, high) + 0.5
        ramp = np.ones(high - low)
        if start > 0 and half:
            ramp = np.minimum(ramp, (voxels - low) / (2 * half))
        if stop < size and half:
            ramp = np.minimum(ramp, (high - voxels) / (2 * half))
        yield Segment((start, stop), (low, high), ramp.astype(np.float32))


def _edges(size: int, core: int, half: int) -> list[int]:
    """Where the cores of an axis begin and end; a last one too narrow to blend is part of the one before it."""
    edges = [*range(0, size, core), size]
    if len(edges) > 2 and edges[-1] - edges[-2] < 2 * half:
        del edges[-2]
    return edges


def choose_tile(shape: Shape, margin: Shape, multiple: Shape, max_voxels: float, blend: Shape = BLEND) -> Shape | None:
    """The core of the smallest tiles that need hardly more computing than the cheapest ones; None if none can be.

    Smaller tiles need less memory, and there is something to see, and to keep, earlier.

    Parameters
    ----------
    shape, multiple
        Voxels (Z, Y, X) of the result; cores are multiples of the latter.
    margin
        Halo and blend, in voxels, that a tile reads on each side of its core.
    max_voxels
        Voxels that a tile may read.
    blend
        As of :func:`plan_tiles`.
    """
    axes = [_candidates(*sizes) for sizes in zip(shape, margin, multiple, blend, strict=True)]
    fitting = []
    for (z, reads_z), (y, reads_y), (x, reads_x) in product(*axes):
        largest = max(reads_z) * max(reads_y) * max(reads_x)
        if largest <= max_voxels:
            cost = (1 - CORE_SHARE) * sum(reads_z) * sum(reads_y) * sum(reads_x) + CORE_SHARE * prod(shape)
            fitting.append((cost, largest, (z, y, x)))
    if not fitting:
        return None
    least = min(cost for cost, _, _ in fitting)
    _, best = min((largest, core) for cost, largest, core in fitting if cost <= CHEAP * least)
    return best


def _candidates(size: int, margin: int, multiple: int, blend: int) -> list[tuple[int, list[int]]]:
    """Cores of an axis, and how much each of their tiles reads."""
    cores = {-(-size // (pieces * multiple)) * multiple for pieces in range(1, MAX_PIECES + 1)}
    found = []
    for core in sorted(cores):
        pieces = pairwise(_edges(size, core, min(blend, core // 2)))
        found.append((core, [min(size, stop + margin) - max(0, start - margin) for start, stop in pieces]))
    return found
