"""The evaluate command: its JSON, its report, and what it refuses."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi
import tifffile

from napari_deep3d.io import write_stack
from tests.cli.test_bad_input import BAD_STACKS
from tests.helpers.cli import SPACING_UM, Outcome, Run, contents

Files = dict[str, Path]


def refusal(done: Outcome) -> str:
    """The message of a refusal that came after some progress."""
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    return done.err.splitlines()[-1].removeprefix("napari-deep3d: ")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A prediction, its confocal and its wide-field stack, in folders of their own."""
    rng = np.random.default_rng(0)
    sample = ndi.gaussian_filter((rng.random((8, 32, 32)) > 0.98).astype(float), 1)
    sample /= sample.max()
    stacks = {
        "prediction": ndi.gaussian_filter(sample, 0.5).astype(np.float32),
        "confocal": rng.poisson(900 * sample + 20).astype(np.uint16),
        "widefield": rng.poisson(900 * ndi.gaussian_filter(sample, 2) + 200).astype(np.uint16),
    }
    for kind, data in stacks.items():
        (tmp_path / kind).mkdir()
        write_stack(tmp_path / kind / "cell.ome.tif", data, SPACING_UM, description={"model": "tiny"})
    return {kind: tmp_path / kind / "cell.ome.tif" for kind in stacks}


def test_a_pair(run: Run, files: Files, tmp_path: Path) -> None:
    done = run("evaluate", files["prediction"], files["confocal"], "--json")
    told = done.json
    assert done.code == 0
    assert {"rmse", "ssim", "rmse_fit", "ssim_fit", "by_depth"} <= told.keys()
    assert (told["output"], told["model"], "widefield" in told) == (None, "tiny", False)
    assert told["by_depth"]["ssim"][0] is None  # no window has its middle there
    assert told["by_depth"]["rmse"][0] > 0


