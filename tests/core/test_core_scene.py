"""Scenes: drawn within their bounds, told as plain values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.scene import OBJECTIVES, SceneBounds, draw_kind, draw_scene

BOUNDS = SceneBounds()


def within(value: float, name: str) -> bool:
    low, high = getattr(BOUNDS, name)
    return bool(low * (1 - 1e-9) <= value <= high * (1 + 1e-9))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32))
def test_scene_stays_within_the_bounds(seed: int) -> None:
    scene = draw_scene(np.random.default_rng(seed), "neurons")
    scope, tissue, camera, stage = scene.microscope, scene.tissue, scene.camera, scene.stage
    (low, high), _ = OBJECTIVES[scope.immersion_index]
    assert low <= scope.numerical_aperture <= high < scope.immersion_index
    z, y, x = scene.spacing_um
    assert y == x
    assert z >= y
    assert BOUNDS.pixel_um[0] <= y <= BOUNDS.pixel_um[1]
    assert BOUNDS.step_um[0] <= z <= BOUNDS.step_um[1]
    assert 0 < scope.excitation_um < scope.emission_um
    assert np.linalg.norm(scope.aberrations) <= BOUNDS.aberration_waves[1]
    if np.isfinite(tissue.mean_free_path_um):
        assert within(tissue.mean_free_path_um, "mean_free_path_um")
        assert within(tissue.absorption_um, "absorption_um")
    for value, name in (
        (scope.sample_index, "sample_index"),
        (scope.emission_um, "emission_um"),
        (scope.pinhole_airy, "pinhole_airy"),
        (scene.thickness_um, "thickness_um"),
        (tissue.anisotropy, "anisotropy"),
        (tissue.collected, "collected"),
        (camera.photons, "photons"),
        (camera.background, "background"),
        (camera.read_noise, "read_noise"),
        (scene.confocal.photons, "confocal_photons"),
        (scene.compensated, "compensated"),
    ):
        assert within(value, name)
    for value, name in ((camera.saturated, "saturated"), (stage.bleached, "bleached"), (camera.hot_pixels, "hot_pixels")):
        assert value == 0 or within(value, name)


def test_same_seed_gives_the_same_scene() -> None:
    assert draw_scene(np.random.default_rng(3), "nuclei") == draw_scene(np.random.default_rng(3), "nuclei")
    assert draw_scene(np.random.default_rng(3), "nuclei") != draw_scene(np.random.default_rng(4), "nuclei")


def test_description_is_plain_and_finite() -> None:
    for seed in range(20):
        scene = draw_scene(np.random.default_rng(seed), "nuclei")
        text = json.loads(json.dumps(scene.description(), allow_nan=False))
        assert text["spacing_um"] == list(scene.spacing_um)
        assert text["microscope"]["numerical_aperture"] == scene.microscope.numerical_aperture


def test_kinds_are_drawn_in_their_shares() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_kind(rng, BOUNDS, True) for _ in range(4000)]
    total = sum(BOUNDS.kinds.values())
    for kind, share in BOUNDS.kinds.items():
        assert drawn.count(kind) / 4000 == pytest.approx(share / total, abs=0.03)
    assert "confocal" not in [draw_kind(rng, BOUNDS, False) for _ in range(500)]


def test_bounds_can_be_set_and_must_rise() -> None:
    scene = draw_scene(np.random.default_rng(0), "nuclei", SceneBounds.checked(photons=(777, 777)))
    assert scene.camera.photons == pytest.approx(777)
    with pytest.raises(InputError, match=r"photons is \(9.0, 3.0\): two rising numbers are allowed"):
        SceneBounds.checked(photons=(9, 3))
    with pytest.raises(InputError, match="unknown name 'fotons'"):
        SceneBounds.checked(fotons=(9, 30))
