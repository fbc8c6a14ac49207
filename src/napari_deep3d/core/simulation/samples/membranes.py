"""Membranes: the borders of cells that fill a tissue, and hollow vesicles."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import KDTree

from napari_deep3d.core import DoubleArray, FloatArray
from napari_deep3d.core.simulation.bounds import Positive, PositiveRange, Range, Share, ShareRange, log_uniform
from napari_deep3d.core.simulation.samples.canvas import BodyBounds, Canvas

Numbers = TypeVar("Numbers", NDArray[np.int32], FloatArray)

MIN_CELL = 4.0
"""Smallest radius in lateral voxels: the walls of smaller cells would run together."""
MAX_CELLS, MAX_SHELLS = 20_000, 250
CANDIDATES, BLOCK, MIN_BLOCK = 6, 0.25, (1, 3, 3)
"""Nearest cells that are compared for each voxel; side of the blocks of voxels that share them, in radii and at least
in voxels."""


class MembranesBounds(BodyBounds):
    """Bounds of the random choices in samples of membranes."""

    sheet_chance: Share = Field(0.85, description="share of the samples with borders of cells")
    shell_chance: Share = Field(0.4, description="share of these that have vesicles, too; all others have them")
    cell_um: PositiveRange = Field((2.5, 9.0), description="radius of a sample's cells")
    stretch: PositiveRange = Field((0.5, 1.8), description="size of all cells along each axis, in the radius, log")
    thickness_um: PositiveRange = Field((0.1, 0.4), description="thickness of the membranes")
    warp: Range = Field((0.05, 0.3), description="curved walls: standard deviation of their shift in cell radii")
    warp_grain: Positive = Field(0.6, description="size of the walls' curves in cell radii")
    cell_contrast: Range = Field((0.0, 0.8), description="standard deviation of the logarithm of the cells' brightness")
    mosaic_chance: Share = Field(0.35, description="share of the samples in which only some cells are stained")
    stained: ShareRange = Field((0.1, 0.7), description="share of the cells that are stained there")
    patch_grain_um: PositiveRange = Field((0.5, 3.0), description="grain of a patchy stain")
    patch_contrast: Range = Field((0.1, 0.7), description="standard deviation of the logarithm of the stain")
    shell_um: PositiveRange = Field((0.4, 4.0), description="radius of vesicles, log")
    shell_stretch: PositiveRange = Field((0.8, 1.25), description="semi-axes of a vesicle in its radius")
    um3_per_shell: PositiveRange = Field((100.0, 4_000.0), description="volume per vesicle, log")
    shell_brightness: PositiveRange = Field((0.3, 1.2), description="brightness of vesicles")


def draw_membranes(canvas: Canvas, bounds: MembranesBounds) -> None:
    """Stained membranes: curved borders 0.1 to 0.4 um thick of cells that fill the field, and hollow vesicles."""
    rng, spacing_um = canvas.rng, canvas.spacing_um
    sheets = rng.random() < bounds.sheet_chance
    if sheets:
        canvas.density[:] += _borders(canvas, bounds)
    if not sheets or rng.random() < bounds.shell_chance:
        count = int(np.clip(canvas.field_um.prod() / log_uniform(rng, bounds.um3_per_shell), 1, MAX_SHELLS))
        thickness, width = rng.uniform(*bounds.thickness_um), np.float32(np.mean(spacing_um))
        for centre in canvas.places(count):
            semi = log_uniform(rng, bounds.shell_um) * rng.uniform(*bounds.shell_stretch, 3)
            box = canvas.box_around(centre, 1.3 * float(semi.max()) + max(spacing_um))
            if box is None:
                continue
            from_wall = np.abs(canvas.ellipsoid(box, centre, semi, bounds) - 1) * np.float32(semi.mean())
            covered = np.minimum((thickness / 2 + width / 2 - from_wall) / width, np.minimum(1, thickness / width))
            brightness = np.float32(rng.uniform(*bounds.shell_brightness))
            canvas.lighten(box, covered.astype(np.float32).clip(0) * brightness)
    patches = canvas.noise(rng.uniform(*bounds.patch_grain_um))
    canvas.density[:] *= np.exp(np.float32(rng.uniform(*bounds.patch_contrast)) * patches)


def _borders(canvas: Canvas, bounds: MembranesBounds) -> FloatArray:
    """Walls half-way between neighbouring cell centres, axes (Z, Y, X), in a space that is stretched and warped."""
    rng, shape, spacing_um = canvas.rng, canvas.shape, canvas.spacing_um

    # 1. The centres (cells, 3) of cells in and around the field, in um, and the brightness of each cell's wall.
    field_um = canvas.field_um
    radius = max(rng.uniform(*bounds.cell_um), MIN_CELL * spacing_um[1])
    stretch = log_uniform(rng, bounds.stretch, 3)
    expected = (field_um + 4 * radius).prod() / (4 * (radius * stretch).prod())
    count = int(np.clip(expected, CANDIDATES + 1, MAX_CELLS))
    seeds = rng.uniform(-2 * radius, field_um + 2 * radius, (count, 3))
    brightness = np.exp(rng.uniform(*bounds.cell_contrast) * rng.standard_normal(count))
    if rng.random() < bounds.mosaic_chance:
        stained = rng.random(count) < rng.uniform(*bounds.stained)
        stained[np.linalg.norm(seeds - field_um / 2, axis=1).argmin()] = True
        brightness *= stained
    brightness = brightness.astype(np.float32)

    # 2. Where each voxel lies in the warped space, (Z, Y, X) in um.
    warp = radius * rng.uniform(*bounds.warp)
    place = [canvas.noise(bounds.warp_grain * radius) * np.float32(warp) for _ in range(3)]
    for axis, (voxels, size) in enumerate(zip(shape, spacing_um, strict=True)):
        along = (np.arange(voxels) * size).astype(np.float32)
        place[axis] += along.reshape([-1 if a == axis else 1 for a in range(3)])

    # 3. The two cells nearest to each voxel; neighbouring voxels compare the same few.
    block = np.maximum(MIN_BLOCK, (BLOCK * radius / np.array(spacing_um)).astype(int))
    middles = tuple(np.minimum(np.arange(s // 2, n + s // 2, s), n - 1) for n, s in zip(shape, block, strict=True))
    points = np.stack([(p / s)[np.ix_(*middles)] for p, s in zip(place, stretch, strict=True)], axis=-1)
    nearest = np.asarray(KDTree(seeds / stretch).query(points, k=CANDIDATES)[1], dtype=np.int32)
    first, second, closest, other = _two_nearest(seeds, stretch, place, nearest, block)

    # 4. Distance from the wall between both, and the share of the voxel that the wall fills.
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


def _two_nearest(
    seeds: DoubleArray,
    stretch: DoubleArray,
    place: list[FloatArray],
    nearest: NDArray[np.int32],
    block: NDArray[np.int_],
) -> tuple[FloatArray, FloatArray, NDArray[np.int32], NDArray[np.int32]]:
    """Squared distances to the two cells nearest to each voxel, and which cells they are, axes (Z, Y, X).

    ``seeds`` (cells, 3) are centres and ``place`` the position of each voxel along each axis, both in um; distances
    are divided by ``stretch`` (3,). Of each block of voxels, ``nearest`` (along Z, along Y, along X, candidate) names
    the cells to compare.
    """
    shape = place[0].shape
    first, second = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    closest, other = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for candidate in range(CANDIDATES):
        cells = nearest[..., candidate]
        square = np.zeros(shape, np.float32)
        for axis in range(3):
            away = place[axis] - _repeated(seeds[cells, axis].astype(np.float32), shape, block)
            away *= np.float32(1 / stretch[axis])
            square += away * away
        index = _repeated(cells, shape, block)
        nearer = square < first
        between = ~nearer & (square < second)
        other = np.where(nearer, closest, np.where(between, index, other))
        second = np.where(nearer, first, np.where(between, square, second))
        closest, first = np.where(nearer, index, closest), np.where(nearer, square, first)
    return first, second, closest, other


def _repeated(values: Numbers, shape: tuple[int, ...], block: NDArray[np.int_]) -> Numbers:
    """Each block's value for all of its voxels, cut to ``shape`` (Z, Y, X)."""
    for axis in range(3):
        values = values.repeat(block[axis], axis).take(np.arange(shape[axis]), axis)
    return values
