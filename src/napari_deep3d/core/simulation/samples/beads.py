"""Beads: round bodies far apart in a dark field, as in samples that microscopes are measured with."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from napari_deep3d.core.simulation.bounds import Bounds, PositiveRange, Range, Share, log_uniform
from napari_deep3d.core.simulation.samples.canvas import Canvas

MAX_BEADS = 5000
BLUR_UM = 0.2
"""By so much larger in radius a confocal microscope shows a bead. With too little of the field filled, the 99.9th
percentile of the confocal stack, which becomes 1, would be noise."""
MIN_HOLLOW_UM = 1.0
"""Radius below which a bead is solid."""


class BeadsBounds(Bounds):
    """Bounds of the random choices in samples of beads."""

    radius_um: PositiveRange = Field((0.05, 4.0), description="radius, log")
    size_spread: Range = Field((0.0, 0.3), description="standard deviation of the logarithm of a sample's radii")
    filling: PositiveRange = Field((0.004, 0.05), description="share of the field that beads with their blur fill, log")
    brightness: PositiveRange = Field((0.2, 1.0), description="brightness, log")
    hollow_chance: Share = Field(0.3, description="share of the samples stained at the surface alone")
    shell_um: PositiveRange = Field((0.1, 0.5), description="how deep the stain at the surface is")


def draw_beads(canvas: Canvas, bounds: BeadsBounds) -> None:
    """Beads of about one size, far apart: stained all through, or at their surface alone."""
    rng = canvas.rng

    # 1. Solid beads.
    radius = float(log_uniform(rng, bounds.radius_um))
    bead_um3 = 4 / 3 * np.pi * (radius + BLUR_UM) ** 3
    count = int(np.clip(log_uniform(rng, bounds.filling) * canvas.field_um.prod() / bead_um3, 1, MAX_BEADS))
    centres = canvas.places(count)
    radii = np.clip(radius * np.exp(rng.uniform(*bounds.size_spread) * rng.standard_normal(count)), *bounds.radius_um)
    bright = log_uniform(rng, bounds.brightness, count)
    hollow = (radii > MIN_HOLLOW_UM) & (rng.random() < bounds.hollow_chance)
    canvas.balls(centres[~hollow], radii[~hollow], bright[~hollow])

    # 2. Hollow ones: each voxel holds roughly the share of it that the stained shell fills.
    shell_um = rng.uniform(*bounds.shell_um)
    edge_um = float(np.mean(canvas.spacing_um))
    for centre, outer, value in zip(centres[hollow], radii[hollow], bright[hollow], strict=True):
        box = canvas.box_around(centre, outer + edge_um)
        if box is not None:
            distance_um = np.sqrt(canvas.squared_distance(box, centre))
            ball, hole = (np.clip((r - distance_um) / edge_um + 0.5, 0, 1) for r in (outer, outer - shell_um))
            canvas.lighten(box, (value * (ball - hole)).astype(np.float32))
