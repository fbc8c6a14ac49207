"""Membranes: the borders of cells that fill a tissue, and hollow vesicles."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core import FloatArray
from napari_deep3d.core.simulation.bounds import Positive, PositiveRange, Range, Share, ShareRange, log_uniform
from napari_deep3d.core.simulation.samples.canvas import BodyBounds, Canvas
from napari_deep3d.core.simulation.samples.partition import Partition, scatter_seeds

MIN_CELL = 4.0
"""Smallest radius in lateral voxels: the walls of smaller cells would run together."""
MAX_SHELLS = 250


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
    rng, spacing_um = canvas.rng, canvas.spacing_um

    # 1. The centres (cells, 3) of cells in and around the field, in um, and the brightness of each cell's wall.
    field_um = canvas.field_um
    radius = max(rng.uniform(*bounds.cell_um), MIN_CELL * spacing_um[1])
    stretch = log_uniform(rng, bounds.stretch, 3)
    seeds = scatter_seeds(canvas, radius, stretch)
    count = len(seeds)
    brightness = np.exp(rng.uniform(*bounds.cell_contrast) * rng.standard_normal(count))
    if rng.random() < bounds.mosaic_chance:
        stained = rng.random(count) < rng.uniform(*bounds.stained)
        stained[np.linalg.norm(seeds - field_um / 2, axis=1).argmin()] = True
        brightness *= stained
    brightness = brightness.astype(np.float32)

    # 2. Distance from the wall between the two nearest, and the share of the voxel that the wall fills.
    warp_um = radius * rng.uniform(*bounds.warp)
    cells = Partition.of(canvas, seeds, stretch, radius, warp_um, bounds.warp_grain * radius)
    half, from_wall, width = np.float32(rng.uniform(*bounds.thickness_um) / 2), cells.from_wall_um, cells.voxel_um
    covered = np.minimum(half, from_wall + width / 2) - np.maximum(-half, from_wall - width / 2)
    wall = np.clip(covered / width, 0, 1)
    return np.asarray(wall * (brightness[cells.closest] + brightness[cells.other]) / 2, dtype=np.float32)
