"""Filaments: the cytoskeleton of cells and fibres between cells."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.samples.courses import MAX_POINTS, directions, run, starts
from napari_deep3d.core.samples.drawing import Tubes, draw_tubes
from napari_deep3d.core.samples.noise import Array, Floats, log_uniform
from napari_deep3d.core.volume import Shape, Spacing

MICROTUBULE_UM = (0.0125, 0.03)
UM3_PER_CELL = (2_000.0, 12_000.0)
MAX_CELLS, CELL_MARGIN_UM = 120, 8.0
PER_CELL = (30, 150)
"""Microtubules that leave the centre of a cell."""
MICROTUBULE_LENGTH_UM, MICROTUBULE_BEND, FLATNESS = (5.0, 30.0), (0.2, 0.7), (0.15, 1.0)
"""Flatness below 1 turns microtubules towards the plane, as in spread cells."""
MAX_FILAMENTS = 6000
BUNDLE_UM, BUNDLE_LENGTH_UM, UM3_PER_BUNDLE = (0.04, 0.3), (8.0, 40.0), (20.0, 600.0)
"""Actin bundles: radius, length, density."""
BUNDLE_SPREAD, DOMAINS = (0.05, 0.5), (1, 6)
"""How far bundles part from their neighbours' direction; cells of different direction."""
MAX_BUNDLES = 3000
COLLAGEN_UM, FIBRIL_LENGTH_UM, UM3_PER_COLLAGEN = (0.05, 0.3), (30.0, 100.0), (1_000.0, 20_000.0)
"""Fibrils of collagen: radius, length; volume per bundle of them."""
FIBRILS, BUNDLE_WIDTH_UM, MAX_COLLAGEN = (5, 40), (0.5, 3.0), 150
WAVE_UM, WAVE_HEIGHT = (6.0, 25.0), (0.02, 0.12)
"""Crimp of collagen: wave length, and amplitude in wave lengths."""
BRIGHTNESS = (0.3, 1.0)


def filaments(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Microtubules that radiate in cells, actin bundles in domains, or wavy collagen; sometimes two of them.

    Each voxel's density is the share that filaments fill, hence low where all are thinner than a voxel; the sum is
    scaled so that its bright parts are about 1.
    """
    density = np.zeros(shape, dtype=np.float32)
    kinds = (_microtubules, _actin, _collagen)
    for index in rng.permutation(3)[: 1 + int(rng.random() < 0.25)]:
        layer = np.zeros(shape, dtype=np.float32)
        kinds[index](rng, layer, spacing_um)
        bright = np.percentile(layer[layer > 0], 99.9) if layer.any() else 1.0
        density += layer * np.float32(rng.uniform(*BRIGHTNESS) / bright)
    return density


def _microtubules(rng: np.random.Generator, density: Array, spacing_um: Spacing) -> None:
    field_um = np.array(density.shape) * spacing_um
    expected = np.prod(field_um + 2 * CELL_MARGIN_UM) / log_uniform(rng, UM3_PER_CELL)
    centres = starts(rng, field_um, int(np.clip(expected, 1, MAX_CELLS)), CELL_MARGIN_UM)
    per_cell = int(rng.integers(*PER_CELL))
    cell = np.repeat(np.arange(len(centres)), per_cell)[:MAX_FILAMENTS]
    count = len(cell)
    away = directions(rng, count, flat=rng.uniform(*FLATNESS))
    begin = centres[cell] + away * rng.uniform(0.0, 3.0, (count, 1))
    order = rng.permutation(count)  # should courses be left out, all cells lose some
    length = rng.uniform(*MICROTUBULE_LENGTH_UM, count)
    path = run(rng, spacing_um, begin[order], away[order], length, rng.uniform(*MICROTUBULE_BEND), 4.0)
    radii = np.full(path.shape[:2], rng.uniform(*MICROTUBULE_UM))
    bright = log_uniform(rng, BRIGHTNESS, len(centres))[cell[order]][: len(path)]
    draw_tubes(density, spacing_um, Tubes(path, radii, bright))


def _actin(rng: np.random.Generator, density: Array, spacing_um: Spacing) -> None:
    field_um = np.array(density.shape) * spacing_um
    count = int(np.clip(field_um.prod() / log_uniform(rng, UM3_PER_BUNDLE), 5, MAX_BUNDLES))
    begin = starts(rng, field_um, count, 5.0)
    flat = rng.uniform(*FLATNESS)
    domains = int(rng.integers(*DOMAINS))
    middles, axes = starts(rng, field_um, domains), directions(rng, domains, flat)
    nearest = np.linalg.norm(begin[:, None] - middles[None], axis=2).argmin(axis=1)
    away = axes[nearest] + rng.uniform(*BUNDLE_SPREAD) * rng.standard_normal((count, 3)) * (flat, 1, 1)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    length = rng.uniform(*BUNDLE_LENGTH_UM, count)
    path = run(rng, spacing_um, begin - 0.5 * length[:, None] * away, away, length, rng.uniform(0.02, 0.2), 8.0)
    pointed = np.minimum(1, 4 * np.sin(np.linspace(0.05, np.pi - 0.05, path.shape[1])))
    radii = log_uniform(rng, BUNDLE_UM, len(path))[:, None] * pointed
    draw_tubes(density, spacing_um, Tubes(path, radii, log_uniform(rng, BRIGHTNESS, len(path))))


def _collagen(rng: np.random.Generator, density: Array, spacing_um: Spacing) -> None:
    field_um = np.array(density.shape) * spacing_um
    expected = np.prod(field_um + 20.0) / log_uniform(rng, UM3_PER_COLLAGEN)
    bundles = int(np.clip(expected, 1, MAX_COLLAGEN))
    main = directions(rng, 1, 0.5)
    away = main + rng.uniform(0.1, 0.8) * rng.standard_normal((bundles, 3)) * (0.5, 1, 1)
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    length = rng.uniform(*FIBRIL_LENGTH_UM, bundles)
    begin = starts(rng, field_um, bundles, 10.0) - rng.uniform(0.3, 0.7, (bundles, 1)) * length[:, None] * away
    path = run(rng, spacing_um, begin, away, length, 0.15, 15.0)
    path = path + _wave(rng, away, length, path.shape[1])
    fibrils = max(1, min(int(rng.integers(*FIBRILS)), MAX_POINTS // (path.shape[0] * path.shape[1])))
    offsets = rng.uniform(*BUNDLE_WIDTH_UM, (bundles, 1, 1)) * rng.standard_normal((bundles, fibrils, 3))
    single = (path[:, None] + offsets[:, :, None]).reshape(-1, path.shape[1], 3)
    radii = np.broadcast_to(log_uniform(rng, COLLAGEN_UM, len(single))[:, None], single.shape[:2])
    bright = np.repeat(log_uniform(rng, BRIGHTNESS, bundles), fibrils)
    draw_tubes(density, spacing_um, Tubes(single, radii, bright))


def _wave(rng: np.random.Generator, away: Floats, length_um: Floats, points: int) -> Floats:
    """Sideways excursions (bundles, points, 3) of wavy bundles."""
    side = np.cross(away, directions(rng, len(away)))
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    period = rng.uniform(*WAVE_UM)
    height = period * rng.uniform(*WAVE_HEIGHT, len(away))
    along = np.linspace(0, 1, points) * length_um[:, None]
    wave = height[:, None] * np.sin(2 * np.pi * along / period + rng.uniform(0, 2 * np.pi, (len(away), 1)))
    return np.asarray(wave[..., None] * side[:, None])
