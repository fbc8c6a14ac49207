"""Puncta: vesicles, synapses, spots of single molecules."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import CountRange, PositiveRange, Range, Share, ShareRange
from napari_deep3d.core.simulation.samples.noise import log_uniform
from napari_deep3d.core.simulation.samples.paths import directions, run, starts
from napari_deep3d.core.simulation.samples.rasterize import draw_balls
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing

COUNT = (30, 120_000)
"""Fewest and most spots."""
MAX_BODIES = 400


class PunctaBounds(Config):
    """Bounds of the random choices in samples of puncta."""

    radius_um: PositiveRange = Field((0.05, 0.5), description="radius of a sample's spots, log; each is cut to this")
    size_spread: Range = Field((0.0, 0.4), description="standard deviation of the logarithm of a sample's radii")
    brightness_spread: Range = Field((0.1, 1.0), description="the same of their brightness")
    per_um3: PositiveRange = Field((5e-3, 0.6), description="density of spots, log")
    max_filling: Share = Field(0.1, description="share of the field that spots fill at most")
    stray: ShareRange = Field((0.0, 0.3), description="share of the spots that lie anywhere")
    cluster_um: PositiveRange = Field((0.5, 6.0), description="standard deviation of the places in a cluster")
    per_cluster: CountRange = Field((5, 99), description="spots in a cluster")
    body_um: PositiveRange = Field((3.0, 10.0), description="semi-axes of unseen cells on whose surface spots lie")
    um3_per_body: PositiveRange = Field((2_000.0, 20_000.0), description="volume per unseen cell, log")
    course_length_um: PositiveRange = Field((20.0, 60.0), description="length of unseen neurites along which spots lie")
    per_course: CountRange = Field((10, 59), description="spots on a neurite")


def puncta(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: PunctaBounds) -> FloatArray:
    """Round spots, evenly spread, in clusters, on the surface of unseen cells or along unseen neurites."""
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    radius = float(log_uniform(rng, bounds.radius_um))
    density_um3 = min(float(log_uniform(rng, bounds.per_um3)), bounds.max_filling / (4 / 3 * np.pi * radius**3))
    count = int(np.clip(density_um3 * field_um.prod(), *COUNT))
    places = (_even, _clustered, _on_bodies, _along_courses)[rng.integers(4)]
    centres = places(rng, field_um, count, bounds)
    stray = rng.random(len(centres)) < rng.uniform(*bounds.stray)
    stray[0] = True  # the first one is well inside the field
    centres[stray] = starts(rng, field_um, int(stray.sum()))
    radii = radius * np.exp(rng.uniform(*bounds.size_spread) * rng.standard_normal(len(centres)))
    bright = np.exp(rng.uniform(*bounds.brightness_spread) * rng.standard_normal(len(centres)))
    draw_balls(density, spacing_um, centres, np.clip(radii, *bounds.radius_um), bright)
    return density


def _even(rng: np.random.Generator, field_um: DoubleArray, count: int, _bounds: PunctaBounds) -> DoubleArray:
    return starts(rng, field_um, count)


def _clustered(rng: np.random.Generator, field_um: DoubleArray, count: int, bounds: PunctaBounds) -> DoubleArray:
    middles = starts(rng, field_um, max(1, count // int(rng.integers(*bounds.per_cluster, endpoint=True))))
    spread = rng.uniform(*bounds.cluster_um) * rng.standard_normal((count, 3))
    return np.asarray(middles[rng.integers(0, len(middles), count)] + spread)


def _on_bodies(rng: np.random.Generator, field_um: DoubleArray, count: int, bounds: PunctaBounds) -> DoubleArray:
    bodies = int(np.clip(np.prod(field_um + 10.0) / log_uniform(rng, bounds.um3_per_body), 1, MAX_BODIES))
    middles, semi = starts(rng, field_um, bodies, 5.0), rng.uniform(*bounds.body_um, (bodies, 3))
    body = rng.integers(0, bodies, count)
    return np.asarray(middles[body] + semi[body] * directions(rng, count))


def _along_courses(rng: np.random.Generator, field_um: DoubleArray, count: int, bounds: PunctaBounds) -> DoubleArray:
    courses = max(1, count // int(rng.integers(*bounds.per_course, endpoint=True)))
    length = rng.uniform(*bounds.course_length_um, courses)
    step = (1.0, 1.0, 1.0)  # um; spots need no finer course
    path = run(rng, step, starts(rng, field_um, courses, 5.0), directions(rng, courses, 0.7), length, 0.5, 5.0)
    which, at = rng.integers(0, len(path), count), rng.integers(0, path.shape[1], count)
    return np.asarray(path[which, at] + 0.3 * rng.standard_normal((count, 3)))
