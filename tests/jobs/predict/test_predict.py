"""Prediction of a stack: the same whatever the tiles, honest about its input, and stoppable."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core import events as core_events
from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Notice, Progress, TileDone, drain
from napari_deep3d.core.types import Shape
from napari_deep3d.core.volume import Volume
from napari_deep3d.jobs.predict import cost as predict_cost
from napari_deep3d.jobs.predict.plan import plan_prediction
from napari_deep3d.jobs.predict.predict import Output, Prediction, predict_volume
from napari_deep3d.nn import folded_network, inference

SPACING_UM = (0.5, 0.2, 0.2)
Make = Callable[..., Path]


@pytest.fixture
def model(make_model: Make) -> Path:
    return make_model()


def settings(path: Path, **changes: Any) -> PredictConfig:
    return PredictConfig.checked(**({"model": str(path), "device": "cpu", "precision": "float32"} | changes))


def predict(data: Any, config: PredictConfig, spacing: Any = SPACING_UM, **more: Any) -> Prediction:
    return drain(predict_volume(Volume(data, spacing, name="mine"), config, **more))


def test_result_has_the_stacks_shape_and_place(smooth: np.ndarray, model: Path) -> None:
    volume = Volume(smooth[:, :50, :41], SPACING_UM, (3.0, 2.0, 1.0))
    result = drain(predict_volume(volume, settings(model)))
    assert result.data.shape == (16, 50, 41)
    assert result.data.dtype == np.float32
    assert np.isfinite(result.data).all()
    assert result.data.min() >= 0
    assert result.data.std() > 0.01
    assert (result.spacing_um, result.origin_um) == (SPACING_UM, (3.0, 2.0, 1.0))
    assert result.complete
    assert result.model == "small"
    assert result.intensity_range == (volume.data.min(), volume.data.max())
    assert result.voxels_per_second > 0


@pytest.mark.parametrize("tile", ["auto", (8, 32, 32)])
def test_stack_whose_first_plane_is_the_deepest_is_predicted_as_the_same_upside_down(
    smooth: np.ndarray, model: Path, tile: Any
) -> None:
    usual = predict(smooth, settings(model, tile=tile))
    reversed_ = predict(smooth[::-1], settings(model, tile=tile, deepest="first"))
    unaware = predict(smooth[::-1], settings(model, tile=tile))
    np.testing.assert_allclose(reversed_.data[::-1], usual.data, atol=1e-4)
    assert np.abs(unaware.data[::-1] - usual.data).max() > 0.01
    assert [made.provenance()["deepest"] for made in (usual, reversed_)] == ["last", "first"]


@pytest.mark.parametrize("tile", [(8, 32, 32), (16, 20, 64), (5, 64, 23)])
def test_result_does_not_depend_on_the_tiles(smooth: np.ndarray, model: Path, tile: tuple[int, int, int]) -> None:
    whole = predict(smooth, settings(model, tile=(16, 64, 64)))
    tiled = predict(smooth, settings(model, tile=tile))
    assert tiled.tile == tile
    assert whole.tile_mismatch == 0
    assert tiled.tile_mismatch < 1e-3
    np.testing.assert_allclose(tiled.data, whole.data, atol=1e-3 * whole.data.std())


def test_smallest_stack_that_is_allowed_is_predicted(smooth: np.ndarray, model: Path) -> None:
    result = predict(smooth[:4, :16, :16], settings(model))
    assert result.data.shape == (4, 16, 16)
    assert np.isfinite(result.data).all()


def test_result_does_not_depend_on_gain_offset_and_kind_of_number(smooth: np.ndarray, model: Path) -> None:
    counts = np.rint(smooth)
    expected = predict(counts, settings(model)).data
    for other in (counts.astype(np.uint16), counts.astype(">u2"), 0.001 * counts.astype(np.float64) - 5):
        np.testing.assert_allclose(predict(other, settings(model)).data, expected, atol=2e-3 * expected.std())


def test_tiles_are_handed_out_to_be_added(smooth: np.ndarray, model: Path) -> None:
    events: list[Event] = []
    volume = Volume(smooth, SPACING_UM)
    config = settings(model, tile=(16, 32, 32))
    result = drain(predict_volume(volume, config), events.append)
    total = np.zeros_like(result.data)
    for event in events:
        if isinstance(event, TileDone):
            total[event.region] += event.values
    np.testing.assert_array_equal(total, result.data)
    assert sum(isinstance(event, TileDone) for event in events) == plan_prediction(volume, config).tiles == 4
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.fraction == 1


@pytest.mark.parametrize(("tile", "measured"), [((16, 64, 64), 1.0), ((16, 32, 64), 0.45)])
def test_progress_moves_within_measuring_and_within_a_tile(
    smooth: np.ndarray, make_model: Make, tile: Shape, measured: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_events, "TOLD_SECONDS", 0.0)
    told: list[Event] = []
    config = settings(make_model(halo=(4, 16, 16)), tile=tile)
    drain(predict_volume(Volume(smooth, SPACING_UM), config), told.append)
    progress = [event for event in told if isinstance(event, Progress)]
    fractions = [event.fraction for event in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    measuring = [event.fraction for event in progress if event.message == "measuring the stack"]
    assert len(measuring) > 9
    assert 0.7 * measured < max(measuring) <= measured + 0.1
    if measured < 1:
        within = [event.fraction for event in progress if event.message == "tile 1 of 2"]
        assert len(within) > 9
    assert all(event.seconds_left is not None for event in progress if event.done > 0)


@pytest.mark.parametrize("spacing", [SPACING_UM, (0.7, 0.31, 0.31)])
def test_a_large_tile_is_read_and_brought_back_in_pieces(
    smooth: np.ndarray, model: Path, spacing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same comes of it, and it can be left between two of them."""
    whole = predict(smooth, settings(model), spacing).data
    asked: list[None] = []
    stop = lambda: asked.append(None) is not None  # noqa: E731  # type: ignore[func-returns-value]
    predict(smooth, settings(model), spacing, stop=stop)
    few = len(asked)
    monkeypatch.setattr(inference, "PIECE_VOXELS", 5 * 64 * 64)
    result = predict(smooth, settings(model), spacing, stop=stop)
    np.testing.assert_allclose(result.data, whole, atol=1e-3 * whole.std())
    assert len(asked) - few >= few + 4


