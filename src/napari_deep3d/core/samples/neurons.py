"""Labelled neurons."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.samples.blobs import box_around, distance
from napari_deep3d.core.samples.courses import Growth, Stems, directions, grow, run, starts
from napari_deep3d.core.samples.drawing import Tubes, draw_balls, draw_tubes
from napari_deep3d.core.samples.noise import Array, Floats, log_uniform, smooth_noise
from napari_deep3d.core.volume import Shape, Spacing

UM3_PER_NEURON = (8_000.0, 300_000.0)
MAX_NEURONS, MARGIN_UM = 60, 10.0
"""Neurons drawn at most; how far outside the field some of them lie."""
SOMA_UM = (3.0, 8.0)
SOMA_EDGE_UM = 0.15
SOMA_CONTRAST, SOMA_GRAIN_UM = 0.2, 0.35
"""Cytoplasm: standard deviation of the logarithm of its density, and its grain."""
NUCLEUS_RADIUS, NUCLEUS_LOSS = (0.4, 0.65), (0.2, 0.8)
"""The dim nucleus: its radius in the soma's; the share of the soma's density that it lacks."""
BRIGHTNESS = (0.15, 1.0)
DENDRITES, DENDRITE_UM = (3, 7), (0.3, 1.0)
"""Basal dendrites: their number and radius."""
DENDRITE_GROWTH = Growth(length_um=(15.0, 50.0), levels=2, taper=(0.4, 0.8), bend=0.5)
APICAL_CHANCE, APICAL_UM = 0.5, (0.7, 2.0)
"""Share of the samples with apical dendrites, all roughly parallel; their radius."""
APICAL_GROWTH = Growth(length_um=(40.0, 120.0), levels=2, forks=(2, 5), taper=(0.4, 0.7), bend=0.15, shrink=0.5)
FIBRES_PER_UM3, FIBRE_UM, FIBRE_LENGTH_UM = (1e-4, 2.5e-3), (0.08, 0.5), (15.0, 80.0)
"""Passing axons and dendrites of neurons elsewhere."""
FIBRES = (8, 2500)
"""Bounds of their number."""
FIBRE_BRIGHTNESS = (0.1, 1.0)
VARICOSITY_CHANCE, VARICOSITY_GAP_UM, VARICOSITY_SIZE = 0.6, (2.5, 8.0), (1.5, 4.0)
"""Swellings of axons: share of the samples, distance, radius in that of the axon."""
VARICOSITY_LENGTH_UM = 0.5
SPINE_CHANCE, SPINE_GAP_UM, SPINE_LENGTH_UM = 0.5, (0.6, 3.0), (0.5, 1.8)
SPINE_HEAD_UM, SPINE_NECK_UM = (0.12, 0.35), 0.07
MAX_SPINES = 4000
PUNCTA_CHANCE, PUNCTA_PER_UM3, PUNCTUM_UM = 0.4, (5e-4, 3e-2), (0.1, 0.3)
MAX_PUNCTA = 100_000


def neurons(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Labelled neurons: somata with dim nuclei, branching dendrites, often spiny, thin axons with swellings, puncta.

    Brightness varies from cell to cell, so that dim neurites pass beside bright somata.
    """
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    _add_cells(rng, density, spacing_um, field_um)
    fibres = float(log_uniform(rng, FIBRES_PER_UM3) * np.prod(field_um + 2 * MARGIN_UM))
    add_fibres(rng, density, spacing_um, int(np.clip(fibres, *FIBRES)))
    if rng.random() < PUNCTA_CHANCE:
        count = int(min(1 + log_uniform(rng, PUNCTA_PER_UM3) * field_um.prod(), MAX_PUNCTA))
        radii = rng.uniform(*PUNCTUM_UM, count)
        draw_balls(density, spacing_um, starts(rng, field_um, count), radii, rng.uniform(0.1, 1.0, count))
    return density


def _add_cells(rng: np.random.Generator, density: Array, spacing_um: Spacing, field_um: Floats) -> None:
    expected = np.prod(field_um + 2 * MARGIN_UM) / log_uniform(rng, UM3_PER_NEURON)
    centres = starts(rng, field_um, int(np.clip(rng.poisson(expected), 0, MAX_NEURONS)), MARGIN_UM)
    if len(centres) == 0:
        return
    radii, brightness = rng.uniform(*SOMA_UM, len(centres)), log_uniform(rng, BRIGHTNESS, len(centres))
    z, y, x = density.shape
    texture = np.exp(np.float32(SOMA_CONTRAST) * smooth_noise(rng, (z, y, x), spacing_um, SOMA_GRAIN_UM))
    for centre, radius, bright in zip(centres, radii, brightness, strict=True):
        add_soma(rng, density, texture, spacing_um, centre, radius, bright)
    trees = grow(rng, spacing_um, _stems(rng, centres, radii, brightness, DENDRITES, DENDRITE_UM), DENDRITE_GROWTH)
    if rng.random() < APICAL_CHANCE:
        stems = _stems(rng, centres, radii, brightness, (1, 1), APICAL_UM)
        up = directions(rng, 1) + 0.15 * rng.standard_normal((len(centres), 3))
        up /= np.linalg.norm(up, axis=1, keepdims=True)
        stems = Stems(centres + 0.8 * radii[:, None] * up, up, stems.radius_um, brightness)
        trees += grow(rng, spacing_um, stems, APICAL_GROWTH)
    spiny = rng.random() < SPINE_CHANCE
    for tubes in trees:
        draw_tubes(density, spacing_um, tubes)
        if spiny:
            _add_spines(rng, density, spacing_um, tubes)


