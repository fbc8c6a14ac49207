"""The models commands and info."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
import torch

from napari_deep3d.cli.app import main
from napari_deep3d.core import Progress
from napari_deep3d.core.config import DEFAULT_MODEL
from napari_deep3d.jobs.models.export import ExportedModel
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.model_file import read_info, save_model
from tests.helpers.cli import Run, contents
from tests.helpers.novelty import known


def test_the_installed_command() -> None:
    (command,) = entry_points(group="console_scripts", name="napari-deep3d")
    assert command.load() is main


def test_the_default_model_is_bundled(run: Run) -> None:
    listed = run("models", "list", "--json").json["models"]
    assert (DEFAULT_MODEL, True) in [(row["name"], row["bundled"]) for row in listed]
    about = run("models", "info", DEFAULT_MODEL, "--json").json
    assert about["name"] == DEFAULT_MODEL
    assert about["training"]
    assert about["scores"]


def test_what_a_model_knows_is_for_programs_not_for_reading(run: Run, tiny_model: Path) -> None:
    save_model(tiny_model, Generator(width=2), read_info(tiny_model).model_copy(update={"novelty": known()}))
    assert "known: how 40 stacks look\n" in run("models", "info", tiny_model).out
    assert run("models", "info", tiny_model, "--json").json["known"]["stacks"] == 40


def test_import_list_predict(run: Run, tiny_model: Path, recording: Path, tmp_path: Path) -> None:
    kept = Path(os.environ["NAPARI_DEEP3D_MODELS"]) / "tiny.safetensors"
    assert run("models", "import", tiny_model, "--json").json == {"name": "tiny", "path": str(kept)}
    rows = run("models", "list", "--json").json["models"]
    assert {"name": "tiny", "path": str(kept), "bundled": False} in rows
    assert f"tiny: {kept}\n" in run("models", "list").out
    assert run("models").out == run("models", "list").out
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--model", "tiny", "--json")
    assert (done.code, done.json["model"]) == (0, "tiny")


def test_import_does_not_replace(run: Run, tiny_model: Path) -> None:
    folder = Path(os.environ["NAPARI_DEEP3D_MODELS"])
    assert run("models", "import", tiny_model).code == 0
    save_model(tiny_model, Generator(width=2), read_info(tiny_model).model_copy(update={"title": "Second"}))
    before = contents(folder)
    assert "--overwrite" in run("models", "import", tiny_model).message
    assert contents(folder) == before
    assert run("models", "import", tiny_model, "--overwrite").code == 0
    assert run("models", "info", "tiny", "--json").json["title"] == "Second"


@pytest.mark.parametrize("name", ["../evil", "a/b", "{folder}/evil", "", "."])
def test_import_keeps_to_its_folder(run: Run, tiny_model: Path, tmp_path: Path, name: str) -> None:
    """The name inside a model file comes from someone else: it must not lead anywhere."""
    folder = Path(os.environ["NAPARI_DEEP3D_MODELS"])
    name = name.format(folder=tmp_path)
    save_model(tiny_model, Generator(width=2), read_info(tiny_model).model_copy(update={"name": name}))
    before = contents(folder.parent)
    assert run("models", "import", tiny_model).message
    assert contents(folder.parent) == before


def test_import_refuses_what_is_no_model(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(3)}, tmp_path / "model.pth")
    (tmp_path / "half.safetensors").write_bytes(tiny_model.read_bytes()[:-9])
    for name, what in (("model.pth", "never loaded"), ("half.safetensors", "truncated"), ("no", "there is no")):
        assert what in run("models", "import", tmp_path / name).message
    assert contents(Path(os.environ["NAPARI_DEEP3D_MODELS"])) == {}


def test_info_of_a_file(run: Run, tiny_model: Path) -> None:
    about = run("models", "info", tiny_model, "--json").json
    assert about.keys() >= {"name", "title", "spacing_um", "halo", "training", "scores", "format_version"}
    assert "title: Untrained" in run("models", "info", tiny_model).out
    assert "there is no model 'other'" in run("models", "info", "other").message


def test_export(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    assert run("models", "import", tiny_model).code == 0
    target = tmp_path / "given.safetensors"
    assert run("models", "export", "tiny", target, "--json").json == {"output": str(target)}
    assert target.read_bytes() == tiny_model.read_bytes()
    assert "--overwrite" in run("models", "export", "tiny", target).message
    assert run("models", "export", "tiny", target, "--overwrite").code == 0


@pytest.mark.parametrize(
    ("model", "target", "what"),
    [
        ("tiny", "model.pth", ".safetensors"),
        ("tiny", "nowhere/model.safetensors", "folder"),
        ("tiny", "tiny.safetensors/model.safetensors", "folder"),
        ("other", "model.safetensors", "there is no model 'other'"),
        ("no-file.safetensors", "model.safetensors", "no-file.safetensors"),
        ("notes.safetensors", "model.safetensors", "notes.safetensors"),
    ],
)
def test_export_refuses(
    run: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, target: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.safetensors").write_text("these are no weights")
    assert run("models", "import", tiny_model).code == 0
    before = contents(tmp_path)
    assert what in run("models", "export", model, tmp_path / target).message
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--format", "keras", "-o", "a.onnx"], "there is no format 'keras'; safetensors, onnx, bioimageio"),
        (["--format", "onnx", "-o", "a.zip"], "a.zip does not end in .onnx"),
        ([], "one file to write is needed: -o FILE"),
        (["a.safetensors", "-o", "b.safetensors"], "one file to write is needed: -o FILE"),
        (["-o", "tiny.safetensors"], "--overwrite"),
    ],
)
def test_export_refuses_what_does_not_fit(
    run: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert what in run("models", "export", tiny_model, *words).message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["given.onnx", "given.zip"])
def test_export_for_other_programs_hands_everything_on(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    asked: list[object] = []

    def job(*words: object, stop: object, **choices: object) -> Iterator[Progress]:
        asked.extend((words, choices))
        yield Progress(0, 4, "exporting")
        return ExportedModel(Path(name), "onnx", 1e-5, None)

    monkeypatch.setattr("napari_deep3d.jobs.models.export.export_model", job)
    who = ["--author", "A. Person", "--author", "B", "--license", "MIT"]
    done = run("models", "export", "x", "-o", name, "--format", "onnx", *who, "--overwrite", "--json")
    assert done.json == {"output": name, "largest_difference": 1e-5}
    choices = {"authors": ["A. Person", "B"], "licence": "MIT", "overwrite": True}
    assert asked == [("x", Path(name), "onnx"), choices]


@pytest.mark.parametrize("name", ["model.onnx", "package.zip"])
def test_exported_model_is_taken_back_before_it_is_used(run: Run, recording: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    told = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tmp_path / name).message
    assert "Take it back with 'napari-deep3d models import'" in told
    assert "there is no file" in run("models", "import", tmp_path / f"no-{name}").message


def test_info(run: Run) -> None:
    done = run("info", "--json")
    told = done.json
    assert done.err == ""
    assert told["python"] == platform.python_version()
    assert told["packages"]["napari-deep3d"] == version("napari-deep3d")
    assert told["packages"].keys() >= {"torch", "napari", "numpy", "tifffile", "zarr"}
    assert {"system", "device", "cuda", "gpus", "threads", "memory_gb", "cpu_bfloat16_in_hardware"} <= told.keys()
    lines = run("info").out.splitlines()
    assert f"python: {platform.python_version()}" in lines
