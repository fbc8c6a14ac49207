"""Stained cell nuclei."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_deep3d.core.samples.blobs import box_around, distance
from napari_deep3d.core.samples.courses import starts
from napari_deep3d.core.samples.noise import Array, Floats, log_uniform, smooth_noise
from napari_deep3d.core.volume import Shape, Spacing

RADIUS_UM = (2.0, 7.0)
SEMI_UM = (1.2, 11.0)
"""Bounds of every semi-axis."""
FLATTENING = (1.0, 3.0)
ELONGATION = (1.0, 2.2)
ELONGATED_CHANCE = 0.35
"""Share of the samples whose nuclei are elongated."""
FILLING = (0.03, 0.9)
"""Number of nuclei in that of closely packed ones."""
MAX_NUCLEI = 700
MARGIN_RADII = 0.5
"""Nuclei may lie so far outside the field, in radii."""
SINGLE_CHANCE, SINGLE_ROOM = 0.15, 60.0
"""A single nucleus: share of the samples whose field holds no more than so many nuclei."""
CLUSTER_CHANCE = 0.35
PER_CLUSTER = (3, 25)
OVERLAP = (0.01, 0.3)
"""Share of a nucleus that may lie in others; beyond it, the nucleus is left out."""
BRIGHTNESS = (0.15, 1.0)
EVEN_CHANCE = 0.3
"""Share of the samples whose nuclei are about equally bright."""
DENT_GRAIN_UM = (1.5, 3.5)
DENT = (0.0, 0.16)
"""Standard deviation of the dents and lobes, in radii."""
FINE_GRAIN_UM, COARSE_GRAIN_UM = (0.15, 0.5), (0.5, 1.5)
CONTRAST = (0.1, 0.6)
"""Standard deviation of the logarithm of the chromatin's density, for each of both grain sizes."""
SPOT_GRAIN_UM = (0.25, 0.5)
SPOT_CHANCE, SPOT_STRENGTH = 0.4, (0.5, 2.0)
"""Heterochromatin spots (chromocentres): share of the samples that show them; density above the rest's."""
RIM_CHANCE, RIM_STRENGTH, RIM_WIDTH_UM = 0.5, (0.2, 1.2), (0.15, 0.4)
"""Heterochromatin under the envelope: share of the nuclei, density above the rest's, depth."""
MAX_NUCLEOLI, NUCLEOLUS_RADIUS, NUCLEOLUS_LOSS = 4, (0.12, 0.3), (0.4, 0.95)
"""Nucleoli: how many at most; radius in the smallest semi-axis; share of the density that they lack."""
MITOSIS_CHANCE = (0.0, 0.08)
PLATE_UM, PLATE_RADIUS, PLATE_GAP_UM = (0.6, 1.1), (0.6, 1.0), (1.5, 4.0)
"""Chromosomes in mitosis: half the thickness of a plate; its radius in that of a nucleus; half the gap of two."""
PLATE_BRIGHTNESS = (1.0, 1.8)


@dataclass(frozen=True)
class _Look:
    """What all nuclei of a sample share; arrays have axes (Z, Y, X) over the field."""

    texture: Array
    dents: Array
    radius_um: float
    flattening: float
    elongation: float
    overlap: float
    brightness: tuple[float, float]
    mitosis: float