def test_with_widefield_and_a_report(run: Run, files: Files, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    words = ("evaluate", files["prediction"], files["confocal"], "--widefield", files["widefield"], "-o", report)
    done = run(*words, "--json")
    assert done.json["output"] == str(report)
    assert {"rmse", "ssim", "rmse_fit", "ssim_fit", "by_depth"} <= done.json["widefield"].keys()
    assert done.json["rmse_fit"] < done.json["widefield"]["rmse_fit"]
    assert report.read_bytes().endswith(b"</html>\n")
    assert "exists and is not replaced" in run(*words, "--json").message
    again = run(*words, "--overwrite")
    assert again.code == 0
    assert "by_depth" not in again.out
    assert "prediction: rmse" in again.out


def test_two_folders(run: Run, files: Files, tmp_path: Path) -> None:
    folders = [path.parent for path in files.values()]
    done = run("evaluate", *folders[:2], "--widefield", folders[2], "--json")
    single = run("evaluate", *list(files.values())[:2], "--widefield", files["widefield"], "--json")
    for key in ("rmse", "ssim", "rmse_fit", "ssim_fit", "by_depth"):
        assert done.json[key] == single.json[key]
        assert done.json["widefield"][key] == single.json["widefield"][key]
    shutil.copy(files["prediction"], folders[0] / "broken.ome.tif")
    (folders[1] / "broken.ome.tif").write_text("no stack")
    part = run("evaluate", *folders[:2], "--json")
    assert part.code == 2
    assert (part.json["stacks"], part.json["failed"]) == (1, 1)
    assert "broken" in part.err


def test_without_confocal_stacks(run: Run, files: Files, tmp_path: Path) -> None:
    single = run("evaluate", files["prediction"], "--widefield", files["widefield"], "--json").json
    assert "rmse" not in single
    assert {"resolution_xy_um", "sharpness_signal", "by_depth", "widefield"} <= single.keys()
    many = run("evaluate", files["prediction"].parent, "--json").json
    assert many["resolution_xy_um"] == single["resolution_xy_um"]
    assert "resolution_xy_um" in run("evaluate", files["prediction"].parent).out
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no stack" in refusal(run("evaluate", empty))


def test_channels_and_time_points(run: Run, files: Files, tmp_path: Path) -> None:
    series = np.stack([tifffile.imread(files[kind]).astype(np.uint16) for kind in ("widefield", "confocal")])
    both = tmp_path / "both.tif"
    data = np.stack([series[:, ::-1], series]).transpose(0, 2, 1, 3, 4)  # T, Z, C, Y, X
    metadata = {"axes": "TZCYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(both, data, imagej=True, resolution=(5, 5), metadata=metadata)
    chosen = ("--confocal-channel", 1, "--widefield", both, "--widefield-channel", 0, "--time", 1)
    told = run("evaluate", files["prediction"], both, *chosen, "--json").json
    plain = run("evaluate", files["prediction"], files["confocal"], "--widefield", files["widefield"], "--json").json
    assert told["rmse"] == plain["rmse"]
    assert told["widefield"]["rmse"] == plain["widefield"]["rmse"]
    assert "holds 2 channels" in refusal(run("evaluate", files["prediction"], both))


@pytest.mark.parametrize("side", ["prediction", "confocal"])
@pytest.mark.parametrize("write", BAD_STACKS, ids=lambda write: write.__name__)
def test_bad_stacks(run: Run, files: Files, tmp_path: Path, write: Callable[[Path], None], side: str) -> None:
    name, words = write.__name__, ()
    bad = tmp_path / "bad.tif"
    write(bad)
    chosen = files | {side: bad}
    got: tuple[str, ...] = BAD_STACKS[write]
    if name == "not_a_number":
        got = ("holds no image, only blank planes (NaN)", "right channel")
    if name == "folder" and side == "prediction":
        got = ("is no folder", "two folders of files with the same names")
    if name == "no_voxel_size":  # of both
        other = tmp_path / "other.tif"
        tifffile.imwrite(other, tifffile.imread(files["prediction"]), metadata=None)
        chosen = {"prediction": bad, "confocal": other}
    before = contents(tmp_path)
    done = run("evaluate", chosen["prediction"], chosen["confocal"], "-o", tmp_path / "report.html", *words, "--json")
    message = refusal(done)
    for part in got:
        assert part in message
    assert contents(tmp_path) == before


def test_stacks_that_do_not_belong_together(run: Run, files: Files, tmp_path: Path) -> None:
    data = tifffile.imread(files["confocal"])
    other, coarse = tmp_path / "other.ome.tif", tmp_path / "coarse.ome.tif"
    write_stack(other, data[:, :30], SPACING_UM)
    write_stack(coarse, data, (0.5, 0.3, 0.3))
    message = refusal(run("evaluate", files["prediction"], other))
    assert "8 x 32 x 32 and the confocal stack other has 8 x 30 x 32 voxels" in message
    assert "register" in message
    message = refusal(run("evaluate", files["prediction"], coarse))
    assert "the voxel sizes differ" in message
    assert run("evaluate", files["prediction"], coarse, "--spacing", "0.5,0.2,0.2", "--json").code == 0
    assert "is given twice" in refusal(run("evaluate", files["confocal"], files["confocal"]))


def test_ctrl_c(run: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*volumes: object) -> tuple[tuple[float, ...], list[str]]:
        signal.raise_signal(signal.SIGINT)
        return SPACING_UM, []

    monkeypatch.setattr("napari_deep3d.jobs.evaluate.evaluate.check_together", press)
    before = contents(tmp_path)
    done = run("evaluate", files["prediction"], files["confocal"], "-o", tmp_path / "report.html", "--json")
    assert (done.code, done.out) == (130, "")
    assert "stopping" in done.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "got"),
    [
        (("--percentiles", "5"), "--percentiles got '5'"),
        (("--percentiles", "99,1"), "rising percentiles"),
        (("--spacing", "1,2"), "--spacing got '1,2'"),
        (("-o", "report.pdf"), ".html is needed"),
        (("--widefield", "no.tif"), "there is no file"),
    ],
)
def test_bad_options(run: Run, files: Files, words: tuple[str, ...], got: str) -> None:
    assert got in refusal(run("evaluate", files["prediction"], files["confocal"], *words))


def test_folders_without_a_common_name(run: Run, files: Files, tmp_path: Path) -> None:
    files["confocal"].rename(files["confocal"].with_name("else.ome.tif"))
    message = refusal(run("evaluate", files["prediction"].parent, files["confocal"].parent))
    assert "hold no two stacks of the same name (1 and 1 stacks)" in message
