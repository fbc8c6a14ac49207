"""Prediction of the stacks of a folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_deep3d.core import (
    BatchRow,
    Event,
    InputError,
    Notice,
    PredictConfig,
    Progress,
    StoppedError,
    TileDone,
    drain,
)
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs.predict import folder as module
from napari_deep3d.jobs.predict.file import predict_file
from napari_deep3d.jobs.predict.folder import PredictedFolder, predict_folder
from napari_deep3d.jobs.predict.folder_items import Wanted
from napari_deep3d.jobs.predict.folder_record import RECORD, TABLE
from tests.helpers.ome_files import block, image, ome, write_pages

SPACING_UM = (0.5, 0.2, 0.2)
SHAPE = (8, 32, 40)


@pytest.fixture
def config(make_model: Callable[..., Path]) -> PredictConfig:
    return PredictConfig(model=str(make_model()), device="cpu", precision="float32", tile=(8, 16, 40))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "stacks"
    made.mkdir()
    return made


def write(path: Path, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Path:
    data = np.random.default_rng(seed).integers(0, 1000, shape).astype(np.uint16)
    return write_stack(path, data, SPACING_UM, overwrite=True)


def write_hyperstack(path: Path, times: int, channels: int) -> Path:
    data = np.random.default_rng(0).integers(0, 1000, (times, SHAPE[0], channels, *SHAPE[1:])).astype(np.uint16)
    about = {"axes": "TZCYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(path, data, imagej=True, resolution=(5, 5), metadata=about)
    return path


def states(done: PredictedFolder) -> dict[str, str]:
    return {f"{row.file} {row.image}".strip(): row.state for row in done.rows}


def table(output: Path) -> list[dict[str, str]]:
    with (output / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def times_of(output: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in output.iterdir()} | {"": output.stat().st_mtime_ns}


def test_bad_files_stop_no_other_and_a_second_run_touches_nothing(
    folder: Path, config: PredictConfig, tmp_path: Path
) -> None:
    for name in "ad":
        write(folder / f"{name}.tif", ord(name))
    (folder / "b.tif").write_bytes((folder / "a.tif").read_bytes()[:3000])
    write_stack(folder / "c.tif", np.full(SHAPE, 7, np.uint16), SPACING_UM)
    (folder / "notes.txt").write_text("not a stack")
    output = tmp_path / "out"
    done = drain(predict_folder(folder, output, config))
    assert states(done) == {"a.tif": "done", "b.tif": "failed", "c.tif": "failed", "d.tif": "done"}
    assert (done.complete, done.not_done) == (True, 2)
    assert "is cut off" in done.rows[1].reason
    assert "is constant" in done.rows[2].reason
    for name in "ad":
        alone = drain(predict_file(folder / f"{name}.tif", tmp_path / f"{name}.zarr", config)).output
        voxels = [np.asarray(open_stack(path).volume().data) for path in (output / f"{name}.ome.tif", alone)]
        np.testing.assert_array_equal(*voxels)
    assert [row["state"] for row in table(output)] == ["done", "failed", "failed", "done"]
    assert float(table(output)[0]["seconds"]) > 0
    assert {path.name for path in output.iterdir()} == {"a.ome.tif", "d.ome.tif", TABLE, RECORD}
    before = times_of(output)
    again = drain(predict_folder(folder, output, config))
    assert [row.state for row in again.rows] == ["skipped", "failed", "failed", "skipped"]
    assert times_of(output) == before
    (output / "a.ome.tif").unlink()
    write(folder / "e.tif")
    more = drain(predict_folder(folder, output, config))
    assert [row.state for row in more.rows] == ["done", "failed", "failed", "skipped", "done"]
    assert [row["state"] for row in table(output)] == ["done", "failed", "failed", "done", "done"]
    assert (output / "d.ome.tif").stat().st_mtime_ns == before["d.ome.tif"]


def test_each_position_and_channel_with_all_its_time_points(
    folder: Path, config: PredictConfig, tmp_path: Path
) -> None:
    write_hyperstack(folder / "cell.tif", 2, 2)
    blocks = [[block(8 * i + z, Z=z) for z in range(8)] for i in range(2)]
    images = [image((1, 1, *SHAPE), blocks[i], name=name) for i, name in enumerate(("left", "right"))]
    pages = np.random.default_rng(0).integers(0, 999, (16, *SHAPE[1:]), dtype=np.uint16)
    write_pages(folder / "two.ome.tif", pages, ome(*images))
    done = drain(predict_folder(folder, tmp_path / "out", config))
    assert [(row.image, row.output, row.state) for row in done.rows] == [
        ("channel 0, 2 time points", "cell_c0.ome.tif", "done"),
        ("channel 1, 2 time points", "cell_c1.ome.tif", "done"),
        ("position 0 (left)", "two_pos0.ome.tif", "done"),
        ("position 1 (right)", "two_pos1.ome.tif", "done"),
    ]
    assert open_stack(tmp_path / "out" / "cell_c1.ome.tif").data.shape == (2, 1, *SHAPE)
    one = drain(predict_folder(folder, tmp_path / "one", config, Wanted(channel=1, time=1), suffix=".ome.zarr"))
    assert [(row.output, row.state) for row in one.rows[:1]] == [("cell_c1_t1.ome.zarr", "done")]
    assert ["1 channel" in row.reason for row in one.rows[1:]] == [True, True]
    kept = open_stack(tmp_path / "one" / "cell_c1_t1.ome.zarr").volume().data[...]
    np.testing.assert_array_equal(kept, open_stack(tmp_path / "out" / "cell_c1.ome.tif").volume(time=1).data[...])


def test_an_image_in_several_files_is_predicted_once(folder: Path, config: PredictConfig, tmp_path: Path) -> None:
    names = ["set_t0.ome.tif", "set_t1.ome.tif"]
    blocks = [block(z, names[t], t, Z=z, T=t) for t in range(2) for z in range(8)]
    for t, name in enumerate(names):
        pages = np.random.default_rng(t).integers(0, 999, SHAPE, dtype=np.uint16)
        write_pages(folder / name, pages, ome(image((2, 1, *SHAPE), blocks), number=t))
    done = drain(predict_folder(folder, tmp_path / "out", config))
    assert [row.state for row in done.rows] == ["done", "skipped"]
    assert done.rows[1].reason == "a part of set_t0.ome.tif, and predicted with it"
    assert done.not_done == 0
    write_pages(folder / names[1], 5 + pages, ome(image((2, 1, *SHAPE), blocks), number=1))
    changed = drain(predict_folder(folder, tmp_path / "out", config))
    assert [row.state for row in changed.rows] == ["outdated", "skipped"]


@pytest.mark.parametrize("what", ["input", "older input", "settings", "model", "record", "foreign"])
def test_a_result_of_other_input_or_settings_is_kept_until_it_may_be_replaced(
    folder: Path, config: PredictConfig, make_model: Callable[..., Path], tmp_path: Path, what: str
) -> None:
    for name in "ab":
        write(folder / f"{name}.tif")
    output = tmp_path / "out"
    drain(predict_folder(folder, output, config))
    told = "its input has changed since"
    if "input" in what:
        write(folder / "a.tif", 3)
        if what == "older input":
            os.utime(folder / "a.tif", (1, 1))
    elif what == "settings":
        config, told = config.changed(deepest="first"), "deepest was last, is first now"
    elif what == "model":
        make_model(Path(config.model), halo=(8, 64, 64))
        told = "model was small"
    elif what == "record":
        write(folder / "a.tif", 3)
        (output / RECORD).write_text("{")
    else:
        (output / RECORD).unlink()
        (output / "a.ome.tif").write_text("mine")
        told = "it is none of these results"
    before = (output / "a.ome.tif").read_bytes()
    both = what in ("settings", "model")
    events = list[Event]()
    done = drain(predict_folder(folder, output, config), events.append)
    assert [row.state for row in done.rows] == ["outdated", "outdated" if both else "skipped"]
    assert told in done.rows[0].reason
    assert any(isinstance(event, Notice) and "--overwrite" in event.message for event in events)
    assert done.not_done == 1 + both
    assert (output / "a.ome.tif").read_bytes() == before
    kept = (output / "b.ome.tif").stat().st_mtime_ns
    new = drain(predict_folder(folder, output, config, overwrite=True))
    assert [row.state for row in new.rows] == ["done", "done" if both else "skipped"]
    assert (output / "a.ome.tif").read_bytes() != before
    assert ((output / "b.ome.tif").stat().st_mtime_ns == kept) is not both
    assert {row.state for row in drain(predict_folder(folder, output, config)).rows} == {"skipped"}


def test_files_whose_results_would_have_one_name_are_not_predicted(
    folder: Path, config: PredictConfig, tmp_path: Path
) -> None:
    for name in ("Cell.tif", "cell.ome.tif", "other.tif"):
        write(folder / name)
    done = drain(predict_folder(folder, tmp_path / "out", config))
    assert [row.state for row in done.rows] == ["failed", "failed", "done"]
    assert "Rename" in done.rows[0].reason


def test_stop_keeps_what_is_finished_and_the_table(folder: Path, config: PredictConfig, tmp_path: Path) -> None:
    for name in "abc":
        write(folder / f"{name}.tif")
    output, events = tmp_path / "out", list[Event]()

    def stop() -> bool:
        return sum(isinstance(event, TileDone) for event in events) >= 3  # the second tile of the second stack is not

    done = drain(predict_folder(folder, output, config, stop=stop), events.append)
    assert [row.state for row in done.rows] == ["done", "stopped", "waiting"]
    assert not done.complete
    assert done.rows[1].reason == "the finished part is kept as b-incomplete.ome.tif"
    assert [row["state"] for row in table(output)] == ["done", "stopped", "waiting"]
    assert open_stack(output / "b-incomplete.ome.tif").volume().shape == SHAPE
    done = drain(predict_folder(folder, output, config))
    assert [row.state for row in done.rows] == ["skipped", "done", "done"]
    assert {path.name for path in output.iterdir()} == {*(f"{name}.ome.tif" for name in "abc"), TABLE, RECORD}


def test_stopped_before_a_tile_is_finished(folder: Path, config: PredictConfig, tmp_path: Path) -> None:
    write(folder / "a.tif")
    output, events = tmp_path / "out", list[Event]()

    def stop() -> bool:
        return any(isinstance(event, BatchRow) and event.state == "running" for event in events)

    done = drain(predict_folder(folder, output, config, stop=stop), events.append)
    assert [row.state for row in done.rows] == ["stopped"]
    assert {path.name for path in output.iterdir()} == {TABLE}
    with pytest.raises(StoppedError):
        drain(predict_folder(folder, tmp_path / "none", config, stop=lambda: True))
    assert not (tmp_path / "none").exists()


def test_progress_is_over_all_voxels_that_are_left(folder: Path, config: PredictConfig, tmp_path: Path) -> None:
    write(folder / "a.tif", shape=(8, 32, 40))
    write_stack(folder / "b.tif", np.full(SHAPE, 7, np.uint16), SPACING_UM)
    write(folder / "c.tif", shape=(8, 32, 120))
    events = list[Event]()
    drain(predict_folder(folder, tmp_path / "out", config), events.append)
    told = [event for event in events if isinstance(event, Progress) and event.message.startswith("stack")]
    shares = [event.fraction for event in told]
    assert shares[0] == 0
    assert shares[-1] == 1
    first = [event.fraction for event in told if event.message.startswith("stack 1 of 3")]
    third = [event.fraction for event in told if event.message.startswith("stack 3 of 3")]
    assert max(first) == pytest.approx(1 / 5)
    assert min(third) == pytest.approx(1 / 4)  # the one that failed counts no more
    assert all(event.seconds_left is not None for event in told if event.done)


def test_a_fault_of_the_program_stops_no_other_and_is_told(
    folder: Path, config: PredictConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    for name in "ab":
        write(folder / f"{name}.tif")

    def fail(stack: Path, *rest: Any, **more: Any) -> Any:
        if stack.name == "a.tif":
            raise ZeroDivisionError("by nought")
        return (yield from predict_file(stack, *rest, **more))

    monkeypatch.setattr(module, "predict_file", fail)
    done = drain(predict_folder(folder, tmp_path / "out", config))
    assert states(done) == {"a.tif": "failed", "b.tif": "done"}
    assert "ZeroDivisionError: by nought" in done.rows[0].reason
    assert "a.tif could not be predicted" in caplog.text


def test_time_points_left_out_are_told(folder: Path, config: PredictConfig, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 999, (3, *SHAPE), dtype=np.uint16)
    data[1] = 0
    write_stack(folder / "series.ome.tif", data, SPACING_UM)
    for state in ("done", "skipped"):
        done = drain(predict_folder(folder, tmp_path / "out", config))
        assert [row.state for row in done.rows] == [state]
        assert (done.left_out, done.not_done) == (1, 1)
        assert "Time point 1" in table(tmp_path / "out")[0]["reason"]


def test_with_uncertainty(folder: Path, config: PredictConfig, tmp_path: Path) -> None:
    write(folder / "a.tif")
    output, config = tmp_path / "out", config.changed(uncertainty=True)
    drain(predict_folder(folder, output, config))
    assert {path.name for path in output.iterdir()} == {"a.ome.tif", "a-uncertainty.ome.tif", TABLE, RECORD}
    (output / "a-uncertainty.ome.tif").unlink()
    done = drain(predict_folder(folder, output, config))
    assert done.rows[0].state == "outdated"
    assert "a-uncertainty.ome.tif is missing" in done.rows[0].reason


def test_what_is_no_batch_is_refused_before_anything_is_made(
    folder: Path, config: PredictConfig, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    with pytest.raises(InputError, match="holds no stack"):
        drain(predict_folder(folder, output, config))
    write(folder / "a.tif")
    before = sorted(tmp_path.rglob("*"))
    for source, target, settings, told in (
        (folder / "a.tif", output, config, "is no folder"),
        (folder, tmp_path / "out.tif", config, "named as a stack"),
        (folder, folder, config, "a folder of their own"),
        (folder, folder / "a.tif" / "x", config, "cannot|named|is a file"),
        (folder, output, config.changed(model="nothing"), "there is no model"),
        (folder, output, config.changed(precision="float16"), "float16 is for GPUs"),
        (folder, output, config.changed(scheduler="tcp://127.0.0.1:9"), r"cannot write \.ome\.tif.*--format zarr"),
    ):
        with pytest.raises(InputError, match=told):
            drain(predict_folder(source, target, settings))
    with pytest.raises(InputError, match=r"'\.png'; \.ome\.tif and \.ome\.zarr are allowed"):
        drain(predict_folder(folder, output, config, suffix=".png"))  # type: ignore[arg-type]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_record_leads_to_no_other_file(folder: Path, config: PredictConfig, tmp_path: Path) -> None:
    write(folder / "a.tif")
    output = tmp_path / "out"
    output.mkdir()
    mine = [tmp_path / "x-incomplete.tif", output / "kept.tif"]
    for path in mine:
        path.write_text("mine")
    parts = '["../x-incomplete.tif", "kept.tif"]'
    (output / RECORD).write_text(f'{{"made": {{}}, "parts": {{"a.ome.tif": {parts}}}}}')
    assert drain(predict_folder(folder, output, config)).count("done") == 1
    assert all(path.exists() for path in mine)
