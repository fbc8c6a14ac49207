"""Cell bodies, which neurons and glia have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from napari_deep3d.core import DoubleArray
from napari_deep3d.core.simulation.bounds import NonNegative, Positive, PositiveRange, Share, ShareRange
from napari_deep3d.core.simulation.samples.canvas import BodyBounds, Canvas

SOMA_EDGE_UM = 0.15
"""Width of a soma's edge, at least; that of a lateral voxel, if larger."""
STEM_PLACE = 0.7
"""Where processes begin in a soma, in radii from its centre."""


class SomataBounds(BodyBounds):
    """Bounds of the random choices in the somata and the forks of neurons and glia."""

    soma_stretch: PositiveRange = Field((0.7, 1.3), description="semi-axes of a soma in its radius")
    soma_grain_um: Positive = Field(0.35, description="grain of the cytoplasm")
    soma_contrast: NonNegative = Field(
        0.2, description="standard deviation of the logarithm of the cytoplasm's density"
    )
    nucleus_radius: PositiveRange = Field((0.4, 0.65), description="radius of the dim nucleus in the soma's")
    nucleus_loss: ShareRange = Field((0.2, 0.8), description="share of the soma's density that the nucleus lacks")
    fork_radius: PositiveRange = Field(
        (0.6, 0.85), description="radius of a branch in its parent's at the fork; two of 0.63 obey Rall's 3/2 law"
    )
    forks_at_end: Share = Field(0.6, description="share of the branches that leave at their parent's end")
    fork_place: ShareRange = Field((0.25, 1.0), description="where the others leave, as a share of its length")


@dataclass(frozen=True)
class Somata:
    """Cell bodies; arrays have an entry for each."""

    centres_um: DoubleArray  # (cells, 3), Z, Y, X in um
    radii_um: DoubleArray  # mean radius
    brightness: DoubleArray  # density


def draw_somata(canvas: Canvas, somata: Somata, bounds: SomataBounds) -> None:
    """Draw cell bodies of grainy cytoplasm, each with a dim nucleus."""
    rng = canvas.rng
    texture = np.exp(np.float32(bounds.soma_contrast) * canvas.noise(bounds.soma_grain_um))
    for centre, radius, brightness in zip(somata.centres_um, somata.radii_um, somata.brightness, strict=True):
        box = canvas.box_around(centre, 1.5 * radius)
        if box is None:
            continue
        body = canvas.ellipsoid(box, centre, radius * rng.uniform(*bounds.soma_stretch, 3), bounds)
        nucleus = canvas.ellipsoid(box, centre, np.full(3, radius * rng.uniform(*bounds.nucleus_radius)), bounds)
        edge = np.float32(max(SOMA_EDGE_UM, canvas.spacing_um[1]) / radius)
        hole = np.float32(rng.uniform(*bounds.nucleus_loss)) * np.clip((1 - nucleus) / np.float32(0.2), 0, 1)
        filled = np.clip((1 - body) / edge + np.float32(0.5), 0, 1)
        canvas.lighten(box, np.float32(brightness) * filled * (1 - hole) * texture[box])
