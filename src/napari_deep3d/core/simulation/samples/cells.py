"""Cells side by side: bodies of strong and fine texture that fill much of the field, or a layer of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_deep3d.core import DoubleArray, FloatArray
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    Positive,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    happens,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, directions
from napari_deep3d.core.simulation.samples.partition import Partition, scatter_seeds

MIN_CELL = 4.0
"""Smallest radius in lateral voxels."""
MAX_OF_FIELD = 0.4
"""Largest radius as a share of the field's median side, unless the bounds ask for more: several cells show."""
BRIGHTEST = 3.0
"""Density of cytoplasm and nuclei saturates here, lest rare grains leave all else in the dark."""
SPARSE_SIGMA = 1.2
"""Noise above so many standard deviations is a granule or a vacuole."""


class CellsBounds(Bounds):
    """Bounds of the random choices in samples of cells side by side."""

    cell_um: PositiveRange = Field((2.0, 12.0), description="radius of a sample's cells, log")
    stretch: PositiveRange = Field((0.6, 1.6), description="size of all cells along each axis, in the radius, log")
    warp: Range = Field((0.05, 0.35), description="curved sides: standard deviation of their shift in cell radii")
    warp_grain: Positive = Field(0.6, description="size of the sides' curves in cell radii")
    gap_um: PositiveRange = Field((0.1, 1.5), description="gap between neighbours, log")
    reach: PositiveRange = Field((0.9, 2.2), description="a cell ends so many radii from its centre: low is round")
    stained: ShareRange = Field((0.4, 1.0), description="share of the cells that are stained")
    layer_chance: Share = Field(0.3, description="share of the samples whose cells lie in one layer")
    layer_um: PositiveRange = Field((3.0, 20.0), description="thickness of the layer")
    brightness: PositiveRange = Field((0.15, 1.0), description="of the cells, log")
    coarse_grain_um: PositiveRange = Field((0.5, 2.0), description="coarse grain of the cytoplasm, log")
    middle_grain_um: PositiveRange = Field((0.2, 0.8), description="its middle grain, log")
    fine_grain_um: PositiveRange = Field((0.08, 0.3), description="its fine grain, log")
    contrast: Range = Field(
        (0.1, 0.7), description="standard deviation of the logarithm of its density, for each grain size"
    )
    granule_chance: Share = Field(0.5, description="share of the samples with bright granules")
    granule_um: PositiveRange = Field((0.12, 0.5), description="size of the granules, log")
    granule_strength: PositiveRange = Field((0.5, 4.0), description="their brightness above the cytoplasm's, log")
    vacuole_chance: Share = Field(0.35, description="share of the samples with dark vacuoles")
    vacuole_um: PositiveRange = Field((0.3, 1.2), description="size of the vacuoles, log")
    vacuole_loss: ShareRange = Field((0.4, 1.0), description="share of the density that they lack")
    hollow_chance: Share = Field(0.3, description="share of the samples with hollow cells, bright in a shell alone")
    shell_um: PositiveRange = Field((0.2, 2.0), description="thickness of each cell's shell, log")
    hollow_level: ShareRange = Field((0.0, 0.35), description="brightness inside the shell in the shell's")
    nucleus_chance: Share = Field(0.7, description="share of the samples whose cells show a nucleus")
    nucleus_radius: PositiveRange = Field((0.3, 0.6), description="radius of a nucleus in the cells'")
    bright_nucleus_chance: Share = Field(0.35, description="share of these whose nuclei are bright, not dark")
    dark_nucleus: ShareRange = Field((0.02, 0.6), description="density of dark nuclei in the cytoplasm's")
    bright_nucleus: PositiveRange = Field((1.5, 3.0), description="density of bright nuclei in the cytoplasm's, log")


