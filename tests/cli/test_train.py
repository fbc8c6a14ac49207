"""The train command, from pairs to a model that predicts."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from napari_deep3d.io import write_stack
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.train.plan import MIN_STEPS
from napari_deep3d.jobs.train.run_folder import read_run
from napari_deep3d.nn import trainer, training
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.model_file import read_info, save_model
from tests.helpers.cli import COMMAND, SPACING_UM, Run, contents, names

pytestmark = pytest.mark.slow

TINY = {
    "iterations": "4",
    "patch": "8,32,32",
    "width": "2",
    "discriminator_width": "0.02",
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
    files = {"run.toml", "config.toml", "metrics.csv", "checkpoints", "model.safetensors", "last.safetensors"}
    assert names(tmp_path / "cells") == files
    assert (told["name"], told["complete"], told["reason"]) == ("cells", True, "")
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
    assert settings["optimizer"]["iterations"] == 1
    assert (settings["runtime"]["seed"], settings["data"]["patch"]) == (5, [[8, 32, 32]])


def test_settings_may_stand_in_sections_or_not(run: Run, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[optimizer]\niterations = 7\n[runtime]\nseed = 5\n[losses]\nvgg_share = 1\n")
    words = ("--config", tmp_path / "mine.toml", "--set", "losses.vgg_share=0.5", *setting(iterations="1"), "--json")
    assert run("train", pairs, "-o", tmp_path / "run", *words).json["iterations"] == 1
    config = read_run(tmp_path / "run").config
    assert (config.optimizer.iterations, config.runtime.seed, config.losses.vgg_share) == (1, 5, 0.5)


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
        ("width=129", "width"),
        ("batch_size=0", "batch_size"),
        ("dimensions=4", "dimensions"),
        ("network_input=pixel", "network_input"),
        ("network_input=plane", "network_input=plane needs dimensions=2"),
        ("z_step=3", "z_step"),
        ("misregistration_um=[1, 2]", "misregistration_um"),
        ("misregistration_um=[1, 2, -1]", "from 0 to 1000"),
        ("misregistration_um=[nan, 2, 1]", "from 0 to 1000"),
        ("weight_gan=-1", "weight_gan"),
        ("weight_vgg=1e9", "weight_vgg"),
        ("vgg_share=0", "vgg_share"),
        ("vgg_share=1.1", "vgg_share"),
        ("discriminator_width=0", "discriminator_width"),
        ("discriminator_width=2", "discriminator_width"),
        ("discriminator_learning_rate=1", "discriminator_learning_rate"),
        ("ema=1", "ema"),
        ("ema=-0.1", "ema"),
        ("held_out=['7.ome.tif']", "held_out names 7.ome.tif; names of some of the pairs are allowed: 0.ome.tif"),
        ("held_out=['0.ome.tif', '1.ome.tif', '2.ome.tif']", "held_out names every pair"),
        ("validate_every=0", "validate_every"),
        ("checkpoint_every=0", "checkpoint_every"),
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


def planes_of_nothing(pairs: Path) -> None:
    write_stack(pairs / "confocal" / "1.ome.tif", np.full((8, 32, 32), np.nan, np.float32), SPACING_UM, overwrite=True)


def two_channels(pairs: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (8, 2, 32, 32), dtype=np.uint16)
    metadata = {"axes": "ZCYX", "PhysicalSizeZ": 0.5, "PhysicalSizeY": 0.2, "PhysicalSizeX": 0.2}
    tifffile.imwrite(pairs / "widefield" / "1.ome.tif", data, ome=True, metadata=metadata)


def saturated(pairs: Path) -> None:
    data = np.random.default_rng(0).integers(0, 2000, (8, 32, 32)).clip(0, 255).astype(np.uint8)
    write_stack(pairs / "widefield" / "1.ome.tif", data, SPACING_UM, overwrite=True)


def no_stack(pairs: Path) -> None:
    for kind in ("widefield", "confocal"):
        tifffile.imwrite(pairs / kind / "1.ome.tif", np.zeros((32, 32), np.uint16))


def too_few_planes(pairs: Path) -> None:
    for kind in ("widefield", "confocal"):
        data = np.random.default_rng(0).integers(0, 99, (3, 32, 32), dtype=np.uint16)
        write_stack(pairs / kind / "1.ome.tif", data, SPACING_UM, overwrite=True)


def no_voxel_size(pairs: Path) -> None:
    for path in pairs.rglob("*.tif"):
        tifffile.imwrite(path, tifffile.imread(path), ome=False, metadata=None)


BAD_PAIRS: dict[Callable[[Path], None], str] = {
    no_partner: "no partner, such as widefield/1.ome.tif",
    no_confocal: "'confocal'",
    no_files: "holds no stack",
    other_shape: "same shape",
    damaged: "is cut off",
    no_voxel_size: "voxel size",
    two_channels: "channel",
    no_stack: "single plane",
    too_few_planes: "too small: 3 planes",
}


@pytest.mark.parametrize("spoil", BAD_PAIRS, ids=lambda spoil: spoil.__name__)
def test_bad_pairs(run: Run, pairs: Path, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(pairs)
    refused(run, BAD_PAIRS[spoil], tmp_path, "train", pairs, "-o", tmp_path / "run", *setting())


SHOW_NOTHING = {
    constant: "1 is constant",
    planes_of_nothing: "1 holds no image, its voxels are blank or not finite (NaN)",
    saturated: "87% of 1 is saturated (at its largest value)",
}


@pytest.mark.parametrize("spoil", SHOW_NOTHING, ids=lambda spoil: spoil.__name__)
def test_a_pair_that_shows_nothing_is_left_out(
    run: Run, pairs: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(pairs)
    words = ("train", pairs, "-o", tmp_path / "run", *setting(held_out='["0.ome.tif","1.ome.tif"]'))
    done = run(*words, "--json")
    assert done.code == 2
    assert done.json["skipped"] == [{"name": "1.ome.tif", "reason": SHOW_NOTHING[spoil]}]
    assert (done.json["complete"], done.json["iterations"]) == (True, 4)
    assert f"note: Pair 1.ome.tif is left out: {SHOW_NOTHING[spoil]}." in done.err
    assert read_run(tmp_path / "run").config.data.held_out == ("0.ome.tif",)
    assert model_info(done.json["model"]).training["pairs"] == 2


def test_no_held_out_pair_shows_anything(run: Run, pairs: Path, tmp_path: Path) -> None:
    constant(pairs)
    words = ("train", pairs, "-o", tmp_path / "run", *setting(held_out='["1.ome.tif"]'))
    refused(run, "every pair that held_out names is left out", tmp_path, *words)


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
        (("--resume", "--set", "iterations=9"), "leave all options but -o"),
        (("--resume", "--preset", "laptop"), "leave all options but -o"),
        (("--resume", "--config", "no.toml"), "leave all options but -o"),
        (("--resume", "--name", "new"), "leave all options but -o"),
        (("--resume", "--start", "generalist"), "leave all options but -o"),
        (("--resume", "--minutes", "0"), "leave all options but -o"),
        (("--minutes", "0"), "more than 0 and at most a month"),
        (("--minutes", "-3"), "more than 0 and at most a month"),
        (("--minutes", "0,05,1"), "--minutes got '0,05,1'; a number of minutes is needed"),
        (("--minutes", "nan"), "--minutes got 'nan'; a number of minutes is needed"),
        (("--minutes", "1e9"), "more than 0 and at most a month"),
        (("--start", "no-such-model"), "there is no model 'no-such-model'"),
        (("--start", "no.safetensors"), "there is no model file no.safetensors"),
        (("--start", "{pairs}/widefield/0.ome.tif"), "not a safetensors file"),
        (("--set", "weight_l1=0", "--set", "weight_gan=0", "--set", "weight_vgg=0"), "nothing to learn from"),
        (("--resume",), "not a run folder to resume"),
    ],
)
def test_nonsense(run: Run, pairs: Path, tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    words = tuple(word.format(pairs=pairs) for word in words)
    refused(run, what, tmp_path, "train", pairs, "-o", tmp_path / "run", *words)


def test_usage(run: Run, pairs: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    done = run("train", pairs, "-o", tmp_path / "run", "--minutes", "soon")
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert contents(tmp_path) == before


def test_a_run_folder_of_another_version(run: Run, pairs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text("iterations = 5\n")  # as the first version left it
    refused(
        run,
        "run folder of version 1; this program resumes version 3",
        tmp_path,
        "train",
        pairs,
        "-o",
        folder,
        "--resume",
    )


def test_a_run_folder_of_nonsense(run: Run, pairs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.toml").write_text("format_version = 3\n")
    (folder / "config.toml").write_text("iterations = 0\nepochs = 3\n")
    refused(run, "unknown name 'epochs'", tmp_path, "train", pairs, "-o", folder, "--resume")


def test_a_file_in_the_way(run: Run, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    refused(run, "is a file", tmp_path, "train", pairs, "-o", tmp_path / "run", *setting())
    refused(run, "cannot write to", tmp_path, "train", pairs, "-o", tmp_path / "run" / "deeper", *setting())


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that not even root can write to")
def test_a_folder_that_cannot_be_written(run: Run, pairs: Path, tmp_path: Path) -> None:
    refused(run, "cannot write to /proc/nothing", tmp_path, "train", pairs, "-o", "/proc/nothing", *setting())


def test_patches_larger_than_the_stacks_are_cut(run: Run, pairs: Path, tmp_path: Path) -> None:
    for path in [path for path in pairs.rglob("*.tif") if not path.name.startswith("0")]:
        path.unlink()
    words = setting(iterations="1", patch="24,96,96")
    done = run("train", pairs, "-o", tmp_path / "run", *words, "--json")
    assert (done.code, done.json["validation"]) == (0, {}), done.err


def test_start_and_minutes(run: Run, pairs: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = ("--start", tiny_model, "--minutes", "0.001", "--json")
    own = [word for word in setting() if word not in ("width=2", "iterations=4")]
    own = [word for word, after in zip(own, [*own[1:], ""], strict=True) if word != "--set" or after != "--set"]
    done = run("train", pairs, "-o", tmp_path / "run", *own, *words)
    assert done.code == 0, done.err
    assert 1 <= done.json["iterations"] <= MIN_STEPS  # fewer where the computer is slow
    assert f"{done.json['iterations']} steps in 0.001 minutes" in done.err
    info = read_info(done.json["model"])
    assert (info.width, info.training["start"]) == (2, str(tiny_model))


def test_start_with_another_width(run: Run, pairs: Path, tiny_model: Path, tmp_path: Path) -> None:
    words = (*setting(width="4"), "--start", tiny_model)
    refused(run, "has width=2; width=4 was asked for", tmp_path, "train", pairs, "-o", tmp_path / "run", *words)


def test_start_from_a_damaged_model(run: Run, pairs: Path, tiny_model: Path, tmp_path: Path) -> None:
    save_model(tiny_model, Generator(3), read_info(tiny_model))
    words = (*setting(), "--start", tiny_model)
    refused(run, "do not fit the network", tmp_path, "train", pairs, "-o", tmp_path / "run", *words)


def test_a_training_that_diverges(run: Run, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has failed, but what it learned before is kept and told."""
    factors = iter([1.0, 1.0, 1.0, float("nan")])
    monkeypatch.setattr(trainer, "l1_loss", lambda a, b: (a - b).abs().mean() * next(factors))
    done = run("train", pairs, "-o", tmp_path / "run", *setting(), "--json")
    assert done.code == 1
    assert (done.json["iterations"], done.json["complete"]) == (3, False)
    assert done.json["reason"].startswith("the loss (l1) became nan at step 4")
    assert f"note: {done.json['reason']}" in done.err
    assert "Traceback" not in done.err
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_ctrl_c_while_the_speed_is_measured(
    run: Run, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = training.Trainer.step

    def pressed(*arguments: Any) -> None:
        step(*arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(training.Trainer, "step", pressed)
    done = run("train", pairs, "-o", tmp_path / "run", *setting(), "--minutes", "5", "--json")
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err


# Killed


LONGER = setting(iterations="16", checkpoint_every="5", validate_every="4")


def test_killed_and_resumed_is_an_unbroken_training(run: Run, pairs: Path, tmp_path: Path) -> None:
    """Before the first checkpoint and after it, as a power cut would; bit for bit the same model."""
    whole = tmp_path / "whole" / "run"
    assert run("train", pairs, "-o", whole, *LONGER).code == 0
    for step in (3, 9):
        killed = tmp_path / str(step) / "run"
        kill_at(step, ["train", str(pairs), "-o", str(killed), *LONGER])
        assert not (killed / "model.safetensors").exists()
        resumed = run("train", pairs, "-o", killed, "--resume", "--json")
        assert resumed.code == 0, resumed.err
        assert resumed.json["complete"] is True
        assert ("resumed at step" in resumed.err) == (step > 5)
        for name in ("model.safetensors", "last.safetensors"):
            assert (killed / name).read_bytes() == (whole / name).read_bytes()
        rows = [sorted((folder / "metrics.csv").read_text().splitlines()) for folder in (killed, whole)]
        assert rows[0] == rows[1]
        assert not [name for name in names(killed) | names(killed / "checkpoints") if ".part-" in name]


def kill_at(step: int, words: list[str]) -> None:
    """Run a command as a program, and kill it once it tells of a step."""
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"step {step}:"):
                break
        process.kill()
        process.communicate(timeout=60)