def nuclei(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Stained cell nuclei: flat, elongated or lobed bodies with chromatin, nucleoli and bright rims; some in mitosis.

    Their number ranges from one to dense tissue; they lie evenly or in clusters that touch; their brightness varies.
    """
    density = np.zeros(shape, dtype=np.float32)
    look = _draw_look(rng, shape, spacing_um)
    for centre in _centres(rng, np.array(shape) * spacing_um, look.radius_um):
        if rng.random() < look.mitosis:
            _add_mitosis(rng, density, look, spacing_um, centre)
        else:
            _add_nucleus(rng, density, look, spacing_um, centre)
    return density


def chromatin(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Positive random texture: grains of two sizes, contrast random, often spots; mean 1, axes (Z, Y, X)."""
    log_density = np.zeros(shape, dtype=np.float32)
    for bounds in (FINE_GRAIN_UM, COARSE_GRAIN_UM):
        log_density += np.float32(rng.uniform(*CONTRAST)) * smooth_noise(rng, shape, spacing_um, rng.uniform(*bounds))
    texture = np.exp(log_density)
    if rng.random() < SPOT_CHANCE:
        spots = smooth_noise(rng, shape, spacing_um, rng.uniform(*SPOT_GRAIN_UM))
        texture *= 1 + np.float32(rng.uniform(*SPOT_STRENGTH)) * np.clip(spots - 1.2, 0, 1.2)
    return np.asarray(texture / texture.mean(dtype=np.float64), dtype=np.float32)


def _draw_look(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> _Look:
    dents = smooth_noise(rng, shape, spacing_um, rng.uniform(*DENT_GRAIN_UM))
    dents *= np.float32(rng.uniform(*DENT))
    even = rng.random() < EVEN_CHANCE
    return _Look(
        texture=chromatin(rng, shape, spacing_um),
        dents=1 + np.clip(dents, -0.35, 0.35),
        radius_um=rng.uniform(*RADIUS_UM),
        flattening=rng.uniform(*FLATTENING),
        elongation=rng.uniform(*ELONGATION) if rng.random() < ELONGATED_CHANCE else 1.0,
        overlap=rng.uniform(*OVERLAP),
        brightness=(0.7 * BRIGHTNESS[1], BRIGHTNESS[1]) if even else BRIGHTNESS,
        mitosis=rng.uniform(*MITOSIS_CHANCE),
    )


def _centres(rng: np.random.Generator, field_um: Floats, radius_um: float) -> Floats:
    """Centres (N, 3) in um: a single one, evenly spread ones, or clusters."""
    margin = MARGIN_RADII * radius_um
    room = np.prod(field_um + 2 * margin) / (4 * radius_um**3)
    if room < SINGLE_ROOM and rng.random() < SINGLE_CHANCE:
        return starts(rng, field_um, 1)
    count = int(np.clip(rng.uniform(*FILLING) * room, 1, MAX_NUCLEI))
    centres = starts(rng, field_um, count, margin)
    if count > 2 and rng.random() < CLUSTER_CHANCE:
        per_cluster = int(rng.integers(*PER_CLUSTER))
        middles = starts(rng, field_um, max(1, count // per_cluster))
        spread = 1.1 * radius_um * per_cluster ** (1 / 3) * rng.standard_normal((count, 3))
        centres[1:] = middles[rng.integers(0, len(middles), count)][1:] + spread[1:]
    return centres


def _add_nucleus(rng: np.random.Generator, density: Array, look: _Look, spacing_um: Spacing, centre_um: Floats) -> None:
    semi = look.radius_um * rng.uniform(0.75, 1.3, 3) * (1 / look.flattening, 1, look.elongation)
    semi = np.clip(semi, *SEMI_UM)
    box = box_around(density.shape, spacing_um, centre_um, 1.4 * float(semi.max()))
    if box is None:
        return
    from_centre = distance(rng, box, spacing_um, centre_um, semi) * look.dents[box]
    inside = _edge(from_centre, float(semi.min()), spacing_um)
    if not _fits(density[box], inside, look.overlap):
        return
    profile = inside * look.texture[box]
    if rng.random() < RIM_CHANCE:
        depth = (1 - from_centre) * np.float32(semi.min() / rng.uniform(*RIM_WIDTH_UM))
        profile *= 1 + np.float32(rng.uniform(*RIM_STRENGTH)) * np.exp(-(depth**2))
    profile *= np.float32(log_uniform(rng, look.brightness))
    density[box] = np.maximum(density[box], profile)
    for _ in range(rng.integers(0, MAX_NUCLEOLI + 1)):
        _add_nucleolus(rng, density, spacing_um, centre_um + rng.uniform(-0.5, 0.5, 3) * semi, float(semi.min()))


def _edge(from_centre: Array, smallest_um: float, spacing_um: Spacing) -> Array:
    """1 inside, 0 outside; the step is as wide as a lateral voxel, which covers it in part."""
    width = np.float32(np.clip(spacing_um[1] / smallest_um, 0.05, 0.5))
    return np.asarray(np.clip((1 - from_centre) / width + np.float32(0.5), 0, 1), dtype=np.float32)


def _fits(standing: Array, inside: Array, overlap: float) -> bool:
    """Whether a body lies in others by no more than the share ``overlap``."""
    body = inside > 0.5
    return bool(np.count_nonzero(standing[body] > 0.02) <= overlap * np.count_nonzero(body))


def _add_nucleolus(
    rng: np.random.Generator, density: Array, spacing_um: Spacing, centre_um: Floats, smallest_um: float
) -> None:
    radius = rng.uniform(*NUCLEOLUS_RADIUS) * smallest_um
    box = box_around(density.shape, spacing_um, centre_um, 1.4 * radius)
    if box is not None:
        hole = distance(rng, box, spacing_um, centre_um, np.full(3, radius))
        density[box] *= 1 - np.float32(rng.uniform(*NUCLEOLUS_LOSS)) * np.clip((1.2 - hole) / np.float32(0.3), 0, 1)


def _add_mitosis(rng: np.random.Generator, density: Array, look: _Look, spacing_um: Spacing, centre_um: Floats) -> None:
    """Chromosomes on one plate (metaphase) or on two that part (anaphase)."""
    flat = look.radius_um * rng.uniform(*PLATE_RADIUS)
    semi = np.array((rng.uniform(*PLATE_UM), flat, flat * rng.uniform(0.7, 1.0)))
    lean = rng.uniform(0, np.pi)
    box = box_around(density.shape, spacing_um, centre_um, 1.3 * flat + PLATE_GAP_UM[1])
    if box is None:
        return
    gap = rng.uniform(*PLATE_GAP_UM) if rng.random() < 0.5 else 0.0
    seed = int(rng.integers(2**32))
    brightness = np.float32(rng.uniform(*PLATE_BRIGHTNESS))
    for side in (-gap, gap) if gap else (0.0,):
        own = np.random.default_rng(seed)  # both plates are turned alike
        angle = np.random.default_rng(seed).uniform(0, np.pi)
        axis = np.array((np.cos(lean), -np.sin(lean) * np.sin(angle), -np.sin(lean) * np.cos(angle)))
        body = distance(own, box, spacing_um, centre_um + side * axis, semi, tilt=lean) * look.dents[box] ** 2
        plate = _edge(body, float(semi.min()), spacing_um) * np.sqrt(look.texture[box]) * brightness
        density[box] = np.maximum(density[box], plate)
