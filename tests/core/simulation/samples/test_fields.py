"""Shapes cut from fields: as full, as thick and as regular as their bounds say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.fields import (
    FieldsBounds,
    draw_fractal,
    draw_level_set,
    draw_periodic,
    draw_shells,
    draw_threads,
)
from napari_deep3d.core.types import FloatArray, Shape

Drawer = Callable[[Canvas, FieldsBounds], None]

SHAPE, STEP_UM = (50, 60, 64), 0.1


def drawn(draw: Drawer, seed: int, shape: Shape = SHAPE, **bounds: Any) -> FloatArray:
    canvas = Canvas.blank(np.random.default_rng(seed), shape, (STEP_UM, STEP_UM, STEP_UM))
    draw(canvas, FieldsBounds.checked(**bounds))
    return canvas.density


def area_um2(solid: FloatArray) -> float:
    """Area of the surface of a body from how much of each voxel it fills."""
    steep = np.sqrt(sum(np.square(part) for part in np.gradient(solid, STEP_UM)))
    return float(steep.sum() * STEP_UM**3)


@settings(deadline=None, max_examples=10)
@given(st.floats(0.05, 0.6), st.integers(0, 1000), st.sampled_from((False, True)))
def test_level_sets_fill_the_share_that_is_told(filling: float, seed: int, graded: bool) -> None:
    solid = drawn(draw_level_set, seed, (24, 60, 64), filling=(filling, filling), graded_chance=float(graded))
    share = (solid > 0.5 * (not graded)).mean()
    assert share == pytest.approx(filling, rel=0.1, abs=0.01)


@pytest.mark.parametrize("anisotropy", [(1.0, 1.0), (0.4, 2.5)], ids=["even", "stretched"])
def test_shells_are_as_thick_as_told(anisotropy: tuple[float, float]) -> None:
    own: dict[str, Any] = {"wave_um": (4.0, 4.0), "band": (0.1, 0.1), "anisotropy": anisotropy}
    thickness = []
    for seed in range(3):  # the same field in both, whose level 0 is passed by half of it
        shell = drawn(draw_shells, seed, level=(0.0, 0.0), shell_um=(0.3, 0.3), **own)
        solid = drawn(draw_level_set, seed, filling=(0.5, 0.5), graded_chance=0.0, **own)
        thickness.append(shell.sum() * STEP_UM**3 / area_um2(solid))
    assert np.mean(thickness) == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize(("draw", "power"), [(draw_shells, 1), (draw_threads, 2)])
def test_shells_grow_with_their_thickness_and_threads_with_its_square(draw: Drawer, power: int) -> None:
    own: dict[str, Any] = {"wave_um": (4.0, 4.0), "level": (0.0, 0.0), "anisotropy": (1.0, 1.0), "band": (0.1, 0.1)}
    volumes = [sum(drawn(draw, s, shell_um=(um, um), **own).sum() for s in range(3)) for um in (0.25, 0.5)]
    assert volumes[1] / volumes[0] == pytest.approx(2**power, rel=0.15)


def alike(image: FloatArray, away_um: float) -> float:
    """Largest autocorrelation at a distance, over all directions."""
    centred = image - image.mean()
    padded = [2 * n for n in image.shape]
    power = np.abs(scipy.fft.rfftn(centred, padded)) ** 2
    pairs = np.abs(scipy.fft.rfftn(np.ones_like(image), padded)) ** 2
    product = scipy.fft.irfftn(power, padded) / np.maximum(scipy.fft.irfftn(pairs, padded), 0.2 * image.size)
    lag = np.sqrt(sum(np.square(part) for part in np.ix_(*(np.fft.fftfreq(n, 1 / n) for n in padded))))
    return float(product[np.abs(lag * STEP_UM - away_um) < 0.6 * STEP_UM].max() / image.var())


@pytest.mark.parametrize("seed", range(4))
def test_periodic_surfaces_repeat_after_their_wave_length_unless_they_are_bent(seed: int) -> None:
    own: dict[str, Any] = {"anisotropy": (1.0, 1.0), "level": (0.0, 0.0), "filling": (0.5, 0.5), "shell_um": (0.4, 0.4)}
    shape, wave_um = (44, 44, 44), (1.8, 1.8)
    regular, bent = (drawn(draw_periodic, seed, shape, warp=(w, w), wave_um=wave_um, **own) for w in (0.0, 0.4))
    assert alike(regular, wave_um[0]) > 0.8
    assert alike(bent, wave_um[0]) < alike(regular, wave_um[0]) - 0.15


@pytest.mark.parametrize("fall", [1.2, 2.0, 3.0])
def test_amplitude_of_fractal_noise_falls_by_its_power(fall: float) -> None:
    cloud = drawn(draw_fractal, 1, fall=(fall, fall), cut_chance=0.0, anisotropy=(1.0, 1.0))
    amplitude = np.abs(scipy.fft.fftn(np.log(cloud)))
    frequency = np.sqrt(sum(np.square(part) for part in np.ix_(*(np.fft.fftfreq(n) for n in cloud.shape))))
    within = (frequency > 0.05) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[within]), np.log(amplitude[within]), 1)[0]
    assert slope == pytest.approx(-fall, abs=0.1)


def test_fractal_noise_is_cut_to_its_filling() -> None:
    for filling in (0.1, 0.5):
        cloud = drawn(draw_fractal, 2, cut_chance=1.0, filling=(filling, filling))
        assert (cloud > 0).mean() == pytest.approx(filling, rel=0.1)