def _stems(
    rng: np.random.Generator,
    centres_um: Floats,
    radii_um: Floats,
    brightness: Floats,
    number: tuple[int, int],
    radius_um: tuple[float, float],
) -> Stems:
    """Roots of processes on the surface of each soma."""
    cell = np.repeat(np.arange(len(centres_um)), rng.integers(number[0], number[1] + 1, len(centres_um)))
    direction = directions(rng, len(cell))
    start = centres_um[cell] + 0.7 * radii_um[cell, None] * direction
    dimmer = rng.uniform(0.5, 1.0, len(cell))
    return Stems(start, direction, log_uniform(rng, radius_um, len(cell)), brightness[cell] * dimmer)


def add_soma(
    rng: np.random.Generator,
    density: Array,
    texture: Array,
    spacing_um: Spacing,
    centre_um: Floats,
    radius_um: float,
    brightness: float,
) -> None:
    """Draw a cell body with a dim nucleus; ``texture`` is its cytoplasm's, over the whole field."""
    box = box_around(density.shape, spacing_um, centre_um, 1.5 * radius_um)
    if box is None:
        return
    body = distance(rng, box, spacing_um, centre_um, radius_um * rng.uniform(0.7, 1.3, 3))
    nucleus = distance(rng, box, spacing_um, centre_um, np.full(3, radius_um * rng.uniform(*NUCLEUS_RADIUS)))
    edge = np.float32(max(SOMA_EDGE_UM, spacing_um[1]) / radius_um)
    hole = np.float32(rng.uniform(*NUCLEUS_LOSS)) * np.clip((1 - nucleus) / np.float32(0.2), 0, 1)
    profile = np.float32(brightness) * np.clip((1 - body) / edge + np.float32(0.5), 0, 1) * (1 - hole) * texture[box]
    density[box] = np.maximum(density[box], profile)


def add_fibres(rng: np.random.Generator, density: Array, spacing_um: Spacing, count: int) -> None:
    """Draw thin passing fibres, in most samples with swellings."""
    field_um = np.array(density.shape) * spacing_um
    length = rng.uniform(*FIBRE_LENGTH_UM, count)
    begin = starts(rng, field_um, count, MARGIN_UM)
    begin[: FIBRES[0] // 2] = starts(rng, field_um, FIBRES[0] // 2)  # a small field shows some, too
    path = run(rng, spacing_um, begin, directions(rng, count, flat=0.7), length, rng.uniform(0.2, 0.8), 5.0)
    count = len(path)
    thick = log_uniform(rng, FIBRE_UM, count)[:, None] * np.ones(path.shape[1])
    if rng.random() < VARICOSITY_CHANCE:
        along = np.linspace(0, 1, path.shape[1]) * length[:count, None]
        gap = rng.uniform(*VARICOSITY_GAP_UM, (count, 1))
        phase = (along / gap + rng.uniform(0, 1, (count, 1)) + 0.15 * np.sin(along / 2.3)) % 1 - 0.5
        swelling = np.exp(-0.5 * (phase * gap / VARICOSITY_LENGTH_UM) ** 2)
        thick *= 1 + (rng.uniform(*VARICOSITY_SIZE, (count, 1)) - 1) * swelling
    draw_tubes(density, spacing_um, Tubes(path, np.minimum(thick, 0.8), log_uniform(rng, FIBRE_BRIGHTNESS, count)))


def _add_spines(rng: np.random.Generator, density: Array, spacing_um: Spacing, dendrites: Tubes) -> None:
    """Draw spines: a thin neck and a round head beside points of the dendrites."""
    count, points = dendrites.radii_um.shape
    total_um = np.linalg.norm(np.diff(dendrites.path_um, axis=1), axis=2).sum()
    spines = int(min(total_um / rng.uniform(*SPINE_GAP_UM), MAX_SPINES))
    dendrite, at = rng.integers(0, count, spines), rng.integers(0, points, spines)
    root, radius = dendrites.path_um[dendrite, at], dendrites.radii_um[dendrite, at]
    reach = radius + rng.uniform(*SPINE_LENGTH_UM, spines)
    head = root + reach[:, None] * directions(rng, spines)
    inside = np.all((head > 0) & (head < np.array(density.shape) * spacing_um), axis=1)
    root, head, bright = root[inside], head[inside], dendrites.brightness[dendrite][inside]
    points = int(np.clip(np.ceil(3 / (0.5 * min(spacing_um))), 4, 60))
    path = root[:, None] + np.linspace(0, 1, points)[None, :, None] * (head - root)[:, None]
    draw_tubes(density, spacing_um, Tubes(path, np.full(path.shape[:2], SPINE_NECK_UM), bright))
    draw_balls(density, spacing_um, head, rng.uniform(*SPINE_HEAD_UM, len(head)), bright)
