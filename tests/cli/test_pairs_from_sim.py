"""The pairs-from-sim command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import napari_deep3d
from napari_deep3d.jobs.grid_frames import GridFolder, GridPair
from tests.helpers.cli import Run, contents, names
from tests.helpers.grid_frames import blobs_in_haze


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Frames in turn, plane by plane, in a plain TIFF file that states no voxel size."""
    path = tmp_path / "cell.tif"
    frames = blobs_in_haze((10, 96, 96))
    tifffile.imwrite(path, frames.reshape(-1, 96, 96).astype(np.uint16), photometric="minisblack")
    return path


def test_a_pair(run: Run, raw: Path, tmp_path: Path) -> None:
    done = run("pairs-from-sim", raw, "-o", tmp_path / "pairs", "--phases", 3, "--spacing", "0.4,0.1,0.1", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert (told["name"], told["shape"], told["layout"]) == ("cell", [10, 96, 96], "zap")
    assert told["spacing_um"] == [0.4, 0.1, 0.1]
    assert told["period_um"] == pytest.approx([0.1 / np.hypot(0.05, 0.11)], rel=0.03)
    assert told["stripes_confocal"] < 0.03
    assert told["phase_error_deg"] < 5
    assert names(tmp_path / "pairs") == {"widefield", "confocal"}


def test_a_folder(run: Run, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    raw.rename(tmp_path / "raw" / raw.name)
    (tmp_path / "raw" / "broken.tif").write_bytes(b"II")
    done = run("pairs-from-sim", tmp_path / "raw", "-o", tmp_path / "pairs", "--spacing", "0.4,0.1,0.1", "--json")
    assert done.code == 2
    assert (done.json["pairs"], done.json["failed"]) == (1, 1)
    assert list(done.json["problems"]) == ["broken.tif"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "voxel size"),
        (("--spacing", "0.4,0.1,0.1", "--phases", "7"), "7 frames a plane"),
        (("--spacing", "0.4,0.1,0.1", "--phases", "2"), "phases is 2"),
        (("--spacing", "0.4,0.1,0.1", "--phases", "5"), "phases of the grid"),
        (("--spacing", "0.4,0.1,0.1", "--layout", "apz"), "differ in more than the grid"),
    ],
)
def test_what_is_refused(options: tuple[str, ...], words: str, run: Run, raw: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    assert words in run("pairs-from-sim", raw, "-o", tmp_path / "pairs", *options).message
    assert contents(tmp_path) == before


def test_from_python(raw: Path, tmp_path: Path) -> None:
    made = napari_deep3d.pairs_from_sim(raw, tmp_path / "pairs", spacing_um=(0.4, 0.1, 0.1))
    assert isinstance(made, GridPair)
    (tmp_path / "raw").mkdir()
    raw.rename(tmp_path / "raw" / "b.tif")
    many = napari_deep3d.pairs_from_sim(tmp_path / "raw", tmp_path / "pairs", spacing_um=(0.4, 0.1, 0.1))
    assert isinstance(many, GridFolder)
    assert [pair.name for pair in many.pairs] == ["b"]
