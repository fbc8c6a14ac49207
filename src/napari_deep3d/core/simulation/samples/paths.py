"""Random paths through the field: where processes and fibres run, and how they branch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_deep3d.core import DoubleArray
from napari_deep3d.core.simulation.samples.rasterize import Tubes

POINT_STEP = 0.5
"""Distance of the points of a path, in the smallest side of a voxel."""
MAX_POINTS = 1_500_000
"""Points of all paths drawn at once; beyond it, some paths are left out."""


@dataclass(frozen=True)
class Stems:
    """Where trees begin; arrays have an entry for each stem."""

    start_um: DoubleArray  # points (stems, 3), Z, Y, X in um
    direction: DoubleArray  # unit vectors (stems, 3)
    radius_um: DoubleArray  # of the first branch
    brightness: DoubleArray


@dataclass(frozen=True)
class Growth:
    """How trees grow; ranges are drawn from for every branch."""

    length_um: tuple[float, float]  # range of the first branches' length
    levels: int  # generations of branches after the first
    forks: tuple[int, int]  # range of the branches that leave each branch
    forks_at_end: float  # share of the branches that leave at their parent's end; the others leave on its way
    fork_place: tuple[float, float]  # range of the place where these leave, as a share of the parent's length
    taper: tuple[float, float]  # range of a branch's last radius as a share of its first
    fork_radius: tuple[float, float]  # range of a branch's first radius as a share of its parent's there
    bend: float  # strength of the turns, and their distance
    persistence_um: float
    spread: float  # standard deviation of a new branch's direction against its parent's
    shrink: float  # length of each generation as a share of that of the one before


def unit(vectors: DoubleArray) -> DoubleArray:
    """Vectors (..., 3) scaled to length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9))


def directions(rng: np.random.Generator, count: int, flat: float = 1.0) -> DoubleArray:
    """Random unit vectors (count, 3); below 1, ``flat`` turns them towards the plane."""
    return unit(rng.standard_normal((count, 3)) * (flat, 1.0, 1.0))


def wander(
    rng: np.random.Generator,
    finest_um: float,
    start_um: DoubleArray,
    direction: DoubleArray,
    length_um: DoubleArray,
    bend: float,
    persistence_um: float,
) -> DoubleArray:
    """Paths that keep their direction but for smooth random turns.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the turns.
    finest_um : float
        Smallest side of a voxel in um, which sets the number of points.
    start_um, direction : array of float64, axes (paths, 3)
        First points (Z, Y, X) in um and unit vectors.
    length_um : array of float64, axis (paths,)
        Lengths in um.
    bend, persistence_um : float
        Strength of the turns against the direction, and their distance in um.

    Returns
    -------
    array of float64, axes (paths, points, 3)
        Points in um. There are fewer paths than asked for where all would have more than :data:`MAX_POINTS` points.
    """
    longest = float(length_um.max(initial=1e-3))
    points = int(np.clip(np.ceil(longest / (POINT_STEP * finest_um)), 8, 4000)) + 1
    keep = slice(0, max(1, MAX_POINTS // points))
    start_um, direction, length_um = start_um[keep], direction[keep], length_um[keep]
    knots = int(np.clip(longest / persistence_um, 1, points)) + 1
    turns = rng.standard_normal((len(start_um), knots, 3))
    place = np.linspace(0, knots - 1 - 1e-9, points)
    below = place.astype(int)
    share = (place - below)[None, :, None]
    turn = turns[:, below] * (1 - share) + turns[:, below + 1] * share
    steps_um = unit(direction[:, None] + bend * turn) * (length_um / (points - 1))[:, None, None]
    steps_um[:, 0] = 0
    return np.asarray(start_um[:, None] + np.cumsum(steps_um, axis=1))


def grow(rng: np.random.Generator, finest_um: float, stems: Stems, growth: Growth) -> list[Tubes]:
    """Grow trees from their stems, one entry for each generation of branches.

    ``finest_um`` is the smallest side of a voxel in um, which sets the number of points.
    """
    grown = []
    for level in range(growth.levels + 1):
        if len(stems.start_um) == 0:
            break
        # 1. This generation's branches run on from their stems and taper.
        length = rng.uniform(*growth.length_um, len(stems.start_um)) * growth.shrink**level
        path = wander(rng, finest_um, stems.start_um, stems.direction, length, growth.bend, growth.persistence_um)
        count, points = path.shape[:2]
        radii = stems.radius_um[:count, None] * np.linspace(1, rng.uniform(*growth.taper, count), points, axis=1)
        grown.append(Tubes(path, radii, stems.brightness[:count]))

        # 2. The next generation leaves them: at their end, or on their way.
        parent = np.repeat(np.arange(count), rng.integers(*growth.forks, count, endpoint=True))
        at_end = rng.random(len(parent)) < growth.forks_at_end
        where = np.where(at_end, 1.0, rng.uniform(*growth.fork_place, len(parent)))
        at = np.clip((where * (points - 1)).astype(int), 1, points - 1)
        start = path[parent, at]
        along = unit(start - path[parent, np.maximum(at - points // 8 - 1, 0)])
        direction = unit(along + growth.spread * rng.standard_normal((len(parent), 3)))
        radius = radii[parent, at] * rng.uniform(*growth.fork_radius, len(parent))
        stems = Stems(start, direction, radius, grown[-1].brightness[parent])
    return grown
