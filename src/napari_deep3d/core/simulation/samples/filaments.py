"""Filaments: the cytoskeleton of cells and fibres between cells."""

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
from napari_deep3d.core.simulation.samples.canvas import MAX_POINTS, Canvas, Tubes, directions, unit

MAX_CELLS, CELL_MARGIN_UM = 120, 8.0
MAX_FILAMENTS, MAX_BUNDLES, MAX_COLLAGEN = 6000, 3000, 150


class FilamentsBounds(Bounds):
    """Bounds of the random choices in samples of filaments."""

    mixed_chance: Share = Field(0.25, description="share of the samples with two of microtubules, actin and collagen")
    brightness: PositiveRange = Field((0.3, 1.0), description="of each of the two; of their cells and bundles, log")
    microtubule_um: PositiveRange = Field((0.0125, 0.03), description="radius of microtubules")
    um3_per_cell: PositiveRange = Field((2_000.0, 12_000.0), description="volume per cell with microtubules, log")
    per_cell: CountRange = Field((30, 149), description="microtubules that leave the centre of a cell")
    microtubule_length_um: PositiveRange = Field((5.0, 30.0), description="length of microtubules")
    microtubule_start_um: Range = Field((0.0, 3.0), description="distance from the centre at which they begin")
    microtubule_bend: Range = Field((0.2, 0.7), description="how strongly microtubules turn")
    microtubule_persistence_um: Positive = Field(4.0, description="distance between turns of microtubules")
    flatness: ShareRange = Field(
        (0.15, 1.0), description="below 1, microtubules and bundles turn towards the plane, as in spread cells"
    )
    bundle_um: PositiveRange = Field((0.04, 0.3), description="radius of actin bundles, log")
    bundle_length_um: PositiveRange = Field((8.0, 40.0), description="length of actin bundles")
    um3_per_bundle: PositiveRange = Field((20.0, 600.0), description="volume per actin bundle, log")
    bundle_spread: Range = Field((0.05, 0.5), description="how far bundles part from their neighbours' direction")
    bundle_bend: Range = Field((0.02, 0.2), description="how strongly bundles turn")
    bundle_persistence_um: Positive = Field(8.0, description="distance between turns of bundles")
    domains: CountRange = Field((1, 5), description="cells whose bundles have different directions")
    collagen_um: PositiveRange = Field((0.05, 0.3), description="radius of fibrils of collagen, log")
    fibril_length_um: PositiveRange = Field((30.0, 100.0), description="length of fibrils")
    um3_per_collagen: PositiveRange = Field((1_000.0, 20_000.0), description="volume per bundle of fibrils, log")
    fibrils: CountRange = Field((5, 39), description="fibrils in a bundle of collagen")
    collagen_width_um: PositiveRange = Field((0.5, 3.0), description="how far the fibrils of a bundle lie apart")
    collagen_spread: Range = Field((0.1, 0.8), description="how far bundles of collagen part from their direction")
    collagen_flatness: Share = Field(0.5, description="below 1, bundles of collagen turn towards the plane")
    collagen_before: ShareRange = Field(
        (0.3, 0.7), description="share of a bundle of collagen that lies before its random place"
    )
    collagen_bend: NonNegative = Field(0.15, description="how strongly bundles of collagen turn")
    collagen_persistence_um: Positive = Field(15.0, description="distance between turns of bundles of collagen")
    wave_um: PositiveRange = Field((6.0, 25.0), description="wave length of the crimp of collagen")
    wave_height: Range = Field((0.02, 0.12), description="amplitude of the crimp in wave lengths")


def draw_filaments(canvas: Canvas, bounds: FilamentsBounds) -> None:
    """Microtubules that radiate in cells, actin bundles in domains, or wavy collagen; sometimes two of them.

    Each voxel's density is the share that filaments fill, hence low where all are thinner than a voxel; the sum is
    scaled so that its bright parts are about 1.
    """
    rng = canvas.rng
    kinds = (_draw_microtubules, _draw_actin, _draw_collagen)
    for index in rng.permutation(3)[: 1 + int(rng.random() < bounds.mixed_chance)]:
        layer = canvas.layer()
        kinds[index](layer, bounds)
        filled = layer.density[layer.density > 0]
        bright = np.percentile(filled, 99.9) if filled.any() else 1.0
        canvas.density[:] += layer.density * np.float32(rng.uniform(*bounds.brightness) / bright)


