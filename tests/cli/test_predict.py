"""The predict command, where it works."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_deep3d.io import open_stack, write_stack
from tests.helpers.cli import ORIGIN_UM, SPACING_UM, Outcome, Run, names, run_process, voxels

KEYS = {
    *("output", "shape", "spacing_um", "model", "device", "precision", "tile", "halo"),
    *("seconds", "voxels_per_second", "tile_mismatch", "warnings"),
}
T, Z, C, Y, X = 2, 6, 3, 32, 40


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """An ImageJ TIFF of two time points and three channels."""
    data = np.random.default_rng(1).integers(0, 4000, size=(T, Z, C, Y, X), dtype=np.uint16)
    metadata = {"axes": "TZCYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "series.tif", data, imagej=True, resolution=(5, 5), metadata=metadata)
    return tmp_path / "series.tif"


@pytest.mark.parametrize("name", ["out.tif", "out.tiff", "out.ome.tif", "out.zarr", "out.ome.zarr"])
def test_every_kind_of_output(run: Run, recording: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    before = names(tmp_path)
    done = run("predict", recording, "-o", tmp_path / name, "--model", tiny_model, "--json")
    assert done.code == 0, done.err
    check_result(done, tmp_path / name)
    assert names(tmp_path) == before | {name}


def check_result(done: Outcome, output: Path) -> None:
    told = done.json
    assert told.keys() >= KEYS
    assert told["output"] == str(output)
    assert told["shape"] == [16, 48, 96]
    assert told["spacing_um"] == list(SPACING_UM)
    assert (told["model"], told["warnings"], told["complete"]) == ("tiny", [], True)
    assert told["seconds"] > 0
    assert told["voxels_per_second"] > 0
    assert told["tile_mismatch"] >= 0
    assert len(told["tile"]) == len(told["halo"]) == 3
    opened = open_stack(output)
    assert opened.spacing_um == pytest.approx(SPACING_UM)
    assert opened.origin_um == pytest.approx(ORIGIN_UM)
    data = voxels(output)
    assert (data.shape, data.dtype) == ((16, 48, 96), np.float32)
    assert np.isfinite(data).all()
    assert data.std() > 0
    assert "tile 1 of" in done.err


@pytest.mark.slow
def test_as_a_process(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = run_process("predict", recording, "-o", tmp_path / "out.ome.tif", "--model", tiny_model, "--json")
    assert done.code == 0, done.err
    check_result(done, tmp_path / "out.ome.tif")


def test_ome_zarr_input(run: Run, stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path) -> None:
    recording = write_stack(tmp_path / "cell.zarr", stack, SPACING_UM, ORIGIN_UM)
    done = run("predict", recording, "-o", tmp_path / "out.zarr", "--model", tiny_model, "--json")
    check_result(done, tmp_path / "out.zarr")


def test_lines_for_people(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model)
    assert done.code == 0
    lines = dict(line.split(": ", 1) for line in done.out.splitlines())
    assert lines["output"] == str(tmp_path / "out.tif")
    assert lines["spacing um"] == "0.5, 0.2, 0.2"
    assert lines["warnings"] == "none"


def test_a_channel_of_a_series(run: Run, series: Path, tiny_model: Path, tmp_path: Path) -> None:
    options = ("--model", tiny_model, "--json")
    done = run("predict", series, "-o", tmp_path / "one.tif", "--channel", 2, "--time", 1, *options)
    assert done.json["shape"] == [Z, Y, X]
    alone = write_stack(tmp_path / "alone.tif", tifffile.imread(series)[1, :, 2], SPACING_UM)
    assert run("predict", alone, "-o", tmp_path / "same.tif", *options).code == 0
    np.testing.assert_array_equal(voxels(tmp_path / "one.tif"), voxels(tmp_path / "same.tif"))


@pytest.mark.parametrize("name", ["all.ome.tif", "all.zarr"])
def test_all_time_points(run: Run, series: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    options = ("--channel", 1, "--model", tiny_model, "--json")
    done = run("predict", series, "-o", tmp_path / name, "--time", "all", *options)
    assert done.json["shape"] == [T, Z, Y, X]
    assert "time point 2 of 2" in done.err
    opened = open_stack(tmp_path / name)
    assert (opened.n_times, opened.spacing_um) == (T, pytest.approx(SPACING_UM))
    for time in range(T):
        single = tmp_path / f"{time}.tif"
        assert run("predict", series, "-o", single, "--time", time, *options).code == 0
        np.testing.assert_array_equal(voxels(tmp_path / name, time), voxels(single))


def test_a_blank_time_point_is_told(run: Run, stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path) -> None:
    series = write_stack(tmp_path / "series.ome.tif", np.stack([stack, 0 * stack, stack]), SPACING_UM)
    words = ("predict", series, "--time", "all", "--model", tiny_model)
    done = run(*words, "-o", tmp_path / "out.ome.tif", "--json")
    assert done.code == 2
    assert done.json["skipped"] == [{"time": 1, "reason": "is constant (every voxel about 0)"}]
    assert (done.json["complete"], len(done.json["warnings"])) == (True, 1)
    assert "note: Time point 1 (counted from 0) is constant" in done.err
    assert [voxels(tmp_path / "out.ome.tif", time).any() for time in range(3)] == [True, False, True]
    assert "skipped: time 1, reason is constant" in run(*words, "-o", tmp_path / "more.ome.tif").out


def test_all_of_a_single_time_point(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--time", "all", "--model", tiny_model, "--json")
    assert done.json["shape"] == [1, 16, 48, 96]


def test_a_given_tile(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    options = ("--model", tiny_model, "--precision", "float32", "--device", "cpu", "--json")
    tiled = run("predict", recording, "-o", tmp_path / "tiled.tif", "--tile", "16,32,32", *options)
    assert tiled.json["tile"] == [16, 32, 32]
    assert (tiled.json["device"], tiled.json["precision"]) == ("cpu", "float32")
    assert "tile 6 of 6" in tiled.err
    assert run("predict", recording, "-o", tmp_path / "whole.tif", *options).code == 0
    whole = voxels(tmp_path / "whole.tif")
    assert np.abs(voxels(tmp_path / "tiled.tif") - whole).max() < 0.1 * np.ptp(whole)


@pytest.mark.parametrize("memory", ["128MB", "0.5GB", "2gb", "200000000"])
def test_memory(run: Run, recording: Path, tiny_model: Path, tmp_path: Path, memory: str) -> None:
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--memory", memory, "--model", tiny_model)
    assert done.code == 0, done.err


def test_the_given_spacing_wins(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    options = ("--spacing", "0.6,0.25,0.25", "--model", tiny_model, "--json")
    done = run("predict", recording, "-o", tmp_path / "out.tif", *options)
    assert done.json["spacing_um"] == [0.6, 0.25, 0.25]
    assert "resampled" in done.json["warnings"][0]
    assert "note: " in done.err
    opened = open_stack(tmp_path / "out.tif")
    assert opened.spacing_um == pytest.approx((0.6, 0.25, 0.25))
    assert opened.volume().shape == (16, 48, 96)


def test_spacing_for_a_file_without(run: Run, stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "plain.tif", stack, metadata=None)
    words = ("predict", tmp_path / "plain.tif", "-o", tmp_path / "out.tif", "--model", tiny_model, "--json")
    assert "--spacing" in run(*words).message
    assert run(*words, "--spacing", "0.5,0.2,0.2").json["spacing_um"] == list(SPACING_UM)
    assert open_stack(tmp_path / "out.tif").spacing_um == pytest.approx(SPACING_UM)


def test_some_voxels_are_not_finite(run: Run, stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path) -> None:
    data = stack.astype(np.float32)
    data[3, :4, :5] = np.nan
    data[4, 0, 0] = np.inf
    recording = write_stack(tmp_path / "holes.tif", data, SPACING_UM)
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, "--json")
    assert "21 voxels are not finite" in done.json["warnings"][0]
    assert np.isfinite(voxels(tmp_path / "out.tif")).all()


@pytest.mark.parametrize("name", ["out.tif", "out.zarr"])
def test_overwrite(run: Run, recording: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    write_stack(tmp_path / name, np.full((5, 20, 20), 7.0), SPACING_UM)
    before = names(tmp_path)
    done = run("predict", recording, "-o", tmp_path / name, "--overwrite", "--model", tiny_model, "--json")
    check_result(done, tmp_path / name)
    assert names(tmp_path) == before
