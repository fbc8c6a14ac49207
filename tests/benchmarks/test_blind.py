"""The second simulator apart from the program's own: a blind test."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.generalisation.blind_light import LENSES, Exposure, expose, images, point_spreads, scattered
from benchmarks.generalisation.blind_samples import KINDS, SCATTERING_UM, draw_sample, partition
from benchmarks.generalisation.blind_simulator import blind_pair, draw_exposure
from benchmarks.generalisation.foreign import known_lens
from napari_deep3d.jobs.pairs import PairsFolder

AIR, OIL = LENSES[0], LENSES[-1]


@pytest.fixture
def exposure() -> Exposure:
    drawn = draw_exposure(np.random.default_rng(0), OIL, "yeast")
    return replace(drawn, model="scalar", coverslip_error_um=0, sample_index=1.47, scattering_um=1e6)


@pytest.fixture
def point() -> np.ndarray:
    sample = np.zeros((24, 40, 40), np.float32)
    sample[12, 20, 20] = 1
    return sample


def test_wide_planes_hold_all_light_and_both_psfs_have_their_focus_in_one_place(exposure: Exposure) -> None:
    wide, confocal = point_spreads(exposure, 10.0, (12, 8), 41)
    assert wide.shape == confocal.shape == (21, 41, 41)
    assert wide.sum(axis=(1, 2)) == pytest.approx(np.ones(21), abs=1e-4)
    assert confocal.sum(axis=(1, 2)).max() == pytest.approx(1, abs=1e-4)
    for psf in (wide, confocal):
        assert np.unravel_index(psf.argmax(), psf.shape) == (12, 20, 20)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.name)
def test_wide_field_and_confocal_lie_within_a_fourth_of_a_plane(exposure: Exposure, lens: object) -> None:
    worst = replace(exposure, lens=lens, sample_index=lens.sample_indices[0])
    wide, confocal = point_spreads(worst, 47 * lens.spacing_um[0], (20, 20), 41)
    # Of details, which are what moves: the mean of each plane is the same everywhere.
    spectra = [np.abs(np.fft.rfft2(psf))[:, 3:10, 3:10] for psf in (wide, confocal)]
    likeness = [float(np.sum(spectra[0][4 + s : 37 + s] * spectra[1][4:37])) for s in (-1, 0, 1)]
    before, at, after = likeness
    assert at == max(likeness)
    assert abs(0.5 * (before - after) / (before - 2 * at + after)) < 0.25


def test_mismatch_dims_a_point_with_depth_from_the_surface_on(exposure: Exposure) -> None:
    near, far = (point_spreads(exposure, depth, (2, 2), 41)[0].max() for depth in (0.0, 12.0))
    assert far < 0.8 * near
    matched = replace(exposure, sample_index=OIL.immersion_index)
    near, far = (point_spreads(matched, depth, (2, 2), 41)[0].max() for depth in (0.0, 12.0))
    assert far == pytest.approx(near, rel=0.05)


def test_the_confocal_image_lies_on_the_sample_and_is_the_sharper_one(exposure: Exposure, point: np.ndarray) -> None:
    wide, confocal = (image.sum(axis=0) for image in images(point, exposure, 20))
    deep = [image[:, 20, 20] for image in images(point, exposure, 20)]
    assert [profile.argmax() for profile in deep] == [12, 12]
    assert np.unravel_index(confocal.argmax(), confocal.shape) == (20, 20)
    assert confocal.max() / confocal.sum() > 2 * wide.max() / wide.sum()


def test_a_wider_pinhole_lets_more_of_other_planes_through(exposure: Exposure) -> None:
    share = []
    for pinhole in (0.6, 1.2):
        planes = point_spreads(replace(exposure, pinhole_airy=pinhole), 5.0, (8, 8), 41)[1].sum(axis=(1, 2))
        share.append(planes[8] / planes.sum())
    assert share[0] > share[1]


def test_scattering_keeps_all_light_and_spares_what_is_not_scattered() -> None:
    frequencies = np.array([0.0, 0.01, 0.1, 1.0, 1e4])
    kept = scattered(frequencies, 20.0, 40.0)
    assert kept[0] == pytest.approx(1, abs=1e-4)
    assert np.all(np.diff(kept) < 0)
    assert kept[-1] == pytest.approx(np.exp(-0.5), rel=1e-3)
    np.testing.assert_array_equal(scattered(frequencies, 0.0, 40.0), np.ones(5, np.float32))


def test_scattering_leaves_the_truth_alone(exposure: Exposure, point: np.ndarray) -> None:
    clear, truth = images(point, exposure, 20)
    hazy, same = images(point, replace(exposure, scattering_um=5.0), 20)
    assert hazy.sum() == pytest.approx(clear.sum(), rel=1e-3)
    assert hazy.max() < 0.9 * clear.max()
    np.testing.assert_array_equal(truth, same)


def test_the_camera_counts_photons_background_and_offset(exposure: Exposure) -> None:
    even = replace(exposure, photons=1000, background=0.2, bleached=0.0, read_noise=0.0)
    stack = expose(np.random.default_rng(0), np.ones((8, 64, 64), np.float32), even)
    electrons = (stack - 100) / 2.2
    assert electrons.mean() == pytest.approx(1200, rel=0.01)
    assert electrons.var() == pytest.approx(1200, rel=0.05)
    faded = expose(np.random.default_rng(0), np.ones((8, 64, 64), np.float32), replace(even, bleached=0.1))
    assert (faded[-1] - 100).mean() / (faded[0] - 100).mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lens", [AIR, OIL], ids=lambda lens: lens.name)
def test_samples_follow_their_random_numbers(kind: str, lens: object) -> None:
    first, again, other = (
        draw_sample(np.random.default_rng(seed), kind, (14, 40, 40), lens.spacing_um) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (14, 40, 40)
    assert first.min() >= 0
    assert 0.1 < first.max() < 100


def test_borders_lie_half_way_between_seeds() -> None:
    owners, border = partition(np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([[2.0, 7.0], [1.0, 3.0], [3.5, 0.0]]))
    np.testing.assert_allclose(border, [0, 1, 1.5], atol=1e-9)
    assert owners.tolist()[1:] == [0, 1]


def test_every_kind_meets_every_microscope_and_has_its_scattering() -> None:
    assert len({(number % len(KINDS), number % len(LENSES)) for number in range(20)}) == 20
    assert set(SCATTERING_UM) == set(KINDS)


def test_pairs_come_from_their_seed() -> None:
    first, again, other = (blind_pair(seed, 1, (6, 24, 24)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.widefield, again.widefield)
    np.testing.assert_array_equal(first.confocal, again.confocal)
    assert not np.array_equal(first.confocal, other.confocal)


def test_what_is_written_can_be_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.generalisation import blind_simulator

    monkeypatch.setattr(blind_simulator, "blind_pair", lambda seed, number: blind_pair(seed, number, (6, 24, 24)))
    monkeypatch.setattr(sys, "argv", ["", "-o", str(tmp_path), "--pairs", "2", "--seed", "5"])
    blind_simulator.main()
    assert PairsFolder(tmp_path).names() == ["pair_00.tif", "pair_01.tif"]
    pair = next(iter(PairsFolder(tmp_path).load()))
    assert pair.widefield.spacing_um == pytest.approx(AIR.spacing_um)
    assert pair.confocal.shape == pair.widefield.shape == (6, 24, 24)
    about = json.loads((tmp_path / "about" / "pair_00.json").read_text())
    assert {"kind", "scope"} <= set(about)
    assert known_lens(about).numerical_aperture == AIR.numerical_aperture
