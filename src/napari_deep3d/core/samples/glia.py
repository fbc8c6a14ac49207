"""Glial cells: small bodies with many branching processes."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.samples.blobs import box_around
from napari_deep3d.core.samples.courses import Growth, Stems, directions, grow, starts
from napari_deep3d.core.samples.drawing import draw_balls, draw_tubes
from napari_deep3d.core.samples.neurons import SOMA_CONTRAST, SOMA_GRAIN_UM, add_soma
from napari_deep3d.core.samples.noise import Array, Floats, log_uniform, smooth_noise
from napari_deep3d.core.volume import Shape, Spacing

UM3_PER_CELL = (15_000.0, 150_000.0)
MAX_CELLS, MARGIN_UM = 45, 15.0
"""Cells drawn at most; how far outside the field some of them lie."""
SOMA_UM = (2.5, 5.0)
BRIGHTNESS = (0.3, 1.0)
PROCESSES, PROCESS_UM = (5, 12), (0.3, 1.0)
"""Primary processes: their number and radius."""
LEVELS = (2, 4)
LENGTH_UM, SHRINK = (8.0, 20.0), 0.75
"""Length of a primary process, and of each generation in that of the one before."""
BEND, SPREAD = (0.2, 0.7), (0.4, 1.0)
FOOT_CHANCE, FOOT_UM = 0.6, (0.15, 0.6)
"""Swollen ends of the last branches: share of the samples, radius."""
BUSHY_CHANCE, BUSH_UM, BUSH_STRENGTH, BUSH_GRAIN_UM = 0.4, (10.0, 22.0), (0.05, 0.3), (0.25, 0.6)
"""Haze of processes too fine to draw: share of the samples, its radius, brightness and grain."""


def glia(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Glial cells such as astrocytes and microglia: small somata, processes that branch 2 to 4 times, end feet.

    Some samples are bushy: around each cell stands a fine haze of processes.
    """
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    expected = np.prod(field_um + 2 * MARGIN_UM) / log_uniform(rng, UM3_PER_CELL)
    centres = starts(rng, field_um, int(np.clip(rng.poisson(expected), 1, MAX_CELLS)), MARGIN_UM)
    brightness = log_uniform(rng, BRIGHTNESS, len(centres))
    radii = rng.uniform(*SOMA_UM) * rng.uniform(0.8, 1.2, len(centres))
    if rng.random() < BUSHY_CHANCE:
        _add_bushes(rng, density, spacing_um, centres, brightness)
    texture = np.exp(np.float32(SOMA_CONTRAST) * smooth_noise(rng, shape, spacing_um, SOMA_GRAIN_UM))
    for centre, radius, bright in zip(centres, radii, brightness, strict=True):
        add_soma(rng, density, texture, spacing_um, centre, radius, bright)
    _add_processes(rng, density, spacing_um, centres, radii, brightness)
    return density


def _add_processes(
    rng: np.random.Generator, density: Array, spacing_um: Spacing, centres: Floats, radii: Floats, brightness: Floats
) -> None:
    cell = np.repeat(np.arange(len(centres)), rng.integers(PROCESSES[0], PROCESSES[1] + 1, len(centres)))
    direction = directions(rng, len(cell))
    start = centres[cell] + 0.7 * radii[cell, None] * direction
    stems = Stems(start, direction, log_uniform(rng, PROCESS_UM, len(cell)), brightness[cell])
    growth = Growth(
        LENGTH_UM,
        levels=int(rng.integers(LEVELS[0], LEVELS[1] + 1)),
        forks=(1, 3),
        bend=rng.uniform(*BEND),
        persistence_um=4.0,
        spread=rng.uniform(*SPREAD),
        shrink=SHRINK,
    )
    trees = grow(rng, spacing_um, stems, growth)
    for tubes in trees:
        draw_tubes(density, spacing_um, tubes)
    if rng.random() < FOOT_CHANCE:
        ends = trees[-1].path_um[:, -1]
        draw_balls(density, spacing_um, ends, rng.uniform(*FOOT_UM, len(ends)), trees[-1].brightness)


def _add_bushes(
    rng: np.random.Generator, density: Array, spacing_um: Spacing, centres: Floats, brightness: Floats
) -> None:
    z, y, x = density.shape
    grains = smooth_noise(rng, (z, y, x), spacing_um, rng.uniform(*BUSH_GRAIN_UM))
    grains = np.clip(grains + np.float32(0.3), 0, None) ** 2
    strength = rng.uniform(*BUSH_STRENGTH)
    for centre, bright in zip(centres, brightness, strict=True):
        radius = rng.uniform(*BUSH_UM)
        box = box_around(density.shape, spacing_um, centre, radius)
        if box is None:
            continue
        squares = (
            ((np.arange(s.start, s.stop) * d - c) / radius) ** 2
            for s, d, c in zip(box, spacing_um, centre, strict=True)
        )
        total = sum(np.ix_(*squares), np.zeros(1))
        envelope = np.clip(1 - total, 0, 1).astype(np.float32)
        density[box] = np.maximum(density[box], np.float32(strength * bright) * envelope * grains[box])