def _draw_microtubules(canvas: Canvas, bounds: FilamentsBounds) -> None:
    """Draw thin filaments that leave the centres of cells in all directions."""
    rng = canvas.rng
    expected = np.prod(canvas.field_um + 2 * CELL_MARGIN_UM) / log_uniform(rng, bounds.um3_per_cell)
    centres = canvas.places(int(np.clip(expected, 1, MAX_CELLS)), CELL_MARGIN_UM)
    per_cell = int(rng.integers(*bounds.per_cell, endpoint=True))
    cell = np.repeat(np.arange(len(centres)), per_cell)[:MAX_FILAMENTS]
    count = len(cell)
    away = directions(rng, count, flat=rng.uniform(*bounds.flatness))
    begin = centres[cell] + away * rng.uniform(*bounds.microtubule_start_um, (count, 1))
    order = rng.permutation(count)  # should filaments be left out, all cells lose some
    length = rng.uniform(*bounds.microtubule_length_um, count)
    bend = rng.uniform(*bounds.microtubule_bend)
    path = canvas.paths(begin[order], away[order], length, bend, bounds.microtubule_persistence_um)
    radii = np.full(path.shape[:2], rng.uniform(*bounds.microtubule_um))
    bright = log_uniform(rng, bounds.brightness, len(centres))[cell[order]][: len(path)]
    canvas.tubes(Tubes(path, radii, bright))


def _draw_actin(canvas: Canvas, bounds: FilamentsBounds) -> None:
    """Draw bundles with pointed ends that run alike within each of a few domains."""
    rng = canvas.rng
    count = int(np.clip(canvas.field_um.prod() / log_uniform(rng, bounds.um3_per_bundle), 5, MAX_BUNDLES))
    begin = canvas.places(count, 5.0)
    flat = rng.uniform(*bounds.flatness)
    domains = int(rng.integers(*bounds.domains, endpoint=True))
    middles, axes = canvas.places(domains), directions(rng, domains, flat)
    nearest = np.linalg.norm(begin[:, None] - middles[None], axis=2).argmin(axis=1)
    away = unit(axes[nearest] + rng.uniform(*bounds.bundle_spread) * rng.standard_normal((count, 3)) * (flat, 1, 1))
    length = rng.uniform(*bounds.bundle_length_um, count)
    bend = rng.uniform(*bounds.bundle_bend)
    path = canvas.paths(begin - 0.5 * length[:, None] * away, away, length, bend, bounds.bundle_persistence_um)
    pointed = np.minimum(1, 4 * np.sin(np.linspace(0.05, np.pi - 0.05, path.shape[1])))
    radii = log_uniform(rng, bounds.bundle_um, len(path))[:, None] * pointed
    canvas.tubes(Tubes(path, radii, log_uniform(rng, bounds.brightness, len(path))))


def _draw_collagen(canvas: Canvas, bounds: FilamentsBounds) -> None:
    """Draw bundles of wavy fibrils that run roughly alike."""
    rng = canvas.rng

    # 1. The middle line of each bundle.
    expected = np.prod(canvas.field_um + 20.0) / log_uniform(rng, bounds.um3_per_collagen)
    bundles = int(np.clip(expected, 1, MAX_COLLAGEN))
    flat = bounds.collagen_flatness
    main = directions(rng, 1, flat)
    away = unit(main + rng.uniform(*bounds.collagen_spread) * rng.standard_normal((bundles, 3)) * (flat, 1, 1))
    length = rng.uniform(*bounds.fibril_length_um, bundles)
    begin = canvas.places(bundles, 10.0)
    begin -= rng.uniform(*bounds.collagen_before, (bundles, 1)) * length[:, None] * away
    path = canvas.paths(begin, away, length, bounds.collagen_bend, bounds.collagen_persistence_um)

    # 2. Its crimp: a wave to one side.
    side = unit(np.cross(away, directions(rng, bundles)))
    period = rng.uniform(*bounds.wave_um)
    height = period * rng.uniform(*bounds.wave_height, bundles)
    along = np.linspace(0, 1, path.shape[1]) * length[:, None]
    wave = height[:, None] * np.sin(2 * np.pi * along / period + rng.uniform(0, 2 * np.pi, (bundles, 1)))
    path = path + wave[..., None] * side[:, None]

    # 3. The fibrils beside it.
    fibrils = int(rng.integers(*bounds.fibrils, endpoint=True))
    fibrils = max(1, min(fibrils, MAX_POINTS // (path.shape[0] * path.shape[1])))
    offsets = rng.uniform(*bounds.collagen_width_um, (bundles, 1, 1)) * rng.standard_normal((bundles, fibrils, 3))
    single = (path[:, None] + offsets[:, :, None]).reshape(-1, path.shape[1], 3)
    radii = np.broadcast_to(log_uniform(rng, bounds.collagen_um, len(single))[:, None], single.shape[:2])
    bright = np.repeat(log_uniform(rng, bounds.brightness, bundles), fibrils)
    canvas.tubes(Tubes(single, radii, bright))