def test_measuring_stays_within_the_memory_that_is_given(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_cost, "MEASURED_LEVELS", 1e5)
    data = np.random.default_rng(0).integers(0, 1000, (16, 128, 96)).astype(np.uint16)
    config = settings(make_model(halo=(4, 16, 16)), memory_bytes=10**11, tile=(16, 64, 96))
    measured: list[int] = []
    measure = folded_network.predict_and_measure

    def counted(generator: Any, batch: Any) -> Any:
        measured.append(batch.numel())
        return (yield from measure(generator, batch))

    monkeypatch.setattr(folded_network, "predict_and_measure", counted)
    plan = plan_prediction(Volume(data, SPACING_UM), config)
    result = predict(data, config)
    assert plan.measured_voxels < data.size
    assert len(measured) == 1
    assert 0.2 * plan.measured_voxels < measured[0] <= plan.measured_voxels
    assert any("a part of it stands for the whole" in notice for notice in result.notices)


def test_result_can_be_written_into_a_given_array(smooth: np.ndarray, model: Path, tmp_path: Path) -> None:
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, smooth.shape)
    result = predict(smooth, settings(model), into=Output(out))
    assert result.data is out
    np.testing.assert_array_equal(out, predict(smooth, settings(model)).data)


def test_voxels_that_are_not_finite_are_background_and_told(smooth: np.ndarray, model: Path) -> None:
    clean, spoilt = smooth.copy(), smooth.copy()
    places = [(3, 4, 5), (3, 4, 6), (9, 40, 2)]
    for place, value in zip(places, (np.nan, np.inf, -np.inf), strict=True):
        clean[place], spoilt[place] = clean.min(), value
    result = predict(spoilt, settings(model))
    assert np.isfinite(result.data).all()
    assert any("3 voxels are not finite" in notice for notice in result.notices)
    np.testing.assert_allclose(result.data, predict(clean, settings(model)).data, atol=1e-5)


def test_notices_are_events_too(smooth: np.ndarray, model: Path) -> None:
    smooth[0, 0, 0] = np.nan
    events: list[Event] = []
    result = drain(predict_volume(Volume(smooth, SPACING_UM), settings(model)), events.append)
    assert tuple(event.message for event in events if isinstance(event, Notice)) == result.notices != ()


def test_stack_without_a_number_is_refused(model: Path) -> None:
    with pytest.raises(InputError, match=r"mine holds no finite number, only NaN or infinity"):
        predict(np.full((4, 16, 16), np.nan, np.float32), settings(model))


