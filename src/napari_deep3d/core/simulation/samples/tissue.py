"""Tissue: several kinds of structure in one volume, and the light of the tissue itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage as ndi
from pydantic import Field

from napari_deep3d.core import FloatArray, Shape, Spacing, zyx
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    NonNegative,
    Positive,
    PositiveRange,
    Range,
    Share,
    ShareRange,
    log_uniform,
)
from napari_deep3d.core.simulation.samples.canvas import Canvas, Tubes, directions, interpolate

Part = Callable[[Canvas], None]
MAX_HOLES, MAX_GRANULES = 30, 5000
HOLE_MARGIN_UM = 10.0
"""How far outside the field some vessels lie."""
COARSE_UM = 1.0
"""Voxels of the grid on which haze and vessels are drawn."""
REGION_CONTRAST = 3.0
"""Steepness of the change from sparse to dense regions, per standard deviation of the noise that makes them."""


class TissueBounds(Bounds):
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
    hole_bend: NonNegative = Field(0.3, description="how strongly the vessels turn")
    hole_persistence_um: Positive = Field(30.0, description="distance between turns of the vessels")
    um3_per_hole: PositiveRange = Field((50_000.0, 1_000_000.0), description="volume per vessel, log")


class AutofluorescenceBounds(Bounds):
    """Bounds of the random choices in the light of the tissue itself."""

    grain_um: PositiveRange = Field((1.0, 8.0), description="of each of two grain sizes, log")
    contrast: Range = Field(
        (0.1, 0.6), description="standard deviation of the logarithm of the diffuse light, for each of both"
    )
    granule_chance: Share = Field(0.6, description="share of the scenes with autofluorescence that have granules")
    granule_radius_um: PositiveRange = Field((0.15, 0.5), description="radius of the granules")
    granules_per_um3: PositiveRange = Field((1e-5, 2e-3), description="density of the granules, log")
    granule_brightness: PositiveRange = Field(
        (3.0, 30.0), description="of a scene's granules in units of the mean diffuse light"
    )
    granule_dimming: ShareRange = Field((0.3, 1.0), description="of each granule in that of its scene")


def draw_tissue(canvas: Canvas, parts: Sequence[Part], bounds: TissueBounds) -> None:
    """Two or three other kinds (of ``parts``) mixed, each denser here than there; empty vessels; a haze in cells."""
    rng, density = canvas.rng, canvas.density

    # 1. The kinds: each one's density changes smoothly over the field, from a lowest share to 1.
    chosen = rng.permutation(len(parts))[: 3 if rng.random() < bounds.three_chance else 2]
    for rank, index in enumerate(chosen):
        part = canvas.layer()
        parts[index](part)
        if not part.density.any():
            continue
        dimmer = 1 if rank == 0 else log_uniform(rng, bounds.part_brightness)
        bright = np.percentile(part.density[part.density > 0], 99.9) / dimmer
        lowest = np.float32(rng.uniform(*bounds.sparsest))
        waves = canvas.noise(rng.uniform(*bounds.region_um))
        regions = lowest + (1 - lowest) / (1 + np.exp(np.float32(-REGION_CONTRAST) * waves))
        density += part.density * np.asarray(regions, dtype=np.float32) / np.float32(bright)

    # 2. Diffuse light in and around cells: even near structures, none far from them.
    if rng.random() < bounds.haze_chance:
        haze, reach_um = np.float32(rng.uniform(*bounds.haze)), rng.uniform(*bounds.body_um)
        spacing_um = np.array(canvas.spacing_um)
        ratio = np.maximum(1, COARSE_UM / spacing_um).astype(int)
        padded = np.pad(density, [(0, -n % r) for n, r in zip(canvas.shape, ratio, strict=True)], mode="edge")
        split = [k for n, r in zip(padded.shape, ratio, strict=True) for k in (n // r, r)]
        coarse = padded.reshape(split).mean(axis=(1, 3, 5))
        near = ndi.gaussian_filter(coarse, reach_um / (spacing_um * ratio), mode="nearest")
        near = 1 - np.exp(-near / max(float(near.mean()), 1e-6))
        middles = [(np.arange(n) - (r - 1) / 2) / r for n, r in zip(canvas.shape, ratio, strict=True)]
        density += haze * interpolate(np.asarray(near, dtype=np.float32), middles)

    # 3. Empty vessels, unless they leave nothing.
    if rng.random() < bounds.hole_chance:
        emptied = density * (1 - _vessels(canvas, bounds))
        if emptied.any():
            density[:] = emptied


def _vessels(canvas: Canvas, bounds: TissueBounds) -> FloatArray:
    """1 in vessels, 0 elsewhere, axes (Z, Y, X)."""
    rng, field_um = canvas.rng, canvas.field_um
    step = np.maximum(COARSE_UM, canvas.spacing_um)
    coarse = Canvas.blank(rng, zyx(np.ceil(field_um / step).astype(int) + 1), zyx(step.tolist()))
    expected = np.prod(field_um + 2 * HOLE_MARGIN_UM) / log_uniform(rng, bounds.um3_per_hole)
    count = int(np.clip(expected, 1, MAX_HOLES))
    away = directions(rng, count)
    length = rng.uniform(*bounds.hole_length_um, count)
    begin = canvas.places(count, HOLE_MARGIN_UM) - 0.5 * length[:, None] * away
    path = coarse.paths(begin, away, length, bounds.hole_bend, bounds.hole_persistence_um)
    limit = min(bounds.hole_um[1], max(bounds.hole_um[0], 0.25 * float(np.median(field_um))))
    radii = np.repeat(log_uniform(rng, (bounds.hole_um[0], limit), (count, 1)), path.shape[1], axis=1)
    coarse.tubes(Tubes(path, radii, np.ones(count)))
    places = [np.arange(n) * d / s for n, d, s in zip(canvas.shape, canvas.spacing_um, step, strict=True)]
    return np.minimum(interpolate(coarse.density, places), 1)


def draw_autofluorescence(
    rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: AutofluorescenceBounds
) -> FloatArray:
    """Light of unstained tissue, axes (Z, Y, X), zero or more, mean 1: smooth grains, often with bright granules.

    The granules (lipofuscin, 0.3 to 1 um across) are sparse and their share of the light is random.
    """
    granules = Canvas.blank(rng, shape, spacing_um)
    log_light = np.zeros(shape, dtype=np.float32)
    for grain_um in log_uniform(rng, bounds.grain_um, 2):
        log_light += np.float32(rng.uniform(*bounds.contrast)) * granules.noise(float(grain_um))
    light = np.exp(log_light)
    light /= light.mean()
    if rng.random() < bounds.granule_chance:
        expected = log_uniform(rng, bounds.granules_per_um3) * granules.field_um.prod()
        count = int(np.clip(expected, 1, MAX_GRANULES))
        bright = rng.uniform(*bounds.granule_brightness) * rng.uniform(*bounds.granule_dimming, count)
        granules.balls(granules.places(count), rng.uniform(*bounds.granule_radius_um, count), bright)
        light += granules.density
    return np.asarray(light / light.mean(dtype=np.float64), dtype=np.float32)
