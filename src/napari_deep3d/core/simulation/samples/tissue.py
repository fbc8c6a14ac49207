"""Tissue: several kinds of structure in one volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage as ndi
from pydantic import Field

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import PositiveRange, Share, ShareRange
from napari_deep3d.core.simulation.samples.noise import interpolate, log_uniform, smooth_noise
from napari_deep3d.core.simulation.samples.paths import directions, run, starts
from napari_deep3d.core.simulation.samples.rasterize import Tubes, draw_tubes
from napari_deep3d.core.types import FloatArray, Shape, Spacing

Part = Callable[[np.random.Generator, Shape, Spacing], FloatArray]
MAX_HOLES = 30
COARSE_UM = 1.0
"""Voxels of the grid on which haze and holes are drawn."""


class TissueBounds(Config):
    """Bounds of the random choices in samples of tissue, besides those of the kinds that it mixes."""

    three_chance: Share = Field(0.3, description="share of the samples that mix three kinds; the others mix two")
    part_brightness: PositiveRange = Field((0.1, 1.0), description="of the other kinds in that of the first, log")
    region_um: PositiveRange = Field((10.0, 60.0), description="grain of each kind's change of density over the field")
    sparsest: ShareRange = Field((0.0, 0.7), description="density where it is lowest")
    haze_chance: Share = Field(0.7, description="share of the samples with diffuse light in and around cells")
    haze: PositiveRange = Field((0.02, 0.2), description="this light in the brightness of their structures")
    body_um: PositiveRange = Field((1.5, 4.0), description="how far it reaches")
    hole_chance: Share = Field(0.5, description="share of the samples with empty vessels")
    hole_um: PositiveRange = Field((2.0, 15.0), description="radius of the vessels, log")
    hole_length_um: PositiveRange = Field((30.0, 150.0), description="length of the vessels")
    um3_per_hole: PositiveRange = Field((50_000.0, 1_000_000.0), description="volume per vessel, log")


def tissue(
    rng: np.random.Generator, shape: Shape, spacing_um: Spacing, parts: Sequence[Part], bounds: TissueBounds
) -> FloatArray:
    """Two or three other kinds (of ``parts``) mixed, each denser here than there; empty vessels; a haze in cells."""
    density = np.zeros(shape, dtype=np.float32)
    chosen = rng.permutation(len(parts))[: 3 if rng.random() < bounds.three_chance else 2]
    for rank, index in enumerate(chosen):
        part = parts[index](rng, shape, spacing_um)
        if not part.any():
            continue
        bright = np.percentile(part[part > 0], 99.9) / (1 if rank == 0 else log_uniform(rng, bounds.part_brightness))
        density += part * _regions(rng, shape, spacing_um, bounds) / np.float32(bright)
    if rng.random() < bounds.haze_chance:
        density += np.float32(rng.uniform(*bounds.haze)) * _bodies(rng, density, spacing_um, bounds)
    if rng.random() < bounds.hole_chance:
        full = density
        density = full * (1 - _vessels(rng, shape, spacing_um, bounds))
        density = density if density.any() else full
    return density


def _regions(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: TissueBounds) -> FloatArray:
    """Smooth share, from a lowest value to 1, over the field."""
    lowest = np.float32(rng.uniform(*bounds.sparsest))
    waves = smooth_noise(rng, shape, spacing_um, rng.uniform(*bounds.region_um))
    return np.asarray(lowest + (1 - lowest) / (1 + np.exp(np.float32(-3) * waves)), dtype=np.float32)


def _bodies(rng: np.random.Generator, density: FloatArray, spacing_um: Spacing, bounds: TissueBounds) -> FloatArray:
    """Where cells are: about 1 near structures, 0 far from them, smooth."""
    ratio = np.maximum(1, COARSE_UM / np.array(spacing_um)).astype(int)
    padded = np.pad(density, [(0, -n % r) for n, r in zip(density.shape, ratio, strict=True)], mode="edge")
    split = [k for n, r in zip(padded.shape, ratio, strict=True) for k in (n // r, r)]
    coarse = padded.reshape(split).mean(axis=(1, 3, 5))
    near = ndi.gaussian_filter(coarse, rng.uniform(*bounds.body_um) / (np.array(spacing_um) * ratio), mode="nearest")
    near = 1 - np.exp(-near / max(float(near.mean()), 1e-6))
    middles = [(np.arange(n) - (r - 1) / 2) / r for n, r in zip(density.shape, ratio, strict=True)]
    return interpolate(np.asarray(near, dtype=np.float32), middles)


def _vessels(rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: TissueBounds) -> FloatArray:
    """1 in vessels, 0 elsewhere."""
    step = np.maximum(COARSE_UM, spacing_um)
    field_um = np.array(shape) * spacing_um
    coarse = np.zeros(np.ceil(field_um / step).astype(int) + 1, dtype=np.float32)
    grid = (float(step[0]), float(step[1]), float(step[2]))
    count = int(np.clip(np.prod(field_um + 20.0) / log_uniform(rng, bounds.um3_per_hole), 1, MAX_HOLES))
    away = directions(rng, count)
    length = rng.uniform(*bounds.hole_length_um, count)
    begin = starts(rng, field_um, count, 10.0) - 0.5 * length[:, None] * away
    path = run(rng, grid, begin, away, length, 0.3, 30.0)
    limit = min(bounds.hole_um[1], max(bounds.hole_um[0], 0.25 * float(np.median(field_um))))
    radii = np.repeat(log_uniform(rng, (bounds.hole_um[0], limit), (count, 1)), path.shape[1], axis=1)
    draw_tubes(coarse, grid, Tubes(path, radii, np.ones(count)))
    return np.minimum(
        interpolate(coarse, [np.arange(n) * d / s for n, d, s in zip(shape, spacing_um, step, strict=True)]), 1
    )
