"""Simulated pairs: reproducible, registered, and physically bounded."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core import simulation
from napari_deep3d.core.optics import Microscope
from napari_deep3d.core.simulation import Pair, Scene, draw_scene, expose, form_images, scatter, simulate_pair

SHAPE = (16, 48, 48)


@pytest.fixture(scope="module")
def scene() -> Scene:
    drawn = draw_scene(np.random.default_rng(0), "nuclei")
    scope = Microscope(numerical_aperture=1.2, immersion_index=1.333, sample_index=1.333)
    return replace(drawn, microscope=scope, spacing_um=(0.3, 0.12, 0.12), mean_free_path_um=np.inf)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return simulate_pair((3, 1), SHAPE)


def test_same_seed_gives_the_same_pair(pair: Pair) -> None:
    again = simulate_pair((3, 1), SHAPE)
    np.testing.assert_array_equal(pair.widefield, again.widefield)
    np.testing.assert_array_equal(pair.confocal, again.confocal)
    np.testing.assert_array_equal(pair.clean, again.clean)
    assert pair.scene == again.scene


def test_other_seed_gives_another_pair(pair: Pair) -> None:
    other = simulate_pair((3, 2), SHAPE)
    assert other.scene != pair.scene
    assert not np.array_equal(other.confocal, pair.confocal)


def test_pair_is_camera_counts_of_the_asked_shape(pair: Pair) -> None:
    for image in (pair.widefield, pair.confocal):
        assert image.shape == SHAPE
        assert image.dtype == np.uint16
        assert image.max() < 65_535  # not saturated
        assert image.std() > 0
    assert pair.clean.shape == SHAPE
    assert pair.clean.min() >= 0


def test_confocal_is_the_clean_image_with_noise(pair: Pair) -> None:
    noise_free = np.corrcoef(pair.clean.ravel(), pair.confocal.ravel())[0, 1]
    assert 0.7 < noise_free < 0.9999
    # Noise does not depend on its neighbours: the mean over many voxels is the clean image's.
    counts = (pair.confocal - simulation.CAMERA_OFFSET).reshape(2, 8, 6, 8, 6, 8).mean(axis=(1, 3, 5))
    clean = pair.clean.reshape(2, 8, 6, 8, 6, 8).mean(axis=(1, 3, 5))
    assert np.corrcoef(counts.ravel(), clean.ravel())[0, 1] > 0.99


def test_real_confocal_stacks_can_be_the_sample() -> None:
    stack = np.random.default_rng(0).gamma(0.5, 500.0, (40, 90, 90)).astype(np.uint16)
    got = simulate_pair((1,), (8, 32, 32), confocal_stacks=[stack], kind="confocal")
    assert got.scene.kind == "confocal"
    assert got.widefield.std() > 0


def test_kinds_are_drawn_in_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    one = np.ones((1, 1, 1), np.float32)
    for name in ("nuclei", "neurons", "from_confocal"):
        monkeypatch.setattr(simulation.samples, name, lambda *_: one)
    monkeypatch.setattr(simulation, "form_images", lambda sample, _: (sample, sample))
    monkeypatch.setattr(simulation, "expose", lambda *_: one)
    with_stacks = [simulate_pair((i,), SHAPE, confocal_stacks=[one]).scene.kind for i in range(1500)]
    assert with_stacks.count("confocal") / 1500 == pytest.approx(simulation.CONFOCAL_SHARE, abs=0.04)
    without = [simulate_pair((i,), SHAPE).scene.kind for i in range(1500)]
    assert "confocal" not in without
    assert without.count("nuclei") / 1500 == pytest.approx(simulation.NUCLEI_SHARE, abs=0.04)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32))
def test_scene_stays_within_the_bounds(seed: int) -> None:
    drawn = draw_scene(np.random.default_rng(seed), "neurons")
    scope = drawn.microscope
    low, high = simulation.IMMERSIONS[scope.immersion_index]
    assert low <= scope.numerical_aperture <= high < scope.immersion_index
    expected = (1.0, 1.0) if scope.immersion_index == 1 else simulation.SAMPLE_INDEX
    assert expected[0] <= scope.sample_index <= expected[1]
    assert 0 < scope.excitation_um < scope.emission_um
    z, y, x = drawn.spacing_um
    assert y == x
    assert drawn.mean_free_path_um in simulation.MEAN_FREE_PATHS_UM
    for value, bounds in (
        (z, simulation.SPACING_Z_UM),
        (y, simulation.SPACING_XY_UM),
        (scope.emission_um, simulation.EMISSION_UM),
        (scope.pinhole_airy, simulation.PINHOLE_AIRY),
        (scope.depth_um, simulation.FOCUS_DEPTH_UM),
        (drawn.scatter_slope, simulation.SCATTER_SLOPE),
        (drawn.scatter_collected, simulation.SCATTER_COLLECTED),
        (drawn.photons, simulation.PHOTONS),
        (drawn.background, simulation.BACKGROUND),
        (drawn.read_noise, simulation.READ_NOISE_ELECTRONS),
        (drawn.confocal_photons, simulation.CONFOCAL_PHOTONS),
    ):
        assert bounds[0] * (1 - 1e-9) <= value <= bounds[1] * (1 + 1e-9)


def test_description_is_plain_and_finite(scene: Scene) -> None:
    text = json.dumps(scene.description(), allow_nan=False)
    assert json.loads(text)["spacing_um"] == list(scene.spacing_um)


@pytest.fixture(scope="module")
def point(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    sample = np.zeros((16, 64, 64), np.float32)
    sample[6, 30, 35] = 100
    return form_images(sample, scene)


def test_one_bright_point_is_at_one_place_in_both_images(point: tuple[np.ndarray, np.ndarray]) -> None:
    for image in point:
        assert np.unravel_index(image.argmax(), image.shape) == (6, 30, 35)


def test_widefield_spreads_the_light_that_confocal_refuses(point: tuple[np.ndarray, np.ndarray]) -> None:
    widefield, confocal = point
    share = [image[6].sum() / image.sum() for image in point]
    assert share[1] > 2 * share[0]
    assert confocal[6, 30, 35] / confocal.sum() > widefield[6, 30, 35] / widefield.sum()


def test_images_stay_registered_when_the_focus_is_shifted_by_aberration(scene: Scene) -> None:
    scope = Microscope(numerical_aperture=1.2, sample_index=1.45, depth_um=10.0)
    sample = np.zeros((32, 64, 64), np.float32)
    sample[11, 30, 35] = 100
    widefield, confocal = form_images(sample, replace(scene, microscope=scope))
    assert np.unravel_index(confocal.argmax(), confocal.shape) == (11, 30, 35)
    z, y, x = np.unravel_index(widefield.argmax(), widefield.shape)
    assert (y, x) == (30, 35)
    assert abs(z - 11) <= 1


def scattering(scene: Scene, **changes: object) -> Scene:
    return replace(scene, mean_free_path_um=25.0, scatter_collected=0.6, deep_end_last=True, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def boxes() -> np.ndarray:
    sample = np.zeros((20, 64, 64), np.float32)
    sample[:, 20:44, 20:44] = 1
    return sample


def test_clear_sample_is_left_alone(scene: Scene, boxes: np.ndarray) -> None:
    np.testing.assert_array_equal(scatter(boxes, scene), boxes)


def test_deeper_planes_lose_more_light_by_beer_lamberts_law(scene: Scene, boxes: np.ndarray) -> None:
    planes = scatter(boxes, scattering(scene)).sum(axis=(1, 2)) / boxes.sum(axis=(1, 2))
    depth_um = np.arange(20) * scene.spacing_um[0]
    ballistic = np.exp(-depth_um / 25.0)
    np.testing.assert_allclose(planes, ballistic + 0.6 * (1 - ballistic), rtol=0.01)
    assert (np.diff(planes) < 0).all()
    assert planes[0] == pytest.approx(1)


def test_deeper_planes_are_more_blurred(scene: Scene, boxes: np.ndarray) -> None:
    image = scatter(boxes, scattering(scene))
    halo = image[:, 24:40, :18].sum(axis=(1, 2))
    assert halo[0] == 0
    assert halo[5] < halo[10] < halo[19]


def test_either_end_of_the_stack_can_be_deep(scene: Scene, boxes: np.ndarray) -> None:
    last = scatter(boxes, scattering(scene))
    first = scatter(boxes, replace(scattering(scene), deep_end_last=False))
    np.testing.assert_allclose(first, last[::-1], atol=1e-6)


def test_camera_counts_photons(scene: Scene) -> None:
    rng = np.random.default_rng(0)
    image = np.ones((8, 64, 64), np.float32)
    counts = expose(rng, image, 400.0, 0.0, 2.0) - simulation.CAMERA_OFFSET
    gain = counts.mean() / 400
    # Poisson and read noise: variance = mean + read noise squared, in electrons.
    assert (counts / gain).var() == pytest.approx(400 + 4, rel=0.05)
    brighter = expose(rng, image, 400.0, 0.5, 2.0) - simulation.CAMERA_OFFSET
    assert brighter.mean() / counts.mean() == pytest.approx(1.5, rel=0.01)
