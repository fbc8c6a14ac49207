"""Light of the tissue itself: diffuse glow and granules."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.samples.courses import starts
from napari_deep3d.core.samples.drawing import draw_balls
from napari_deep3d.core.samples.noise import Array, log_uniform, smooth_noise
from napari_deep3d.core.volume import Shape, Spacing

GRAIN_UM = (1.0, 8.0)
CONTRAST = (0.1, 0.6)
"""Standard deviation of the logarithm of the glow, for each of two grain sizes."""
GRANULE_RADIUS_UM = (0.15, 0.5)
GRANULES_PER_UM3 = (1e-5, 2e-3)
GRANULE_BRIGHTNESS = (3.0, 30.0)
"""In units of the mean glow."""
GRANULE_CHANCE = 0.6
MAX_GRANULES = 5000


def autofluorescence(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Glow of unstained tissue, axes (Z, Y, X), zero or more, mean 1: smooth grains, often with bright granules.

    The granules (lipofuscin, 0.3 to 1 um across) are sparse and their share of the light is random.
    """
    log_glow = np.zeros(shape, dtype=np.float32)
    for grain_um in log_uniform(rng, GRAIN_UM, 2):
        log_glow += np.float32(rng.uniform(*CONTRAST)) * smooth_noise(rng, shape, spacing_um, float(grain_um))
    glow = np.exp(log_glow)
    glow /= glow.mean()
    if rng.random() < GRANULE_CHANCE:
        field_um = np.array(shape) * spacing_um
        count = int(np.clip(log_uniform(rng, GRANULES_PER_UM3) * field_um.prod(), 1, MAX_GRANULES))
        granules = np.zeros(shape, dtype=np.float32)
        bright = rng.uniform(*GRANULE_BRIGHTNESS) * rng.uniform(0.3, 1, count)
        draw_balls(granules, spacing_um, starts(rng, field_um, count), rng.uniform(*GRANULE_RADIUS_UM, count), bright)
        glow += granules
    return np.asarray(glow / glow.mean(dtype=np.float64), dtype=np.float32)
