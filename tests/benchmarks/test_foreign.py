"""The simulator made apart from the program's own, and scores of what it makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.generalisation.foreign import means
from benchmarks.generalisation.foreign_light import SCOPES, Light, images, point_spread
from benchmarks.generalisation.foreign_samples import DRAWN, KINDS, REAL_FILES, real
from benchmarks.generalisation.foreign_simulator import HAZES, draw_light, foreign_pair, write_pair
from benchmarks.generalisation.mixing import mixed
from napari_deep3d.jobs.pairs import PairsFolder

OIL, AIR = SCOPES[0], SCOPES[-1]
SHAPE = (12, 24, 24)


@pytest.fixture
def light() -> Light:
    return replace(draw_light(np.random.default_rng(0), OIL, "clear"), model="scalar", coverslip_error_um=0)


def test_every_plane_of_a_psf_holds_all_light_and_the_middle_is_the_focus(light: Light) -> None:
    psf = point_spread(light, 0.52, 5.0, 21, 41)
    assert psf.sum(axis=(1, 2)) == pytest.approx(np.ones(21), abs=1e-5)
    assert np.unravel_index(psf.argmax(), psf.shape) == (10, 20, 20)


def test_depth_blurs_where_the_indices_differ(light: Light) -> None:
    near, far = (point_spread(light, 0.52, depth, 21, 41).max() for depth in (0.0, 20.0))
    assert far < 0.8 * near
    matched = replace(light, scope=replace(OIL, sample_index=OIL.immersion_index))
    near, far = (point_spread(matched, 0.52, depth, 21, 41).max() for depth in (0.0, 20.0))
    assert far == pytest.approx(near, rel=0.05)


@pytest.mark.parametrize("haze", ["veil", "blur"])
def test_haze_loses_no_light_and_leaves_the_truth_alone(light: Light, haze: str) -> None:
    sample = np.zeros((16, 40, 40), np.float32)
    sample[8, 20, 20] = 1
    clear, truth = images(sample, light, 4)
    hazy, same = images(sample, replace(light, haze=haze, mean_free_path_um=10.0), 4)
    assert hazy.sum() == pytest.approx(clear.sum(), rel=1e-3)
    assert hazy.max() < 0.9 * clear.max()
    np.testing.assert_array_equal(truth, same)


def test_the_confocal_image_is_the_sharper_one(light: Light) -> None:
    sample = np.zeros((24, 40, 40), np.float32)
    sample[12, 20, 20] = 1
    wide, confocal = (image.sum(axis=(1, 2)) for image in images(sample, light, 4))
    assert confocal.argmax() == 12
    assert confocal[12] / confocal.sum() > 2 * wide[12] / wide.sum()


@pytest.mark.parametrize("kind", DRAWN)
def test_samples_follow_their_random_numbers(kind: str) -> None:
    first, again, other = (DRAWN[kind](np.random.default_rng(seed), (20, 48, 48), AIR.spacing_um) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (20, 48, 48)
    assert first.min() >= 0
    assert 0 < first.max() < np.inf


def test_cells_fill_the_field() -> None:
    stack = DRAWN["cells"](np.random.default_rng(1), (32, 64, 64), AIR.spacing_um)
    assert np.mean(stack > 0.05 * np.percentile(stack, 99)) > 0.5


@pytest.mark.parametrize("file", [pytest.param(file, id=file.name) for file in REAL_FILES])
def test_crops_of_real_volumes_fill_the_shape(file: object) -> None:
    if not file.path.exists():
        pytest.skip(f"{file.path} is not there")
    stack = real(np.random.default_rng(1), (40, 64, 64), file)
    assert stack.shape == (40, 64, 64)
    assert stack.max() > 0


def test_every_kind_meets_every_microscope_and_every_microscope_every_haze() -> None:
    seen = {(number % len(KINDS), number % len(SCOPES)) for number in range(20)}
    assert len(seen) == 20
    hazes = {(number % len(SCOPES), (number + number // len(SCOPES)) % len(HAZES)) for number in range(16)}
    assert len(hazes) == 16


def test_pairs_are_made_again_from_their_seed_moved_and_read(tmp_path: Path) -> None:
    first, again = (foreign_pair(3, 1, SHAPE) for _ in range(2))
    np.testing.assert_array_equal(first.widefield, again.widefield)
    moved = foreign_pair(3, 1, SHAPE, (0, 2, 0))
    np.testing.assert_array_equal(moved.confocal, first.confocal)
    straight, back = (
        np.corrcoef(moved.widefield[:, low : low + 20].ravel(), first.widefield[:, 2:22].ravel())[0, 1]
        for low in (2, 4)
    )
    assert back > straight
    write_pair(tmp_path, "pair_00", first)
    (pair,) = PairsFolder(tmp_path).load()
    assert pair.widefield.spacing_um == pytest.approx(first.light.scope.spacing_um)
    assert pair.confocal.shape == SHAPE
    assert (tmp_path / "about" / "pair_00.json").exists()


def test_means_hold_every_group_and_the_worst_stack() -> None:
    rows = [
        {"stack": f"{kind}{n}", "kind": kind, "scope": "oil", "method": "m", "share": share, "ssim": 0.5, "rmse": 0.1}
        for n, (kind, share) in enumerate([("a", 0.5), ("a", 0.7), ("b", 0.9)])
    ]
    lines = {line["group"]: line for line in means(rows)}
    assert list(lines) == ["all", "kind: a", "kind: b", "scope: oil"]
    assert lines["all"]["share"] == pytest.approx(0.7)
    assert (lines["kind: a"]["share"], lines["kind: a"]["worst"]) == (pytest.approx(0.6), 0.7)


def test_what_is_mixed_is_brought_to_the_scale_of_the_prediction() -> None:
    prediction = np.random.default_rng(0).random((6, 20, 20), np.float32)
    np.testing.assert_allclose(mixed(prediction, 300 + 70 * prediction, 0.2), prediction, atol=1e-5)
    structureless = np.full_like(prediction, 5)
    np.testing.assert_allclose(mixed(prediction, structureless, 0.5), (prediction + prediction.mean()) / 2, atol=1e-5)
