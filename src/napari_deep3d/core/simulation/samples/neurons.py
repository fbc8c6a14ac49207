"""Labelled neurons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field

from napari_deep3d.core.simulation.bounds import (
    CountRange,
    NonNegative,
    Positive,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, Growth, Stems, Tubes, directions, unit
from napari_deep3d.core.simulation.samples.somata import STEM_PLACE, Somata, SomataBounds, draw_somata

MAX_NEURONS, MARGIN_UM = 60, 10.0
"""Neurons drawn at most; how far outside the field some of them lie."""
APICAL_PLACE = 0.8
"""Where apical dendrites begin in a soma, in radii from its centre."""
FIBRES = (8, 2500)
"""Fewest and most fibres."""
MAX_FIBRE_UM = 0.8
"""Largest radius of a fibre, swellings included."""
VARICOSITY_LENGTH_UM, SPINE_NECK_UM = 0.5, 0.07
"""Standard deviation of a swelling along its axon; radius of a spine's neck."""
MAX_SPINES, MAX_PUNCTA = 4000, 100_000


class NeuronsBounds(SomataBounds):
    """Bounds of the random choices in samples of neurons."""

    um3_per_neuron: PositiveRange = Field((8_000.0, 300_000.0), description="volume per neuron, log")
    soma_um: PositiveRange = Field((3.0, 8.0), description="radius of a soma")
    brightness: PositiveRange = Field((0.15, 1.0), description="of the cells, log")
    dendrites: CountRange = Field((3, 7), description="basal dendrites of a neuron")
    dendrite_um: PositiveRange = Field((0.3, 1.0), description="their radius, log")
    dendrite_brightness: ShareRange = Field((0.5, 1.0), description="their brightness in the soma's")
    dendrite_length_um: PositiveRange = Field((15.0, 50.0), description="their length")
    dendrite_forks: CountRange = Field((1, 3), description="branches that leave them")
    dendrite_taper: PositiveRange = Field((0.4, 0.8), description="their radius at the end in that at the start")
    dendrite_levels: int = Field(2, ge=0, description="generations of dendrites after the first")
    dendrite_bend: NonNegative = Field(0.5, description="how strongly basal dendrites turn")
    dendrite_persistence_um: Positive = Field(6.0, description="distance between turns of dendrites")
    dendrite_spread: NonNegative = Field(0.7, description="how far branches of dendrites part")
    dendrite_shrink: Positive = Field(0.7, description="length of each generation in that of the one before")
    apical_chance: Share = Field(0.5, description="share of the samples with apical dendrites, all roughly parallel")
    apical_um: PositiveRange = Field((0.7, 2.0), description="their radius, log")
    apical_length_um: PositiveRange = Field((40.0, 120.0), description="their length")
    apical_forks: CountRange = Field((2, 5), description="branches that leave them")
    apical_taper: PositiveRange = Field((0.4, 0.7), description="their radius at the end in that at the start")
    apical_spread: NonNegative = Field(0.15, description="standard deviation of their directions within a sample")
    apical_bend: NonNegative = Field(0.15, description="how strongly they turn")
    apical_shrink: Positive = Field(0.5, description="length of each generation in that of the one before")
    fibres_per_um3: PositiveRange = Field(
        (1e-4, 2.5e-3), description="density of passing axons and dendrites of neurons elsewhere, log"
    )
    fibre_um: PositiveRange = Field((0.08, 0.5), description="their radius, log")
    fibre_length_um: PositiveRange = Field((15.0, 80.0), description="their length")
    fibre_bend: Range = Field((0.2, 0.8), description="how strongly they turn")
    fibre_persistence_um: Positive = Field(5.0, description="distance between their turns")
    fibre_flatness: Share = Field(0.7, description="below 1, they turn towards the plane")
    fibre_brightness: PositiveRange = Field((0.1, 1.0), description="their brightness, log")
    varicosity_chance: Share = Field(0.6, description="share of the samples with swellings of axons")
    varicosity_gap_um: PositiveRange = Field((2.5, 8.0), description="distance of the swellings")
    varicosity_size: PositiveRange = Field((1.5, 4.0), description="radius of a swelling in that of the axon")
    spine_chance: Share = Field(0.5, description="share of the samples with spines")
    spine_gap_um: PositiveRange = Field((0.6, 3.0), description="mean distance of the spines along a dendrite")
    spine_length_um: PositiveRange = Field((0.5, 1.8), description="length of a spine")
    spine_head_um: PositiveRange = Field((0.12, 0.35), description="radius of a spine's head")
    puncta_chance: Share = Field(0.4, description="share of the samples with puncta")
    puncta_per_um3: PositiveRange = Field((5e-4, 3e-2), description="density of puncta, log")
    punctum_um: PositiveRange = Field((0.1, 0.3), description="radius of a punctum")
    punctum_brightness: PositiveRange = Field((0.1, 1.0), description="brightness of a punctum")


