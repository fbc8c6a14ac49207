"""Changes to samples: none without a chance, each what its bounds say, and never more than a density."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.ndimage as ndi
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.imaging import draw_sample
from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.changes import ChangesBounds, bent, change, curved, fade
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.core.types import FloatArray, Shape, Spacing
from napari_deep3d.core.volume import Volume

SHAPE, SPACING_UM = (16, 48, 52), (0.4, 0.2, 0.2)
CHANCES = ("bend_chance", "texture_chance", "curve_chance", "levels_chance", "fade_chance")
NEVER = dict.fromkeys(CHANCES, 0.0)


@pytest.fixture(scope="module")
def cells() -> FloatArray:
    return samples.draw(np.random.default_rng(0), "cells", SHAPE, SPACING_UM, samples.SampleBounds())


def changed(sample: FloatArray, seed: int, **bounds: Any) -> FloatArray:
    own = ChangesBounds.checked(**(NEVER | bounds))
    return change(np.random.default_rng(seed), sample, SPACING_UM, own)


def canvas_of(sample: FloatArray, seed: int = 0, spacing_um: Spacing = SPACING_UM) -> Canvas:
    return Canvas(np.random.default_rng(seed), sample, spacing_um)


def test_without_chances_nothing_is_changed_and_nothing_drawn(cells: FloatArray) -> None:
    rng, before = np.random.default_rng(3), np.random.default_rng(3)
    np.testing.assert_array_equal(change(rng, cells, SPACING_UM, ChangesBounds.checked(**NEVER)), cells)
    assert rng.random() == before.random()


@pytest.mark.parametrize("name", CHANCES)
def test_each_change_changes_and_is_the_same_for_the_same_seed(name: str, cells: FloatArray) -> None:
    kept = cells.copy()
    first, again, other = (changed(cells, seed, **{name: 1.0}) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, cells, atol=1e-3)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(cells, kept)


@settings(deadline=None, max_examples=30)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 30), st.integers(1, 30)),
    st.floats(0, 1),
    st.integers(0, 2**32),
    st.floats(0.05, 2.0),
)
def test_a_changed_sample_is_a_density_and_never_empty(shape: Shape, filled: float, seed: int, step_um: float) -> None:
    rng = np.random.default_rng(seed)
    sample = (rng.random(shape) * (rng.random(shape) < filled)).astype(np.float32)
    sample[tuple(rng.integers(shape))] = 1
    drawn = change(rng, sample, (step_um, step_um, step_um), ChangesBounds.checked(**dict.fromkeys(CHANCES, 1.0)))
    assert drawn.shape == shape
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert drawn.min() >= 0
    assert drawn.any()


@pytest.mark.parametrize("name", CHANCES)
def test_bright_parts_of_a_changed_sample_are_one(name: str, cells: FloatArray) -> None:
    drawn = changed(cells * 0.4, 0, **{name: 1.0})
    assert np.percentile(drawn[drawn > 0], 99.9) == pytest.approx(1, rel=1e-4)


def test_no_shift_bends_nothing(cells: FloatArray) -> None:
    np.testing.assert_allclose(bent(canvas_of(cells), 3.0, 0.0), cells, atol=1e-6)


def test_bends_keep_the_mass_of_a_sample(cells: FloatArray) -> None:
    ratio = [bent(canvas_of(cells, seed), 3.0, 0.6).sum() / cells.sum() for seed in range(6)]
    assert np.mean(ratio) == pytest.approx(1, abs=0.05)


def test_bends_move_a_point_by_about_their_shift() -> None:
    spacing_um, middle = (0.2, 0.1, 0.1), np.array((16, 24, 24))
    blob = np.zeros((32, 48, 48), np.float32)
    blob[tuple(middle)] = 1
    blob = ndi.gaussian_filter(blob, (1, 2, 2))
    moved = [
        (np.array(ndi.center_of_mass(bent(canvas_of(blob, seed, spacing_um), 2.0, 0.4))) - middle) * spacing_um
        for seed in range(20)
    ]
    assert np.sqrt(np.mean(np.square(moved))) == pytest.approx(0.4, rel=0.25)


@settings(deadline=None)
@given(st.floats(0.5, 2), st.floats(0, 4))
def test_curves_keep_the_order_of_densities_and_black_and_one(gamma: float, saturation: float) -> None:
    rising = np.linspace(0, 2, 50, dtype=np.float32)
    curve = curved(rising, gamma, saturation)
    assert (np.diff(curve) > 0).all()
    np.testing.assert_allclose(curved(np.array((0, 1), np.float32), gamma, saturation), (0, 1), atol=1e-6)


def test_saturation_leaves_less_difference_between_bright_parts() -> None:
    ends = [np.diff(curved(np.array((0.8, 1.0), np.float32), 1.0, s))[0] for s in (0.0, 1.0, 4.0)]
    assert ends[0] > ends[1] > ends[2] > 0


@settings(deadline=None)
@given(
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1),
    st.floats(0.05, 0.6),
    st.floats(0.3, 1),
)
def test_a_sample_fades_in_its_direction_down_to_its_level(
    across: tuple[float, float, float], level: float, width: float
) -> None:
    mask = fade(canvas_of(np.ones(SHAPE, np.float32)), np.array(across), level, width, (1 - width) / 2)
    for axis, sign in enumerate(np.sign(across)):
        assert (sign * np.diff(mask, axis=axis) <= 1e-6).all()
    assert mask.max() == pytest.approx(1, abs=1e-5)
    assert mask.min() == pytest.approx(level, abs=1e-5)


def test_some_samples_fade_along_the_depth_alone() -> None:
    plain = np.ones(SHAPE, np.float32)
    deep = changed(plain, 0, fade_chance=1.0, fade_depth_chance=1.0)
    np.testing.assert_allclose(deep, np.broadcast_to(deep[:, :1, :1], SHAPE), rtol=1e-5)
    assert np.ptp(deep[:, 0, 0]) > 0.1


def test_a_part_of_its_share_has_its_level() -> None:
    plain, own = np.ones((24, 96, 96), np.float32), {"part_grain_um": (2.0, 2.0), "part_level": (0.25, 0.25)}
    two = changed(plain, 1, levels_chance=1.0, part=(0.3, 0.3), **own)
    assert two.min() == pytest.approx(0.25, rel=1e-3)
    assert two.max() == pytest.approx(1.0, rel=1e-3)
    assert (two < 0.6).mean() == pytest.approx(0.3, abs=0.03)


def test_a_grain_has_its_contrast() -> None:
    plain, own = np.ones(SHAPE, np.float32), {"texture_grain_um": (0.5, 0.5)}
    for contrast in (0.2, 0.6):
        drawn = changed(plain, 0, texture_chance=1.0, texture_contrast=(contrast, contrast), **own)
        assert np.log(drawn).std() == pytest.approx(contrast, rel=0.15)


@pytest.mark.parametrize("kind", ["cells", "confocal"])
def test_drawn_samples_and_pieces_of_real_stacks_are_changed(kind: Any) -> None:
    scene = replace(SceneBounds().draw(np.random.default_rng(0), kind), spacing_um=SPACING_UM)
    stack = Volume(np.random.default_rng(0).gamma(0.5, 500.0, (40, 90, 90)).astype(np.uint16), SPACING_UM)
    never, always = (
        draw_sample(np.random.default_rng(1), scene, SHAPE, [stack], samples.SampleBounds.checked(changes=own))
        for own in (NEVER, dict.fromkeys(CHANCES, 1.0))
    )
    assert not np.allclose(never, always, atol=0.05)


def test_beads_stay_balls() -> None:
    scene = replace(SceneBounds().draw(np.random.default_rng(0), "beads"), spacing_um=SPACING_UM)
    bounds = samples.SampleBounds.checked(changes=dict.fromkeys(CHANCES, 1.0))
    drawn = draw_sample(np.random.default_rng(1), scene, SHAPE, [], bounds)
    np.testing.assert_array_equal(drawn, samples.draw(np.random.default_rng(1), "beads", SHAPE, SPACING_UM, bounds))
