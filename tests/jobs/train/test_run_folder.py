"""The run folder: what it says, wherever it is moved, and figures that survive a crash."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
import tomli_w

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Metrics, Notice
from napari_deep3d.jobs.train.run_folder import (
    CHECKPOINTS,
    COLUMNS,
    CONFIG_FILE,
    FOLDER_VARIABLE,
    FORMAT_VERSION,
    METRICS_FILE,
    RUN_FILE,
    MetricsFile,
    list_unfinished,
    read_metrics,
    read_run,
    runs_folder,
    write_run,
)


def begin(folder: Path, config: TrainConfig, pairs: Path | None = None, steps: int = 0, start: str = "") -> Path:
    """A run that has made so many steps."""
    folder.mkdir(parents=True)
    write_run(folder, config, "cells", pairs or folder / "pairs", start)
    if steps:
        (folder / CHECKPOINTS / f"step_{steps:07d}.safetensors").touch()
    return folder


@pytest.fixture
def config() -> TrainConfig:
    return TrainConfig.checked(
        iterations=100, patch=[[8, 32, 32], [16, 32, 32]], held_out=["a.tif"], misregistration_um=(0.5, 1, 2), seed=3
    )


def test_run_comes_back_as_it_was_written(tmp_path: Path, config: TrainConfig) -> None:
    folder = begin(tmp_path / "run", config, tmp_path / "far" / "pairs", steps=40, start="generalist")
    run = read_run(folder)
    assert (run.path, run.name, run.start) == (folder, "cells", "generalist")
    assert run.pairs.resolve() == (tmp_path / "far" / "pairs").resolve()
    assert run.config == config
    assert (run.steps_done, run.iterations, run.complete) == (40, 100, False)


def test_run_begins_with_no_step_and_ends_with_the_last(tmp_path: Path, config: TrainConfig) -> None:
    folder = begin(tmp_path / "run", config)
    assert (read_run(folder).steps_done, read_run(folder).complete) == (0, False)
    for steps in (20, 100, 60):
        (folder / CHECKPOINTS / f"step_{steps:07d}.safetensors").touch()
    (folder / CHECKPOINTS / "best_0000009.safetensors").touch()
    (folder / CHECKPOINTS / "step_new.safetensors").touch()
    assert (read_run(folder).steps_done, read_run(folder).complete) == (100, True)


def test_pairs_within_the_run_folder_move_with_it(tmp_path: Path, config: TrainConfig) -> None:
    begin(tmp_path / "old" / "run", config)
    (tmp_path / "old").rename(tmp_path / "new")
    assert read_run(tmp_path / "new" / "run").pairs == tmp_path / "new" / "run" / "pairs"
    assert str(tmp_path) not in (tmp_path / "new" / "run" / RUN_FILE).read_text()


def test_relative_pairs_outside_are_found_from_anywhere(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = begin(tmp_path / "run", config, Path("pairs"))
    monkeypatch.chdir("/")
    assert read_run(folder).pairs == tmp_path / "pairs"


def test_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=rf"{folder} is not a run folder to resume: it has no config\.toml"):
            read_run(folder)


@pytest.mark.parametrize("version", [1, FORMAT_VERSION - 1, FORMAT_VERSION + 1, str(FORMAT_VERSION)])
def test_run_of_another_version_is_named_with_the_way_out(tmp_path: Path, config: TrainConfig, version: object) -> None:
    folder = begin(tmp_path / "run", config)
    (folder / RUN_FILE).write_text(tomli_w.dumps({"format_version": version}))
    words = rf"run folder of version {version}; this program resumes version {FORMAT_VERSION}.*--start"
    with pytest.raises(InputError, match=words):
        read_run(folder)


def test_run_of_the_first_version_had_no_run_file(tmp_path: Path, config: TrainConfig) -> None:
    folder = begin(tmp_path / "run", config)
    (folder / RUN_FILE).unlink()
    with pytest.raises(InputError, match="run folder of version 1"):
        read_run(folder)


@pytest.mark.parametrize("file", [RUN_FILE, CONFIG_FILE])
def test_damaged_run_is_named(tmp_path: Path, config: TrainConfig, file: str) -> None:
    folder = begin(tmp_path / "run", config)
    (folder / file).write_text("iterations:")
    with pytest.raises(InputError, match=rf"{file} is not a TOML file"):
        read_run(folder)


def test_unfinished_runs_come_newest_first(tmp_path: Path, config: TrainConfig) -> None:
    for number, name in enumerate(("second", "third", "first")):
        begin(tmp_path / name, config, steps=10)
        when = 1_000_000 + {"first": 0, "second": 10, "third": 20}[name]
        os.utime(tmp_path / name / RUN_FILE, (when, when))
        assert len(list_unfinished(tmp_path)) == number + 1
    assert [run.path.name for run in list_unfinished(tmp_path)] == ["third", "second", "first"]


def test_runs_that_cannot_be_gone_on_with_are_not_listed(tmp_path: Path, config: TrainConfig) -> None:
    begin(tmp_path / "ended", config, steps=100)
    begin(tmp_path / "not begun", config)
    begin(tmp_path / "old", config, steps=10)
    (tmp_path / "old" / RUN_FILE).write_text("format_version = 1\n")
    begin(tmp_path / "damaged", config, steps=10)
    (tmp_path / "damaged" / CONFIG_FILE).write_text("width = 1\n")
    begin(tmp_path / "torn", config, steps=10)
    (tmp_path / "torn" / RUN_FILE).write_text("format_ver")
    (tmp_path / "notes").mkdir()
    assert list_unfinished(tmp_path) == []
    assert list_unfinished(tmp_path / "none") == []


def test_runs_of_the_window_are_in_the_users_folder(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    begin(tmp_path / "mine", config, steps=1)
    assert runs_folder() == tmp_path
    assert [run.path.name for run in list_unfinished()] == ["mine"]
    monkeypatch.delenv(FOLDER_VARIABLE)
    assert runs_folder().parts[-2:] == ("napari-deep3d", "runs")


# Figures


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Figures of five steps, tested after the second and the fourth."""
    metrics = MetricsFile(tmp_path / "metrics.csv", 0)
    for step in range(1, 6):
        metrics(Metrics(step, {"loss": step / 3, "l1": 1e-7, "learning_rate": 1e-3, "unknown": 5.0}))
        if step in (2, 4):
            metrics(Metrics(step, {"validation_rmse": 0.1}))
        metrics(Notice("of no interest"))
    return tmp_path / "metrics.csv"


