"""Training on a folder: the run folder, its files, and resuming."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import tifffile
import torch
from safetensors.torch import load_file

from napari_deep3d.core.config import PredictConfig, TrainConfig, read_toml
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Event, Metrics, Notice, Preview, Progress, StoppedError, drain
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.pairs import LoadedPair, PairsFolder
from napari_deep3d.jobs.predict.predict import predict_volume
from napari_deep3d.jobs.train.plan import MIN_STEPS, START_LEARNING_RATE
from napari_deep3d.jobs.train.run_folder import COLUMNS, read_run
from napari_deep3d.jobs.train.train import TrainResult, train_model
from napari_deep3d.jobs.train.trained_model import LARGEST_HALO
from napari_deep3d.nn import inference, trainer, training, tta
from napari_deep3d.nn.checkpoint import checkpoints
from napari_deep3d.nn.model_file import load_model, read_info
from napari_deep3d.nn.trainer import Trainer

pytestmark = pytest.mark.slow


class Until:
    """Notes events, and says stop once a step has told its loss."""

    def __init__(self, step: int) -> None:
        self.step, self.events = step, list[Event]()

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def stop(self) -> bool:
        rows = (event for event in self.events if isinstance(event, Metrics))
        return any(row.step >= self.step and "loss" in row.values for row in rows)


def train_until(step: int, pairs: Any, run: Path, config: TrainConfig, **more: Any) -> TrainResult:
    until = Until(step)
    return drain(train_model(pairs, run, config, stop=until.stop, **more), until)


def changed(config: TrainConfig, **values: Any) -> TrainConfig:
    return config.changed(**values)


def notices(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


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
    assert trained.name == "run"
    assert (trained.run, trained.reason, trained.first_process) == (tmp_path / "run", "", True)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"run.toml", "config.toml", "metrics.csv", "model.safetensors", "last.safetensors", "checkpoints"}
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert kept == {f"{kind}_000000{step}.safetensors" for kind in ("step", "best") for step in (2, 4)}


def test_model_states_what_it_was_trained_on(trained: TrainResult, train_config: TrainConfig) -> None:
    _, info = load_model(trained.model)
    assert info.name == "run"
    assert info.width == 2
    assert info.percentiles == train_config.data.percentiles
    assert info.spacing_min_um == pytest.approx((0.3, 0.2, 0.2))
    assert info.spacing_um == pytest.approx((0.4, 0.2, 0.2))
    assert info.spacing_max_um == pytest.approx((0.5, 0.2, 0.2))
    assert info.halo[0] % 4 == 0
    assert info.halo[1] == info.halo[2]
    assert info.halo[1] % 16 == 0
    assert info.training["pairs"] == 3
    assert info.training["steps"] == 4
    assert info.training["start"] == "scratch"
    assert (info.dimensions, info.network_input, info.z_step) == (3, "stack", 1)
    assert TrainConfig.checked(**info.training["config"]) == train_config
    assert info.scores["validation_rmse"] == pytest.approx(trained.validation["rmse"], abs=1e-4)
    assert info.uncertainty is not None
    assert info.uncertainty.pairs == 1  # the one that was held out


def test_config_of_the_run_can_be_read_back(trained: TrainResult, train_config: TrainConfig, tmp_path: Path) -> None:
    assert TrainConfig.checked(**read_toml(tmp_path / "run" / "config.toml")) == train_config


def test_metrics_have_a_row_per_step(trained: TrainResult, tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "run")
    assert tuple(rows[0]) == COLUMNS
    losses = [row for row in rows if row["loss"]]
    assert [int(row["step"]) for row in losses] == [1, 2, 3, 4]
    assert all(float(row[name]) > 0 for row in losses for name in ("l1", "gan", "vgg", "discriminator"))
    assert [int(row["step"]) for row in rows if row["validation_rmse"]] == [2, 4]
    assert float(losses[-1]["loss"]) == pytest.approx(trained.loss, rel=1e-4)
    assert all(float(row["learning_rate"]) > 0 for row in losses)


def test_stopped_and_resumed_gives_the_model_of_an_unbroken_training(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    run = tmp_path / "broken"
    train_config = changed(train_config, validate_every=4)
    stopped = train_until(2, pairs_folder, run, train_config)
    assert not stopped.complete
    assert stopped.iterations == 2
    assert read_info(stopped.model).training["steps"] == 2
    events: list[Event] = []
    resumed = drain(train_model(pairs_folder, run, TrainConfig(iterations=999), resume=True), events.append)
    assert any(isinstance(event, Notice) and "resumed at step 2" in event.message for event in events)
    assert resumed.complete
    assert resumed.iterations == 4
    whole = drain(train_model(pairs_folder, tmp_path / "whole" / "broken", train_config))
    for name in ("model.safetensors", "last.safetensors"):
        assert (resumed.run / name).read_bytes() == (whole.run / name).read_bytes()
    assert [row["step"] for row in rows_of(run) if row["loss"]] == ["1", "2", "3", "4"]


def test_steps_done_again_after_a_crash_do_not_stand_twice_in_the_metrics(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    run = tmp_path / "run"
    job = train_model(pairs_folder, run, train_config)
    while len(rows_of(run)) < 5 if (run / "metrics.csv").exists() else True:
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
    train_until(1, pairs_folder, tmp_path / "run", train_config, name="liver")
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
    assert all(isinstance(event, Progress) for event in steps)  # hours of training would be lost otherwise


def test_voxel_size_range_is_axis_by_axis(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    data = np.random.default_rng(0).integers(0, 99, (8, 32, 32)).astype(np.uint16)
    for kind in ("widefield", "confocal"):
        write_stack(pairs_folder / kind / "3.tif", data, (0.2, 0.1, 0.3))
    one = train_config.changed(iterations=1)
    info = read_info(drain(train_model(pairs_folder, tmp_path / "run", one)).model)
    assert info.spacing_min_um == pytest.approx((0.2, 0.1, 0.2))
    assert info.spacing_max_um == pytest.approx((0.5, 0.2, 0.3))


def test_last_weights_are_kept_beside_the_best(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.2, 0.9, 0.3, 0.9])
    monkeypatch.setattr(training, "score_pairs", lambda *_: [(next(scores), 0.5)])
    done = drain(train_model(pairs_folder, tmp_path / "run", train_config))
    best, last = (load_model(done.run / name) for name in ("model.safetensors", "last.safetensors"))
    assert best[1].training["weights"] == "the weights after step 2, best on held-out pairs"
    assert best[1].scores == {"validation_rmse": 0.2, "validation_ssim": 0.5}
    assert (last[1].training["weights"], last[1].scores) == ("the last ones", {})
    assert not torch.equal(best[0].head.weight, last[0].head.weight)


def test_previews_are_passed_on(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    events: list[Event] = []
    drain(train_model(pairs_folder, tmp_path / "run", train_config, preview_every=3), events.append)
    assert [event.step for event in events if isinstance(event, Preview)] == [1, 3]


def test_training_that_diverged_says_why_and_leaves_a_model(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, 1.0, 1.0, float("nan")])
    monkeypatch.setattr(trainer, "l1_loss", lambda a, b: (a - b).abs().mean() * next(losses))
    events: list[Event] = []
    ended = drain(train_model(pairs_folder, tmp_path / "run", train_config), events.append)
    assert (ended.iterations, ended.complete) == (3, False)
    assert "the loss (l1) became nan at step 4" in ended.reason
    assert ended.reason in notices(events)
    assert ended.report()["reason"] == ended.reason
    assert read_info(ended.model).training["steps"] == 3


@pytest.mark.parametrize("file", ["model.safetensors", "last.safetensors"])
def test_model_that_cannot_be_written_is_an_error_and_the_training_can_go_on(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    from safetensors import SafetensorError

    save_file = safetensors.torch.save_file

    def full(tensors: Any, path: Path, metadata: Any = None) -> None:
        if path.name.startswith(f".{Path(file).stem}."):
            raise SafetensorError("I/O error: No space left on device")
        save_file(tensors, path, metadata)

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", full)
        with pytest.raises(InputError, match=rf"cannot write .*run/{file}: .*No space left.*--resume"):
            drain(train_model(pairs_folder, tmp_path / "run", train_config))
    assert not (tmp_path / "run" / file).exists()
    done = drain(train_model(None, tmp_path / "run", train_config, resume=True))
    assert done.complete
    assert read_info(done.model).training["steps"] == 4


def test_figures_that_cannot_be_written_are_an_error(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    job = train_model(pairs_folder, tmp_path / "run", train_config)
    while not (tmp_path / "run" / "metrics.csv").exists():
        next(job)
    (tmp_path / "run" / "metrics.csv").unlink()
    (tmp_path / "run" / "metrics.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*metrics\.csv: .*--resume"):
        drain(job)


def test_damaged_newest_checkpoint_leaves_no_step_twice_in_the_metrics(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    run = tmp_path / "run"
    train_until(3, pairs_folder, run, train_config)
    checkpoints(run / "checkpoints")[-1].write_bytes(b"junk")
    events: list[Event] = []
    drain(train_model(pairs_folder, run, train_config, resume=True), events.append)
    assert "resumed at step 2" in notices(events)
    assert [row["step"] for row in rows_of(run) if row["loss"]] == ["1", "2", "3", "4"]


# Pairs at hand, such as layers


@pytest.fixture
def at_hand(pairs_folder: Path) -> list[LoadedPair]:
    """The pairs of the folder in memory, in an order of their own, by names without an ending."""
    pairs = PairsFolder(pairs_folder).load()
    return [LoadedPair(str(i), pairs[i].widefield, pairs[i].confocal) for i in (2, 0, 1)]


def test_pairs_at_hand_train_the_model_that_their_files_do(
    trained: TrainResult, at_hand: list[LoadedPair], tmp_path: Path, train_config: TrainConfig
) -> None:
    done = drain(train_model(at_hand, tmp_path / "hand" / "run", train_config))
    assert done.model.read_bytes() == trained.model.read_bytes()
    written = PairsFolder(tmp_path / "hand" / "run" / "pairs").load()
    assert [pair.name for pair in written] == ["0.ome.tif", "1.ome.tif", "2.ome.tif"]
    for pair, own in zip(written, (at_hand[1], at_hand[2], at_hand[0]), strict=True):
        np.testing.assert_array_equal(np.asarray(pair.confocal.data[...]), np.asarray(own.confocal.data[...]))
        assert pair.widefield.spacing_um == own.widefield.spacing_um


@pytest.mark.parametrize("moved", [False, True])
def test_training_on_pairs_at_hand_is_resumed_from_the_run_folder_alone(
    at_hand: list[LoadedPair], tmp_path: Path, train_config: TrainConfig, moved: bool
) -> None:
    """Wherever it is by now; the held-out pair keeps its name, the others their order."""
    config = changed(train_config, held_out=("1",), validate_every=4)
    whole = drain(train_model(at_hand, tmp_path / "whole" / "run", config))
    run = tmp_path / "run"
    train_until(2, at_hand, run, config)
    if moved:
        (tmp_path / "elsewhere").mkdir()
        run = run.rename(tmp_path / "elsewhere" / "run")
    done = drain(train_model(None, run, config, resume=True))
    assert done.model.read_bytes() == whole.model.read_bytes()


def test_pairs_at_hand_need_a_voxel_size(at_hand: list[LoadedPair], tmp_path: Path, train_config: TrainConfig) -> None:
    at_hand[1] = LoadedPair("bare", Volume(np.asarray(at_hand[1].widefield.data[...]), None), at_hand[1].confocal)
    with pytest.raises(InputError, match="no voxel size"):
        drain(train_model(at_hand, tmp_path / "run", train_config))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "words"), [("0", "several pairs are called 0"), ("a/b", "'a/b'"), ("..", "'..'"), ("", "''")]
)
def test_names_of_pairs_at_hand_must_fit(
    at_hand: list[LoadedPair], tmp_path: Path, train_config: TrainConfig, name: str, words: str
) -> None:
    at_hand[2] = LoadedPair(name, at_hand[2].widefield, at_hand[2].confocal)
    with pytest.raises(InputError, match=words):
        drain(train_model(at_hand, tmp_path / "run", train_config))
    assert not (tmp_path / "run").exists()


def test_no_pairs_at_all_are_an_error(tmp_path: Path, train_config: TrainConfig) -> None:
    for nothing in (None, []):
        with pytest.raises(InputError, match="no pair"):
            drain(train_model(nothing, tmp_path / "run", train_config))
    assert not (tmp_path / "run").exists()


# Going on from a model


@pytest.fixture
def flat_model(make_model: Callable[..., Path], tmp_path: Path) -> Path:
    """A model of three channels on single planes of a stack."""
    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import save_model

    info = read_info(make_model(name="flat", width=3, dimensions=2, percentiles=(1.0, 99.0)))
    torch.manual_seed(3)
    return save_model(tmp_path / "flat.safetensors", Generator(3, 2), info)


def test_model_to_start_from_decides_the_network(pairs_folder: Path, tmp_path: Path, flat_model: Path) -> None:
    config = TrainConfig.checked(
        iterations=1, patch=(8, 32, 32), batch_size=1, weight_gan=0, weight_vgg=0, ema=0, precision="float32"
    )
    done = drain(train_model(pairs_folder, tmp_path / "run", config, start=str(flat_model), stop=lambda: True))
    network, info = load_model(done.model)
    assert (info.width, info.dimensions, info.percentiles) == (3, 2, (1.0, 99.0))
    assert info.training["start"] == str(flat_model)
    for name, value in load_model(flat_model)[0].state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name
    saved = read_run(tmp_path / "run")
    assert (saved.config.network.width, saved.config.optimizer.learning_rate, saved.start) == (
        3,
        START_LEARNING_RATE,
        str(flat_model),
    )


def test_learning_rate_that_was_asked_for_stays(pairs_folder: Path, tmp_path: Path, flat_model: Path) -> None:
    config = TrainConfig.checked(iterations=1, patch=(8, 32, 32), learning_rate=2e-3, weight_vgg=0, weight_gan=0)
    drain(train_model(pairs_folder, tmp_path / "run", config, start=str(flat_model), stop=lambda: True))
    assert read_run(tmp_path / "run").config.optimizer.learning_rate == 2e-3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"width": 2}, "has width=3; width=2 was asked for"),
        ({"dimensions": 3, "width": 4}, "has width=3, dimensions=2; width=4, dimensions=3 was asked for"),
        ({"percentiles": (0.0, 100.0)}, "percentiles"),
    ],
)
def test_settings_that_contradict_the_model_to_start_from_are_refused(
    pairs_folder: Path, tmp_path: Path, flat_model: Path, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        drain(train_model(pairs_folder, tmp_path / "run", TrainConfig.checked(**values), start=str(flat_model)))
    assert not (tmp_path / "run").exists()


def test_resumed_training_needs_the_model_to_start_from_no_more(
    pairs_folder: Path, tmp_path: Path, make_model: Callable[..., Path], train_config: TrainConfig
) -> None:
    """It may have been moved meanwhile, and its weights are in the checkpoint."""
    start = make_model()
    train_until(1, pairs_folder, tmp_path / "run", train_config, start=str(start))
    start.unlink()
    done = drain(train_model(None, tmp_path / "run", train_config, resume=True))
    assert done.complete
    assert read_info(done.model).training["start"] == str(start)


def test_a_model_that_came_out_worse_is_told(
    pairs_folder: Path, tmp_path: Path, make_model: Callable[..., Path], train_config: TrainConfig
) -> None:
    """Than the one it started from, and than wide-field; a resumed training still knows both."""
    config, run = changed(train_config, iterations=2, learning_rate=1e-7, weight_gan=0), tmp_path / "run"
    train_until(1, pairs_folder, run, config, start=str(make_model()))
    (first, *_) = rows_of(run)
    assert first["step"] == "0"
    table = (run / "metrics.csv").read_text()
    better = {"validation_rmse": "0.001", "validation_ssim": "0.999"}
    changed_row = ",".join((first | better)[name] for name in COLUMNS)
    (run / "metrics.csv").write_text(table.replace(",".join(first[name] for name in COLUMNS), changed_row))
    events: list[Event] = []
    done = drain(train_model(None, run, config, resume=True), events.append)
    assert done.report()["before"] == done.before == {"rmse": 0.001, "ssim": 0.999}
    assert done.widefield["rmse"] == float(first["widefield_rmse"])
    assert "does worse than the model it started from (RMSE 0.001, SSIM 0.999)" in done.warning
    assert done.warning in notices(events)
    same = replace(done, before=done.validation, widefield={"rmse": 9.0, "ssim": 0.0})
    assert same.warning == ""
    assert replace(same, before={**done.validation, "ssim": done.validation["ssim"] + 0.1}).warning  # one of the two
    assert replace(same, validation={}).warning == ""  # nothing was held out


# A time instead of a number of steps


def test_time_decides_the_number_of_steps(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    events: list[Event] = []
    done = drain(train_model(pairs_folder, tmp_path / "run", train_config, minutes=0.001), events.append)
    assert done.complete
    assert 1 <= done.iterations <= MIN_STEPS  # fewer where the computer is slow
    assert read_run(tmp_path / "run").iterations == done.iterations
    assert any(f"{done.iterations} steps in 0.001 minutes" in notice for notice in notices(events))


def test_time_may_be_stopped_before_it_is_known(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    with pytest.raises(StoppedError):
        drain(train_model(pairs_folder, tmp_path / "run", train_config, minutes=1, stop=lambda: True))


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_time_must_be_one(pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, minutes: float) -> None:
    with pytest.raises(InputError, match="more than 0 and at most a month are allowed"):
        drain(train_model(pairs_folder, tmp_path / "run", train_config, minutes=minutes))
    assert not (tmp_path / "run").exists()


def test_loss_that_is_no_number_while_the_speed_is_measured_is_an_error(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "l1_loss", lambda a, _: a.mean() * float("nan"))
    with pytest.raises(InputError, match=r"became nan .* while the speed was measured\. Choose a lower learning_rate"):
        drain(train_model(pairs_folder, tmp_path / "run", train_config, minutes=1))


# Other networks: trained, then predicting


def predict(model: Path, data: np.ndarray, spacing: tuple[float, float, float]) -> Any:
    config = PredictConfig.checked(model=str(model), device="cpu", precision="float32")
    return drain(predict_volume(Volume(data, spacing), config))


@pytest.fixture
def recording() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 1000, (9, 40, 48)).astype(np.uint16)


@pytest.mark.parametrize(
    "kind",
    [{"dimensions": 2}, {"dimensions": 2, "network_input": "plane"}, {"z_step": 2}, {"dimensions": 2, "z_step": 4}],
    ids=lambda kind: "-".join(map(str, kind.values())),
)
def test_other_networks_train_and_predict(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, recording: np.ndarray, kind: dict[str, Any]
) -> None:
    done = drain(
        train_model(pairs_folder, tmp_path / "run", changed(train_config, iterations=6, learning_rate=0.02, **kind))
    )
    info = read_info(done.model)
    assert {name: getattr(info, name) for name in kind} == kind
    found = predict(done.model, recording, (0.4, 0.2, 0.2))
    assert found.data.shape == recording.shape
    assert np.isfinite(found.data).all()
    assert found.data.std() > 0
    assert found.notices == ()


@pytest.mark.parametrize("step", [2, 4])
def test_model_for_few_planes_takes_a_stack_of_few_planes(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, recording: np.ndarray, step: int
) -> None:
    """Twice as far apart they are interpolated, as they were in training: nothing to warn of."""
    done = drain(train_model(pairs_folder, tmp_path / "run", changed(train_config, iterations=1, z_step=step)))
    spacing = (0.5 * step, 0.2, 0.2)
    found = predict(done.model, recording, spacing)
    assert (found.data.shape, found.spacing_um) == (recording.shape, spacing)
    assert np.isfinite(found.data).all()
    assert found.notices == ()
    beyond = predict(done.model, recording, (0.5 * step * 1.5, 0.2, 0.2))
    assert any("unlike those the model knows" in notice for notice in beyond.notices)


def test_model_for_whole_stacks_warns_of_few_planes(trained: TrainResult, recording: np.ndarray) -> None:
    found = predict(trained.model, recording, (1.0, 0.2, 0.2))
    assert any("unlike those the model knows" in notice for notice in found.notices)


def test_model_of_one_plane_sees_no_other(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, recording: np.ndarray
) -> None:
    config = changed(train_config, iterations=1, dimensions=2, network_input="plane", percentiles=(0.0, 100.0))
    done = drain(train_model(pairs_folder, tmp_path / "run", config))
    first = predict(done.model, recording, (0.4, 0.2, 0.2)).data
    others = recording[::-1].copy()  # the middle one stays
    np.testing.assert_array_equal(predict(done.model, others, (0.4, 0.2, 0.2)).data, first)
    others[4] = recording[3]
    assert not np.array_equal(predict(done.model, others, (0.4, 0.2, 0.2)).data, first)


# Several processes


@pytest.mark.skipif(sys.platform != "linux", reason="gloo finds no network on other systems' build machines")
def test_two_processes_train_what_one_with_twice_the_batch_does(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    config = changed(train_config, held_out=("0.tif", "2.tif"), iterations=3, validate_every=3)
    drain(train_model(pairs_folder, tmp_path / "alone", changed(config, batch_size=2)))
    (tmp_path / "config.toml").write_text(config.to_toml())
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["train", str(pairs_folder), "-o", str(tmp_path / "together"), "--config", str(tmp_path / "config.toml")]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*launch, "-m", "napari_deep3d.cli", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=one_thread)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1  # the first process alone talks
    assert json.loads(done.stdout)["iterations"] == 3
    rows, expected = rows_of(tmp_path / "together"), rows_of(tmp_path / "alone")
    assert [row["step"] for row in rows] == [row["step"] for row in expected] == ["0", "1", "2", "3", "3"]
    for row, other in zip(rows, expected, strict=True):
        for name in COLUMNS:
            assert bool(row[name]) == bool(other[name])
            close = pytest.approx(float(other[name] or 0), rel=1e-4 if row["step"] == "1" else 2e-3, abs=1e-6)
            assert float(row[name] or 0) == close or name == "validation_ssim", name
    drain(train_model(pairs_folder, tmp_path / "half", config))
    together, alone, half, begun = (_weights(tmp_path / run, config) for run in ("together", "alone", "half", ""))
    moved = (alone - begun).norm()
    # Adam's steps are as large where a gradient is rounding alone.
    assert (together - alone).norm() < 0.2 * moved < 0.8 * moved < (half - alone).norm()


def _weights(run: Path, config: TrainConfig) -> torch.Tensor:
    """The weights of both networks after a training, but for offsets before a norm; those of a start for no folder."""
    found = checkpoints(run / "checkpoints")
    tensors = load_file(found[-1]) if found else {}
    return torch.cat(
        [
            tensors.get(f"network/{index}/{name}", value).ravel()
            for index, network in enumerate(Trainer(config, []).networks)
            for name, value in network.state_dict().items()
            if index or not name.endswith("second.bias")
        ]
    )


def test_without_held_out_pairs_the_error_to_expect_is_not_told(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    run = tmp_path / "run"
    made = drain(train_model(pairs_folder, run, changed(train_config, validation_share=0.0)))
    assert read_info(made.model).uncertainty is None
    assert read_info(run / "last.safetensors").uncertainty is None


def test_model_of_a_stopped_training_has_a_halo_that_is_safe_without_being_measured(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> None:
        raise AssertionError("measured, while somebody waits for the training to stop")

    monkeypatch.setattr(inference, "measure_halo", slow)
    monkeypatch.setattr(tta, "AugmentedNetwork", slow)
    stopped = train_until(2, pairs_folder, tmp_path / "run", train_config)
    info = read_info(stopped.model)
    assert (info.halo, info.uncertainty) == (LARGEST_HALO, None)
    with pytest.raises(AssertionError, match="measured"):
        drain(train_model(None, tmp_path / "run", train_config, resume=True))


def test_what_is_no_image_is_left_out_and_told_of(
    pairs_folder: Path, tmp_path: Path, train_config: TrainConfig
) -> None:
    for name in ("0.tif", "1.tif"):
        path = pairs_folder / "confocal" / name
        data = tifffile.imread(path).astype(np.float32)
        data[:, :4] = data[:, :, 20] = np.nan
        write_stack(path, data, (0.3, 0.2, 0.2), overwrite=True)
    events = list[Event]()
    ended = drain(
        train_model(pairs_folder, tmp_path / "run", changed(train_config, held_out=("1.tif",))), events.append
    )
    assert ended.complete
    assert np.isfinite([ended.loss, *ended.validation.values()]).all()
    (told,) = [message for message in notices(events) if "are no image" in message]
    assert told.startswith("Pair 0.tif: 15 % of the voxels are no image (NaN edges, 1 NaN column)")
    assert told.endswith("So it is with 1 more of the 3 pairs.")
