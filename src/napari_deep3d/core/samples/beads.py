"""Beads: round bodies far apart in a dark field, as in samples that microscopes are measured with."""

from __future__ import annotations

import numpy as np

from napari_deep3d.core.samples.blobs import box_around
from napari_deep3d.core.samples.courses import starts
from napari_deep3d.core.samples.drawing import draw_balls
from napari_deep3d.core.samples.noise import Array, Floats, log_uniform
from napari_deep3d.core.volume import Shape, Spacing

RADIUS_UM = (0.05, 4.0)
SIZE_SPREAD = (0.0, 0.3)
"""Standard deviation of the logarithm of the radii in a sample."""
FILLING, BLUR_UM = (0.004, 0.05), 0.2
"""Share of the field that the beads fill, each as much larger in radius as a confocal microscope shows it: with less,
the 99.9th percentile of the confocal stack, which becomes 1, would be noise."""
MAX_BEADS = 5000
BRIGHTNESS = (0.2, 1.0)
HOLLOW_CHANCE, SHELL_UM = 0.3, (0.1, 0.5)
"""Share of the samples stained at the surface alone, and how deep."""
LEAST_HOLLOW_UM = 1.0
"""Radius below which a bead is solid."""


def beads(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> Array:
    """Beads of about one size, far apart: stained all through, or at their surface alone."""
    field_um = np.array(shape) * spacing_um
    density = np.zeros(shape, dtype=np.float32)
    radius = float(log_uniform(rng, RADIUS_UM))
    bead_um3 = 4 / 3 * np.pi * (radius + BLUR_UM) ** 3
    count = int(np.clip(log_uniform(rng, FILLING) * field_um.prod() / bead_um3, 1, MAX_BEADS))
    centres = starts(rng, field_um, count)
    radii = np.clip(radius * np.exp(rng.uniform(*SIZE_SPREAD) * rng.standard_normal(count)), *RADIUS_UM)
    bright = log_uniform(rng, BRIGHTNESS, count)
    hollow = (radii > LEAST_HOLLOW_UM) & (rng.random() < HOLLOW_CHANCE)
    draw_balls(density, spacing_um, centres[~hollow], radii[~hollow], bright[~hollow])
    shell_um = rng.uniform(*SHELL_UM)
    for centre, outer, value in zip(centres[hollow], radii[hollow], bright[hollow], strict=True):
        _draw_shell(density, spacing_um, centre, outer, shell_um, value)
    return density


def _draw_shell(
    density: Array, spacing_um: Spacing, centre_um: Floats, radius_um: float, shell_um: float, brightness: float
) -> None:
    """Draw a hollow ball; each voxel holds roughly the share of it that the shell fills."""
    edge_um = float(np.mean(spacing_um))
    box = box_around(density.shape, spacing_um, centre_um, radius_um + edge_um)
    if box is None:
        return
    squares = ((np.arange(s.start, s.stop) * d - c) ** 2 for s, d, c in zip(box, spacing_um, centre_um, strict=True))
    distance_um = np.sqrt(sum(np.ix_(*squares), np.zeros(1)))
    ball, hole = (np.clip((r - distance_um) / edge_um + 0.5, 0, 1) for r in (radius_um, radius_um - shell_um))
    density[box] = np.maximum(density[box], (brightness * (ball - hole)).astype(np.float32))
