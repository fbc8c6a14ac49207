"""Glial cells: small bodies with many branching processes."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.simulation.bounds import CountRange, PositiveRange, Range, Share
from napari_deep3d.core.simulation.samples.blobs import box_around, squared_distance
from napari_deep3d.core.simulation.samples.neurons import SOMA_CONTRAST, SOMA_GRAIN_UM, CellBounds, add_soma
from napari_deep3d.core.simulation.samples.noise import log_uniform, smooth_noise
from napari_deep3d.core.simulation.samples.paths import Growth, Stems, directions, grow, starts
from napari_deep3d.core.simulation.samples.rasterize import draw_balls, draw_tubes
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing

MAX_CELLS, MARGIN_UM = 45, 15.0
"""Cells drawn at most; how far outside the field some of them lie."""
SHRINK = 0.75
"""Length of each generation of processes in that of the one before."""


class GliaBounds(CellBounds):
    """Bounds of the random choices in samples of glia."""

    um3_per_cell: PositiveRange = Field((15_000.0, 150_000.0), description="volume per cell, log")
    soma_um: PositiveRange = Field((2.5, 5.0), description="radius of a sample's somata")
    soma_size: PositiveRange = Field((0.8, 1.2), description="radius of each soma in its sample's")
    brightness: PositiveRange = Field((0.3, 1.0), description="of the cells, log")
    processes: CountRange = Field((5, 12), description="primary processes of a cell")
    process_um: PositiveRange = Field((0.3, 1.0), description="their radius, log")
    length_um: PositiveRange = Field((8.0, 20.0), description="their length")
    levels: CountRange = Field((2, 4), description="generations of processes after the primary ones")
    forks: CountRange = Field((1, 3), description="branches that leave a process")
    taper: PositiveRange = Field((0.5, 0.9), description="radius of a process at its end in that at its start")
    bend: Range = Field((0.2, 0.7), description="how strongly processes turn")
    spread: Range = Field((0.4, 1.0), description="how far branches part")
    foot_chance: Share = Field(0.6, description="share of the samples with swollen ends of the last branches")
    foot_um: PositiveRange = Field((0.15, 0.6), description="radius of these ends")
    bushy_chance: Share = Field(0.4, description="share of the samples with a haze of processes too fine to draw")
    bush_um: PositiveRange = Field((10.0, 22.0), description="radius of this haze")
    bush_strength: Range = Field((0.05, 0.3), description="its brightness in the cell's")
    bush_grain_um: PositiveRange = Field((0.25, 0.6), description="its grain")


def glia(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: GliaBounds) -> FloatArray:
    """Glial cells such as astrocytes and microglia: small somata, processes that branch 2 to 4 times, end feet.

    Some samples are bushy: around each cell stands a fine haze of processes.
    """
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    expected = np.prod(field_um + 2 * MARGIN_UM) / log_uniform(rng, bounds.um3_per_cell)
    centres = starts(rng, field_um, int(np.clip(rng.poisson(expected), 1, MAX_CELLS)), MARGIN_UM)
    brightness = log_uniform(rng, bounds.brightness, len(centres))
    radii = rng.uniform(*bounds.soma_um) * rng.uniform(*bounds.soma_size, len(centres))
    if rng.random() < bounds.bushy_chance:
        _add_bushes(rng, density, spacing_um, centres, brightness, bounds)
    texture = np.exp(np.float32(SOMA_CONTRAST) * smooth_noise(rng, shape, spacing_um, SOMA_GRAIN_UM))
    for centre, radius, bright in zip(centres, radii, brightness, strict=True):
        add_soma(rng, density, texture, spacing_um, centre, radius, bright, bounds)
    _add_processes(rng, density, spacing_um, centres, radii, brightness, bounds)
    return density


def _add_processes(
    rng: np.random.Generator,
    density: FloatArray,
    spacing_um: Spacing,
    centres: DoubleArray,
    radii: DoubleArray,
    brightness: DoubleArray,
    bounds: GliaBounds,
) -> None:
    cell = np.repeat(np.arange(len(centres)), rng.integers(*bounds.processes, len(centres), endpoint=True))
    direction = directions(rng, len(cell))
    start = centres[cell] + 0.7 * radii[cell, None] * direction
    stems = Stems(start, direction, log_uniform(rng, bounds.process_um, len(cell)), brightness[cell])
    growth = Growth(
        bounds.length_um,
        levels=int(rng.integers(*bounds.levels, endpoint=True)),
        forks=bounds.forks,
        taper=bounds.taper,
        fork_radius=bounds.fork_radius,
        bend=rng.uniform(*bounds.bend),
        persistence_um=4.0,
        spread=rng.uniform(*bounds.spread),
        shrink=SHRINK,
    )
    trees = grow(rng, spacing_um, stems, growth)
    for tubes in trees:
        draw_tubes(density, spacing_um, tubes)
    if rng.random() < bounds.foot_chance:
        ends = trees[-1].path_um[:, -1]
        draw_balls(density, spacing_um, ends, rng.uniform(*bounds.foot_um, len(ends)), trees[-1].brightness)


def _add_bushes(
    rng: np.random.Generator,
    density: FloatArray,
    spacing_um: Spacing,
    centres: DoubleArray,
    brightness: DoubleArray,
    bounds: GliaBounds,
) -> None:
    z, y, x = density.shape
    grains = smooth_noise(rng, (z, y, x), spacing_um, rng.uniform(*bounds.bush_grain_um))
    grains = np.clip(grains + np.float32(0.3), 0, None) ** 2
    strength = rng.uniform(*bounds.bush_strength)
    for centre, bright in zip(centres, brightness, strict=True):
        radius = rng.uniform(*bounds.bush_um)
        box = box_around(density.shape, spacing_um, centre, radius)
        if box is None:
            continue
        envelope = np.clip(1 - squared_distance(box, spacing_um, centre, radius), 0, 1).astype(np.float32)
        density[box] = np.maximum(density[box], np.float32(strength * bright) * envelope * grains[box])
