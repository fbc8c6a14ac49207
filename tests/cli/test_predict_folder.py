"""The predict command for a folder of stacks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import napari_deep3d
from napari_deep3d.core import BatchRow
from napari_deep3d.io import open_stack, write_stack
from tests.helpers.cli import SPACING_UM, Run, contents, names


@pytest.fixture
def folder(tmp_path: Path, stack: NDArray[np.uint16]) -> Path:
    """20 files, of which 3 are bad."""
    made = tmp_path / "stacks"
    made.mkdir()
    for number in range(17):
        write_stack(made / f"cell{number:02}.tif", np.roll(stack, number, 2)[:8, 8:24, 4:20], SPACING_UM)
    write_stack(made / "blank.tif", np.zeros((8, 16, 16), np.uint16), SPACING_UM)
    (made / "cut_off.tif").write_bytes((made / "cell00.tif").read_bytes()[:3000])
    (made / "text.tif").write_text("Z,Y,X\n1,2,3\n")
    (made / "notes.txt").write_text("no stack")
    return made


def test_twenty_files_of_which_three_are_bad(run: Run, folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = ("predict", folder, "-o", output, "--model", tiny_model, "--device", "cpu")
    done = run(*words, "--json")
    told = done.json
    assert done.code == 2
    counts = {"stacks": 20, "done": 17, "skipped": 0, "outdated": 0, "failed": 3, "complete": True}
    assert {name: told[name] for name in counts} == counts
    assert told["output"] == str(output)
    bad = {row["file"]: row["reason"] for row in told["summary"] if row["state"] == "failed"}
    assert list(bad) == ["blank.tif", "cut_off.tif", "text.tif"]
    assert all(reason in done.err for reason in bad.values())
    assert "stack 18 of 18" in done.err
    assert "1 other file is passed over (.txt)" in done.err
    with Path(told["table"]).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["state"]) for row in rows] == [(row["file"], row["state"]) for row in told["summary"]]
    assert len(list(output.glob("*.ome.tif"))) == 17
    before = contents(output), {path: path.stat().st_mtime_ns for path in [output, *output.iterdir()]}
    again = run(*words)
    assert again.code == 2
    assert "stacks: 17 skipped, 3 failed" in again.out
    assert "cut_off.tif: failed: cut_off.tif is cut off" in again.out
    assert (contents(output), {path: path.stat().st_mtime_ns for path in [output, *output.iterdir()]}) == before
    for name in ("blank", "cut_off", "text"):
        (folder / f"{name}.tif").unlink()
    assert run(*words).code == 0
    other = run(*words, "--deepest", "first")
    assert other.code == 2
    assert "17 results are outdated, and kept. Allow it with --overwrite" in other.err
    assert {path: path.stat().st_mtime_ns for path in output.glob("cell*")}.items() <= before[1].items()


def test_options_of_a_folder(run: Run, folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    for path in folder.glob("*.tif"):
        if path.name != "cell00.tif":
            path.unlink()
    words = ("predict", folder, "--model", tiny_model, "--format", "zarr", "--spacing", "0.6,0.2,0.2")
    assert run(*words, "-o", tmp_path / "out").code == 0
    assert open_stack(tmp_path / "out" / "cell00.ome.zarr").spacing_um == pytest.approx((0.6, 0.2, 0.2))
    events: list[object] = []
    done = napari_deep3d.predict_folder(folder, tmp_path / "py", model=str(tiny_model), on_event=events.append)
    assert [row.state for row in done.rows] == ["done"]
    assert [event.state for event in events if isinstance(event, BatchRow)] == ["waiting", "running", "done"]


@pytest.mark.parametrize(
    ("output", "words", "told"),
    [
        ("out", ("--format", "png"), "tif and zarr are allowed"),
        ("out", ("--model", "nothing"), "there is no model"),
        ("stacks", (), "a folder of their own"),
        ("out.tif", (), "is a folder, but no OME-Zarr"),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_made(
    run: Run, folder: Path, tmp_path: Path, output: str, words: tuple[str, ...], told: str
) -> None:
    before = names(tmp_path), names(folder)
    assert told in run("predict", folder, "-o", tmp_path / output, *words).message
    assert (names(tmp_path), names(folder)) == before
