"""The train command, from pairs to a model that predicts."""

from __future__ import annotations

import csv
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from cli_helpers import SPACING_UM, Run, contents, names

from napari_deep3d.io import write_stack
from napari_deep3d.jobs.models import model_info
from napari_deep3d.nn import training

TINY = {
    "iterations": "4",
    "patch": "8,32,32",
    "width": "2",
    "batch_size": "1",
    "checkpoint_every": "2",
    "validate_every": "2",
    "log_every": "1",
    "precision": "float32",
    "device": "cpu",
}


def setting(**changes: str) -> list[str]:
    """The words that make a training tiny."""
    return [word for name, value in (TINY | changes).items() for word in ("--set", f"{name}={value}")]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three pairs of blobs, wide-field on a brighter background than confocal."""
    folder = tmp_path / "pairs"
    rng = np.random.default_rng(0)
    for index in range(3):
        confocal = rng.poisson(5, (8, 32, 32)).astype(np.uint16)
        confocal[2:6, 4 + index : 20, 6:24] += 500
        for kind, data in (("confocal", confocal), ("widefield", confocal // 2 + 200)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_stack(folder / kind / f"{index}.ome.tif", data, SPACING_UM)
    return folder


def test_train_then_predict(run: Run, pairs: Path, recording: Path, tmp_path: Path) -> None:
    done = run("train", pairs, "-o", tmp_path / "cells", *setting(), "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told.keys() >= {"model", "iterations", "seconds", "iterations_per_second", "loss", "validation"}
    assert told["iterations"] == 4
    assert told["loss"] > 0
    assert told["iterations_per_second"] > 0
    assert told["validation"].keys() >= {"rmse", "ssim"}
    assert "step 4 of 4" in done.err
    model = tmp_path / "cells" / "model.safetensors"
    assert told["model"] == str(model)
    assert model_info(str(model)).name == "cells"
    assert names(tmp_path / "cells") == {"config.toml", "metrics.csv", "checkpoints", "model.safetensors"}
    assert steps(tmp_path / "cells") == [1, 2, 3, 4]
    predicted = run("predict", recording, "-o", tmp_path / "out.tif", "--model", model, "--json")
    assert (predicted.code, predicted.json["model"]) == (0, "cells")


def steps(folder: Path) -> list[int]:
    """The steps that have a row with a loss."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["loss"]]


