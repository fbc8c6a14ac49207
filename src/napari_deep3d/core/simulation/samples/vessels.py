"""Vessels: branching tubes with walls, and networks of capillaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy.spatial import KDTree

from napari_deep3d.core import Box, DoubleArray, FloatArray, zyx
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    CountRange,
    NonNegative,
    Positive,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    happens,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, Growth, Stems, Tubes, directions, interpolate, unit

GRID_PER_RADIUS = 3.0
"""Points of the coarse grid, on which the distance from vessels is computed, to the radius of the thinnest."""
MAX_POINTS = 400_000
"""Of that grid."""
REACH_UM = 1.0
"""How far outside vessels that distance is known."""
MAX_TREES, MAX_NODES, MAX_PIECES = 12, 250, 4000
MARGIN_UM = 15.0
"""How far outside the field vessels begin, and capillaries meet."""
MAX_OF_FIELD = 0.2
"""Largest radius as a share of the field's median side, unless the bounds ask for more."""
PIECE = 0.7
"""Length of the straight pieces that make a vessel, in its radius."""


class VesselsBounds(Bounds):
    """Bounds of the random choices in samples of vessels."""

    network_chance: Share = Field(0.4, description="share of the samples that are a network of capillaries alone")
    both_chance: Share = Field(0.3, description="share of the others that have one, too")
    radius_um: PositiveRange = Field((1.0, 20.0), description="radius of vessels where they begin, log")
    um3_per_tree: PositiveRange = Field((2_000.0, 60_000.0), description="volume per branching vessel, log")
    length_um: PositiveRange = Field((15.0, 80.0), description="length of a branch")
    levels: CountRange = Field((1, 4), description="generations of branches after the first")
    forks: CountRange = Field((1, 3), description="branches that leave each branch")
    taper: ShareRange = Field((0.6, 1.0), description="radius of a branch at its end in that at its start")
    fork_radius: ShareRange = Field((0.5, 0.9), description="radius of a branch in its parent's at the fork")
    forks_at_end: Share = Field(0.6, description="share of the branches that leave at their parent's end")
    fork_place: ShareRange = Field((0.2, 1.0), description="where the others leave, as a share of its length")
    spread: NonNegative = Field(0.6, description="how far branches part")
    shrink: Positive = Field(0.8, description="length of each generation in that of the one before")
    bend: Range = Field((0.05, 0.5), description="how strongly vessels turn")
    persistence_um: Positive = Field(20.0, description="distance between turns")
    capillary_um: PositiveRange = Field((1.0, 4.0), description="radius of a sample's capillaries, log")
    capillary_spread: Range = Field((0.0, 0.3), description="standard deviation of the logarithm of their radii")
    um3_per_node: PositiveRange = Field((400.0, 8_000.0), description="volume per place where capillaries meet, log")
    meeting: CountRange = Field((2, 3), description="next places that each such place is joined to")
    arch: Range = Field((0.0, 0.35), description="how far a capillary bends out, in its length")
    wall_um: PositiveRange = Field((0.3, 3.0), description="thickness of a sample's walls, log")
    filled_chance: Share = Field(0.3, description="share of the samples whose vessels are as bright as their wall")
    dim_chance: Share = Field(0.5, description="share of the others with some light in the lumen")
    lumen: ShareRange = Field((0.02, 0.4), description="brightness of this light in the wall's")
    brightness: PositiveRange = Field((0.3, 1.0), description="of each vessel, log")
    grain_um: PositiveRange = Field((0.2, 3.0), description="grain of the stain, log")
    contrast: Range = Field((0.0, 0.7), description="standard deviation of the logarithm of the stain")


@dataclass(frozen=True)
class _Pieces:
    """Straight pieces of vessels, thinner towards one end; arrays have an entry for each."""

    start_um: DoubleArray  # (pieces, 3), Z, Y, X in um
    end_um: DoubleArray
    start_radius_um: DoubleArray
    end_radius_um: DoubleArray
    brightness: DoubleArray


