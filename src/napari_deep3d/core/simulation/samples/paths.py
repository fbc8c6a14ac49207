"""Courses through the field: where processes and fibres run, and how they branch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_deep3d.core.simulation.samples.rasterize import Tubes
from napari_deep3d.core.types import DoubleArray, Spacing

POINT_STEP = 0.5
"""Distance of the points of a course, in the smallest side of a voxel."""
MAX_POINTS = 1_500_000
"""Points of all courses drawn at once; beyond it, some courses are left out."""


@dataclass(frozen=True)
class Stems:
    """Where courses begin: points (N, 3) in um, unit vectors (N, 3), radii (N,) in um and brightness (N,)."""

    start_um: DoubleArray
    direction: DoubleArray
    radius_um: DoubleArray
    brightness: DoubleArray


@dataclass(frozen=True)
class Growth:
    """How a tree grows: bounds of the branches' length, the forks per branch, its taper and radius, and the turning.

    ``levels`` are the generations after the first; a branch ends with ``taper`` times its first radius, and begins with
    ``fork_radius`` times its parent's there; ``bend`` and ``persistence_um`` are the strength and the length of turns;
    ``spread`` is how far branches part at a fork; each generation is shorter than the one before by ``shrink``.
    """

    length_um: tuple[float, float]
    levels: int
    forks: tuple[int, int]
    taper: tuple[float, float]
    fork_radius: tuple[float, float]
    bend: float
    persistence_um: float = 6.0
    spread: float = 0.7
    shrink: float = 0.7


def directions(rng: np.random.Generator, count: int, flat: float = 1.0) -> DoubleArray:
    """Random unit vectors (count, 3); below 1, ``flat`` turns them towards the plane."""
    return _unit(rng.standard_normal((count, 3)) * (flat, 1.0, 1.0))


def _unit(vectors: DoubleArray) -> DoubleArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def starts(rng: np.random.Generator, field_um: DoubleArray, count: int, margin_um: float = 0.0) -> DoubleArray:
    """Random points (count, 3) in the field and around it; the first one is well inside, so that something shows."""
    places = rng.uniform(-margin_um, field_um + margin_um, (count, 3))
    places[:1] = rng.uniform(0.2, 0.8, 3) * field_um
    return places


def run(
    rng: np.random.Generator,
    spacing_um: Spacing,
    start_um: DoubleArray,
    direction: DoubleArray,
    length_um: DoubleArray,
    bend: float,
    persistence_um: float,
) -> DoubleArray:
    """Courses (N, points, 3) that keep their direction but for smooth random turns.

    Parameters
    ----------
    rng, spacing_um
        Random numbers; voxel size, which sets the number of points.
    start_um, direction, length_um
        (N, 3), unit vectors (N, 3) and (N,).
    bend, persistence_um
        Strength of the turns against the direction, and the distance between turns.
    """
    longest = float(length_um.max(initial=1e-3))
    points = int(np.clip(np.ceil(longest / (POINT_STEP * min(spacing_um))), 8, 4000)) + 1
    keep = slice(0, max(1, MAX_POINTS // points))
    start_um, direction, length_um = start_um[keep], direction[keep], length_um[keep]
    knots = int(np.clip(longest / persistence_um, 1, points)) + 1
    turns = rng.standard_normal((len(start_um), knots, 3))
    place = np.linspace(0, knots - 1 - 1e-9, points)
    below = place.astype(int)
    share = (place - below)[None, :, None]
    turn = turns[:, below] * (1 - share) + turns[:, below + 1] * share
    course = _unit(direction[:, None] + bend * turn) * (length_um / (points - 1))[:, None, None]
    course[:, 0] = 0
    return np.asarray(start_um[:, None] + np.cumsum(course, axis=1))


def grow(rng: np.random.Generator, spacing_um: Spacing, stems: Stems, growth: Growth) -> list[Tubes]:
    """Grow trees from their stems, one entry for each generation of branches."""
    grown = []
    low, high = growth.length_um
    for level in range(growth.levels + 1):
        if len(stems.start_um) == 0:
            break
        length = rng.uniform(low, high, len(stems.start_um)) * growth.shrink**level
        path = run(rng, spacing_um, stems.start_um, stems.direction, length, growth.bend, growth.persistence_um)
        count, points = path.shape[:2]
        taper = np.linspace(1, rng.uniform(*growth.taper, count), points, axis=1)
        grown.append(Tubes(path, stems.radius_um[:count, None] * taper, stems.brightness[:count]))
        stems = _fork(rng, grown[-1], growth)
    return grown


def _fork(rng: np.random.Generator, parents: Tubes, growth: Growth) -> Stems:
    """Branches of the next generation: most leave at their parent's end, the others on its way."""
    count, points = parents.radii_um.shape
    parent = np.repeat(np.arange(count), rng.integers(*growth.forks, count, endpoint=True))
    where = np.where(rng.random(len(parent)) < 0.6, 1.0, rng.uniform(0.25, 1.0, len(parent)))
    at = np.clip((where * (points - 1)).astype(int), 1, points - 1)
    start = parents.path_um[parent, at]
    along = _unit(start - parents.path_um[parent, np.maximum(at - points // 8 - 1, 0)])
    direction = _unit(along + growth.spread * rng.standard_normal((len(parent), 3)))
    radius = parents.radii_um[parent, at] * rng.uniform(*growth.fork_radius, len(parent))
    return Stems(start, direction, radius, parents.brightness[parent])