def draw_cells(canvas: Canvas, bounds: CellsBounds) -> None:
    """Cells that share the field or a layer of it, each as bright as it likes, textured, often with a nucleus."""
    rng, field_um = canvas.rng, canvas.field_um

    # 1. Who lives where.
    low, high = bounds.cell_um
    radius = float(log_uniform(rng, (low, min(high, max(low, MAX_OF_FIELD * float(np.median(field_um)))))))
    radius = max(radius, MIN_CELL * canvas.spacing_um[1])
    stretch = log_uniform(rng, bounds.stretch, 3)
    seeds = scatter_seeds(canvas, radius, stretch)
    warp_um = radius * rng.uniform(*bounds.warp)
    cells = Partition.of(canvas, seeds, stretch, radius, warp_um, bounds.warp_grain * radius)
    bright = log_uniform(rng, bounds.brightness, len(seeds)) * _stained(canvas, seeds, bounds)

    # 2. How deep each voxel lies in its cell, which ends at the gap to its neighbour and at its reach.
    depth_um = cells.from_wall_um - np.float32(log_uniform(rng, bounds.gap_um) / 2)
    size = np.float32(np.prod(stretch) ** (1 / 3))
    reach_um = (radius * rng.uniform(*bounds.reach, len(seeds))).astype(np.float32)
    depth_um = np.minimum(depth_um, (reach_um[cells.closest] - cells.from_seed) * size)
    filled = np.clip(depth_um / cells.voxel_um + np.float32(0.5), 0, 1)

    # 3. What it is filled with.
    content = _cytoplasm(canvas, bounds)
    if happens(rng, bounds.hollow_chance):
        shell_um = log_uniform(rng, bounds.shell_um, len(seeds)).astype(np.float32)[cells.closest]
        level = np.float32(rng.uniform(*bounds.hollow_level))
        content *= level + (1 - level) * np.clip((shell_um - depth_um) / cells.voxel_um + np.float32(0.5), 0, 1)
    if happens(rng, bounds.nucleus_chance):
        _put_nuclei(canvas, cells, radius, content, bounds)
    canvas.density[:] = filled * content * bright.astype(np.float32)[cells.closest]


def _stained(canvas: Canvas, seeds: DoubleArray, bounds: CellsBounds) -> NDArray[np.bool_]:
    """Which of the cells (cells, 3) show: some of all, or of those in a tilted layer; always one in the middle."""
    rng = canvas.rng
    shown = rng.random(len(seeds)) < rng.uniform(*bounds.stained)
    if happens(rng, bounds.layer_chance):
        across = directions(rng, 1)[0]
        height = (seeds - canvas.places(1)) @ across
        shown &= np.abs(height) < rng.uniform(*bounds.layer_um) / 2
    shown[np.linalg.norm(seeds - canvas.field_um / 2, axis=1).argmin()] = True
    return shown


def _cytoplasm(canvas: Canvas, bounds: CellsBounds) -> FloatArray:
    """Density of cytoplasm over the field, axes (Z, Y, X), about 1: grains of three sizes, granules, vacuoles."""
    rng = canvas.rng
    log_density = np.zeros(canvas.shape, dtype=np.float32)
    for grain_um in (bounds.coarse_grain_um, bounds.middle_grain_um, bounds.fine_grain_um):
        strength = np.float32(rng.uniform(*bounds.contrast))
        log_density += strength * canvas.noise(float(log_uniform(rng, grain_um)))
    content = np.exp(log_density)
    content /= 1 + content / np.float32(BRIGHTEST)
    if happens(rng, bounds.granule_chance):
        strength = np.float32(log_uniform(rng, bounds.granule_strength))
        content += strength * _spots(canvas, float(log_uniform(rng, bounds.granule_um)))
    if happens(rng, bounds.vacuole_chance):
        loss = np.float32(rng.uniform(*bounds.vacuole_loss))
        content *= 1 - loss * _spots(canvas, float(log_uniform(rng, bounds.vacuole_um)))
    return np.asarray(content, dtype=np.float32)


def _spots(canvas: Canvas, grain_um: float) -> FloatArray:
    """Scattered spots, 0 to 1, axes (Z, Y, X)."""
    return np.asarray(np.clip(2 * (canvas.noise(grain_um) - np.float32(SPARSE_SIGMA)), 0, 1), dtype=np.float32)


def _put_nuclei(canvas: Canvas, cells: Partition, radius_um: float, content: FloatArray, bounds: CellsBounds) -> None:
    """Change the content of the cells, axes (Z, Y, X), in their nuclei: darker or brighter, and of another grain."""
    rng = canvas.rng
    nucleus_um = np.float32(radius_um * rng.uniform(*bounds.nucleus_radius))
    inside = np.clip((nucleus_um - cells.from_seed) / cells.voxel_um + np.float32(0.5), 0, 1)
    chromatin = np.exp(
        np.float32(rng.uniform(*bounds.contrast)) * canvas.noise(log_uniform(rng, bounds.middle_grain_um))
    )
    if happens(rng, bounds.bright_nucleus_chance):
        level = float(log_uniform(rng, bounds.bright_nucleus))
    else:
        level = rng.uniform(*bounds.dark_nucleus)
    chromatin *= np.float32(level) / (1 + chromatin / np.float32(BRIGHTEST))
    content += inside * (chromatin - content)
