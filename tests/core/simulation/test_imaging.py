"""Simulated pairs: reproducible, registered, and physically bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.simulation import imaging
from napari_deep3d.core.simulation.camera import Stage
from napari_deep3d.core.simulation.imaging import SimulatedPair, field_of, form_images, place_sample, simulate_pair
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.simulation.psf import MeasuredPsf
from napari_deep3d.core.simulation.samples import SampleBounds
from napari_deep3d.core.simulation.scattering import Tissue, depths_um
from napari_deep3d.core.simulation.scene import SampleKind, Scene, SceneBounds
from napari_deep3d.core.types import FloatArray
from napari_deep3d.core.volume import Volume

SHAPE = (16, 48, 48)
BOUNDS = SampleBounds()
CLEAR = Tissue(np.inf, 0.9, 1.0, np.inf, 0.0, True)


@pytest.fixture(scope="module")
def scene() -> Scene:
    drawn = SceneBounds().draw(np.random.default_rng(0), "nuclei")
    scope = Microscope(numerical_aperture=1.2, immersion_index=1.333, sample_index=1.333)
    return replace(drawn, microscope=scope, spacing_um=(0.3, 0.12, 0.12), tissue=CLEAR, stage=Stage(), compensated=1.0)


@pytest.fixture(scope="module")
def pair() -> SimulatedPair:
    return simulate_pair((3, 1), SHAPE)


def test_same_seed_gives_the_same_pair(pair: SimulatedPair) -> None:
    again = simulate_pair((3, 1), SHAPE)
    np.testing.assert_array_equal(pair.widefield, again.widefield)
    np.testing.assert_array_equal(pair.confocal, again.confocal)
    np.testing.assert_array_equal(pair.clean, again.clean)
    assert pair.scene == again.scene


def test_other_seed_gives_another_pair(pair: SimulatedPair) -> None:
    other = simulate_pair((3, 2), SHAPE)
    assert other.scene != pair.scene
    assert not np.array_equal(other.confocal, pair.confocal)


def test_pair_is_camera_counts_of_the_asked_shape(pair: SimulatedPair) -> None:
    for image in (pair.widefield, pair.confocal):
        assert image.shape == SHAPE
        assert image.dtype == np.uint16
        assert image.std() > 0
    assert pair.clean.shape == SHAPE
    assert pair.clean.min() >= 0


def test_confocal_is_the_clean_image_with_noise(pair: SimulatedPair) -> None:
    assert 0.6 < np.corrcoef(pair.clean.ravel(), pair.confocal.ravel())[0, 1] < 0.99999
    # Noise does not depend on its neighbours: the mean over many voxels is the clean image's.
    means = [
        image.astype(float).reshape(2, 8, 6, 8, 6, 8).mean(axis=(1, 3, 5)) for image in (pair.clean, pair.confocal)
    ]
    assert np.corrcoef(means[0].ravel(), means[1].ravel())[0, 1] > 0.99


def test_real_confocal_stacks_can_be_the_sample() -> None:
    stack = np.random.default_rng(0).gamma(0.5, 500.0, (40, 90, 90)).astype(np.uint16)
    got = simulate_pair((1,), (8, 32, 32), confocal_stacks=[Volume(stack, (0.3, 0.1, 0.1))], kind="confocal")
    assert got.scene.kind == "confocal"
    assert got.widefield.std() > 0
    with pytest.raises(InputError, match="need a real confocal stack"):
        simulate_pair((1,), (8, 32, 32), kind="confocal")


def test_some_scenes_have_a_measured_psf_and_voxels_like_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = list[Scene]()
    monkeypatch.setattr(imaging, "take_images", lambda _rng, scene, *_: scenes.append(scene))
    z, y, x = np.mgrid[-10:11, -16:17, -16:17]
    psf = MeasuredPsf(np.exp(-(z**2 + y**2 + x**2) / 8).astype(np.float32), (0.3, 0.13, 0.13))
    for i in range(50):
        simulate_pair((9, i), (8, 32, 32), measured_psfs=[psf], kind="puncta")
    measured = [scene for scene in scenes if scene.measured_psf]
    assert 0 < len(measured) < 50
    assert all(0.2 < scene.spacing_um[0] < 0.61 and 0.09 < scene.spacing_um[1] < 0.27 for scene in measured)


def test_black_samples_are_refused(scene: Scene) -> None:
    field, inner = field_of(SHAPE, scene.spacing_um)
    with pytest.raises(InputError, match="nothing but black was drawn in 20 samples"):
        place_sample(np.random.default_rng(0), scene, field, inner, lambda shape: np.zeros(shape, np.float32), BOUNDS)


@pytest.mark.parametrize("thickness_um", [1.5, 3.0, 500.0])
@pytest.mark.parametrize("last", [True, False])
def test_sample_is_a_slab_of_its_thickness_and_depth_counts_from_its_surface(
    scene: Scene, thickness_um: float, last: bool
) -> None:
    scene = replace(scene, thickness_um=thickness_um, tissue=replace(CLEAR, deep_end_last=last))
    field, inner = field_of(SHAPE, scene.spacing_um)
    ones = lambda shape: np.ones(shape, np.float32)  # noqa: E731
    sample, depths = place_sample(np.random.default_rng(1), scene, field, inner, ones, BOUNDS)
    filled = np.flatnonzero(sample[:, 0, 0])
    assert len(filled) == min(field[0], max(4, round(thickness_um / 0.3)))
    assert (np.diff(filled) == 1).all()
    within = depths[filled] if last else depths[filled][::-1]
    np.testing.assert_allclose(np.diff(within), 0.3)
    assert 0 <= within[0] <= thickness_um
    if thickness_um < 100:
        assert within[0] == pytest.approx(0, abs=1e-9)


def images(scene: Scene, shape: tuple[int, int, int] = (24, 64, 64)) -> tuple[np.ndarray, np.ndarray]:
    sample = np.zeros(shape, np.float32)
    sample[9, 30, 35] = 100
    return form_images(sample, scene, depths_um(shape[0], scene.spacing_um[0], True))


def test_one_bright_point_is_at_one_place_in_both_images(scene: Scene) -> None:
    for image in images(scene):
        assert np.unravel_index(image.argmax(), image.shape) == (9, 30, 35)


def test_widefield_spreads_the_light_that_confocal_refuses(scene: Scene) -> None:
    widefield, confocal = images(scene)
    share = [image[9].sum() / image.sum() for image in (widefield, confocal)]
    assert share[1] > 2 * share[0]
    assert confocal[9, 30, 35] / confocal.sum() > widefield[9, 30, 35] / widefield.sum()


@pytest.mark.parametrize(("index", "depth_um"), [(1.36, 5.0), (1.45, 10.0)])
def test_images_stay_registered_where_indices_differ(scene: Scene, index: float, depth_um: float) -> None:
    scope = Microscope(numerical_aperture=1.1, sample_index=index, depth_um=depth_um)
    widefield, confocal = images(replace(scene, microscope=scope))
    for image in (widefield, confocal):
        z, y, x = np.unravel_index(image.argmax(), image.shape)
        assert (y, x) == (30, 35)
        assert abs(z - 9) <= 1


def test_blur_from_above_does_not_come_in_from_below(scene: Scene) -> None:
    sample = np.zeros((20, 32, 32), np.float32)
    sample[0] = 1
    widefield, _ = form_images(sample, scene, np.zeros(20))
    planes = widefield.mean(axis=(1, 2))
    np.testing.assert_allclose(planes, planes[0], rtol=1e-3)  # an even plane looks alike at every focus
    sample[0] = 0
    sample[0, 16, 16] = 1000
    peaks = form_images(sample, scene, np.zeros(20))[0].max(axis=(1, 2))
    assert peaks[10:].max() < 0.02 * peaks[0]


def test_haze_lowers_contrast_and_confocal_loses_signal_with_depth(scene: Scene) -> None:
    tissue = Tissue(30.0, 0.9, 0.8, np.inf, 0.0, True)
    sample = np.zeros((24, 64, 64), np.float32)
    sample[:, 24:40, 24:40] = 1
    depths = np.linspace(0, 40, 24)
    hazy, dim = form_images(sample, replace(scene, tissue=tissue, compensated=0.5), depths)
    clear, bright = form_images(sample, scene, depths)
    contrast = [image[20, 32, 32] / image[20, 32, 4] for image in (hazy, clear)]
    assert contrast[0] < contrast[1]
    np.testing.assert_allclose(dim[12] / bright[12], np.exp(-depths[12] / 30), rtol=1e-3)


@pytest.mark.parametrize("kind", ["cells", "vessels", "sheets", "shapes"])
def test_kinds_that_fill_a_field_still_show_something_bright(kind: SampleKind) -> None:
    contrast = [float(clean.max() / np.median(clean)) for clean in (tiny(kind, seed) for seed in range(3))]
    assert min(contrast) > 1.1  # so small a stack may lie in the middle of something large
    assert np.median(contrast) > 1.5


def tiny(kind: SampleKind, seed: int) -> FloatArray:
    return simulate_pair((5, seed), (8, 32, 32), kind=kind).clean