def draw_neurons(canvas: Canvas, bounds: NeuronsBounds) -> None:
    """Labelled neurons: somata with dim nuclei, branching dendrites, often spiny, thin axons with swellings, puncta.

    Brightness varies from cell to cell, so that dim neurites pass beside bright somata.
    """
    rng, field_um = canvas.rng, canvas.field_um

    # 1. Neurons.
    room_um3 = np.prod(field_um + 2 * MARGIN_UM)
    expected = room_um3 / log_uniform(rng, bounds.um3_per_neuron)
    centres = canvas.places(int(np.clip(rng.poisson(expected), 0, MAX_NEURONS)), MARGIN_UM)
    if len(centres) > 0:
        radii = rng.uniform(*bounds.soma_um, len(centres))
        _draw_cells(canvas, Somata(centres, radii, log_uniform(rng, bounds.brightness, len(centres))), bounds)

    # 2. Thin passing fibres, in most samples with swellings.
    fibres = int(np.clip(float(log_uniform(rng, bounds.fibres_per_um3) * room_um3), *FIBRES))
    length = rng.uniform(*bounds.fibre_length_um, fibres)
    begin = canvas.places(fibres, MARGIN_UM)
    begin[: FIBRES[0] // 2] = canvas.places(FIBRES[0] // 2)  # a small field shows some, too
    away = directions(rng, fibres, flat=bounds.fibre_flatness)
    path = canvas.paths(begin, away, length, rng.uniform(*bounds.fibre_bend), bounds.fibre_persistence_um)
    fibres = len(path)
    radii = log_uniform(rng, bounds.fibre_um, fibres)[:, None] * np.ones(path.shape[1])
    if rng.random() < bounds.varicosity_chance:
        along = np.linspace(0, 1, path.shape[1]) * length[:fibres, None]
        gap = rng.uniform(*bounds.varicosity_gap_um, (fibres, 1))
        phase = (along / gap + rng.uniform(0, 1, (fibres, 1)) + 0.15 * np.sin(along / 2.3)) % 1 - 0.5
        swelling = np.exp(-0.5 * (phase * gap / VARICOSITY_LENGTH_UM) ** 2)
        radii *= 1 + (rng.uniform(*bounds.varicosity_size, (fibres, 1)) - 1) * swelling
    canvas.tubes(Tubes(path, np.minimum(radii, MAX_FIBRE_UM), log_uniform(rng, bounds.fibre_brightness, fibres)))

    # 3. Puncta.
    if rng.random() < bounds.puncta_chance:
        count = int(min(1 + log_uniform(rng, bounds.puncta_per_um3) * field_um.prod(), MAX_PUNCTA))
        radii = rng.uniform(*bounds.punctum_um, count)
        canvas.balls(canvas.places(count), radii, rng.uniform(*bounds.punctum_brightness, count))


def _draw_cells(canvas: Canvas, somata: Somata, bounds: NeuronsBounds) -> None:
    """Draw somata and their dendrites: basal ones all around, apical ones roughly parallel."""
    rng, centres = canvas.rng, somata.centres_um
    draw_somata(canvas, somata, bounds)

    # 1. Basal dendrites.
    basal = Growth(
        bounds.dendrite_length_um,
        levels=bounds.dendrite_levels,
        forks=bounds.dendrite_forks,
        forks_at_end=bounds.forks_at_end,
        fork_place=bounds.fork_place,
        taper=bounds.dendrite_taper,
        fork_radius=bounds.fork_radius,
        bend=bounds.dendrite_bend,
        persistence_um=bounds.dendrite_persistence_um,
        spread=bounds.dendrite_spread,
        shrink=bounds.dendrite_shrink,
    )
    trees = canvas.trees(_stems(rng, somata, bounds.dendrites, bounds.dendrite_um, bounds), basal)

    # 2. Apical dendrites.
    if rng.random() < bounds.apical_chance:
        stems = _stems(rng, somata, (1, 1), bounds.apical_um, bounds)
        up = unit(directions(rng, 1) + bounds.apical_spread * rng.standard_normal((len(centres), 3)))
        start = centres + APICAL_PLACE * somata.radii_um[:, None] * up
        apical = replace(
            basal,
            length_um=bounds.apical_length_um,
            forks=bounds.apical_forks,
            taper=bounds.apical_taper,
            bend=bounds.apical_bend,
            shrink=bounds.apical_shrink,
        )
        trees += canvas.trees(Stems(start, up, stems.radius_um, somata.brightness), apical)

    # 3. Spines on both.
    spiny = rng.random() < bounds.spine_chance
    for tubes in trees:
        canvas.tubes(tubes)
        if spiny:
            _draw_spines(canvas, tubes, bounds)


def _stems(
    rng: np.random.Generator,
    somata: Somata,
    number: tuple[int, int],
    radius_um: tuple[float, float],
    bounds: NeuronsBounds,
) -> Stems:
    """Dendrites' beginnings in each soma: their number and radius in um are drawn from two ranges."""
    count = len(somata.centres_um)
    cell = np.repeat(np.arange(count), rng.integers(*number, count, endpoint=True))
    direction = directions(rng, len(cell))
    start = somata.centres_um[cell] + STEM_PLACE * somata.radii_um[cell, None] * direction
    dimmer = rng.uniform(*bounds.dendrite_brightness, len(cell))
    return Stems(start, direction, log_uniform(rng, radius_um, len(cell)), somata.brightness[cell] * dimmer)


def _draw_spines(canvas: Canvas, dendrites: Tubes, bounds: NeuronsBounds) -> None:
    """Draw spines: a thin neck and a round head beside points of the dendrites."""
    rng = canvas.rng
    count, points = dendrites.radii_um.shape
    total_um = np.linalg.norm(np.diff(dendrites.path_um, axis=1), axis=2).sum()
    spines = int(min(total_um / rng.uniform(*bounds.spine_gap_um), MAX_SPINES))
    dendrite, at = rng.integers(0, count, spines), rng.integers(0, points, spines)
    root, radius = dendrites.path_um[dendrite, at], dendrites.radii_um[dendrite, at]
    reach = radius + rng.uniform(*bounds.spine_length_um, spines)
    head = root + reach[:, None] * directions(rng, spines)
    inside = np.all((head > 0) & (head < canvas.field_um), axis=1)
    root, head, bright = root[inside], head[inside], dendrites.brightness[dendrite][inside]
    points = int(np.clip(np.ceil(3 / (0.5 * min(canvas.spacing_um))), 4, 60))
    path = root[:, None] + np.linspace(0, 1, points)[None, :, None] * (head - root)[:, None]
    canvas.tubes(Tubes(path, np.full(path.shape[:2], SPINE_NECK_UM), bright))
    canvas.balls(head, rng.uniform(*bounds.spine_head_um, len(head)), bright)
