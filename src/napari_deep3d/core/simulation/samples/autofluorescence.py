"""Light of the tissue itself: a smooth background and granules."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core import FloatArray, Shape, Spacing
from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.bounds import PositiveRange, Range, Share, ShareRange, log_uniform
from napari_deep3d.core.simulation.samples.canvas import Canvas

MAX_GRANULES = 5000


class AutofluorescenceBounds(Config):
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


def draw_autofluorescence(
    rng: np.random.Generator, shape: Shape, spacing_um: Spacing, bounds: AutofluorescenceBounds
) -> FloatArray:
    """Light of unstained tissue: smooth grains, often with bright granules.

    The granules (lipofuscin, 0.3 to 1 um across) are sparse and their share of the light is random.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random choices.
    shape, spacing_um
        Voxels (Z, Y, X) and their size in um.
    bounds : AutofluorescenceBounds
        Bounds of the random choices.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Zero or more, mean 1.
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
