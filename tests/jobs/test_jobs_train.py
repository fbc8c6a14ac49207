"""Training on a folder: the run folder, its files, and resuming."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_deep3d.core.config import TrainConfig, read_toml
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Notice, drain
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.train import COLUMNS, TrainResult, train_model
from napari_deep3d.nn.model_file import load_model, read_info


def after(steps: int):
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def trained(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> TrainResult:
    return drain(train_model(pairs_folder, tmp_path / "run", train_config))


def test_run_folder_holds_model_config_metrics_and_checkpoints(trained: TrainResult, tmp_path: Path) -> None:
    assert trained.model == tmp_path / "run" / "model.safetensors"
    assert trained.complete
    assert trained.iterations == 4
    assert np.isfinite(trained.loss)
    assert set(trained.validation) == {"rmse", "ssim"}
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"config.toml", "metrics.csv", "model.safetensors", "checkpoints"}


def test_model_states_what_it_was_trained_on(trained: TrainResult, train_config: TrainConfig) -> None:
    _, info = load_model(trained.model)
    assert info.name == "run"
    assert info.width == 2
    assert info.percentiles == train_config.percentiles
    assert info.spacing_min_um == pytest.approx((0.3, 0.2, 0.2))
    assert info.spacing_um == pytest.approx((0.4, 0.2, 0.2))
    assert info.spacing_max_um == pytest.approx((0.5, 0.2, 0.2))
    assert info.halo[0] % 4 == 0
    assert info.halo[1] == info.halo[2]
    assert info.halo[1] % 16 == 0
    assert info.training["pairs"] == 3
    assert info.training["steps"] == 4
    assert TrainConfig.checked(**info.training["config"]) == train_config
    assert info.scores["validation_rmse"] == pytest.approx(trained.validation["rmse"], abs=1e-4)


def test_config_of_the_run_can_be_read_back(trained: TrainResult, train_config: TrainConfig, tmp_path: Path) -> None:
    assert TrainConfig.checked(**read_toml(tmp_path / "run" / "config.toml")) == train_config


def test_metrics_have_a_row_per_step(trained: TrainResult, tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "run")
    assert tuple(rows[0]) == COLUMNS
    losses = [row for row in rows if row["loss"]]
    assert [int(row["step"]) for row in losses] == [1, 2, 3, 4]
    assert [int(row["step"]) for row in rows if row["validation_rmse"]] == [2, 4]
    assert float(losses[-1]["loss"]) == pytest.approx(trained.loss, rel=1e-4)
    assert all(float(row["learning_rate"]) > 0 for row in losses)


def test_stopped_and_resumed_gives_the_model_of_an_unbroken_training(
    trained: TrainResult, pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    run = tmp_path / "broken"
    stopped = drain(train_model(pairs_folder, run, train_config, stop=after(2)))
    assert not stopped.complete
    assert stopped.iterations == 2
    assert read_info(stopped.model).training["steps"] == 2
    events: list[Event] = []
    resumed = drain(train_model(pairs_folder, run, TrainConfig(iterations=999), resume=True), events.append)
    assert any(isinstance(event, Notice) and "resumed at step 2" in event.message for event in events)
    assert resumed.complete
    assert resumed.iterations == 4
    ours, whole = (load_model(result.model)[0].state_dict() for result in (resumed, trained))
    for name, value in ours.items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=0)
    assert [row["step"] for row in rows_of(run) if row["loss"]] == ["1", "2", "3", "4"]


def test_steps_done_again_after_a_crash_do_not_stand_twice_in_the_metrics(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    run = tmp_path / "run"
    job = train_model(pairs_folder, run, train_config)
    while len(rows_of(run)) < 4 if (run / "metrics.csv").exists() else True:
        next(job)
    job.close()  # killed after step 3, whose checkpoint is of step 2
    assert [row["step"] for row in rows_of(run) if row["loss"]] == ["1", "2", "3"]
    drain(train_model(pairs_folder, run, train_config, resume=True))
    assert [row["step"] for row in rows_of(run) if row["loss"]] == ["1", "2", "3", "4"]


def test_resuming_a_finished_training_keeps_its_scores(
    trained: TrainResult, pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    before = read_info(trained.model)
    drain(train_model(pairs_folder, tmp_path / "run", train_config, resume=True))
    assert read_info(trained.model).scores == before.scores != {}


def test_resumed_model_keeps_its_name(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    drain(train_model(pairs_folder, tmp_path / "run", train_config, name="liver", stop=after(1)))
    resumed = drain(train_model(pairs_folder, tmp_path / "run", train_config, resume=True))
    assert read_info(resumed.model).name == "liver"


def test_run_folder_with_files_is_refused(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").write_text("precious")
    with pytest.raises(InputError, match="already holds files"):
        drain(train_model(pairs_folder, run, train_config))
    assert (run / "model.safetensors").read_text() == "precious"


def test_resume_needs_a_run_folder(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    with pytest.raises(InputError, match=r"is not a run folder to resume: it has no config\.toml"):
        drain(train_model(pairs_folder, tmp_path / "none", train_config, resume=True))
    assert not (tmp_path / "none").exists()


def test_wrong_pairs_leave_no_run_folder(tmp_path: Path, train_config: TrainConfig) -> None:
    with pytest.raises(InputError, match="not a pairs folder"):
        drain(train_model(tmp_path, tmp_path / "run", train_config))
    assert not (tmp_path / "run").exists()


def test_pairs_without_voxel_size_are_refused_before_training(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    import tifffile

    for kind in ("widefield", "confocal"):
        for path in (pairs_folder / kind).iterdir():
            data = tifffile.imread(path)
            tifffile.imwrite(path, data, photometric="minisblack", metadata={"axes": "ZYX"})
    steps: list[Event] = []
    with pytest.raises(InputError, match="no pair states its voxel size"):
        drain(train_model(pairs_folder, tmp_path / "run", train_config), steps.append)
    assert not steps  # hours of training would be lost otherwise


def test_voxel_size_range_is_axis_by_axis(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    data = np.random.default_rng(0).integers(0, 99, (8, 32, 32)).astype(np.uint16)
    for kind in ("widefield", "confocal"):
        write_stack(pairs_folder / kind / "3.tif", data, (0.2, 0.1, 0.3))
    one = train_config.model_copy(update={"iterations": 1})
    info = read_info(drain(train_model(pairs_folder, tmp_path / "run", one)).model)
    assert info.spacing_min_um == pytest.approx((0.2, 0.1, 0.2))
    assert info.spacing_max_um == pytest.approx((0.5, 0.2, 0.3))
