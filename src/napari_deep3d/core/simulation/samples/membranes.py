"""Membranes: the borders of cells that fill a tissue, and hollow vesicles."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import KDTree

from napari_deep3d.core.simulation.bounds import PositiveRange, Range, Share, ShareRange
from napari_deep3d.core.simulation.samples.blobs import BodyBounds, box_around, distance
from napari_deep3d.core.simulation.samples.noise import log_uniform, smooth_noise
from napari_deep3d.core.simulation.samples.paths import starts
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing

Numbers = TypeVar("Numbers", NDArray[np.int32], FloatArray)

SMALLEST_CELL = 4.0
"""Smallest radius in lateral voxels: the walls of smaller cells would run together."""
MAX_CELLS, MAX_SHELLS = 20_000, 250
WARP_GRAIN = 0.6
"""Grain of the walls' curves in cell radii."""
CANDIDATES, BLOCK, SMALLEST_BLOCK = 6, 0.25, (1, 3, 3)
"""Nearest cells looked at for each voxel; side of the blocks of voxels that share them,
in radii and at least in voxels."""


class MembranesBounds(BodyBounds):
    """Bounds of the random choices in samples of membranes."""

    sheet_chance: Share = Field(0.85, description="share of the samples with borders of cells")
    shell_chance: Share = Field(0.4, description="share of these that have vesicles, too; all others have them")
    cell_um: PositiveRange = Field((2.5, 9.0), description="radius of a sample's cells")
    stretch: PositiveRange = Field((0.5, 1.8), description="size of all cells along each axis, in the radius, log")
    thickness_um: PositiveRange = Field((0.1, 0.4), description="thickness of the membranes")
    warp: Range = Field((0.05, 0.3), description="curved walls: standard deviation of their shift in cell radii")
    cell_contrast: Range = Field((0.0, 0.8), description="standard deviation of the logarithm of the cells' brightness")
    mosaic_chance: Share = Field(0.35, description="share of the samples in which only some cells are stained")
    stained: ShareRange = Field((0.1, 0.7), description="share of the cells that are stained there")
    patch_grain_um: PositiveRange = Field((0.5, 3.0), description="grain of a patchy stain")
    patch_contrast: Range = Field((0.1, 0.7), description="standard deviation of the logarithm of the stain")
    shell_um: PositiveRange = Field((0.4, 4.0), description="radius of vesicles, log")
    shell_stretch: PositiveRange = Field((0.8, 1.25), description="semi-axes of a vesicle in its radius")
    um3_per_shell: PositiveRange = Field((100.0, 4_000.0), description="volume per vesicle, log")
    shell_brightness: PositiveRange = Field((0.3, 1.2), description="brightness of vesicles")


def membranes(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: MembranesBounds) -> FloatArray:
    """Stained membranes: curved borders 0.1 to 0.4 um thick of cells that fill the field, and hollow vesicles."""
    density = np.zeros(shape, dtype=np.float32)
    sheets = rng.random() < bounds.sheet_chance
    if sheets:
        density += _borders(rng, shape, spacing_um, bounds)
    if not sheets or rng.random() < bounds.shell_chance:
        _add_shells(rng, density, spacing_um, bounds)
    patches = smooth_noise(rng, shape, spacing_um, rng.uniform(*bounds.patch_grain_um))
    density *= np.exp(np.float32(rng.uniform(*bounds.patch_contrast)) * patches)
    return density


def _borders(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: MembranesBounds) -> FloatArray:
    """Walls half-way between neighbouring cell centres, in a space that is stretched and smoothly warped."""
    radius = max(rng.uniform(*bounds.cell_um), SMALLEST_CELL * spacing_um[1])
    stretch = log_uniform(rng, bounds.stretch, 3)
    seeds, brightness = _cells(rng, np.array(shape) * spacing_um, radius * stretch, radius, bounds)
    axes = [np.arange(n) * d for n, d in zip(shape, spacing_um, strict=True)]
    warp = radius * rng.uniform(*bounds.warp)
    place = [smooth_noise(rng, shape, spacing_um, WARP_GRAIN * radius) * np.float32(warp) for _ in range(3)]
    for axis in range(3):
        place[axis] += axes[axis].astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    step = np.maximum(SMALLEST_BLOCK, (BLOCK * radius / np.array(spacing_um)).astype(int))
    nearest = _candidates(seeds / stretch, [p / s for p, s in zip(place, stretch, strict=True)], step)
    first, second, closest, other = _two_nearest(seeds, stretch, place, nearest, step)
    slope, width = np.full(shape, 1e-9, np.float32), np.zeros(shape, np.float32)
    for scaled, size in zip((seeds / stretch**2).astype(np.float32).T, spacing_um, strict=True):
        to_other = scaled[other] - scaled[closest]
        slope += to_other**2
        width += np.float32(size) * np.abs(to_other)
    slope = np.sqrt(slope)
    width /= slope  # of a voxel across the wall
    from_wall = (second - first) / (2 * slope)
    half = np.float32(rng.uniform(*bounds.thickness_um) / 2)
    covered = np.minimum(half, from_wall + width / 2) - np.maximum(-half, from_wall - width / 2)
    wall = np.clip(covered / width, 0, 1)
    return np.asarray(wall * (brightness[closest] + brightness[other]) / 2, dtype=np.float32)


