"""Tubes and balls drawn into a density: each voxel holds the share of it that they fill.

What is thinner than a voxel is spread over its eight neighbours by its mass, so that its brightness follows its
volume; what is thicker is drawn as overlapping balls, by the larger of what stands and what is new (its mass is then
true within a few per cent for level tubes, but up to a fifth too large for upright ones, or two fifths where they are
about as thin as a voxel).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import DoubleArray, FloatArray, Spacing

THIN = 0.6
"""Radius in lateral voxels below which a structure is thinner than a voxel."""
BALL_STEP = 0.3
"""Distance of the balls that make a tube, in radii."""
CHUNK = 300_000
"""Voxels drawn in one go: enough to be quick, few enough to fit the cache."""


@dataclass(frozen=True)
class Tubes:
    """Many tubes of the same number of points."""

    path_um: DoubleArray  # points (tubes, points, 3) along each tube, Z, Y, X in um
    radii_um: DoubleArray  # (tubes, points)
    brightness: DoubleArray  # density inside each tube (tubes,)


def draw_tubes(density: FloatArray, spacing_um: Spacing, tubes: Tubes) -> None:
    """Draw tubes, whose points should be no further apart than half a voxel, into a density, axes (Z, Y, X).

    Tubes thicker than a voxel do not add up where they cross; thinner ones do, each with its cross section.
    """
    step = np.array(spacing_um)
    ahead = np.gradient(tubes.path_um, axis=1)
    length = np.linalg.norm(ahead, axis=2)
    upright = np.abs(ahead[..., 0]) / np.maximum(length, 1e-9)
    length[:, [0, -1]] *= 0.5
    near = _near(density, step, tubes.path_um, tubes.radii_um)
    thin = tubes.radii_um < THIN * step[1]
    brightness = np.broadcast_to(tubes.brightness[:, None], length.shape)
    few = near & thin
    mass = brightness[few] * np.pi * tubes.radii_um[few] ** 2 * length[few]
    splat(density, spacing_um, tubes.path_um[few], mass)
    # Of the points of thick tubes, those about as far apart as the balls must be, and always the first one.
    passed = np.floor(np.cumsum(length / np.maximum(BALL_STEP * tubes.radii_um, 0.35 * step[1]), axis=1))
    few = near & ~thin & (np.diff(passed, axis=1, prepend=-1) > 0)
    _stamp_balls(
        density, step, tubes.path_um[few], tubes.radii_um[few], brightness[few], upright[few], upright[few] ** 2
    )


def draw_balls(
    density: FloatArray, spacing_um: Spacing, centres_um: DoubleArray, radii_um: DoubleArray, brightness: DoubleArray
) -> None:
    """Draw balls into a density, axes (Z, Y, X); those thinner than a voxel fill it by their volume, and add up.

    Centres have the axes (balls, 3), radii and brightness (density inside) the axis (balls,).
    """
    step = np.array(spacing_um)
    near = _near(density, step, centres_um, radii_um)
    thin = radii_um < THIN * step[1]
    few = near & thin
    splat(density, spacing_um, centres_um[few], brightness[few] * 4 / 3 * np.pi * radii_um[few] ** 3)
    few = near & ~thin
    _stamp_balls(
        density, step, centres_um[few], radii_um[few], brightness[few], np.zeros(few.sum()), np.ones(few.sum())
    )


def splat(density: FloatArray, spacing_um: Spacing, points_um: DoubleArray, mass_um3: DoubleArray) -> None:
    """Add points (N, 3), each shared among the eight voxels around it; mass is brightness times cubic um, axis (N,)."""
    step = np.array(spacing_um)
    value = (mass_um3 / step.prod()).astype(np.float32)
    below, share, inside = [], [], []  # per axis, for the lower and the upper neighbour
    for axis, count in enumerate(density.shape):
        place = points_um[:, axis] / step[axis]
        floor = np.floor(place).astype(np.int64)
        upper = (place - floor).astype(np.float32)
        below.append((floor, floor + 1))
        share.append((1 - upper, upper))
        inside.append(tuple((i >= 0) & (i < count) for i in below[-1]))
    for i, j, k in product((0, 1), repeat=3):
        keep = inside[0][i] & inside[1][j] & inside[2][k]
        flat = (below[0][i] * density.shape[1] + below[1][j]) * density.shape[2] + below[2][k]
        weight = value * share[0][i] * share[1][j] * share[2][k]
        np.add.at(density.reshape(-1), flat[keep], weight[keep])


def _near(density: FloatArray, step: DoubleArray, points_um: DoubleArray, radii_um: DoubleArray) -> NDArray[np.bool_]:
    """Those points whose ball reaches the field."""
    near = np.ones(radii_um.shape, dtype=bool)
    for axis, count in enumerate(density.shape):
        place, reach = points_um[..., axis], radii_um + step[axis]
        near &= (place > -reach) & (place < count * step[axis] + reach)
    return near


def _stamp_balls(
    density: FloatArray,
    step: DoubleArray,
    centres_um: DoubleArray,
    radii_um: DoubleArray,
    brightness: DoubleArray,
    upright: DoubleArray,
    bounded: DoubleArray,
) -> None:
    """Stamp balls that are thicker than a voxel, each voxel keeping the larger of what stands and what is new.

    Parameters
    ----------
    density, step
        What is drawn into, axes (Z, Y, X), and its voxel size in um.
    centres_um, radii_um, brightness : array of float64, axes (N, 3), (N,), (N,)
        The balls.
    upright : array of float64, axis (N,)
        Cosine of the angle between the Z axis and the tube that a ball belongs to, 0 for a single ball; balls of an
        upright tube are drawn out along Z by up to a plane.
    bounded : array of float64, axis (N,)
        1 where the structure ends within its radius in all lateral directions, 0 for a level tube.
    """
    order = np.argsort(-radii_um, kind="stable")
    start = 0
    while start < len(order):
        # 1. Take balls of similar size, and the box of voxels around each of them; the first ball is the largest.
        voxels = np.prod(2 * np.ceil(radii_um[order[start]] / step + 1) + 1)
        some = order[start : start + max(1, int(CHUNK / voxels))]
        start += len(some)
        centres = centres_um[some]
        reach = np.ceil(radii_um[some].max() / step + (1.0, 0.5, 0.5)).astype(int)
        nearest = np.rint(centres / step).astype(int)
        boxes = [nearest[:, [a]] + np.arange(-reach[a], reach[a] + 1) for a in range(3)]
        z, y, x = ((box * step[a] - centres[:, [a]]).astype(np.float32) for a, box in enumerate(boxes))

        # 2. Share of each column of voxels that its ball covers, and half the mean chord along Z through that part.
        width, radius = np.float32(step[1]), radii_um[some].astype(np.float32)[:, None, None]
        distance = np.hypot(y[:, :, None], x[:, None, :])
        low, high = np.maximum(-radius, distance - width / 2), np.minimum(radius, distance + width / 2)
        half, middle = np.maximum(high - low, 0) / 2, (low + high) / 2
        chord = np.sqrt(np.maximum(radius**2 - middle**2 - half**2 / 3, 0)) * (half > 0)
        across = np.minimum(1, 2 * chord / width)  # the column is not filled across, either
        cover = np.minimum(2 * half / width, 1) * (1 - bounded[some].astype(np.float32)[:, None, None] * (1 - across))

        # 3. Share of each voxel between both ends of the chord.
        slant = np.sqrt(np.maximum(1 - upright[some] ** 2, 1e-4)).astype(np.float32)[:, None, None]
        chord = np.minimum(chord / slant, chord + np.float32(step[0]) * (chord > 0))[:, None]
        half_plane, z = np.float32(step[0] / 2), z[:, :, None, None]
        depth = np.minimum(chord, z + half_plane) - np.maximum(-chord, z - half_plane)
        bright = (cover * brightness[some].astype(np.float32)[:, None, None])[:, None]
        value = np.clip(depth / (2 * half_plane), 0, 1) * bright

        # 4. Keep the larger value wherever a voxel lies in the field.
        planes, rows, columns = boxes[0][:, :, None, None], boxes[1][:, None, :, None], boxes[2][:, None, None, :]
        keep = value > 0
        for index, count in zip((planes, rows, columns), density.shape, strict=True):
            keep = keep & (index >= 0) & (index < count)
        flat = (planes * density.shape[1] + rows) * density.shape[2] + columns
        np.maximum.at(density.reshape(-1), flat[keep], value[keep])