@pytest.mark.parametrize("value", [0, 7, 1e9, -1e-9])
def test_constant_stack_is_refused(model: Path, value: float) -> None:
    with pytest.raises(InputError, match=r"mine is constant .*Check that the right channel"):
        predict(np.full((4, 16, 16), value, np.float32), settings(model))


def test_few_bright_spots_on_black_are_no_constant_stack(make_model: Make) -> None:
    """Beads after background subtraction: fewer voxels than the percentiles leave out."""
    beads = np.zeros((16, 64, 64), np.uint16)
    beads[8, 20:23, 20:23] = beads[5, 50:53, 30:33] = 1000
    result = predict(beads, settings(make_model(percentiles=(0.1, 99.9))))
    assert np.isfinite(result.data).all()


def test_missing_voxel_size_is_asked_for(smooth: np.ndarray, model: Path) -> None:
    with pytest.raises(InputError, match="mine has no voxel size"):
        predict(smooth, settings(model), spacing=None)


@pytest.mark.parametrize("own", [None, (0.6, 0.25, 0.25)])
def test_voxel_size_of_the_config_counts(smooth: np.ndarray, model: Path, own: Any) -> None:
    result = predict(smooth, settings(model, spacing_um=SPACING_UM), spacing=own)
    assert result.spacing_um == SPACING_UM
    assert result.notices == ()
    np.testing.assert_array_equal(result.data, predict(smooth, settings(model)).data)


@pytest.mark.parametrize("spacing", [(0.5, 0.4, 0.4), (1.0, 0.1, 0.1), (0.3, 0.2, 0.5)])
def test_unknown_voxel_size_is_resampled_and_told(smooth: np.ndarray, model: Path, spacing: Any) -> None:
    volume = Volume(smooth, spacing)
    plan = plan_prediction(volume, settings(model))
    assert plan.resampled_um == SPACING_UM
    result = drain(predict_volume(volume, settings(model)))
    assert result.data.shape == smooth.shape
    assert result.spacing_um == spacing
    assert result.data.std() > 0.01
    (notice,) = result.notices
    assert "resampled to 0.5 x 0.2 x 0.2 um" in notice
    tiled = drain(predict_volume(volume, settings(model, tile=(8, 32, 32))))
    np.testing.assert_allclose(tiled.data, result.data, atol=5e-3 * result.data.std())


def test_known_voxel_size_is_not_resampled(smooth: np.ndarray, model: Path) -> None:
    plan = plan_prediction(Volume(smooth, (0.505, 0.2, 0.2)), settings(model))
    assert plan.resampled_um is None
    assert plan.notices == ()
    assert plan.grid.is_identity


def test_stop_keeps_the_finished_tiles(smooth: np.ndarray, model: Path) -> None:
    config, events = settings(model, tile=(16, 32, 32)), []
    whole = predict(smooth, config)

    def stop() -> bool:
        return any(isinstance(event, TileDone) for event in events)

    result = drain(predict_volume(Volume(smooth, SPACING_UM), config, stop=stop), events.append)
    assert not result.complete
    np.testing.assert_array_equal(result.data[:, :24, :24], whole.data[:, :24, :24])
    assert result.data[:, :24, :24].any()
    assert not result.data[:, 40:].any()
    assert not result.data[:, :, 40:].any()


@pytest.mark.parametrize("asked", [0, 3, 20])
def test_stop_at_any_time_returns_a_result(smooth: np.ndarray, model: Path, asked: int) -> None:
    count = iter(range(10**6))
    result = predict(smooth, settings(model), stop=lambda: next(count) >= asked)
    assert not result.complete
    assert not result.data.any()
    json.dumps(result.provenance(), allow_nan=False)


