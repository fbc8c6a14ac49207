"""The study of the paper's tables: what is kept, what its pairs and measures are, whether an order holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.study.by_depth import bands
from benchmarks.study.methods import Itself, Model, interpolated, key_of
from benchmarks.study.orders import Claim, of
from benchmarks.study.pairs import crop, displacement
from benchmarks.study.registration_error import width_um
from benchmarks.study.scoring import Ask, axial_sum, mean_by_depth, mean_row, scores
from benchmarks.study.settling import settled_step
from benchmarks.study.sheets import brightest, outline
from benchmarks.study.size import Size
from benchmarks.study.store import Store
from benchmarks.study.trainings import BASE, VARIANTS, Training, make
from napari_deep3d.core import Box, TrainConfig, Volume, finish
from napari_deep3d.core.evaluation.spectrum import AxialSpectrum, measure_axial_spectrum
from napari_deep3d.core.registration.result import Curve
from napari_deep3d.jobs.pairs import PairsFolder
from napari_deep3d.nn.patches import TrainingPair, network_input

SPACING_UM = (0.5, 0.2, 0.2)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.fixture
def pairs(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two pairs of 12 x 40 x 44 voxels, of which both stacks are the same."""
    for name in ("a", "b"):
        voxels = rng.integers(100, 1000, (12, 40, 44)).astype(np.uint16)
        PairsFolder(tmp_path / "pairs").write(name, voxels, voxels, SPACING_UM)
    return tmp_path / "pairs"


def test_a_place_is_that_of_what_it_depends_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    place = store.place("runs", "L1, seed 0", seed=0, settings={"width": 4, "patch": (8, 32, 32)})
    same = store.place("runs", "L1, seed 0", settings={"patch": [8, 32, 32], "width": 4}, seed=0)
    other = store.place("runs", "L1, seed 0", seed=0, settings={"width": 8, "patch": (8, 32, 32)})
    assert place.path == same.path != other.path
    assert place.path.parent == tmp_path / "runs"
    assert not place.is_finished
    place.finish(seconds=3.0)
    assert same.is_finished
    assert not other.is_finished
    assert same.facts()["seconds"] == 3.0


def test_models_of_other_runs_are_other_methods() -> None:
    first, second = (key_of(Model(f"runs/paper/runs/{name}/last.safetensors")) for name in ("l1-1234", "l1-5678"))
    moved = key_of(Model("elsewhere/l1-1234/last.safetensors"))
    assert first == moved != second
    assert key_of(Model()) != key_of(Model(every=2))


@pytest.mark.parametrize("every", [2, 4])
def test_planes_are_interpolated_as_a_training_does(every: int, rng: np.random.Generator) -> None:
    stack = rng.uniform(0, 1000, (11, 32, 32)).astype(np.float32)
    pair = TrainingPair.prepare("a", Volume(stack, SPACING_UM), Volume(stack, SPACING_UM), (0.0, 100.0))
    whole = Box.whole(stack.shape)
    seen = network_input(pair, whole, TrainConfig.checked(z_step=every))[0]
    np.testing.assert_allclose(interpolated(pair.crop_widefield(whole), every), seen, atol=1e-5)
    assert interpolated(stack, 1) is stack


def test_a_displaced_pair_shows_the_same_at_its_shift(pairs: Path, tmp_path: Path) -> None:
    shift_of = displacement(Size(margin=(2, 5, 5)))
    assert shift_of(0) == shift_of(0) != shift_of(1)
    crop(pairs, tmp_path / "out", (2, 5, 5), shift_of)
    for number, pair in enumerate(PairsFolder(tmp_path / "out").load()):
        assert pair.confocal.shape == pair.widefield.shape == (8, 30, 34)
        confocal, widefield = (np.asarray(v.data[:, :, :]) for v in (pair.confocal, pair.widefield))
        inside = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(shift_of(number), confocal.shape, strict=True))
        moved = tuple(slice(s.start + d, s.stop + d) for s, d in zip(inside, shift_of(number), strict=True))
        np.testing.assert_array_equal(confocal[inside], widefield[moved])


def test_the_confocal_stack_itself_is_right_and_measured_once(pairs: Path, tmp_path: Path) -> None:
    store, ask = Store(tmp_path / "kept"), Ask({"method": "confocal"}, pairs, Itself("confocal"))
    row = mean_row(store, ask, ("rmse", "ssim", "high_frequencies", "axial_high_frequencies"))
    expected = {"method": "confocal", "stacks": 2, "rmse": 0.0, "ssim": 1.0}
    assert row == pytest.approx(expected | {"high_frequencies": 1.0, "axial_high_frequencies": 1.0}, abs=1e-6)
    for path in pairs.glob("confocal/*"):
        path.write_bytes(b"")  # nobody reads it again
    assert len(scores(store, ask)) == 2
    assert mean_by_depth(store, ask, ["rmse"])["rmse"] == pytest.approx(np.zeros(12), abs=1e-6)


