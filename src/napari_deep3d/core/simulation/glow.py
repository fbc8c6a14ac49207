"""Light from far outside of a stack: of thick tissue above and below it, and of bright things beside the field.

It is out of focus beyond recognition, so only its smooth course within the stack matters, not its source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from napari_deep3d.core import FloatArray, Spacing, shape_of
from napari_deep3d.core.simulation.bounds import (
    Bounds,
    NonNegative,
    PositiveRange,
    Range,
    Share,
    happens,
    log_uniform,
    uniform,
)
from napari_deep3d.core.simulation.camera import BRIGHT_PERCENTILE
from napari_deep3d.core.simulation.samples.canvas import Canvas

BESIDE = 1.5
"""Distance of a light beside the field from its middle, in half diagonals of the field."""


@dataclass(frozen=True)
class Glow:
    """Light from far outside.

    Attributes
    ----------
    level : float
        Its mean as a share of the image's bright voxels; 0 for none.
    grain_um : float
        Standard deviation in um of the Gaussians of which it consists.
    contrast : float
        Standard deviation of its logarithm.
    beside : float
        Light of something bright beside the field, where that light is largest, as a share of the mean.
    """

    level: float = 0.0
    grain_um: float = 30.0
    contrast: float = 0.0
    beside: float = 0.0


class GlowBounds(Bounds):
    """Bounds of the random choices in the light from far outside."""

    glowing: Share = Field(0.4, description="share of scenes with light from far outside of the stack")
    glow_level: PositiveRange = Field((0.03, 3.0), description="its mean as a share of the bright voxels, log")
    glow_grain_um: PositiveRange = Field((6.0, 60.0), description="size of its clouds, log")
    glow_contrast: Range = Field((0.1, 0.8), description="standard deviation of its logarithm")
    lit_from_beside: Share = Field(0.3, description="share of these scenes with something bright beside the field")
    beside: NonNegative = Field(4.0, description="its largest light, at most, as a share of the mean")

    def draw(self, rng: np.random.Generator) -> Glow:
        """Draw the light."""
        if not happens(rng, self.glowing):
            return Glow()
        return Glow(
            level=float(log_uniform(rng, self.glow_level)),
            grain_um=float(log_uniform(rng, self.glow_grain_um)),
            contrast=uniform(rng, self.glow_contrast),
            beside=uniform(rng, (0.0, self.beside)) if happens(rng, self.lit_from_beside) else 0.0,
        )


def add_glow(rng: np.random.Generator, image: FloatArray, glow: Glow, spacing_um: Spacing) -> FloatArray:
    """A wide-field image, axes (Z, Y, X), in any unit of light, with light from far outside on top."""
    if not glow.level:
        return image
    canvas = Canvas.blank(rng, shape_of(image), spacing_um)
    light = np.exp(np.float32(glow.contrast) * canvas.noise(glow.grain_um))
    light /= light.mean()
    if glow.beside:
        # A Gaussian as wide as half the field, around a place beside it at a random depth.
        radius_um = 0.5 * float(np.hypot(*canvas.field_um[1:]))
        angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(0, canvas.field_um[0])
        away = BESIDE * radius_um * np.array([np.sin(angle), np.cos(angle)])
        places = [np.arange(n) * step for n, step in zip(canvas.shape, spacing_um, strict=True)]
        centre = (height, *(canvas.field_um[1:] / 2 + away))
        z, y, x = (np.exp(-0.5 * ((p - c) / radius_um) ** 2) for p, c in zip(places, centre, strict=True))
        beam = z[:, None, None] * y[:, None] * x
        light += np.asarray(glow.beside * beam / beam.max(), dtype=np.float32)
    bright = float(np.percentile(image, BRIGHT_PERCENTILE))
    return np.asarray(image + np.float32(glow.level * bright) * light, dtype=np.float32)