def test_provenance_is_plain_and_complete(smooth: np.ndarray, model: Path) -> None:
    smooth[0, 0, 0] = np.nan
    result = predict(smooth, settings(model, tile=(8, 32, 32)))
    told = json.loads(json.dumps(result.provenance(), allow_nan=False))
    assert told["model"] == "small"
    assert told["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert told["tile"] == [8, 32, 32]
    assert told["halo"] == [16, 64, 64]
    assert told["device"] == "cpu"
    assert told["precision"] == "float32"
    assert told["complete"] is True
    assert told["warnings"] == list(result.notices) != []
    assert told["input_intensities_of_0_and_1"] == list(result.intensity_range)
    assert "data" not in told


class OnDisk:
    """A stack that may only be read in boxes that are not too large."""

    def __init__(self, data: np.ndarray, limit: int) -> None:
        self.data, self.limit, self.shape, self.dtype = data, limit, data.shape, data.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        box = self.data[key]
        assert box.size <= self.limit, f"{box.size} voxels read at once"
        return box


def test_stack_is_read_box_by_box(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_network, "WHOLE_VOXELS", 30_000)
    monkeypatch.setattr(folded_network, "SAMPLE_VOXELS", 30_000)
    monkeypatch.setattr(folded_network, "MAX_COLUMN", (128, 32, 32))
    data = np.random.default_rng(0).integers(0, 1000, (16, 128, 128)).astype(np.uint16)
    config = settings(make_model(halo=(4, 16, 16)), tile=(16, 32, 32))
    result = predict(OnDisk(data, 16 * 96 * 96), config)
    assert result.complete
    np.testing.assert_array_equal(result.data, predict(data, config).data)


class Unreadable:
    """A stack whose voxels are out of reach."""

    dtype = np.dtype(np.uint16)

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def __getitem__(self, key: Any) -> np.ndarray:
        raise AssertionError("voxels were read")


def test_plan_reads_no_voxel_and_tells_what_will_be_done(model: Path) -> None:
    plan = plan_prediction(Volume(Unreadable(40, 600, 700), SPACING_UM), settings(model))
    assert plan.model.name == "small"
    assert (plan.device, plan.precision, plan.device_label) == ("cpu", "float32", "CPU (float32)")
    assert plan.halo == (16, 64, 64)
    assert plan.tiles == len(plan.layout) >= 1
    assert plan.seconds > 0


def test_plan_of_a_larger_stack_takes_longer(model: Path) -> None:
    seconds = [
        plan_prediction(Volume(Unreadable(40, n, n), SPACING_UM), settings(model)).seconds for n in (200, 400, 4000)
    ]
    assert seconds[0] < seconds[1] < seconds[2]


def test_tile_larger_than_the_stack_is_the_stack(smooth: np.ndarray, model: Path) -> None:
    plan = plan_prediction(Volume(smooth, SPACING_UM), settings(model, tile=(999, 999, 999)))
    assert plan.tile == smooth.shape
    assert plan.tiles == 1


def test_unknown_model_and_unusable_precision_are_told(smooth: np.ndarray, model: Path) -> None:
    volume = Volume(smooth, SPACING_UM)
    with pytest.raises(InputError, match="there is no model 'nothing'"):
        plan_prediction(volume, settings(model, model="nothing"))
    with pytest.raises(InputError, match="float16 is for GPUs"):
        plan_prediction(volume, settings(model, precision="float16"))


def test_bfloat16_is_close_to_float32(smooth: np.ndarray, model: Path) -> None:
    exact = predict(smooth, settings(model)).data
    coarse = predict(smooth, settings(model, precision="bfloat16"))
    assert coarse.precision == "bfloat16"
    assert np.sqrt(((coarse.data - exact) ** 2).mean()) < 0.1 * exact.std()


def test_stack_that_is_too_large_to_be_measured_is_measured_in_part(
    smooth: np.ndarray, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, sizes = folded_network.predict_and_measure, []

    def scarce(generator: Any, batch: Any) -> Any:
        sizes.append(batch.numel())
        if batch.numel() > 40_000:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return (yield from measure(generator, batch))

    monkeypatch.setattr(folded_network, "predict_and_measure", scarce)
    result = predict(smooth, settings(model))
    assert result.complete
    assert result.data.std() > 0.01
    assert sizes == [smooth.size, smooth.size // 2]
    assert any("memory" in notice for notice in result.notices)


def test_importing_the_job_imports_no_torch() -> None:
    code = "import sys, napari_deep3d.jobs.predict.predict; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_what_is_finished_when_stopped_has_its_full_value_up_to_its_edge(smooth: np.ndarray, model: Path) -> None:
    done: list[TileDone] = []
    config = settings(model, tile=(8, 32, 32))
    whole = predict(smooth, config).data
    job = predict_volume(Volume(smooth, SPACING_UM), config, stop=lambda: len(done) == 3)
    result = drain(job, lambda event: done.append(event) if isinstance(event, TileDone) else None)
    assert not result.complete
    written = np.zeros(smooth.shape, bool)
    for tile in done:
        written[tile.region] = True
    assert written.any()
    assert not written.all()
    assert not result.data[~written].any()
    # Up to its edge the finished part is a prediction; where the next tile would blend in, nearly the same.
    difference = np.abs(result.data - whole)[written]
    assert difference.max() < 0.1 * whole.std() + 0.02 * whole.max()
