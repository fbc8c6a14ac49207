"""The samples of the foreign simulator: dense cells, neurons, vessels, a mesh, and crops of real volumes.

Written apart from the program's own samples. All are brightnesses on the voxels of the stack, axes (Z, Y, X), about 0
to 1; lengths are in um.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.common.real_files import CONFOCAL, RealFile
from napari_deep3d.core import Box, DoubleArray, FloatArray, Shape, Spacing

Rng = np.random.Generator
REAL_FILES = tuple(file for file in CONFOCAL if file.name in ("fly_neuron", "cortex_neurons"))
"""No model was ever trained on them."""
MAX_AXIAL_ZOOM = 1.5
"""Of real volumes; what is thinner is mirrored."""
CROPS = 200


def noise(rng: Rng, shape: Shape, spacing: Spacing, length_um: float) -> FloatArray:
    """Smooth random field with mean 0 and deviation 1, whose features are about so long."""
    field = ndi.gaussian_filter(
        rng.standard_normal(shape, dtype=np.float32), [length_um / step for step in spacing], mode="wrap", truncate=3
    )
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def cells(rng: Rng, shape: Shape, spacing: Spacing) -> FloatArray:
    """Cells side by side, each with its own brightness, a coarse texture and a dark nucleus; they fill the field."""
    extent: DoubleArray = np.asarray(shape) * np.asarray(spacing)
    length = min(float(rng.uniform(5, 11)), 0.25 * float(extent.min()))
    centres = rng.uniform(-length, extent + length, (int(np.prod(extent / length + 2)), 3))
    positions = np.moveaxis(np.indices(shape, dtype=np.float32), 0, -1) * np.array(spacing, np.float32)
    near, owner = (np.asarray(found) for found in cKDTree(centres).query(positions.reshape(-1, 3), k=2))
    gap = (near[:, 1] - near[:, 0]).reshape(shape)
    own, first = owner[:, 0].reshape(shape), near[:, 0].reshape(shape)
    body = np.clip((gap - rng.uniform(0.1, 0.5)) / 0.4, 0, 1)
    grain = 0.5 * noise(rng, shape, spacing, rng.uniform(0.2, 0.5)) + 0.4 * noise(rng, shape, spacing, 1.2)
    brightness = rng.lognormal(0, 0.35, len(centres))[own] * (rng.random(len(centres)) < 0.9)[own]
    nucleus = np.clip((rng.uniform(0.25, 0.4) * length - first) / 0.4, 0, 1)
    return np.asarray(body * brightness * np.exp(grain) * (1 - 0.85 * nucleus), dtype=np.float32)


def neurons(rng: Rng, shape: Shape, spacing: Spacing) -> FloatArray:
    """A few cell bodies with branching, beaded processes."""
    extent: DoubleArray = np.asarray(shape) * np.asarray(spacing)
    points: list[DoubleArray] = []
    for _ in range(rng.integers(3, 6)):
        soma = rng.uniform(0.2, 0.8, 3) * extent
        points.append(_ball(rng, soma, float(rng.uniform(1.5, 3.0))))
        for _ in range(rng.integers(4, 8)):
            heading = rng.standard_normal(3) * (0.6, 1, 1)
            points += _branch(rng, soma, heading, float(rng.uniform(0.25, 0.6)), float(extent.max()), 3)
    tree = np.concatenate(points)
    swollen = np.where(rng.random(len(tree)) < 0.03, rng.uniform(1.5, 2.2, len(tree)), 1.0)
    tree[:, 3] *= swollen
    distance, nearest = _distance(tree, shape, spacing)
    brightness = ndi.gaussian_filter1d(rng.lognormal(0, 0.3, len(tree)), 4).astype(np.float32)
    return _soft(tree[nearest, 3] - distance, spacing) * brightness[nearest]


def vessels(rng: Rng, shape: Shape, spacing: Spacing) -> FloatArray:
    """Branching tubes with bright walls around a dim inside."""
    extent: DoubleArray = np.asarray(shape) * np.asarray(spacing)
    points: list[DoubleArray] = []
    for _ in range(rng.integers(8, 14)):
        start = rng.uniform(0.15, 0.85, 3) * extent * (1, 1, 0)
        heading = np.array((0.4 * rng.standard_normal(), rng.standard_normal(), 1.5))
        points += _branch(
            rng, start, heading, float(rng.uniform(0.03, 0.1) * extent.min()), 1.5 * float(extent.max()), 2
        )
    tree = np.concatenate(points)
    distance, nearest = _distance(tree, shape, spacing)
    radius, wall = tree[nearest, 3], rng.uniform(0.3, 0.7)
    inside = _soft(radius - distance, spacing)
    shell = inside - _soft(radius - wall - distance, spacing)
    patchy = np.exp(0.4 * noise(rng, shape, spacing, 1.5))
    return np.asarray(shell * patchy + rng.uniform(0.02, 0.15) * inside, dtype=np.float32)


def mesh(rng: Rng, shape: Shape, spacing: Spacing) -> FloatArray:
    """Thin filaments without ends: the lines along which two random fields are both 0."""
    length, width = rng.uniform(0.9, 2.2), rng.uniform(0.12, 0.25)
    square = np.zeros(shape, np.float32)
    for _ in range(2):
        field = noise(rng, shape, spacing, length)
        slope = sum(part**2 for part in np.gradient(field, *spacing))
        square += field**2 / np.maximum(slope, 1e-2)
    wide = max(width, 0.6 * spacing[1])
    clusters = np.exp(0.8 * noise(rng, shape, spacing, 6.0))
    return np.asarray(np.exp(-square / (2 * wide**2)) * clusters, dtype=np.float32)


def real(rng: Rng, shape: Shape, file: RealFile) -> FloatArray:
    """The fullest of many crops of a real volume, turned and mirrored; what is too small is enlarged."""
    stack = file.read()
    low, high = np.percentile(stack[stack > 0], (5, 99.5))
    stack = np.clip((stack - low) / (high - low), 0, 1.5)
    stack = np.rot90(stack, int(rng.integers(4)), axes=(1, 2))[:: int(rng.choice((-1, 1)))]
    missing = max(int(np.ceil(shape[0] / MAX_AXIAL_ZOOM)) - stack.shape[0], 0)
    stack = np.pad(stack, ((0, missing), (0, 0), (0, 0)), mode="symmetric")
    zoom = np.maximum(rng.uniform(0.6, 1.0), np.divide(shape, stack.shape))
    wanted = [min(size, int(np.ceil(n / z))) for size, n, z in zip(stack.shape, shape, zoom, strict=True)]
    room = [size - want + 1 for size, want in zip(stack.shape, wanted, strict=True)]
    boxes = [Box.at(rng.integers(room), wanted) for _ in range(CROPS)]
    best = max((stack[box] for box in boxes), key=lambda crop: float(crop.mean()))
    return np.asarray(np.clip(ndi.zoom(best, np.divide(shape, best.shape), order=1), 0, None), dtype=np.float32)


DRAWN: dict[str, Callable[[Rng, Shape, Spacing], FloatArray]] = {
    "cells": cells,
    "neurons": neurons,
    "vessels": vessels,
    "mesh": mesh,
}
KINDS = (*DRAWN, "real")


def draw_sample(rng: Rng, kind: str, shape: Shape, spacing: Spacing, number: int) -> FloatArray:
    """A sample of a kind; real ones come from one file after the other, by number."""
    if kind == "real":
        return real(rng, shape, REAL_FILES[number % len(REAL_FILES)])
    return DRAWN[kind](rng, shape, spacing)


def _branch(
    rng: Rng, start: DoubleArray, heading: DoubleArray, radius: float, length_um: float, forks: int
) -> list[DoubleArray]:
    """Points (z, y, x, radius) of a winding process, a third of a um apart, and of those that leave it."""
    steps = int(length_um * rng.uniform(0.3, 1.0) * 3)
    turns = ndi.gaussian_filter1d(rng.standard_normal((steps, 3)), 6, axis=0) * (0.3, 0.6, 0.6)
    directions = heading / np.linalg.norm(heading) + np.cumsum(turns, axis=0) * 0.25
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    path = start + np.cumsum(directions, axis=0) / 3
    taper = np.linspace(radius, 0.6 * radius, steps)
    out = [np.column_stack((path, taper))]
    for at in rng.integers(0, steps, forks):
        aside = directions[at] + 0.9 * rng.standard_normal(3) * (0.5, 1, 1)
        out += _branch(rng, path[at], aside, 0.75 * float(taper[at]), 0.6 * length_um, forks - 1)
    return out


def _ball(rng: Rng, centre: DoubleArray, radius: float) -> DoubleArray:
    """Points (z, y, x, radius) of an uneven cell body."""
    offsets = rng.standard_normal((12, 3)) * 0.35 * radius
    return np.column_stack((centre + offsets, np.full(12, 0.7 * radius)))


def _distance(points: DoubleArray, shape: Shape, spacing: Spacing) -> tuple[FloatArray, NDArray[np.intp]]:
    """Distance of every voxel to the nearest of points (z, y, x, ...) in um, and which one that is."""
    positions = np.moveaxis(np.indices(shape, dtype=np.float32), 0, -1) * np.array(spacing, np.float32)
    reach = float(points[:, 3].max()) + 3 * max(spacing)
    found = cKDTree(points[:, :3]).query(positions.reshape(-1, 3), distance_upper_bound=reach)
    far, nearest = (np.asarray(values).reshape(shape) for values in found)
    return np.minimum(far, reach).astype(np.float32), np.minimum(nearest, len(points) - 1).astype(np.intp)


def _soft(depth: FloatArray, spacing: Spacing) -> FloatArray:
    """1 inside, 0 outside, over a pixel from one to the other."""
    return np.asarray(np.clip(depth / spacing[1] + 0.5, 0, 1), dtype=np.float32)
