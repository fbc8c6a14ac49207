"""Light of the tissue itself: diffuse glow and granules."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import PositiveRange, Range, Share, ShareRange
from napari_deep3d.core.simulation.samples.noise import log_uniform, smooth_noise
from napari_deep3d.core.simulation.samples.paths import starts
from napari_deep3d.core.simulation.samples.rasterize import draw_balls
from napari_deep3d.core.types import FloatArray, Shape, Spacing

MAX_GRANULES = 5000


class AutofluorescenceBounds(Config):
    """Bounds of the random choices in the light of the tissue itself."""

    grain_um: PositiveRange = Field((1.0, 8.0), description="of each of two grain sizes, log")
    contrast: Range = Field((0.1, 0.6), description="standard deviation of the logarithm of the glow, for each of both")
    granule_chance: Share = Field(0.6, description="share of the scenes with autofluorescence that have granules")
    granule_radius_um: PositiveRange = Field((0.15, 0.5), description="radius of the granules")
    granules_per_um3: PositiveRange = Field((1e-5, 2e-3), description="density of the granules, log")
    granule_brightness: PositiveRange = Field(
        (3.0, 30.0), description="of a scene's granules in units of the mean glow"
    )
    granule_dimming: ShareRange = Field((0.3, 1.0), description="of each granule in that of its scene")


def autofluorescence(
    rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: AutofluorescenceBounds
) -> FloatArray:
    """Glow of unstained tissue, axes (Z, Y, X), zero or more, mean 1: smooth grains, often with bright granules.

    The granules (lipofuscin, 0.3 to 1 um across) are sparse and their share of the light is random.
    """
    log_glow = np.zeros(shape, dtype=np.float32)
    for grain_um in log_uniform(rng, bounds.grain_um, 2):
        log_glow += np.float32(rng.uniform(*bounds.contrast)) * smooth_noise(rng, shape, spacing_um, float(grain_um))
    glow = np.exp(log_glow)
    glow /= glow.mean()
    if rng.random() < bounds.granule_chance:
        field_um = np.array(shape) * spacing_um
        count = int(np.clip(log_uniform(rng, bounds.granules_per_um3) * field_um.prod(), 1, MAX_GRANULES))
        granules = np.zeros(shape, dtype=np.float32)
        bright = rng.uniform(*bounds.granule_brightness) * rng.uniform(*bounds.granule_dimming, count)
        draw_balls(
            granules, spacing_um, starts(rng, field_um, count), rng.uniform(*bounds.granule_radius_um, count), bright
        )
        glow += granules
    return np.asarray(glow / glow.mean(dtype=np.float64), dtype=np.float32)
