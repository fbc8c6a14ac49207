"""The samples of the blind simulator: organoids, yeast, collagen, plant tissue, and the nuclei of an embryo.

Written apart from the program's own samples and from the foreign ones. All are brightnesses, about 0 to 1, axes
(Z, Y, X); their surface is the first plane; lengths are in um.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage as ndi
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from napari_deep3d.core import Box, DoubleArray, FloatArray, Shape, Spacing

Rng = np.random.Generator
Reals = NDArray[np.floating[Any]]
FINEST_UM = 0.5
"""Steps larger than that are drawn in parts, whose mean is the plane: else thin sheets would fall between planes."""
DIRECTIONS = (180, 360)
"""Polar angles and azimuths at which the cells of a round epithelium are looked up."""


@dataclass(frozen=True)
class Grid:
    """Voxels of a sample and where they are."""

    shape: Shape
    spacing_um: Spacing

    @property
    def extent_um(self) -> DoubleArray:
        """Size of the whole along each axis."""
        return np.multiply(self.shape, self.spacing_um)

    @property
    def thinnest_um(self) -> float:
        """Smallest standard deviation of a profile that the pixels can show."""
        return 0.45 * self.spacing_um[2]

    def axes_um(self, box: Box, centre: DoubleArray) -> list[FloatArray]:
        """Positions of a box's voxels along each axis, from a centre, to be broadcast."""
        parts = zip(box, self.spacing_um, centre, strict=True)
        lines = [np.arange(part.start, part.stop, dtype=np.float32) * step - at for part, step, at in parts]
        return [np.asarray(line, dtype=np.float32) for line in np.ix_(*lines)]

    def around(self, centre: DoubleArray, reach_um: float) -> Box:
        """The voxels within a cube; none where it is outside."""
        low = np.floor((centre - reach_um) / self.spacing_um).astype(int)
        high = np.ceil((centre + reach_um) / self.spacing_um).astype(int) + 1
        return Box.spanning(np.clip(low, 0, self.shape), np.clip(high, 0, self.shape))

    def rough(self, rng: Rng, outer_um: float, slope: float) -> FloatArray:
        """Random field with mean 0 and deviation 1: even above a length, a power law below it (von Karman)."""
        frequencies = np.ix_(*(scipy.fft.fftfreq(n, step) for n, step in zip(self.shape, self.spacing_um, strict=True)))
        z, y, x = (2 * np.pi * outer_um * line.astype(np.float32) for line in frequencies)
        x = x[..., : self.shape[2] // 2 + 1]
        spectrum = scipy.fft.rfftn(rng.standard_normal(self.shape, dtype=np.float32))
        field = scipy.fft.irfftn(spectrum * (1 + z**2 + y**2 + x**2) ** (-slope / 4), s=self.shape)
        return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def organoids(rng: Rng, grid: Grid) -> FloatArray:
    """Cysts of a columnar epithelium around a lumen: outlines of cells, brightest towards the lumen."""
    out = np.zeros(grid.shape, np.float32)
    placed: list[tuple[DoubleArray, float]] = []
    for attempt in range(80):
        radius = float(rng.uniform(8, 24))
        centre = rng.uniform(-0.2, 1.2, 3) * grid.extent_um
        if attempt == 0:  # one is seen whatever the field's size
            radius, centre = 0.6 * radius, rng.uniform(0.4, 0.6, 3) * grid.extent_um
        centre[0] = max(float(centre[0]), rng.uniform(0.85, 1.1) * radius)
        if all(np.linalg.norm(centre - other) > radius + reach for other, reach in placed):
            placed.append((centre, radius))
            box = grid.around(centre, 1.3 * radius)
            out[box] += _cyst(rng, radius, grid.axes_um(box, centre), grid.thinnest_um)
    return np.asarray(out * np.exp(0.25 * grid.rough(rng, 1.5, 5)), dtype=np.float32)


def _cyst(rng: Rng, radius: float, axes: list[FloatArray], thinnest: float) -> FloatArray:
    """One cyst around the origin; its cells do not change along its radii, so they are looked up by direction."""
    distance = np.asarray(np.sqrt(sum(axis**2 for axis in axes)), dtype=np.float32)
    polar = np.arccos(np.clip(axes[0] / np.maximum(distance, 1e-3), -1, 1)) * (DIRECTIONS[0] / np.pi)
    azimuth = (np.arctan2(axes[1], axes[2]) % (2 * np.pi)) * (DIRECTIONS[1] / (2 * np.pi)) + 0 * axes[0]
    theta, phi = np.ix_(*(np.arange(n) + 0.5 for n in DIRECTIONS))
    theta, phi = theta * np.pi / DIRECTIONS[0], phi * 2 * np.pi / DIRECTIONS[1]
    directions = np.stack([np.cos(theta) + 0 * phi, np.sin(theta) * np.sin(phi), np.sin(theta) * np.cos(phi)], axis=-1)
    number = max(int(4 * np.pi * (0.8 * radius / rng.uniform(4.5, 6.5)) ** 2), 6)
    _, border = partition(_evenly(rng, number), directions)
    lumps = np.zeros(DIRECTIONS)
    for _ in range(3):
        lumps += 0.06 * np.cos(directions @ rng.normal(0, 2.5, 3) + rng.uniform(0, 6))
    height = min(float(rng.uniform(4, 10)), 0.6 * radius)

    def seen(table: DoubleArray) -> FloatArray:
        at = np.stack(np.broadcast_arrays(polar - 0.5, azimuth - 0.5))
        found = ndi.map_coordinates(table.astype(np.float32), at, order=1, mode="grid-wrap")
        return np.asarray(found, dtype=np.float32)

    lateral = np.asarray(seen(border) * distance, dtype=np.float32)
    basal = radius * (1 + seen(lumps))
    apical = basal - height - 0.35 * np.minimum(lateral, 2.0)
    wall = max(0.14, thinnest)
    within = _step(basal - distance, wall) * _step(distance - apical, wall)
    sheets = rng.uniform(0.3, 0.7) * _ridge(basal - distance, wall) + _ridge(lateral, wall) * within
    lining = rng.uniform(1.2, 2.2) * _ridge(distance - apical, 1.6 * wall)
    return np.asarray(0.6 * (sheets + lining) + rng.uniform(0.04, 0.12) * within, dtype=np.float32)


def yeast(rng: Rng, grid: Grid) -> FloatArray:
    """Colonies of budding cells, with stained walls and bud scars, or with a bright inside and a dark vacuole."""
    top = min(float(rng.uniform(15, 40)), float(grid.extent_um[0]))
    room = np.array((top, *grid.extent_um[1:]))
    wanted = int(rng.uniform(0.2, 0.4) * room.prod() / (4 / 3 * np.pi * 2.4**3)) + 4
    founders = rng.random((max(wanted // 40, 3), 3)) * room * (0, 1, 1) + (2.5, 0, 0)
    centres, radii = [*founders], [float(rng.normal(2.4, 0.2)) for _ in founders]
    for _ in range(12 * wanted):
        mother = int(rng.integers(len(centres)))
        radius = float(rng.normal(2.4, 0.2)) if rng.random() < 0.8 else float(rng.uniform(1.0, 2.0))
        heading = rng.standard_normal(3)
        bud = centres[mother] + heading / np.linalg.norm(heading) * (radii[mother] + radius) * 0.98
        gaps = np.linalg.norm(np.array(centres) - bud, axis=1) - (np.array(radii) + radius)
        if gaps.min() > -0.35 and radius < bud[0] < top and np.all(np.abs(bud / room - 0.5)[1:] < 0.55):
            centres.append(bud)
            radii.append(radius)
        if len(centres) >= wanted:
            break
    out = np.zeros(grid.shape, np.float32)
    draw = _walled_cell if rng.random() < 0.5 else _filled_cell
    for centre, radius in zip(centres, radii, strict=True):
        box = grid.around(centre, 1.3 * radius + 0.5)
        out[box] = np.maximum(out[box], draw(rng, radius, grid.axes_um(box, centre), grid.thinnest_um))
    return np.asarray(out * np.exp(0.15 * grid.rough(rng, 0.8, 5)), dtype=np.float32)


def _walled_cell(rng: Rng, radius: float, axes: list[FloatArray], thinnest: float) -> FloatArray:
    depth = _into_ellipsoid(rng, radius * np.array((1.12, 0.97, 0.97)), axes)
    wall = _ridge(depth - 0.1, max(0.12, thinnest))
    scars = np.zeros_like(wall)
    for _ in range(rng.integers(0, 4)):
        way = rng.standard_normal(3)
        way *= radius / np.linalg.norm(way)
        away = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(axes, way, strict=True)))
        scars += _ridge(away - 0.5, 0.2)
    return np.asarray(float(rng.lognormal(-0.5, 0.3)) * (wall * (1 + 1.2 * np.minimum(scars, 1))), dtype=np.float32)


def _filled_cell(rng: Rng, radius: float, axes: list[FloatArray], thinnest: float) -> FloatArray:
    inside = _step(_into_ellipsoid(rng, radius * np.array((1.12, 0.97, 0.97)), axes), max(0.1, thinnest))
    way = rng.uniform(-0.3, 0.3, 3) * radius
    vacuole = radius * float(rng.uniform(0.3, 0.55)) - np.sqrt(
        sum((axis - at) ** 2 for axis, at in zip(axes, way, strict=True))
    )
    bright = float(rng.lognormal(-0.7, 0.45))
    return np.asarray(bright * inside * (1 - 0.85 * _step(vacuole, max(0.1, thinnest))), dtype=np.float32)


def collagen(rng: Rng, grid: Grid) -> FloatArray:
    """Wavy bundles of few to many thin fibrils with a common direction, fraying at their ends."""
    out = np.zeros(grid.shape)
    reach = float(np.linalg.norm(grid.extent_um[1:]))
    main, spread = rng.uniform(0, np.pi), rng.uniform(0.2, 0.9)
    period, wave = rng.uniform(12, 30), rng.uniform(0.2, 1.2)
    for _ in range(int(rng.uniform(25, 60) * grid.extent_um[0] / 15)):
        fibrils = min(1 + int(rng.lognormal(1.2, 1.2)), 60)
        length = float(rng.uniform(0.4, 1.2)) * reach
        along = np.arange(0, length, 0.5 * grid.spacing_um[2])
        angle = main + spread * rng.standard_normal()
        heading = np.array((0.25 * rng.standard_normal(), np.sin(angle), np.cos(angle)))
        side = np.array((0.0, np.cos(angle), -np.sin(angle)))
        middle = rng.random(3) * grid.extent_um
        path = middle + np.outer(along - length / 2, heading / np.linalg.norm(heading))
        path += np.outer(wave * np.sin(2 * np.pi * along / period + rng.uniform(0, 6)), side)
        path += np.cumsum(_wander(rng, len(along), 4 / grid.spacing_um[2]), axis=0) * 0.02 * grid.spacing_um[2]
        thickness = 0.1 * np.sqrt(fibrils) * (1 + 2 * (2 * along / length - 1) ** 6)
        for _ in range(fibrils):
            aside = _wander(rng, len(along), 10 / grid.spacing_um[2]) * thickness[:, None]
            _splat(out, (path + aside) / grid.spacing_um, float(rng.lognormal(0, 0.4)))
    sigma = [max(0.08, 0.5 * step) / step for step in grid.spacing_um]
    drawn = ndi.gaussian_filter(out, sigma).astype(np.float32)
    return np.asarray(drawn / np.percentile(drawn, 99.9), dtype=np.float32)


def plant(rng: Rng, grid: Grid) -> FloatArray:
    """Files of long cells below an outer wall; their walls are stained, brightest where three of them meet."""
    size = float(rng.uniform(5, 12))
    angle, tilt = rng.uniform(0, np.pi), rng.normal(0, 0.1)
    whole = Box.spanning((0, 0, 0), grid.shape)
    z, y, x = grid.axes_um(whole, np.zeros(3))
    along = np.cos(angle) * x + np.sin(angle) * y + tilt * z
    across = np.cos(angle) * y - np.sin(angle) * x + rng.uniform(0.5, 2) * np.sin(along / rng.uniform(15, 40))
    below = z - tilt * along + rng.uniform(0.3, 1) * np.sin(along / rng.uniform(10, 25) + rng.uniform(0, 6))
    step = 0.12
    start = np.array((float(below.min()), float(across.min())))
    spans = np.array((float(below.max()), float(across.max()))) - start
    table = np.stack(np.meshgrid(*(np.arange(0, span + 1, step) for span in spans), indexing="ij"), axis=-1)
    rows, columns = np.mgrid[0 : spans[0] + size : size, 0 : spans[1] + size : size]
    columns = columns + 0.5 * size * (np.arange(len(rows)) % 2)[:, None]
    seeds = np.stack((rows + 0.5 * size, columns), axis=-1).reshape(-1, 2)
    seeds += rng.normal(0, 0.13 * size, seeds.shape)
    owners, borders = partition(seeds, table)
    at = np.stack(np.broadcast_arrays((below - start[0]) / step, (across - start[1]) / step))
    owner = ndi.map_coordinates(owners, at, order=0, mode="nearest")
    longitudinal = ndi.map_coordinates(borders.astype(np.float32), at, order=1, mode="nearest")
    lengths = size * rng.uniform(1.2, 3.0) * rng.lognormal(0, 0.15, len(seeds))
    phases = rng.uniform(0, 2 * np.pi, (2, len(seeds)))
    place = along / lengths[owner] + phases[0][owner]
    place = place + 0.12 * np.sin(2 * np.pi * place / 2.7 + phases[1][owner])
    transverse = np.abs(place - np.rint(place)) * lengths[owner]
    surface = 0.6 + 0.9 * np.exp(-longitudinal / 1.5)
    wall = max(float(rng.uniform(0.12, 0.3)), grid.thinnest_um)
    walls = _ridge(longitudinal, wall) + _ridge(transverse, wall)
    inside = _step(z - surface, 0.15)
    content = rng.uniform(0.01, 0.06) * np.exp(0.5 * grid.rough(rng, 2.0, 5))
    stained = np.exp(0.3 * grid.rough(rng, 3.0, 5))
    outer = rng.uniform(0.6, 1.0) * _ridge(z - surface, 1.8 * wall)
    return np.asarray(stained * (0.6 * walls * inside + 0.6 * outer) + content * inside, dtype=np.float32)


def embryo(rng: Rng, grid: Grid) -> FloatArray:
    """Nuclei with the texture of chromatin, packed on one side and sparse on the other; a few divide."""
    diameter = float(rng.uniform(5.5, 8.5))
    heading = rng.standard_normal(3) * (0.5, 1, 1)
    sparse, sharpness = rng.uniform(0.05, 0.5), rng.uniform(3, 8)
    centres = np.empty((0, 3))
    for place in rng.uniform(-0.05, 1.05, (int(30 * grid.extent_um.prod() / diameter**3), 3)):
        graded = sparse + (1 - sparse) / (1 + np.exp(-sharpness * float((place - 0.4) @ heading)))
        centre = place * grid.extent_um
        apart = np.linalg.norm(centres - centre, axis=1).min(initial=np.inf)
        if centre[0] > 0.4 * diameter and apart > 0.9 * diameter / np.cbrt(graded):
            centres = np.vstack((centres, centre))
    grain = np.exp(float(rng.uniform(0.3, 0.6)) * grid.rough(rng, float(rng.uniform(0.6, 1.8)), 3.7))
    spots = grid.rough(rng, 0.8, 7)
    grain *= (1 - 0.75 * _step(spots - 1.6, 0.15)) * (1 + rng.uniform(0, 1.5) * _step(-1.8 - spots, 0.15))
    haze = np.float32(rng.uniform(0.005, 0.03))
    out = haze * np.exp(0.4 * grid.rough(rng, 4.0, 5))
    for centre in centres:
        box = grid.around(centre, 0.75 * diameter)
        out[box] = np.maximum(out[box], _nucleus(rng, diameter, grid.axes_um(box, centre), grain[box]))
    return np.asarray(out, dtype=np.float32)


def _nucleus(rng: Rng, diameter: float, axes: list[FloatArray], grain: FloatArray) -> FloatArray:
    if rng.random() < 0.04:  # a metaphase plate
        depth = _into_ellipsoid(rng, diameter * np.array((0.12, 0.4, 0.45)), axes)
        return np.asarray(1.6 * _step(depth, 0.15) * np.sqrt(grain), dtype=np.float32)
    depth = _into_ellipsoid(rng, 0.5 * diameter * rng.lognormal(-0.05, 0.09, 3), axes)
    rim = 1 + 0.4 * _ridge(depth - 0.3, 0.25)
    return np.asarray(float(rng.lognormal(-0.7, 0.25)) * _step(depth, 0.15) * grain * rim, dtype=np.float32)


KINDS: dict[str, Callable[[Rng, Grid], FloatArray]] = {
    "organoids": organoids,
    "yeast": yeast,
    "collagen": collagen,
    "plant": plant,
    "embryo": embryo,
}
SCATTERING_UM = {
    "organoids": (50.0, 150.0),
    "yeast": (30.0, 90.0),
    "collagen": (50.0, 200.0),
    "plant": (40.0, 150.0),
    "embryo": (40.0, 120.0),
}
"""Ranges of the mean free path; most tissues have 5 to 30 scatterings per mm (Jacques 2013)."""


def draw_sample(rng: Rng, kind: str, shape: Shape, spacing: Spacing) -> FloatArray:
    """A sample of a kind."""
    parts = int(np.ceil(spacing[0] / FINEST_UM))
    fine = Grid((shape[0] * parts, shape[1], shape[2]), (spacing[0] / parts, spacing[1], spacing[2]))
    drawn = KINDS[kind](rng, fine).reshape(shape[0], parts, *shape[1:])
    return np.asarray(drawn.mean(axis=1), dtype=np.float32)


def partition(seeds: DoubleArray, positions: DoubleArray) -> tuple[NDArray[np.intp], DoubleArray]:
    """Which seed each position is nearest to, and how far it is from the border to the next seed's region."""
    near, owners = (np.asarray(found) for found in cKDTree(seeds).query(positions, k=2))
    apart = np.linalg.norm(seeds[owners[..., 0]] - seeds[owners[..., 1]], axis=-1)
    return owners[..., 0], (near[..., 1] ** 2 - near[..., 0] ** 2) / (2 * apart)


def _evenly(rng: Rng, number: int) -> DoubleArray:
    """Directions that keep about the same distance from each other: a Fibonacci lattice, shaken and turned."""
    z = 1 - (2 * np.arange(number) + 1) / number
    turn = np.arange(number) * np.pi * (3 - np.sqrt(5))
    lattice = np.column_stack((z, np.sqrt(1 - z**2) * np.sin(turn), np.sqrt(1 - z**2) * np.cos(turn)))
    shaken = Rotation.random(rng=rng).apply(lattice) + rng.normal(0, 0.5 / np.sqrt(number), lattice.shape)
    return np.asarray(shaken / np.linalg.norm(shaken, axis=1, keepdims=True))


def _into_ellipsoid(rng: Rng, radii: DoubleArray, axes: list[FloatArray]) -> FloatArray:
    """About how deep each position is inside a turned ellipsoid around the origin; negative outside."""
    turned = [
        sum(axis * np.float32(part) for axis, part in zip(axes, row, strict=True))
        for row in Rotation.random(rng=rng).as_matrix()
    ]
    scaled = np.sqrt(sum((line / np.float32(r)) ** 2 for line, r in zip(turned, radii, strict=True)))
    slope = np.sqrt(sum((line / np.float32(r**2)) ** 2 for line, r in zip(turned, radii, strict=True)))
    return np.asarray((1 - scaled) * scaled / np.maximum(slope, 1e-3), dtype=np.float32)


def _wander(rng: Rng, steps: int, smooth: float) -> DoubleArray:
    """Three smooth random courses with deviation about 1."""
    rough = ndi.gaussian_filter1d(rng.standard_normal((steps, 3)), smooth, axis=0, mode="reflect")
    return np.asarray(rough * np.sqrt(2 * np.sqrt(np.pi) * smooth))


def _splat(out: DoubleArray, points: DoubleArray, brightness: float) -> None:
    """Share the brightness of points, in voxels, out among the eight voxels around each."""
    base = np.floor(points).astype(int)
    held = np.all((base >= 0) & (base < np.array(out.shape) - 1), axis=1)
    base, rest = base[held], (points - base)[held]
    for corner in np.ndindex(2, 2, 2):
        share = np.prod(np.where(corner, rest, 1 - rest), axis=1)
        np.add.at(out, tuple((base + corner).T), brightness * share)


def _ridge(distance: Reals, sigma: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * (distance / np.float32(sigma)) ** 2), dtype=np.float32)


def _step(depth: Reals, width: float) -> FloatArray:
    """1 inside, 0 outside, from one to the other over about four widths."""
    return np.asarray(1 / (1 + np.exp(np.clip(-2 * depth / np.float32(width), -40, 40))), dtype=np.float32)
