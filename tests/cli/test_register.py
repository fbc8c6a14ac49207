"""The register command."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep3d.io import write_stack
from tests.helpers.cli import Outcome, Run, contents, names

SPACING_UM = (0.5, 0.2, 0.2)
Files = tuple[Path, Path]


def refusal(done: Outcome) -> str:
    """The message of a refusal that came after some progress."""
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    return done.err.splitlines()[-1].removeprefix("napari-deep3d: ")


def test_a_pair(run: Run, pair_files: Files, tmp_path: Path) -> None:
    done = run("register", *pair_files, "-o", tmp_path / "pairs", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert set(told) >= {"shift_voxels", "shift_um", "matrix_um", "confidence", "method", "seconds", "output"}
    assert told["shift_voxels"] == pytest.approx([2, -3, 4], abs=0.1)
    assert told["shift_um"] == pytest.approx([1.0, -0.6, 0.8], abs=0.05)
    assert told["method"] == "psf"
    assert names(tmp_path / "pairs") == {"confocal", "widefield", "registration"}


@pytest.mark.parametrize("method", ["cross-correlation", "plain-cross-correlation"])
def test_other_methods_say_so(run: Run, pair_files: Files, tmp_path: Path, method: str) -> None:
    told = run("register", *pair_files, "-o", tmp_path / "pairs", "--method", method, "--json").json
    assert told["method"] == method


def test_one_file_with_both_channels(run: Run, pair_files: Files, tmp_path: Path) -> None:
    data = np.stack([tifffile.imread(path) for path in pair_files], axis=1)
    both = tmp_path / "both.tif"
    tifffile.imwrite(
        both, data, imagej=True, resolution=(5, 5), metadata={"axes": "ZCYX", "spacing": 0.5, "unit": "um"}
    )
    channels = ("--confocal-channel", 0, "--widefield-channel", 1)
    assert run("register", both, both, *channels, "-o", tmp_path / "pairs", "--json").code == 0
    assert "holds 2 channels" in run("register", both, both, "-o", tmp_path / "more").message


def test_two_folders(run: Run, pair_files: Files, tmp_path: Path) -> None:
    sides = tmp_path / "c", tmp_path / "w"
    for side, file in zip(sides, pair_files, strict=True):
        side.mkdir()
        for name in ("a", "b"):
            shutil.copy(file, side / f"{name}.ome.tif")
    done = run("register", *sides, "-o", tmp_path / "pairs", "--json")
    assert done.code == 0, done.err
    assert (done.json["pairs"], done.json["failed"]) == (2, 0)
    assert {row["name"] for row in done.json["summary"]} == {"a", "b"}
    again = run("register", *sides, "-o", tmp_path / "pairs")
    assert again.code == 2
    assert "exists and is not replaced" in again.out


def bad_pair(kind: str, folder: Path, files: Files) -> tuple[Path, Path]:
    """A pair of which the confocal stack is of a bad kind."""
    rng = np.random.default_rng(0)
    path = folder / "bad.ome.tif"
    data = rng.poisson(100, (24, 72, 64)).astype(np.float32)
    if kind == "constant":
        data[:] = 9
    elif kind == "nan":
        data[:] = np.nan
    elif kind == "saturated":
        data = np.minimum(data, 95)
    elif kind == "plane":
        tifffile.imwrite(path, data[0], ome=True)
        return path, files[1]
    elif kind == "no size":
        path = folder / "bad.tif"
        tifffile.imwrite(path, data.astype(np.uint16), metadata=None)
        return path, files[1]
    write_stack(path, data, SPACING_UM)
    return path, files[1]


@pytest.mark.parametrize(
    ("kind", "got", "remedy"),
    [
        ("constant", "constant (every voxel is 9)", "Choose another channel or file"),
        ("nan", "holds no image, only blank planes (NaN)", "Choose another channel or file"),
        ("saturated", "is saturated", "less light or exposure"),
        ("plane", "single plane", "Give the file that holds all planes"),
        ("no size", "has no voxel size in micrometres", "Give it as Z,Y,X in um"),
        ("unrelated", "No alignment was found", "set the shift by hand"),
    ],
)
def test_bad_stacks(run: Run, pair_files: Files, tmp_path: Path, kind: str, got: str, remedy: str) -> None:
    pair = bad_pair(kind, tmp_path, pair_files)
    before = contents(tmp_path)
    message = refusal(run("register", *pair, "-o", tmp_path / "pairs"))
    assert got in message
    assert remedy in message
    assert contents(tmp_path) == before


def test_a_voxel_size_can_be_given(run: Run, pair_files: Files, tmp_path: Path) -> None:
    bare = tmp_path / "bare.tif"
    tifffile.imwrite(bare, tifffile.imread(pair_files[0]), metadata=None)
    done = run("register", bare, pair_files[1], "-o", tmp_path / "pairs", "--confocal-spacing", "0.5,0.2,0.2", "--json")
    assert done.json["shift_voxels"] == pytest.approx([2, -3, 4], abs=0.1)


@pytest.mark.parametrize(
    ("words", "got"),
    [
        (("--method", "guess"), "method is 'guess'"),
        (("--transform", "warp"), "transform is 'warp'"),
        (("--max-shift-um", "1,2"), "--max-shift-um got '1,2'"),
        (("--max-shift-um", "0,2,2"), "max_shift_um"),
        (("--confocal-spacing", "0,5,0,2,0,2"), 'with decimal commas --confocal-spacing "0,5;0,108;0,108"'),
        (("--max-shift-um", "0.4,0.4,0.4"), "best match lies at or beyond the largest shift allowed"),
    ],
)
def test_bad_options(run: Run, pair_files: Files, tmp_path: Path, words: tuple[str, ...], got: str) -> None:
    assert got in refusal(run("register", *pair_files, "-o", tmp_path / "pairs", *words))
    assert not (tmp_path / "pairs").exists()