def draw_vessels(canvas: Canvas, bounds: VesselsBounds) -> None:
    """Hollow or filled vessels: a few that branch, a network of capillaries, or both."""
    rng = canvas.rng
    tubes: list[Tubes] = []
    network = happens(rng, bounds.network_chance)
    if not network:
        tubes += _trees(canvas, bounds)
    if network or happens(rng, bounds.both_chance):
        tubes.append(_network(canvas, bounds))
    depth_um, bright = _depth_in(canvas, _cut(tubes))

    # The wall lies within the surface; where it is thinner than a voxel, it fills a part of it.
    width, wall_um = np.float32(np.mean(canvas.spacing_um)), np.float32(log_uniform(rng, bounds.wall_um))
    inside = np.clip(depth_um / width + np.float32(0.5), 0, 1)
    lumen = np.clip((depth_um - wall_um) / width + np.float32(0.5), 0, 1)
    level = 0.0
    if happens(rng, bounds.filled_chance):
        level = 1.0
    elif happens(rng, bounds.dim_chance):
        level = rng.uniform(*bounds.lumen)
    grains = canvas.noise(float(log_uniform(rng, bounds.grain_um)))
    stain = np.exp(np.float32(rng.uniform(*bounds.contrast)) * grains)
    canvas.density[:] = bright * stain * (inside - np.float32(1 - level) * lumen)


def _trees(canvas: Canvas, bounds: VesselsBounds) -> list[Tubes]:
    """Vessels that branch and taper; each passes through the field."""
    rng, field_um = canvas.rng, canvas.field_um
    expected = np.prod(field_um + MARGIN_UM) / log_uniform(rng, bounds.um3_per_tree)
    count = int(np.clip(expected, 1, MAX_TREES))
    low, high = bounds.radius_um
    high = min(high, max(low, MAX_OF_FIELD * float(np.median(field_um))))
    away, length = directions(rng, count), rng.uniform(*bounds.length_um, count)
    begin = canvas.places(count) - 0.5 * length[:, None] * away
    radius = log_uniform(rng, (low, high), count)
    growth = Growth(
        length_um=bounds.length_um,
        levels=int(rng.integers(*bounds.levels, endpoint=True)),
        forks=bounds.forks,
        forks_at_end=bounds.forks_at_end,
        fork_place=bounds.fork_place,
        taper=bounds.taper,
        fork_radius=bounds.fork_radius,
        bend=rng.uniform(*bounds.bend),
        persistence_um=bounds.persistence_um,
        spread=bounds.spread,
        shrink=bounds.shrink,
    )
    coarse = Canvas.blank(rng, (1, 1, 1), (1.0, 1.0, 1.0))  # sets the number of points alone
    return coarse.trees(Stems(begin, away, radius, log_uniform(rng, bounds.brightness, count)), growth)


def _network(canvas: Canvas, bounds: VesselsBounds) -> Tubes:
    """Capillaries that arch between each of some random places and the next ones."""
    rng = canvas.rng
    expected = np.prod(canvas.field_um + 2 * MARGIN_UM) / log_uniform(rng, bounds.um3_per_node)
    nodes = canvas.places(int(np.clip(expected, 4, MAX_NODES)), MARGIN_UM)
    near = int(rng.integers(*bounds.meeting, endpoint=True))
    next_ones = np.asarray(KDTree(nodes).query(nodes, k=min(near + 1, len(nodes)))[1])
    joined = np.stack([np.repeat(np.arange(len(nodes)), next_ones.shape[1] - 1), next_ones[:, 1:].ravel()], axis=1)
    joined = np.unique(np.sort(joined, axis=1), axis=0)
    start, end = nodes[joined[:, 0]], nodes[joined[:, 1]]
    length = np.linalg.norm(end - start, axis=1)
    side = unit(np.cross(end - start, directions(rng, len(start))))
    out = (length * rng.uniform(*bounds.arch, len(start)))[:, None] * side
    along = np.linspace(0, 1, 33)[None, :, None]
    path = start[:, None] + along * (end - start)[:, None] + np.sin(np.pi * along) * out[:, None]
    spread = rng.uniform(*bounds.capillary_spread) * rng.standard_normal((len(start), 1))
    radii = np.repeat(log_uniform(rng, bounds.capillary_um) * np.exp(spread), path.shape[1], axis=1)
    return Tubes(path, radii, log_uniform(rng, bounds.brightness, len(start)))