def _cells(
    rng: np.random.Generator, field_um: DoubleArray, semi_um: DoubleArray, margin_um: float, bounds: MembranesBounds
) -> tuple[DoubleArray, FloatArray]:
    """Centres (N, 3) and brightness (N,) of cells in and around the field."""
    room = field_um + 4 * margin_um
    count = int(np.clip(room.prod() / (4 * semi_um.prod()), CANDIDATES + 1, MAX_CELLS))
    seeds = rng.uniform(-2 * margin_um, field_um + 2 * margin_um, (count, 3))
    brightness = np.exp(rng.uniform(*bounds.cell_contrast) * rng.standard_normal(count))
    if rng.random() < bounds.mosaic_chance:
        stained = rng.random(count) < rng.uniform(*bounds.stained)
        stained[np.linalg.norm(seeds - field_um / 2, axis=1).argmin()] = True
        brightness *= stained
    return seeds, brightness.astype(np.float32)


def _candidates(seeds: DoubleArray, place: list[FloatArray], step: NDArray[np.int_]) -> list[NDArray[np.int32]]:
    """The nearest cells of the middle of each block of voxels, each repeated to all its voxels."""
    shape = place[0].shape
    middles = tuple(np.minimum(np.arange(s // 2, n + s // 2, s), n - 1) for n, s in zip(shape, step, strict=True))
    points = np.stack([p[np.ix_(*middles)] for p in place], axis=-1)
    index: NDArray[np.int32] = np.asarray(KDTree(seeds).query(points, k=CANDIDATES)[1], dtype=np.int32)
    return [index[..., k] for k in range(CANDIDATES)]


def _repeated(blocks: Numbers, shape: tuple[int, ...], step: NDArray[np.int_]) -> Numbers:
    """Each block's value for all of its voxels."""
    for axis in range(3):
        blocks = blocks.repeat(step[axis], axis).take(np.arange(shape[axis]), axis)
    return blocks


def _two_nearest(
    seeds: DoubleArray,
    stretch: DoubleArray,
    place: list[FloatArray],
    nearest: list[NDArray[np.int32]],
    step: NDArray[np.int_],
) -> tuple[FloatArray, FloatArray, NDArray[np.int32], NDArray[np.int32]]:
    """Squared distances of each voxel to its two nearest cells in the stretched space, and which they are."""
    shape = place[0].shape
    first, second = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    closest, other = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for cells in nearest:
        square = np.zeros(shape, np.float32)
        for axis in range(3):
            away = place[axis] - _repeated(seeds[cells, axis].astype(np.float32), shape, step)
            away *= np.float32(1 / stretch[axis])
            square += away * away
        index = _repeated(cells, shape, step)
        nearer = square < first
        between = ~nearer & (square < second)
        other = np.where(nearer, closest, np.where(between, index, other))
        second = np.where(nearer, first, np.where(between, square, second))
        closest, first = np.where(nearer, index, closest), np.where(nearer, square, first)
    return first, second, closest, other


def _add_shells(rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, bounds: MembranesBounds) -> None:
    """Hollow vesicles, each with a wall as thin as the borders'."""
    field_um = np.array(density.shape) * spacing_um
    count = int(np.clip(field_um.prod() / log_uniform(rng, bounds.um3_per_shell), 1, MAX_SHELLS))
    thickness = rng.uniform(*bounds.thickness_um)
    for centre in starts(rng, field_um, count):
        semi = log_uniform(rng, bounds.shell_um) * rng.uniform(*bounds.shell_stretch, 3)
        box = box_around(density.shape, spacing_um, centre, 1.3 * float(semi.max()) + max(spacing_um))
        if box is None:
            continue
        from_wall = np.abs(distance(rng, box, spacing_um, centre, semi, bounds) - 1) * np.float32(semi.mean())
        width = np.float32(np.mean(spacing_um))
        covered = np.minimum((thickness / 2 + width / 2 - from_wall) / width, np.minimum(1, thickness / width))
        density[box] = np.maximum(
            density[box], covered.astype(np.float32).clip(0) * np.float32(rng.uniform(*bounds.shell_brightness))
        )
