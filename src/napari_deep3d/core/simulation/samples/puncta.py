"""Puncta: vesicles, synapses, spots of single molecules."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.simulation.bounds import (
    Bounds,
    CountRange,
    NonNegative,
    Positive,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, directions, wander

COUNT = (30, 120_000)
"""Fewest and most spots."""
MAX_BODIES = 400
PATH_GRID_UM = 1.0
"""Voxels for which the points of unseen neurites are close enough."""


class PunctaBounds(Bounds):
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
    course_flatness: Share = Field(0.7, description="below 1, neurites turn towards the plane")
    course_bend: NonNegative = Field(0.5, description="how strongly neurites turn")
    course_persistence_um: Positive = Field(5.0, description="distance between turns of neurites")
    course_width_um: NonNegative = Field(
        0.3, description="standard deviation of the spots' distance from their neurite"
    )


def draw_puncta(canvas: Canvas, bounds: PunctaBounds) -> None:
    """Round spots, evenly spread, in clusters, on the surface of unseen cells or along unseen neurites."""
    rng, field_um = canvas.rng, canvas.field_um
    radius = float(log_uniform(rng, bounds.radius_um))
    per_um3 = min(float(log_uniform(rng, bounds.per_um3)), bounds.max_filling / (4 / 3 * np.pi * radius**3))
    count = int(np.clip(per_um3 * field_um.prod(), *COUNT))

    # 1. Their places (count, 3) in um.
    arrangement = ("evenly", "in clusters", "on cells", "along neurites")[rng.integers(4)]
    if arrangement == "evenly":
        centres = canvas.places(count)
    elif arrangement == "in clusters":
        middles = canvas.places(max(1, count // int(rng.integers(*bounds.per_cluster, endpoint=True))))
        spread = rng.uniform(*bounds.cluster_um) * rng.standard_normal((count, 3))
        centres = middles[rng.integers(0, len(middles), count)] + spread
    elif arrangement == "on cells":
        cells = int(np.clip(np.prod(field_um + 10.0) / log_uniform(rng, bounds.um3_per_body), 1, MAX_BODIES))
        middles, semi_um = canvas.places(cells, 5.0), rng.uniform(*bounds.body_um, (cells, 3))
        cell = rng.integers(0, cells, count)
        centres = middles[cell] + semi_um[cell] * directions(rng, count)
    else:
        neurites = max(1, count // int(rng.integers(*bounds.per_course, endpoint=True)))
        length = rng.uniform(*bounds.course_length_um, neurites)
        begin, away = canvas.places(neurites, 5.0), directions(rng, neurites, bounds.course_flatness)
        path = wander(rng, PATH_GRID_UM, begin, away, length, bounds.course_bend, bounds.course_persistence_um)
        which, at = rng.integers(0, len(path), count), rng.integers(0, path.shape[1], count)
        centres = path[which, at] + bounds.course_width_um * rng.standard_normal((count, 3))
    stray = rng.random(count) < rng.uniform(*bounds.stray)
    stray[0] = True  # the first one is well inside the field
    centres[stray] = canvas.places(int(stray.sum()))

    # 2. Their sizes and brightness.
    radii = radius * np.exp(rng.uniform(*bounds.size_spread) * rng.standard_normal(count))
    bright = np.exp(rng.uniform(*bounds.brightness_spread) * rng.standard_normal(count))
    canvas.balls(centres, np.clip(radii, *bounds.radius_um), bright)