def _cut(tubes: Sequence[Tubes]) -> _Pieces:
    """Cut tubes into straight pieces, about as long as they are wide."""
    parts: list[tuple[DoubleArray, ...]] = []
    for some in tubes:
        points = some.path_um.shape[1]
        step_um = float(np.linalg.norm(np.diff(some.path_um[:, :2], axis=1), axis=2).max(initial=1e-3))
        stride = int(np.clip(PIECE * float(np.median(some.radii_um)) / step_um, 1, points - 1))
        at = np.unique(np.append(np.arange(0, points, stride), points - 1))
        path, radii = some.path_um[:, at], some.radii_um[:, at]
        ends = path[:, :-1].reshape(-1, 3), path[:, 1:].reshape(-1, 3)
        parts.append((*ends, radii[:, :-1].ravel(), radii[:, 1:].ravel(), np.repeat(some.brightness, len(at) - 1)))
    return _Pieces(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _depth_in(canvas: Canvas, pieces: _Pieces) -> tuple[FloatArray, FloatArray]:
    """Depth of each voxel under the surface of vessels in um, below 0 outside, and their brightness there.

    Both have the axes (Z, Y, X). The depth is that in the vessel in which it is greatest, so that lumina join where
    vessels meet. It is computed on a coarse grid: it changes evenly, unlike the wall.
    """
    finest_um = float(np.percentile(pieces.start_radius_um, 5)) / GRID_PER_RADIUS
    finest_um = max(finest_um, float(canvas.field_um.prod() / MAX_POINTS) ** (1 / 3))
    step = np.maximum(canvas.spacing_um, finest_um)
    shape = zyx(np.ceil(canvas.field_um / step).astype(int) + 2)
    coarse = Canvas.blank(canvas.rng, shape, zyx(step.tolist()))
    depth_um, bright = np.full(shape, -REACH_UM, np.float32), np.zeros(shape, np.float32)
    for index in range(min(len(pieces.brightness), MAX_PIECES)):
        _deepen(coarse, depth_um, bright, pieces, index)
    places = [np.arange(n) * d / s for n, d, s in zip(canvas.shape, canvas.spacing_um, step, strict=True)]
    return interpolate(depth_um, places), interpolate(bright, places)


def _deepen(coarse: Canvas, depth_um: FloatArray, bright: FloatArray, pieces: _Pieces, index: int) -> None:
    """Let one piece of a vessel raise the depths, axes (Z, Y, X), where it is deeper, and be seen there."""
    start, end = pieces.start_um[index], pieces.end_um[index]
    radius, last_radius = float(pieces.start_radius_um[index]), float(pieces.end_radius_um[index])
    reach = max(radius, last_radius) + REACH_UM
    low = np.maximum(np.floor((np.minimum(start, end) - reach) / coarse.spacing_um), 0).astype(int)
    high = np.minimum(np.ceil((np.maximum(start, end) + reach) / coarse.spacing_um) + 1, coarse.shape).astype(int)
    if np.any(high <= low):
        return
    box = Box.spanning(low, high)
    sides = zip(box, coarse.spacing_um, start, strict=True)
    z, y, x = np.ix_(*(np.arange(part.start, part.stop) * step - first for part, step, first in sides))
    ahead = end - start
    share = np.clip((z * ahead[0] + y * ahead[1] + x * ahead[2]) / max(float(ahead @ ahead), 1e-9), 0, 1)
    away = np.sqrt((z - share * ahead[0]) ** 2 + (y - share * ahead[1]) ** 2 + (x - share * ahead[2]) ** 2)
    depth = (radius + share * (last_radius - radius) - away).astype(np.float32)
    deeper = depth > depth_um[box]
    depth_um[box] = np.where(deeper, depth, depth_um[box])
    bright[box] = np.where(deeper, np.float32(pieces.brightness[index]), bright[box])
