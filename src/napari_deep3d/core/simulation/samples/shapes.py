"""Shapes that stand for no tissue, so that a network learns optics rather than shapes; one kind of them, or two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import Field

from napari_deep3d.core.simulation.bounds import PositiveRange, Share, happens, log_uniform
from napari_deep3d.core.simulation.samples.bodies import BodiesBounds, draw_bodies, draw_bushes, draw_lines
from napari_deep3d.core.simulation.samples.canvas import Canvas, normalized
from napari_deep3d.core.simulation.samples.fields import (
    FieldsBounds,
    draw_fractal,
    draw_level_set,
    draw_periodic,
    draw_shells,
    draw_threads,
)

MASK = 0.3
"""Above this share of its bright parts, a shape masks another."""


class OneShapeBounds(FieldsBounds, BodiesBounds):
    """Bounds of the random choices in a single kind of shapes."""


class ShapesBounds(OneShapeBounds):
    """Bounds of the random choices in samples of generic shapes."""

    two_chance: Share = Field(0.4, description="share of the samples of two kinds of shapes: both, or one in the other")
    inside_chance: Share = Field(0.5, description="share of these that show one within the other alone")
    second_brightness: PositiveRange = Field((0.2, 1.0), description="brightness of the second in the first's, log")


def draw_shapes(canvas: Canvas, bounds: ShapesBounds) -> None:
    """Draw shapes of one kind, or of two: the larger of both, or the first where the second is."""
    rng = canvas.rng
    drawers: tuple[Callable[[Canvas, ShapesBounds], None], ...] = (
        draw_level_set,
        draw_shells,
        draw_threads,
        draw_periodic,
        draw_fractal,
        draw_bodies,
        draw_lines,
        draw_bushes,
    )
    first, second = rng.permutation(len(drawers))[:2]
    drawers[first](canvas, bounds)
    canvas.density[:] = normalized(canvas.density)
    if happens(rng, bounds.two_chance):
        other = canvas.layer()
        drawers[second](other, bounds)
        seen = normalized(other.density)
        if happens(rng, bounds.inside_chance):
            canvas.density[:] *= np.clip(seen / np.float32(MASK), 0, 1)
        else:
            dimmer = np.float32(log_uniform(rng, bounds.second_brightness))
            np.maximum(canvas.density, dimmer * seen, out=canvas.density)
