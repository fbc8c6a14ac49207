"""Labelled neurons."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.simulation.bounds import CountRange, PositiveRange, Range, Share, ShareRange
from napari_deep3d.core.simulation.samples.blobs import BodyBounds, box_around, distance
from napari_deep3d.core.simulation.samples.noise import log_uniform, smooth_noise
from napari_deep3d.core.simulation.samples.paths import Growth, Stems, directions, grow, run, starts
from napari_deep3d.core.simulation.samples.rasterize import Tubes, draw_balls, draw_tubes
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing

MAX_NEURONS, MARGIN_UM = 60, 10.0
"""Neurons drawn at most; how far outside the field some of them lie."""
SOMA_EDGE_UM = 0.15
SOMA_CONTRAST, SOMA_GRAIN_UM = 0.2, 0.35
"""Cytoplasm: standard deviation of the logarithm of its density, and its grain."""
LEVELS = 2
"""Generations of dendrites after the first."""
FIBRES = (8, 2500)
"""Fewest and most fibres."""
VARICOSITY_LENGTH_UM, SPINE_NECK_UM = 0.5, 0.07
MAX_SPINES, MAX_PUNCTA = 4000, 100_000


class CellBounds(BodyBounds):
    """Bounds of the random choices in the somata and the forks of neurons and glia."""

    soma_stretch: PositiveRange = Field((0.7, 1.3), description="semi-axes of a soma in its radius")
    nucleus_radius: PositiveRange = Field((0.4, 0.65), description="radius of the dim nucleus in the soma's")
    nucleus_loss: ShareRange = Field((0.2, 0.8), description="share of the soma's density that the nucleus lacks")
    fork_radius: PositiveRange = Field(
        (0.6, 0.85), description="radius of a branch in its parent's at the fork; two of 0.63 obey Rall's 3/2 law"
    )


class NeuronsBounds(CellBounds):
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
    apical_chance: Share = Field(0.5, description="share of the samples with apical dendrites, all roughly parallel")
    apical_um: PositiveRange = Field((0.7, 2.0), description="their radius, log")
    apical_length_um: PositiveRange = Field((40.0, 120.0), description="their length")
    apical_forks: CountRange = Field((2, 5), description="branches that leave them")
    apical_taper: PositiveRange = Field((0.4, 0.7), description="their radius at the end in that at the start")
    fibres_per_um3: PositiveRange = Field(
        (1e-4, 2.5e-3), description="density of passing axons and dendrites of neurons elsewhere, log"
    )
    fibre_um: PositiveRange = Field((0.08, 0.5), description="their radius, log")
    fibre_length_um: PositiveRange = Field((15.0, 80.0), description="their length")
    fibre_bend: Range = Field((0.2, 0.8), description="how strongly they turn")
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


def neurons(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: NeuronsBounds) -> FloatArray:
    """Labelled neurons: somata with dim nuclei, branching dendrites, often spiny, thin axons with swellings, puncta.

    Brightness varies from cell to cell, so that dim neurites pass beside bright somata.
    """
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    _add_cells(rng, density, spacing_um, field_um, bounds)
    fibres = float(log_uniform(rng, bounds.fibres_per_um3) * np.prod(field_um + 2 * MARGIN_UM))
    _add_fibres(rng, density, spacing_um, int(np.clip(fibres, *FIBRES)), bounds)
    if rng.random() < bounds.puncta_chance:
        count = int(min(1 + log_uniform(rng, bounds.puncta_per_um3) * field_um.prod(), MAX_PUNCTA))
        radii = rng.uniform(*bounds.punctum_um, count)
        centres, bright = starts(rng, field_um, count), rng.uniform(*bounds.punctum_brightness, count)
        draw_balls(density, spacing_um, centres, radii, bright)
    return density


def _add_cells(
    rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, field_um: DoubleArray, bounds: NeuronsBounds
) -> None:
    expected = np.prod(field_um + 2 * MARGIN_UM) / log_uniform(rng, bounds.um3_per_neuron)
    centres = starts(rng, field_um, int(np.clip(rng.poisson(expected), 0, MAX_NEURONS)), MARGIN_UM)
    if len(centres) == 0:
        return
    radii, brightness = rng.uniform(*bounds.soma_um, len(centres)), log_uniform(rng, bounds.brightness, len(centres))
    z, y, x = density.shape
    texture = np.exp(np.float32(SOMA_CONTRAST) * smooth_noise(rng, (z, y, x), spacing_um, SOMA_GRAIN_UM))
    for centre, radius, bright in zip(centres, radii, brightness, strict=True):
        add_soma(rng, density, texture, spacing_um, centre, radius, bright, bounds)
    stems = _stems(rng, centres, radii, brightness, bounds.dendrites, bounds.dendrite_um, bounds)
    growth = Growth(
        bounds.dendrite_length_um,
        levels=LEVELS,
        forks=bounds.dendrite_forks,
        taper=bounds.dendrite_taper,
        fork_radius=bounds.fork_radius,
        bend=0.5,
    )
    trees = grow(rng, spacing_um, stems, growth)
    if rng.random() < bounds.apical_chance:
        stems = _stems(rng, centres, radii, brightness, (1, 1), bounds.apical_um, bounds)
        up = directions(rng, 1) + 0.15 * rng.standard_normal((len(centres), 3))
        up /= np.linalg.norm(up, axis=1, keepdims=True)
        stems = Stems(centres + 0.8 * radii[:, None] * up, up, stems.radius_um, brightness)
        growth = Growth(
            bounds.apical_length_um,
            levels=LEVELS,
            forks=bounds.apical_forks,
            taper=bounds.apical_taper,
            fork_radius=bounds.fork_radius,
            bend=0.15,
            shrink=0.5,
        )
        trees += grow(rng, spacing_um, stems, growth)
    spiny = rng.random() < bounds.spine_chance
    for tubes in trees:
        draw_tubes(density, spacing_um, tubes)
        if spiny:
            _add_spines(rng, density, spacing_um, tubes, bounds)


def _stems(
    rng: np.random.Generator,
    centres_um: DoubleArray,
    radii_um: DoubleArray,
    brightness: DoubleArray,
    number: tuple[int, int],
    radius_um: tuple[float, float],
    bounds: NeuronsBounds,
) -> Stems:
    """Roots of processes on the surface of each soma."""
    cell = np.repeat(np.arange(len(centres_um)), rng.integers(*number, len(centres_um), endpoint=True))
    direction = directions(rng, len(cell))
    start = centres_um[cell] + 0.7 * radii_um[cell, None] * direction
    dimmer = rng.uniform(*bounds.dendrite_brightness, len(cell))
    return Stems(start, direction, log_uniform(rng, radius_um, len(cell)), brightness[cell] * dimmer)


def add_soma(
    rng: np.random.Generator,
    density: FloatArray,
    texture: FloatArray,
    spacing_um: Spacing,
    centre_um: DoubleArray,
    radius_um: float,
    brightness: float,
    bounds: CellBounds,
) -> None:
    """Draw a cell body with a dim nucleus; ``texture`` is its cytoplasm's, over the whole field."""
    box = box_around(density.shape, spacing_um, centre_um, 1.5 * radius_um)
    if box is None:
        return
    semi_um = radius_um * rng.uniform(*bounds.soma_stretch, 3)
    body = distance(rng, box, spacing_um, centre_um, semi_um, bounds)
    semi_um = np.full(3, radius_um * rng.uniform(*bounds.nucleus_radius))
    nucleus = distance(rng, box, spacing_um, centre_um, semi_um, bounds)
    edge = np.float32(max(SOMA_EDGE_UM, spacing_um[1]) / radius_um)
    hole = np.float32(rng.uniform(*bounds.nucleus_loss)) * np.clip((1 - nucleus) / np.float32(0.2), 0, 1)
    profile = np.float32(brightness) * np.clip((1 - body) / edge + np.float32(0.5), 0, 1) * (1 - hole) * texture[box]
    density[box] = np.maximum(density[box], profile)