def test_figures_have_a_row_per_event(path: Path) -> None:
    rows = rows_of(path)
    assert [row["step"] for row in rows] == ["1", "2", "2", "3", "4", "4", "5"]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["loss"], rows[0]["l1"], rows[0]["gan"]) == ("0.333333", "1e-07", "")
    assert (rows[2]["loss"], rows[2]["validation_rmse"]) == ("", "0.1")


def test_rows_of_lost_steps_go(path: Path) -> None:
    MetricsFile(path, 2)
    assert [row["step"] for row in rows_of(path)] == ["1", "2", "2"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_rows_of_steps_that_are_made_again_go(path: Path) -> None:
    """The newest checkpoint, of step 4, was damaged: it goes on after step 2."""
    metrics = MetricsFile(path, 4)
    assert [row["step"] for row in rows_of(path)] == ["1", "2", "2", "3", "4", "4"]
    metrics(Metrics(3, {"loss": 9.0}))
    metrics(Metrics(3, {"validation_rmse": 8.0}))
    assert [row["step"] for row in rows_of(path)] == ["1", "2", "2", "3", "3"]
    assert rows_of(path)[3]["loss"] == "9"


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_last_row_that_was_cut_off_is_made_good(path: Path, cut: int) -> None:
    text = path.read_text()
    path.write_text(text[:-cut])
    metrics = MetricsFile(path, 99)
    kept = [row["step"] for row in rows_of(path)]
    assert kept == [line.partition(",")[0] for line in text[:-cut].split("\n")[1:-1]]
    metrics(Metrics(6, {"loss": 1.0}))
    assert rows_of(path)[-1]["step"] == "6"


def test_file_that_is_no_table_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for text in ("", "step", "step,loss\nnonsense,1\n"):
        path.write_text(text)
        MetricsFile(path, 9)
        assert rows_of(path) == []
        assert path.read_text().splitlines() == [",".join(COLUMNS)]


@pytest.mark.parametrize(
    "data",
    [
        b"step,lors\n1,0.5\n2,0.4\n",
        b"step,loss\n1,0.5\n\xb1\xff,3\n2,0.4\n",
        b"\xff\xfe\0",
        b"step\n" + b"9" * 5000 + b"\n",
    ],
)
def test_damaged_metrics_keep_no_training_from_going_on(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / METRICS_FILE
    path.write_bytes(data)
    MetricsFile(path, 1)(Metrics(2, {"loss": 0.25}))
    rows = read_metrics(tmp_path, 5)
    assert rows[-1] == Metrics(2, {"loss": 0.25})
    assert [row.step for row in rows] in ([1, 2], [2])