def test_settings_file_and_words(run: Run, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("iterations = 7\nseed = 5\nvalidation_share = 0\n")
    words = ("--config", tmp_path / "mine.toml", "--name", "nuclei", *setting(iterations="1"), "--json")
    done = run("train", pairs, "-o", tmp_path / "run", *words)
    assert done.json["iterations"] == 1
    assert done.json["validation"] == {}
    assert model_info(done.json["model"]).name == "nuclei"
    settings = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (settings["iterations"], settings["seed"], settings["patch"]) == (1, 5, [[8, 32, 32]])


def test_names_in_capitals(run: Run, pairs: Path, tmp_path: Path) -> None:
    """As some microscopes write them; predict takes them too."""
    for path in list(pairs.rglob("*.tif")):
        path.rename(path.with_name(path.name.removesuffix(".ome.tif") + ".TIF"))
    done = run("train", pairs, "-o", tmp_path / "run", *setting(iterations="1"), "--json")
    assert done.code == 0, done.err


def test_ctrl_c_then_resume(run: Run, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = training.save_checkpoint

    def pressed(*arguments: Any) -> Path:
        signal.raise_signal(signal.SIGINT)
        return save(*arguments)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training, "save_checkpoint", pressed)
        stopped = run("train", pairs, "-o", folder, *setting(), "--json")
    assert (stopped.code, stopped.json["iterations"]) == (130, 2)
    assert (folder / "model.safetensors").is_file()
    resumed = run("train", pairs, "-o", folder, "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["iterations"] == 4
    assert "resumed at step 2" in resumed.err
    assert steps(folder) == [1, 2, 3, 4]


def test_resume_a_finished_run(run: Run, pairs: Path, tmp_path: Path) -> None:
    first = run("train", pairs, "-o", tmp_path / "run", *setting(iterations="1"), "--json")
    again = run("train", pairs, "-o", tmp_path / "run", "--resume", "--json")
    assert (first.code, again.code, again.json["iterations"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("epochs=3", "unknown name 'epochs'; known are: batch_size"),
        ("iterations", "NAME=VALUE"),
        ("=3", "NAME=VALUE"),
        ("iterations=0", "iterations"),
        ("iterations=1.5", "iterations"),
        ("iterations=many", "iterations"),
        ("iterations=", "iterations"),
        ("learning_rate=nan", "learning_rate"),
        ("learning_rate=-1", "learning_rate"),
        ("validation_share=0.9", "validation_share"),
        ("patch=2,8,8", "at least 4 planes of 16 x 16"),
        ("patch=8,32", "patch"),
        ("patch=a,b,c", "patch"),
        ("patch=[]", "patches"),
        ("percentiles=[99, 1]", "percentiles"),
        ("precision=float16", "float16"),
        ("device=tpu", "device"),
    ],
)
def test_settings_out_of_bounds(run: Run, pairs: Path, tmp_path: Path, word: str, what: str) -> None:
    refused(run, what, tmp_path, "train", pairs, "-o", tmp_path / "run", *setting(), "--set", word)


def refused(run: Run, what: str, folder: Path, *words: object) -> None:
    before = contents(folder)
    assert what in run(*words).message
    assert contents(folder) == before


def test_a_device_that_is_not_there(run: Run, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(run, "'cuda'", tmp_path, "train", pairs, "-o", tmp_path / "run", *setting(device="cuda"))


def no_partner(pairs: Path) -> None:
    (pairs / "confocal" / "1.ome.tif").unlink()


def no_confocal(pairs: Path) -> None:
    (pairs / "confocal").rename(pairs / "target")


def no_files(pairs: Path) -> None:
    for path in pairs.rglob("*.tif"):
        path.unlink()


def other_shape(pairs: Path) -> None:
    write_stack(pairs / "confocal" / "1.ome.tif", np.zeros((8, 32, 33)), SPACING_UM, overwrite=True)


def constant(pairs: Path) -> None:
    write_stack(pairs / "confocal" / "1.ome.tif", np.ones((8, 32, 32)), SPACING_UM, overwrite=True)


def damaged(pairs: Path) -> None:
    path = pairs / "widefield" / "1.ome.tif"
    path.write_bytes(path.read_bytes()[:5000])


def no_voxel_size(pairs: Path) -> None:
    for path in pairs.rglob("*.tif"):
        tifffile.imwrite(path, tifffile.imread(path), ome=False, metadata=None)


BAD_PAIRS: dict[Callable[[Path], None], str] = {
    no_partner: "no partner, such as widefield/1.ome.tif",
    no_confocal: "'confocal'",
    no_files: "holds no stack",
    other_shape: "same shape",
    constant: "constant",
    damaged: "is cut off",
    no_voxel_size: "voxel size",
}


@pytest.mark.parametrize("spoil", BAD_PAIRS, ids=lambda spoil: spoil.__name__)
def test_bad_pairs(run: Run, pairs: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(pairs)
    refused(run, BAD_PAIRS[spoil], tmp_path, "train", pairs, "-o", tmp_path / "run", *setting())


def test_a_pairs_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    refused(run, "not a pairs folder", tmp_path, "train", tmp_path / "no", "-o", tmp_path / "run", *setting())


def test_a_run_folder_in_use(run: Run, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    refused(run, "already holds files", tmp_path, "train", pairs, "-o", tmp_path / "run", *setting())


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--preset", "huge"), "laptop, paper"),
        (("--name", "a/b", *setting(iterations="1")), "a/b"),
        (("--config", "no.toml"), "no.toml"),
        (("--config", "{pairs}"), "config file"),
        (("--config", "{pairs}/widefield/0.ome.tif"), "not a TOML file"),
        (("--resume", "--set", "iterations=9"), "leave --preset, --config and --set out"),
        (("--resume",), "not a run folder to resume"),
    ],
)
def test_nonsense(run: Run, pairs: Path, tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    words = tuple(word.format(pairs=pairs) for word in words)
    refused(run, what, tmp_path, "train", pairs, "-o", tmp_path / "run", *words)
