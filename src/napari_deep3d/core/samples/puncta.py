"""Puncta: vesicles, synapses, spots of single molecules."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.samples.courses import directions, run, starts
from napari_deep3d.core.samples.drawing import draw_balls
from napari_deep3d.core.samples.noise import Array, Floats, log_uniform
from napari_deep3d.core.volume import Shape, Spacing

RADIUS_UM = (0.05, 0.5)
SIZE_SPREAD = (0.0, 0.4)
"""Standard deviation of the logarithm of the radii in a sample."""
BRIGHTNESS_SPREAD = (0.1, 1.0)
"""The same of the brightness."""
PER_UM3 = (5e-3, 0.6)
COUNT = (30, 120_000)
MAX_FILLING = 0.1
"""Share of the field that spots fill at most."""
CLUSTER_UM, PER_CLUSTER = (0.5, 6.0), (5, 100)
BODY_UM, UM3_PER_BODY, MAX_BODIES = (3.0, 10.0), (2_000.0, 20_000.0), 400
"""Cells on whose invisible surface spots lie: semi-axes, density."""
COURSE_LENGTH_UM, PER_COURSE = (20.0, 60.0), (10, 60)
"""Invisible neurites along which spots lie."""


def puncta(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Round spots, evenly spread, in clusters, on the surface of unseen cells or along unseen neurites."""
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    radius = float(log_uniform(rng, RADIUS_UM))
    density_um3 = min(float(log_uniform(rng, PER_UM3)), MAX_FILLING / (4 / 3 * np.pi * radius**3))
    count = int(np.clip(density_um3 * field_um.prod(), *COUNT))
    places = (_even, _clustered, _on_bodies, _along_courses)[rng.integers(4)]
    centres = places(rng, field_um, count)
    stray = rng.random(len(centres)) < rng.uniform(0, 0.3)
    stray[0] = True  # the first one is well inside the field
    centres[stray] = starts(rng, field_um, int(stray.sum()))
    radii = radius * np.exp(rng.uniform(*SIZE_SPREAD) * rng.standard_normal(len(centres)))
    bright = np.exp(rng.uniform(*BRIGHTNESS_SPREAD) * rng.standard_normal(len(centres)))
    draw_balls(density, spacing_um, centres, np.clip(radii, *RADIUS_UM), bright)
    return density


def _even(rng: np.random.Generator, field_um: Floats, count: int) -> Floats:
    return starts(rng, field_um, count)


def _clustered(rng: np.random.Generator, field_um: Floats, count: int) -> Floats:
    middles = starts(rng, field_um, max(1, count // int(rng.integers(*PER_CLUSTER))))
    spread = rng.uniform(*CLUSTER_UM) * rng.standard_normal((count, 3))
    return np.asarray(middles[rng.integers(0, len(middles), count)] + spread)


def _on_bodies(rng: np.random.Generator, field_um: Floats, count: int) -> Floats:
    bodies = int(np.clip(np.prod(field_um + 10.0) / log_uniform(rng, UM3_PER_BODY), 1, MAX_BODIES))
    middles, semi = starts(rng, field_um, bodies, 5.0), rng.uniform(*BODY_UM, (bodies, 3))
    body = rng.integers(0, bodies, count)
    return np.asarray(middles[body] + semi[body] * directions(rng, count))


def _along_courses(rng: np.random.Generator, field_um: Floats, count: int) -> Floats:
    courses = max(1, count // int(rng.integers(*PER_COURSE)))
    length = rng.uniform(*COURSE_LENGTH_UM, courses)
    step = (1.0, 1.0, 1.0)  # um; spots need no finer course
    path = run(rng, step, starts(rng, field_um, courses, 5.0), directions(rng, courses, 0.7), length, 0.5, 5.0)
    which, at = rng.integers(0, len(path), count), rng.integers(0, path.shape[1], count)
    return np.asarray(path[which, at] + 0.3 * rng.standard_normal((count, 3)))
