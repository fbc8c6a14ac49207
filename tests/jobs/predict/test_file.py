"""Prediction from file to file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import StoppedError, TileDone, drain
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs.predict import network_input
from napari_deep3d.jobs.predict.file import predict_file
from napari_deep3d.jobs.predict.predict import predict_volume
from napari_deep3d.jobs.predict.unfinished import incomplete_path

SPACING_UM = (0.5, 0.2, 0.2)
SHAPE = (8, 32, 40)


@pytest.fixture
def config(make_model: Callable[..., Path]) -> PredictConfig:
    return PredictConfig(model=str(make_model()), device="cpu", precision="float32", tile=(8, 16, 40))


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.uint16)
    return write_stack(tmp_path / "stack.tif", data, SPACING_UM, (1.0, 2.0, 3.0))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(0, 1000, (2, *SHAPE)).astype(np.uint16)
    path = tmp_path / "series.ome.tif"
    physical = {f"PhysicalSize{axis}": size for axis, size in zip("ZYX", SPACING_UM, strict=True)}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "ZYX"}
    tifffile.imwrite(path, data, metadata={"axes": "TZYX", **physical, **units}, photometric="minisblack")
    return path


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif", "out.zarr"])
def test_written_file_is_the_prediction(stack: Path, config: PredictConfig, tmp_path: Path, name: str) -> None:
    done = drain(predict_file(stack, tmp_path / name, config))
    assert done.output == tmp_path / name
    assert done.shape == SHAPE
    expected = drain(predict_volume(open_stack(stack).volume(), config))
    written = open_stack(done.output)
    np.testing.assert_array_equal(np.asarray(written.volume().data[:, :, :]), expected.data)
    assert written.spacing_um == pytest.approx(SPACING_UM)
    assert done.prediction.complete


def test_each_time_point_is_predicted_by_itself(series: Path, config: PredictConfig, tmp_path: Path) -> None:
    done = drain(predict_file(series, tmp_path / "out.ome.tif", config, time="all"))
    assert done.shape == (2, *SHAPE)
    written = open_stack(done.output)
    assert written.n_times == 2
    for time in range(2):
        expected = drain(predict_volume(open_stack(series).volume(time=time), config))
        np.testing.assert_array_equal(np.asarray(written.volume(time=time).data[:, :, :]), expected.data)


def test_one_time_point_can_be_chosen(series: Path, config: PredictConfig, tmp_path: Path) -> None:
    done = drain(predict_file(series, tmp_path / "out.tif", config, time=1))
    assert done.shape == SHAPE
    with pytest.raises(InputError):
        drain(predict_file(series, tmp_path / "other.tif", config))


def test_stopped_prediction_lies_beside_under_a_name_that_says_so(
    stack: Path, config: PredictConfig, tmp_path: Path
) -> None:
    events: list[Any] = []
    job = predict_file(
        stack, tmp_path / "out.ome.tif", config, stop=lambda: any(isinstance(e, TileDone) for e in events)
    )
    done = drain(job, events.append)
    assert not done.prediction.complete
    assert done.output == tmp_path / "out-incomplete.ome.tif"
    assert not (tmp_path / "out.ome.tif").exists()
    kept = np.asarray(open_stack(done.output).volume().data[:, :, :])
    assert kept[:, :8].any()
    assert not kept[:, 28:].any()


def test_existing_output_is_kept(stack: Path, config: PredictConfig, tmp_path: Path) -> None:
    out = tmp_path / "out.tif"
    out.write_text("precious")
    with pytest.raises(InputError, match=r"out\.tif"):
        drain(predict_file(stack, out, config))
    assert out.read_text() == "precious"
    drain(predict_file(stack, out, config, overwrite=True))
    assert open_stack(out).volume().shape == SHAPE


def test_input_is_never_overwritten(stack: Path, config: PredictConfig) -> None:
    before = stack.read_bytes()
    with pytest.raises(InputError, match="is the input itself"):
        drain(predict_file(stack, stack, config, overwrite=True))
    assert stack.read_bytes() == before


def test_error_leaves_no_file(tmp_path: Path, config: PredictConfig) -> None:
    flat = write_stack(tmp_path / "flat.tif", np.full(SHAPE, 7, np.uint16), SPACING_UM)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="constant"):
        drain(predict_file(flat, tmp_path / "out.tif", config))
    assert sorted(tmp_path.iterdir()) == before


def test_every_time_point_is_prepared_once(
    series: Path, config: PredictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[tuple[int, ...]] = []
    find = network_input.find_no_data
    monkeypatch.setattr(network_input, "find_no_data", lambda *of: measured.append(of[0].shape) or find(*of))
    drain(predict_file(series, tmp_path / "out.ome.tif", config, time="all"))
    assert measured == [SHAPE] * 2


def spoil(stack: np.ndarray, how: str) -> None:
    """Make a time point that shows nothing."""
    stack[...] = {"blank": 0, "constant": 7, "largest value": 65535, "nan": np.nan}.get(how, 65535)
    if how == "overexposed":
        rng, dark = np.random.default_rng(1), round(0.3 * stack.size)  # scattered: a straight edge is that of a padding
        stack.ravel()[rng.permutation(stack.size)[:dark]] = rng.integers(0, 1000, dark)
    if how == "nan and infinity":
        stack[...] = np.inf
        stack[2:] = np.nan


KINDS = {
    "blank": "is constant (every voxel about 0)",
    "constant": "is constant (every voxel about 7)",
    "largest value": "is constant (every voxel about 65535)",
    "overexposed": "is overexposed (70% of it is at the largest value)",
    "nan": "holds no finite number, only NaN or infinity",
    "nan and infinity": "holds no finite number, only NaN or infinity",
}


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("spoilt", [(0,), (1, 2)])
def test_a_time_point_that_shows_nothing_is_left_out(
    config: PredictConfig, tmp_path: Path, how: str, spoilt: tuple[int, ...]
) -> None:
    data = np.random.default_rng(0).integers(1, 1000, (3, *SHAPE)).astype(np.float32)
    whole = write_stack(tmp_path / "whole.ome.tif", data, SPACING_UM)
    for time in spoilt:
        spoil(data[time], how)
    series = write_stack(tmp_path / "series.ome.tif", data, SPACING_UM)
    done, expected = (
        drain(predict_file(path, tmp_path / f"{path.stem}-out.zarr", config, time="all")) for path in (series, whole)
    )
    made = done.prediction
    assert [(skipped.time, skipped.reason) for skipped in made.skipped] == [(time, KINDS[how]) for time in spoilt]
    assert [f"Time point {time} " in notice for time, notice in zip(spoilt, made.notices, strict=True)]
    assert (done.output.name, made.complete, done.shape) == ("series.ome-out.zarr", True, (3, *SHAPE))
    for time in range(3):
        voxels, other = (open_stack(path.output).volume(time=time).data[...] for path in (done, expected))
        np.testing.assert_array_equal(voxels, 0 * other if time in spoilt else other)
        assert other.any()


def test_a_series_that_shows_nothing_is_refused_before_anything_is_written(
    config: PredictConfig, tmp_path: Path
) -> None:
    data = np.zeros((3, *SHAPE), np.uint16)
    data[1] = 65535
    blank = write_stack(tmp_path / "blank.ome.tif", data, SPACING_UM)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"none of the 3 time points shows anything.*every voxel about 0.*Check"):
        drain(predict_file(blank, tmp_path / "out.ome.tif", config, time="all"))
    with pytest.raises(InputError, match=r"blank \(time point 1\) is constant .every voxel about 65535"):
        drain(predict_file(blank, tmp_path / "out.ome.tif", config, time=1))
    assert sorted(tmp_path.iterdir()) == before


def test_a_warning_names_its_time_points(config: PredictConfig, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 1000, (3, *SHAPE)).astype(np.float32)
    data[1, 0, 0, :5] = np.nan
    series = write_stack(tmp_path / "series.ome.tif", data, (0.9, 0.2, 0.2))
    notices = drain(predict_file(series, tmp_path / "out.ome.tif", config, time="all")).prediction.notices
    of_one = "Time point 1 (counted from 0): 5 voxels are not finite numbers; they are taken as background."
    assert of_one in notices
    assert sum("resampled" in notice for notice in notices) == 1


def test_stopped_while_it_is_prepared(series: Path, config: PredictConfig, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoppedError):
        drain(predict_file(series, tmp_path / "out.ome.tif", config, time="all", stop=lambda: True))
    assert sorted(tmp_path.iterdir()) == before


def test_job_that_is_closed_before_a_tile_leaves_no_file(stack: Path, config: PredictConfig, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    job = predict_file(stack, tmp_path / "out.tif", config)
    while not (tmp_path / "out-incomplete.tif").exists():
        assert not isinstance(next(job), TileDone)
    job.close()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "a-incomplete.tif"),
        ("a.ome.tif", "a-incomplete.ome.tif"),
        ("a.b.zarr", "a.b-incomplete.zarr"),
        ("a.ome.zarr", "a-incomplete.ome.zarr"),
        ("A.TIFF", "A-incomplete.TIFF"),
    ],
)
def test_name_of_an_unfinished_result(tmp_path: Path, name: str, expected: str) -> None:
    assert incomplete_path(tmp_path / name) == tmp_path / expected