def test_high_axial_frequencies_are_those_along_z() -> None:
    z, y = np.mgrid[:32, :64, :64][:2]
    found = {
        name: axial_sum(finish(measure_axial_spectrum(np.sin(np.pi * wave).astype(np.float32))))
        for name, wave in {"fine along z": 0.8 * z, "coarse along z": 0.2 * z, "fine along y": 0.8 * y}.items()
    }
    assert found["fine along z"] > 100 * max(found["coarse along z"], found["fine along y"])


def test_an_outline_is_where_the_power_ends() -> None:
    power = np.array([[100.0, 50.0, 2.0, 0.0], [2.0, 0.5, 0.0, np.nan], [0.5, 0.0, 0.0, 0.0]])
    spectrum = AxialSpectrum(power, along=np.array([0.0, 0.5, 1.0]), across=np.array([0.1, 0.3, 0.6, 0.9]))
    lateral, axial = outline(spectrum, level=0.01)
    np.testing.assert_array_equal(lateral, [0.6, 0.1, 0.0])
    np.testing.assert_array_equal(axial, [0.0, 0.5, 1.0])


def test_the_brightest_cell_is_no_hot_pixel() -> None:
    stack = np.zeros((12, 40, 40), np.float32)
    stack[5:8, 20:29, 10:19] = 1.0
    stack[2, 2, 2] = 20.0
    assert brightest(stack) == (6, 24, 14)


def test_bands_hold_every_plane_once() -> None:
    found = bands(31, 0.5)
    assert list(found) == ["0 to 6", "6 to 12", "12 to 15.5"]
    assert np.concatenate([np.arange(31)[planes] for planes in found.values()]).tolist() == list(range(31))


def test_the_width_of_a_curve_is_at_half_of_its_rise() -> None:
    shift_um = np.arange(-5, 6) * 0.5
    peak = np.maximum(0, 1 - np.abs(shift_um))  # half at +- 0.5 um
    assert width_um(Curve(shift_um, 0.3 + 0.7 * peak)) == pytest.approx(1.0)
    assert width_um(Curve(shift_um, np.maximum(0, 1 - np.abs(shift_um - 2.5)))) == pytest.approx(0.5)
    assert width_um(Curve(shift_um, 1 - 0.01 * np.abs(shift_um))) == pytest.approx(2.5)


def test_a_curve_settles_where_it_stays_near_its_end() -> None:
    steps = np.arange(1, 401) * 10.0
    falling = 1 + 9 * np.exp(-steps / 400)
    settled = settled_step(steps, falling)
    assert settled is not None
    assert falling[np.searchsorted(steps, settled)] == pytest.approx(1.1, abs=0.03)
    assert settled_step(steps, np.full(400, 2.0)) == 200
    assert settled_step(steps, steps) is None
    assert settled_step(steps, np.where(steps > 3500, 5.0, 1.0)) is None


def test_an_order_holds_by_seed() -> None:
    claim = Claim("2 below 1", "", "rmse", of("second"), of("first"), smaller=True)
    rows = [
        {"method": "second", "seed": "0", "rmse": "0.2"},
        {"method": "second", "seed": "1", "rmse": "0.4"},
        {"method": "second", "seed": "2", "rmse": ""},
        {"method": "first", "seed": "", "rmse": "0.3"},
    ]
    found = claim.row(rows)
    assert found is not None
    assert found["by"] == pytest.approx(0.0)
    assert found["spread"] == pytest.approx(np.sqrt(0.02))
    assert found["held"] == "1 of 2"
    assert claim.row(rows[:2]) is None


def test_every_variant_can_be_trained() -> None:
    for variant in VARIANTS.values():
        TrainConfig.checked(**(Size().settings | variant.settings | {"seed": 1}))


@pytest.mark.slow
def test_a_training_is_made_once_and_answers(tmp_path: Path) -> None:
    settings = {"iterations": 2, "patch": [8, 32, 32], "width": 4, "weight_vgg": 0.0, "ema": 0.0}
    size = Size(training=2, tests=1, shape=(12, 48, 48), margin=(1, 4, 4), settings=settings)
    store, training = Store(tmp_path), Training("not registered", 0)
    seconds = make(training, store, size)
    shutil.rmtree(training.place(store, size).path / "checkpoints")
    assert make(training, store, size) == seconds > 0
    assert training.place(store, size).path != Training(BASE, 0).place(store, size).path
    pairs = tmp_path / "pairs" / training.place(store, size).depends_on["pairs"]
    ask = Ask({}, pairs, Model(str(training.model(store, size))))
    assert np.isfinite(mean_row(store, ask, ["rmse_fit"])["rmse_fit"])
