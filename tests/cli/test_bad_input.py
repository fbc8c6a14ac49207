"""What the predict command refuses: exit 2, one message that helps, nothing written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from napari_deep3d.core.evaluation.uncertainty import Calibration
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.predict import series as predict_series
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.model_file import ModelInfo, read_info, save_model
from tests.helpers.cli import SPACING_UM, Run, contents, names, run_process

OME = {"ome": True, "metadata": {"axes": "ZYX"}}


def missing(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    tifffile.imwrite(path, np.ones((8, 32, 32), np.uint16), **OME)
    path.write_bytes(path.read_bytes()[: 8 * 32 * 32])


def text(path: Path) -> None:
    path.write_text("Z,Y,X\n1,2,3\n")


def folder(path: Path) -> None:
    path.mkdir()


def plane(path: Path) -> None:
    tifffile.imwrite(path, np.arange(1024, dtype=np.uint16).reshape(32, 32))


def rgb(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((8, 32, 32, 3), np.uint8), photometric="rgb")


def complex_numbers(path: Path) -> None:
    tifffile.imwrite(path, np.ones((8, 32, 32), np.complex64), metadata=None)


def few_planes(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((3, 32, 32), np.uint16), **OME)


def not_a_number(path: Path) -> None:
    write_stack(path, np.full((8, 32, 32), np.nan, np.float32), SPACING_UM)


def constant(path: Path) -> None:
    write_stack(path, np.full((8, 32, 32), 300, np.uint16), SPACING_UM)


def no_voxel_size(path: Path) -> None:
    tifffile.imwrite(path, np.arange(8 * 1024, dtype=np.uint16).reshape(8, 32, 32), metadata=None)


def two_channels(path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (8, 2, 32, 32), dtype=np.uint16)
    metadata = {"axes": "ZCYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(path, data, imagej=True, resolution=(5, 5), metadata=metadata)


BAD_STACKS: dict[Callable[[Path], None], tuple[str, str]] = {
    missing: ("there is no file", "Check the name"),
    empty: ("is empty", "again"),
    truncated: ("is cut off", "again"),
    text: ("not a TIFF file but text", "saved as TIFF"),
    folder: ("is a folder", "a TIFF file or an OME-Zarr folder"),
    plane: ("single plane", "z-stack"),
    rgb: ("RGB", "Split"),
    complex_numbers: ("complex64", "grey values"),
    few_planes: ("3 planes", "at least 4"),
    not_a_number: ("NaN", "Load the original"),
    constant: ("is constant", "Check"),
    no_voxel_size: ("no voxel size", "--spacing"),
    two_channels: ("2 channels", "--channel"),
}


@pytest.mark.parametrize("write", BAD_STACKS, ids=lambda write: write.__name__)
def test_stacks(run: Run, tiny_model: Path, tmp_path: Path, write: Callable[[Path], None]) -> None:
    bad = tmp_path / "bad.tif"
    write(bad)
    before = contents(tmp_path)
    message = run("predict", bad, "-o", tmp_path / "out.tif", "--model", tiny_model, "--json").message
    for part in ("bad", *BAD_STACKS[write]):
        assert part in message
    assert contents(tmp_path) == before


def test_a_file_of_another_kind(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "cell.oib").write_bytes(b"something")
    message = run("predict", tmp_path / "cell.oib", "-o", tmp_path / "out.tif", "--model", tiny_model).message
    assert "Export it as OME-TIFF" in message


@pytest.mark.slow
def test_as_a_process(recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    done = run_process("predict", tmp_path / "no.tif", "-o", tmp_path / "out.tif", "--model", tiny_model, "--json")
    assert "there is no file" in done.message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["old.tif", "old.zarr"])
def test_an_output_that_exists(run: Run, recording: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    write_stack(tmp_path / name, np.ones((5, 20, 20)), SPACING_UM)
    before = contents(tmp_path)
    assert "--overwrite" in run("predict", recording, "-o", tmp_path / name, "--model", tiny_model).message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["out.ome.tif", "out.zarr"])
def test_an_uncertainty_that_exists(run: Run, recording: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    old = tmp_path / name.replace("out", "out-uncertainty")
    write_stack(old, np.ones((5, 20, 20)), SPACING_UM)
    before = contents(tmp_path)
    message = run("predict", recording, "-o", tmp_path / name, "--model", tiny_model, "--uncertainty").message
    assert old.name in message
    assert "--overwrite" in message
    assert contents(tmp_path) == before


def test_the_input_as_uncertainty(run: Run, stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path) -> None:
    recording = write_stack(tmp_path / "out-uncertainty.tif", stack, SPACING_UM)
    before = contents(tmp_path)
    words = ("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, "--uncertainty", "--overwrite")
    assert "the input itself" in run(*words).message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["cell.ome.tif", "link.tif"])
def test_the_input_as_output(run: Run, recording: Path, tiny_model: Path, tmp_path: Path, name: str) -> None:
    if name == "link.tif":
        if sys.platform == "win32":
            pytest.skip("links need special rights on Windows")
        (tmp_path / name).symlink_to(recording)
    before = contents(tmp_path)
    words = ("predict", recording, "-o", tmp_path / name, "--model", tiny_model)
    assert "another" in run(*words).message
    assert "the input itself" in run(*words, "--overwrite").message
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("out.png", ".tif"),
        ("out", ".tif"),
        ("nowhere/out.tif", "there is no folder"),
        ("cell.ome.tif/out.tif", "folder"),
    ],
)
def test_outputs(run: Run, recording: Path, tiny_model: Path, tmp_path: Path, name: str, what: str) -> None:
    before = contents(tmp_path)
    assert what in run("predict", recording, "-o", tmp_path / name, "--model", tiny_model).message
    assert contents(tmp_path) == before


def test_an_output_folder_in_use(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.zarr").mkdir()
    (tmp_path / "notes.zarr" / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    words = ("predict", recording, "-o", tmp_path / "notes.zarr", "--model", tiny_model, "--overwrite")
    assert "is not replaced" in run(*words).message
    assert contents(tmp_path) == before


def pickled(model: Path, info: ModelInfo) -> None:
    torch.save({"weight": torch.ones(3)}, model)


def old_pickle(model: Path, info: ModelInfo) -> None:
    torch.save({"weight": torch.ones(3)}, model, _use_new_zipfile_serialization=False)


def half_a_model(model: Path, info: ModelInfo) -> None:
    save_model(model, Generator(width=2), info)
    model.write_bytes(model.read_bytes()[:-100])


def no_bytes(model: Path, info: ModelInfo) -> None:
    model.touch()


def later_format(model: Path, info: ModelInfo) -> None:
    save_model(model, Generator(width=2), info.model_copy(update={"format_version": 99}))


def foreign(model: Path, info: ModelInfo) -> None:
    save_file({"weight": np.ones(3)}, model)


def not_json(model: Path, info: ModelInfo) -> None:
    save_file({"weight": np.ones(3)}, model, metadata={"napari-deep3d": "{"})


def no_object(model: Path, info: ModelInfo) -> None:
    save_file({"weight": np.ones(3)}, model, metadata={"napari-deep3d": json.dumps([1])})


def bad_spacing(model: Path, info: ModelInfo) -> None:
    sizes = {"spacing_um": (0, 0, 0), "spacing_min_um": (0, 0, 0), "spacing_max_um": (0, 0, 0)}
    save_model(model, Generator(width=2), info.model_copy(update=sizes))


def bad_halo(model: Path, info: ModelInfo) -> None:
    save_model(model, Generator(width=2), info.model_copy(update={"halo": (-1, 0, 0)}))


def bad_percentiles(model: Path, info: ModelInfo) -> None:
    save_model(model, Generator(width=2), info.model_copy(update={"percentiles": (99.9, 120.0)}))


def bad_calibration(model: Path, info: ModelInfo) -> None:
    wrong = Calibration.model_construct(floor=-1.0, per_spread=2.0, per_intensity=0.2, pairs=1)
    save_model(model, Generator(width=2), info.model_copy(update={"uncertainty": wrong}))


def other_width(model: Path, info: ModelInfo) -> None:
    save_model(model, Generator(width=2), info.model_copy(update={"width": 4}))


def not_finite(model: Path, info: ModelInfo) -> None:
    generator = Generator(width=2)
    torch.nn.init.constant_(next(iter(generator.parameters())), torch.nan)
    save_model(model, generator, info)


BAD_MODELS: dict[Callable[[Path, ModelInfo], None], str] = {
    pickled: "never loaded",
    old_pickle: "never loaded",
    half_a_model: "truncated",
    no_bytes: "truncated",
    later_format: "format version 99",
    foreign: "another program",
    not_json: "damaged header",
    no_object: "damaged header",
    bad_spacing: "damaged header",
    bad_halo: "damaged header",
    bad_percentiles: "damaged header",
    bad_calibration: "damaged header",
    other_width: "do not fit",
    not_finite: "not finite",
}


@pytest.mark.parametrize("write", BAD_MODELS, ids=lambda write: write.__name__)
def test_models(
    run: Run, recording: Path, tiny_model: Path, tmp_path: Path, write: Callable[[Path, ModelInfo], None]
) -> None:
    bad = tmp_path / "bad.safetensors"
    write(bad, read_info(tiny_model))
    before = contents(tmp_path)
    message = run("predict", recording, "-o", tmp_path / "out.tif", "--model", bad).message
    assert str(bad) in message
    assert BAD_MODELS[write] in message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("model", ["no-such-model", "no-such-file.safetensors", "{folder}"])
def test_models_that_are_not_there(run: Run, recording: Path, tmp_path: Path, model: str) -> None:
    before = contents(tmp_path)
    model = model.format(folder=tmp_path)
    message = run("predict", recording, "-o", tmp_path / "out.tif", "--model", model).message
    assert model in message
    assert "model file" in message
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        *(("--spacing", value, "Z,Y,X") for value in ("0.5", "a,b,c", "0,0,0", "-1,1,1", "nan,1,1", "1,1,1,1", "")),
        ("--spacing", "0,5,0,2,0,2", "(there are 6), such as --spacing 0.5,0.108,0.108"),
        *(("--tile", value, "tile") for value in ("big", "16,32", "0,32,32", "-1,32,32", "1.5,32,32")),
        *(("--memory", value, "memory") for value in ("much", "-1GB", "1.2.3GB", "0", "1KB", ".")),
        *(("--time", value, "time") for value in ("noon", "1.5", "-1", "3")),
        *(("--channel", value, "channel") for value in ("-1", "7")),
        ("--device", "tpu", "cpu"),
        ("--precision", "int8", "float32"),
        ("--quality", "good", "'best'"),
        ("--deepest", "top", "'first'"),
        ("--precision", "float16", "bfloat16"),
    ],
)
def test_nonsense(
    run: Run, recording: Path, tiny_model: Path, tmp_path: Path, option: str, value: str, what: str
) -> None:
    before = contents(tmp_path)
    device = () if option == "--device" else ("--device", "cpu")
    words = ("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, *device)
    assert what in run(*words, f"{option}={value}").message
    assert contents(tmp_path) == before


def test_cuda_where_there_is_none(
    run: Run, recording: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = contents(tmp_path)
    words = ("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, "--device", "cuda")
    message = run(*words).message
    assert "'cuda'" in message
    assert "usable here: cpu" in message
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "{stack}", "-o", "{folder}/out.tif", "--sharpness", "best"),
        ("predict", "{stack}"),
        ("predict", "-o", "{folder}/out.tif"),
        ("predict", "{stack}", "{stack}", "-o", "{folder}/out.tif"),
        ("predict", "{stack}", "-o", "{folder}/out.tif", "--channel", "red"),
        ("deconvolve", "{stack}"),
        ("models", "burn"),
    ],
)
def test_usage(run: Run, recording: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    before = names(tmp_path)
    done = run(*(word.format(stack=recording, folder=tmp_path) for word in words))
    assert (done.code, done.out) == (2, "")
    assert "Usage: napari-deep3d" in done.err
    assert "--help" in done.err
    assert "Traceback" not in done.err
    assert names(tmp_path) == before


@pytest.mark.parametrize("words", [(), ("predict",), ("simulate",), ("train",), ("models",), ("info",), ("demo",)])
def test_help(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words, "--help")
    assert done.code == 0
    assert "Usage: napari-deep3d" in done.out


def test_a_reading_error_midway_leaves_nothing(
    run: Run, stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path
) -> None:
    """A chunk that cannot be decoded is met only when its voxels are read."""
    recording = write_stack(tmp_path / "cell.zarr", stack, SPACING_UM)
    chunk = next(path for path in recording.rglob("c/**/*") if path.is_file())
    chunk.write_bytes(b"damaged")
    before = contents(tmp_path)
    message = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model).message
    assert "damaged" in message
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        ([100_000] * 3, "more than any microscope records"),
        ([6, 32, 2**40], "more than any microscope records"),
        ([6, 900_000, 900_000], "needs 1620.0 GB of memory"),
    ],
)
def test_a_stack_that_says_it_is_huge(
    run: Run, stack: NDArray[np.uint16], tiny_model: Path, tmp_path: Path, shape: list[int], what: str
) -> None:
    recording = write_stack(tmp_path / "cell.zarr", stack, SPACING_UM)
    about = json.loads((recording / "0" / "zarr.json").read_text())
    (recording / "0" / "zarr.json").write_text(json.dumps(about | {"shape": shape}))
    before = contents(tmp_path)
    assert what in run("predict", recording, "-o", tmp_path / "out.zarr", "--model", tiny_model).message
    assert contents(tmp_path) == before


def test_memory_that_runs_out(
    run: Run, recording: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(predict_series, "prepare", full)
    before = contents(tmp_path)
    message = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model).message
    assert message.startswith("the computer ran out of memory. Close other programs")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ("predict", "{long}.tif", "-o", "{folder}/out.tif"),
        ("predict", "{stack}", "-o", "{folder}/{long}.tif"),
        ("models", "info", "{long}"),
        ("train", "{long}", "-o", "{folder}/run"),
        ("register", "{long}", "{stack}", "-o", "{folder}/pairs"),
    ],
)
def test_names_that_are_too_long(run: Run, recording: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    before = contents(tmp_path)
    message = run(*(word.format(long="x" * 5000, stack=recording, folder=tmp_path) for word in words)).message
    assert "too long" in message or "there is no" in message
    assert contents(tmp_path) == before
