"""Packings of bodies, lines and trees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.simulation.samples.bodies import BodiesBounds, draw_bodies, draw_lines
from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.types import FloatArray

SHAPE, STEP_UM = (50, 60, 64), 0.2
BRIGHT: dict[str, Any] = {"body_brightness": (1.0, 1.0)}
SOLID: dict[str, Any] = {"shell_chance": 0.0, **BRIGHT}


def bodies(seed: int, **bounds: Any) -> FloatArray:
    canvas = Canvas.blank(np.random.default_rng(seed), SHAPE, (STEP_UM, STEP_UM, STEP_UM))
    draw_bodies(canvas, BodiesBounds.checked(**bounds))
    return canvas.density


@pytest.mark.parametrize("polyhedra", [0.0, 1.0])
@pytest.mark.parametrize("stretch", [(1.0, 1.0), (0.2, 1.8)])
@pytest.mark.parametrize("packing", [0.05, 0.2])
def test_bodies_fill_what_their_packing_says(packing: float, stretch: tuple[float, float], polyhedra: float) -> None:
    own = {"body_um": (1.0, 1.0), "body_stretch": stretch, "polyhedra": (polyhedra, polyhedra)}
    shares = [bodies(seed, packing=(packing, packing), **own, **SOLID).mean() for seed in range(3)]
    # They lie anywhere, so that some of their volume is that of others.
    assert np.mean(shares) == pytest.approx(1 - np.exp(-packing), rel=0.15)


@pytest.mark.parametrize("shell_um", [0.1, 0.5, 1.0])
def test_shells_of_balls_have_their_volume(shell_um: float) -> None:
    radius = 2.0
    own = {"body_um": (radius, radius), "body_stretch": (1.0, 1.0), "polyhedra": (0.0, 0.0), "packing": (0.0, 0.0)}
    ball = bodies(0, **own, shell_chance=1.0, body_shell_um=(shell_um, shell_um), **BRIGHT)
    volume = 4 / 3 * np.pi * (radius**3 - (radius - shell_um) ** 3)
    assert ball.sum() * STEP_UM**3 == pytest.approx(volume, rel=0.05)


def test_a_box_has_the_volume_of_its_sides() -> None:
    own = {"body_um": (1.2, 1.2), "body_stretch": (1.0, 1.0), "polyhedra": (1.0, 1.0), "faces": (3, 3)}
    box = bodies(0, **own, packing=(0.0, 0.0), **SOLID)
    assert box.sum() * STEP_UM**3 == pytest.approx(2.4**3, rel=0.05)


def test_each_body_has_a_brightness_within_its_bounds() -> None:
    drawn = bodies(1, body_um=(1.0, 1.0), packing=(0.2, 0.2), shell_chance=0.0, body_brightness=(0.3, 0.9))
    levels = np.unique(drawn.round(5), return_counts=True)
    plain = levels[0][levels[1] > 20]
    plain = plain[plain > 0]
    assert len(plain) > 5
    assert 0.3 <= plain.min() < plain.max() <= 0.9 + 1e-5


def test_lines_are_as_many_as_told() -> None:
    light = []
    for um3 in (20.0, 80.0):
        canvas = Canvas.blank(np.random.default_rng(0), SHAPE, (STEP_UM, STEP_UM, STEP_UM))
        own = {"line_um": (0.05, 0.05), "line_length_um": (5.0, 5.0), "body_brightness": (1.0, 1.0)}
        draw_lines(canvas, BodiesBounds.checked(um3_per_line=(um3, um3), **own))
        light.append(float(canvas.density.sum()))
    assert light[0] / light[1] == pytest.approx(4, rel=0.2)