def _add_fibres(
    rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, count: int, bounds: NeuronsBounds
) -> None:
    """Draw thin passing fibres, in most samples with swellings."""
    field_um = np.array(density.shape) * spacing_um
    length = rng.uniform(*bounds.fibre_length_um, count)
    begin = starts(rng, field_um, count, MARGIN_UM)
    begin[: FIBRES[0] // 2] = starts(rng, field_um, FIBRES[0] // 2)  # a small field shows some, too
    away = directions(rng, count, flat=0.7)
    path = run(rng, spacing_um, begin, away, length, rng.uniform(*bounds.fibre_bend), 5.0)
    count = len(path)
    thick = log_uniform(rng, bounds.fibre_um, count)[:, None] * np.ones(path.shape[1])
    if rng.random() < bounds.varicosity_chance:
        along = np.linspace(0, 1, path.shape[1]) * length[:count, None]
        gap = rng.uniform(*bounds.varicosity_gap_um, (count, 1))
        phase = (along / gap + rng.uniform(0, 1, (count, 1)) + 0.15 * np.sin(along / 2.3)) % 1 - 0.5
        swelling = np.exp(-0.5 * (phase * gap / VARICOSITY_LENGTH_UM) ** 2)
        thick *= 1 + (rng.uniform(*bounds.varicosity_size, (count, 1)) - 1) * swelling
    bright = log_uniform(rng, bounds.fibre_brightness, count)
    draw_tubes(density, spacing_um, Tubes(path, np.minimum(thick, 0.8), bright))


def _add_spines(
    rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, dendrites: Tubes, bounds: NeuronsBounds
) -> None:
    """Draw spines: a thin neck and a round head beside points of the dendrites."""
    count, points = dendrites.radii_um.shape
    total_um = np.linalg.norm(np.diff(dendrites.path_um, axis=1), axis=2).sum()
    spines = int(min(total_um / rng.uniform(*bounds.spine_gap_um), MAX_SPINES))
    dendrite, at = rng.integers(0, count, spines), rng.integers(0, points, spines)
    root, radius = dendrites.path_um[dendrite, at], dendrites.radii_um[dendrite, at]
    reach = radius + rng.uniform(*bounds.spine_length_um, spines)
    head = root + reach[:, None] * directions(rng, spines)
    inside = np.all((head > 0) & (head < np.array(density.shape) * spacing_um), axis=1)
    root, head, bright = root[inside], head[inside], dendrites.brightness[dendrite][inside]
    points = int(np.clip(np.ceil(3 / (0.5 * min(spacing_um))), 4, 60))
    path = root[:, None] + np.linspace(0, 1, points)[None, :, None] * (head - root)[:, None]
    draw_tubes(density, spacing_um, Tubes(path, np.full(path.shape[:2], SPINE_NECK_UM), bright))
    draw_balls(density, spacing_um, head, rng.uniform(*bounds.spine_head_um, len(head)), bright)
