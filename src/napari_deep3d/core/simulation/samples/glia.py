"""Glial cells: small bodies with many branching processes."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.simulation.bounds import CountRange, Positive, PositiveRange, Range, Share, log_uniform
from napari_deep3d.core.simulation.samples.canvas import Canvas, Growth, Stems, directions
from napari_deep3d.core.simulation.samples.somata import STEM_PLACE, Somata, SomataBounds, draw_somata

MAX_CELLS, MARGIN_UM = 45, 15.0
"""Cells drawn at most; how far outside the field some of them lie."""


class GliaBounds(SomataBounds):
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
    persistence_um: Positive = Field(4.0, description="distance between turns")
    spread: Range = Field((0.4, 1.0), description="how far branches part")
    shrink: Positive = Field(0.75, description="length of each generation of processes in that of the one before")
    foot_chance: Share = Field(0.6, description="share of the samples with swollen ends of the last branches")
    foot_um: PositiveRange = Field((0.15, 0.6), description="radius of these ends")
    bushy_chance: Share = Field(0.4, description="share of the samples with a haze of processes too fine to draw")
    bush_um: PositiveRange = Field((10.0, 22.0), description="radius of this haze")
    bush_strength: Range = Field((0.05, 0.3), description="its brightness in the cell's")
    bush_grain_um: PositiveRange = Field((0.25, 0.6), description="its grain")


def draw_glia(canvas: Canvas, bounds: GliaBounds) -> None:
    """Glial cells such as astrocytes and microglia: small somata, processes that branch 2 to 4 times, end feet.

    Some samples are bushy: around each cell stands a fine haze of processes.
    """
    rng = canvas.rng

    # 1. The cells, in bushy samples each in a ball of fine grains that fades towards its surface.
    expected = np.prod(canvas.field_um + 2 * MARGIN_UM) / log_uniform(rng, bounds.um3_per_cell)
    centres = canvas.places(int(np.clip(rng.poisson(expected), 1, MAX_CELLS)), MARGIN_UM)
    brightness = log_uniform(rng, bounds.brightness, len(centres))
    somata = Somata(centres, rng.uniform(*bounds.soma_um) * rng.uniform(*bounds.soma_size, len(centres)), brightness)
    if rng.random() < bounds.bushy_chance:
        grains = canvas.noise(rng.uniform(*bounds.bush_grain_um))
        grains = np.clip(grains + np.float32(0.3), 0, None) ** 2
        strength = rng.uniform(*bounds.bush_strength)
        for centre, bright in zip(centres, brightness, strict=True):
            radius = rng.uniform(*bounds.bush_um)
            box = canvas.box_around(centre, radius)
            if box is not None:
                envelope = np.clip(1 - canvas.squared_distance(box, centre, radius), 0, 1).astype(np.float32)
                canvas.lighten(box, np.float32(strength * bright) * envelope * grains[box])
    draw_somata(canvas, somata, bounds)

    # 2. Their processes, in some samples with end feet.
    cell = np.repeat(np.arange(len(centres)), rng.integers(*bounds.processes, len(centres), endpoint=True))
    direction = directions(rng, len(cell))
    start = centres[cell] + STEM_PLACE * somata.radii_um[cell, None] * direction
    stems = Stems(start, direction, log_uniform(rng, bounds.process_um, len(cell)), brightness[cell])
    growth = Growth(
        bounds.length_um,
        levels=int(rng.integers(*bounds.levels, endpoint=True)),
        forks=bounds.forks,
        forks_at_end=bounds.forks_at_end,
        fork_place=bounds.fork_place,
        taper=bounds.taper,
        fork_radius=bounds.fork_radius,
        bend=rng.uniform(*bounds.bend),
        persistence_um=bounds.persistence_um,
        spread=rng.uniform(*bounds.spread),
        shrink=bounds.shrink,
    )
    trees = canvas.trees(stems, growth)
    for tubes in trees:
        canvas.tubes(tubes)
    if rng.random() < bounds.foot_chance:
        ends = trees[-1].path_um[:, -1]
        canvas.balls(ends, rng.uniform(*bounds.foot_um, len(ends)), trees[-1].brightness)
