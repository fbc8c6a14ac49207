"""Filaments: the cytoskeleton of cells and fibres between cells."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import CountRange, PositiveRange, Range, Share, ShareRange
from napari_deep3d.core.simulation.samples.noise import log_uniform
from napari_deep3d.core.simulation.samples.paths import MAX_POINTS, directions, run, starts
from napari_deep3d.core.simulation.samples.rasterize import Tubes, draw_tubes
from napari_deep3d.core.types import DoubleArray, FloatArray, Shape, Spacing

MAX_CELLS, CELL_MARGIN_UM = 120, 8.0
MAX_FILAMENTS, MAX_BUNDLES, MAX_COLLAGEN = 6000, 3000, 150


class FilamentsBounds(Config):
    """Bounds of the random choices in samples of filaments."""

    mixed_chance: Share = Field(0.25, description="share of the samples with two of microtubules, actin and collagen")
    brightness: PositiveRange = Field((0.3, 1.0), description="of each of the two; of their cells and bundles, log")
    microtubule_um: PositiveRange = Field((0.0125, 0.03), description="radius of microtubules")
    um3_per_cell: PositiveRange = Field((2_000.0, 12_000.0), description="volume per cell with microtubules, log")
    per_cell: CountRange = Field((30, 149), description="microtubules that leave the centre of a cell")
    microtubule_length_um: PositiveRange = Field((5.0, 30.0), description="length of microtubules")
    microtubule_bend: Range = Field((0.2, 0.7), description="how strongly microtubules turn")
    flatness: ShareRange = Field(
        (0.15, 1.0), description="below 1, microtubules and bundles turn towards the plane, as in spread cells"
    )
    bundle_um: PositiveRange = Field((0.04, 0.3), description="radius of actin bundles, log")
    bundle_length_um: PositiveRange = Field((8.0, 40.0), description="length of actin bundles")
    um3_per_bundle: PositiveRange = Field((20.0, 600.0), description="volume per actin bundle, log")
    bundle_spread: Range = Field((0.05, 0.5), description="how far bundles part from their neighbours' direction")
    bundle_bend: Range = Field((0.02, 0.2), description="how strongly bundles turn")
    domains: CountRange = Field((1, 5), description="cells whose bundles have different directions")
    collagen_um: PositiveRange = Field((0.05, 0.3), description="radius of fibrils of collagen, log")
    fibril_length_um: PositiveRange = Field((30.0, 100.0), description="length of fibrils")
    um3_per_collagen: PositiveRange = Field((1_000.0, 20_000.0), description="volume per bundle of fibrils, log")
    fibrils: CountRange = Field((5, 39), description="fibrils in a bundle of collagen")
    collagen_width_um: PositiveRange = Field((0.5, 3.0), description="how far the fibrils of a bundle lie apart")
    collagen_spread: Range = Field((0.1, 0.8), description="how far bundles of collagen part from their direction")
    wave_um: PositiveRange = Field((6.0, 25.0), description="wave length of the crimp of collagen")
    wave_height: Range = Field((0.02, 0.12), description="amplitude of the crimp in wave lengths")


def filaments(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: FilamentsBounds) -> FloatArray:
    """Microtubules that radiate in cells, actin bundles in domains, or wavy collagen; sometimes two of them.

    Each voxel's density is the share that filaments fill, hence low where all are thinner than a voxel; the sum is
    scaled so that its bright parts are about 1.
    """
    density = np.zeros(shape, dtype=np.float32)
    kinds = (_microtubules, _actin, _collagen)
    for index in rng.permutation(3)[: 1 + int(rng.random() < bounds.mixed_chance)]:
        layer = np.zeros(shape, dtype=np.float32)
        kinds[index](rng, layer, spacing_um, bounds)
        bright = np.percentile(layer[layer > 0], 99.9) if layer.any() else 1.0
        density += layer * np.float32(rng.uniform(*bounds.brightness) / bright)
    return density


def _microtubules(rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, bounds: FilamentsBounds) -> None:
    field_um = np.array(density.shape) * spacing_um
    expected = np.prod(field_um + 2 * CELL_MARGIN_UM) / log_uniform(rng, bounds.um3_per_cell)
    centres = starts(rng, field_um, int(np.clip(expected, 1, MAX_CELLS)), CELL_MARGIN_UM)
    per_cell = int(rng.integers(*bounds.per_cell, endpoint=True))
    cell = np.repeat(np.arange(len(centres)), per_cell)[:MAX_FILAMENTS]
    count = len(cell)
    away = directions(rng, count, flat=rng.uniform(*bounds.flatness))
    begin = centres[cell] + away * rng.uniform(0.0, 3.0, (count, 1))
    order = rng.permutation(count)  # should courses be left out, all cells lose some
    length = rng.uniform(*bounds.microtubule_length_um, count)
    path = run(rng, spacing_um, begin[order], away[order], length, rng.uniform(*bounds.microtubule_bend), 4.0)
    radii = np.full(path.shape[:2], rng.uniform(*bounds.microtubule_um))
    bright = log_uniform(rng, bounds.brightness, len(centres))[cell[order]][: len(path)]
    draw_tubes(density, spacing_um, Tubes(path, radii, bright))


def _actin(rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, bounds: FilamentsBounds) -> None:
    field_um = np.array(density.shape) * spacing_um
    count = int(np.clip(field_um.prod() / log_uniform(rng, bounds.um3_per_bundle), 5, MAX_BUNDLES))
    begin = starts(rng, field_um, count, 5.0)
    flat = rng.uniform(*bounds.flatness)
    domains = int(rng.integers(*bounds.domains, endpoint=True))
    middles, axes = starts(rng, field_um, domains), directions(rng, domains, flat)
    nearest = np.linalg.norm(begin[:, None] - middles[None], axis=2).argmin(axis=1)
    away = axes[nearest] + rng.uniform(*bounds.bundle_spread) * rng.standard_normal((count, 3)) * (flat, 1, 1)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    length = rng.uniform(*bounds.bundle_length_um, count)
    path = run(
        rng, spacing_um, begin - 0.5 * length[:, None] * away, away, length, rng.uniform(*bounds.bundle_bend), 8.0
    )
    pointed = np.minimum(1, 4 * np.sin(np.linspace(0.05, np.pi - 0.05, path.shape[1])))
    radii = log_uniform(rng, bounds.bundle_um, len(path))[:, None] * pointed
    draw_tubes(density, spacing_um, Tubes(path, radii, log_uniform(rng, bounds.brightness, len(path))))


def _collagen(rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, bounds: FilamentsBounds) -> None:
    field_um = np.array(density.shape) * spacing_um
    expected = np.prod(field_um + 20.0) / log_uniform(rng, bounds.um3_per_collagen)
    bundles = int(np.clip(expected, 1, MAX_COLLAGEN))
    main = directions(rng, 1, 0.5)
    away = main + rng.uniform(*bounds.collagen_spread) * rng.standard_normal((bundles, 3)) * (0.5, 1, 1)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    length = rng.uniform(*bounds.fibril_length_um, bundles)
    begin = starts(rng, field_um, bundles, 10.0) - rng.uniform(0.3, 0.7, (bundles, 1)) * length[:, None] * away
    path = run(rng, spacing_um, begin, away, length, 0.15, 15.0)
    path = path + _wave(rng, away, length, path.shape[1], bounds)
    fibrils = max(
        1, min(int(rng.integers(*bounds.fibrils, endpoint=True)), MAX_POINTS // (path.shape[0] * path.shape[1]))
    )
    offsets = rng.uniform(*bounds.collagen_width_um, (bundles, 1, 1)) * rng.standard_normal((bundles, fibrils, 3))
    single = (path[:, None] + offsets[:, :, None]).reshape(-1, path.shape[1], 3)
    radii = np.broadcast_to(log_uniform(rng, bounds.collagen_um, len(single))[:, None], single.shape[:2])
    bright = np.repeat(log_uniform(rng, bounds.brightness, bundles), fibrils)
    draw_tubes(density, spacing_um, Tubes(single, radii, bright))


def _wave(
    rng: np.random.Generator, away: DoubleArray, length_um: DoubleArray, points: int, bounds: FilamentsBounds
) -> DoubleArray:
    """Sideways excursions (bundles, points, 3) of wavy bundles."""
    side = np.cross(away, directions(rng, len(away)))
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    period = rng.uniform(*bounds.wave_um)
    height = period * rng.uniform(*bounds.wave_height, len(away))
    along = np.linspace(0, 1, points) * length_um[:, None]
    wave = height[:, None] * np.sin(2 * np.pi * along / period + rng.uniform(0, 2 * np.pi, (len(away), 1)))
    return np.asarray(wave[..., None] * side[:, None])
