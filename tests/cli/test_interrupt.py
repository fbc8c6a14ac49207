"""Ctrl-C: exit 130, what is finished is kept beside the output, and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.nn.inference import SeamMeter
from tests.helpers.cli import COMMAND, ORIGIN_UM, SPACING_UM, Outcome, Run, names, voxels

pytestmark = pytest.mark.slow

TILE = ("--tile", "16,32,32")
SECONDS_TO_STOP = 10


@pytest.fixture
def press(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The signals to send after the first tile."""
    signals = [int(signal.SIGINT)]
    add = SeamMeter.add

    def pressed(*arguments: object) -> None:
        add(*arguments)  # type: ignore[arg-type]
        while signals:
            signal.raise_signal(signals.pop(0))

    monkeypatch.setattr(SeamMeter, "add", pressed)
    return signals


@pytest.mark.parametrize(
    ("name", "kept"), [("out.ome.tif", "out-incomplete.ome.tif"), ("out.zarr", "out-incomplete.zarr")]
)
def test_what_is_finished_is_kept(
    run: Run, press: list[int], recording: Path, tiny_model: Path, tmp_path: Path, name: str, kept: str
) -> None:
    before = names(tmp_path)
    done = run("predict", recording, "-o", tmp_path / name, "--model", tiny_model, *TILE, "--json")
    assert done.code == 130
    assert "stopping" in done.err
    assert done.json["complete"] is False
    assert done.json["output"] == str(tmp_path / kept)
    assert names(tmp_path) == before | {kept, f".{name}.unfinished"}
    opened = open_stack(tmp_path / kept)
    assert opened.spacing_um == pytest.approx(SPACING_UM)
    assert opened.origin_um == pytest.approx(ORIGIN_UM)
    data = voxels(tmp_path / kept)
    assert np.any(data[:, :20, :28])
    assert not np.any(data[:, 36:, 44:])


def test_an_old_output_stays(run: Run, press: list[int], recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    old = write_stack(tmp_path / "out.tif", np.ones((5, 20, 20)), SPACING_UM)
    before = old.read_bytes()
    words = ("predict", recording, "-o", old, "--model", tiny_model, *TILE, "--overwrite", "--json")
    for _ in range(2):  # the second time it goes on
        press[:] = [int(signal.SIGINT)]
        done = run(*words)
        assert (done.code, done.json["output"]) == (130, str(tmp_path / "out-incomplete.tif"))
        assert old.read_bytes() == before
    assert "2 of 6 tiles are done" in run(*words).err
    assert voxels(old).shape == (16, 48, 96)
    assert names(tmp_path) == {recording.name, tiny_model.name, old.name}


def test_a_polite_request_to_end(run: Run, press: list[int], recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    press[:] = [int(signal.SIGTERM)]
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, *TILE, "--json")
    assert (done.code, done.json["complete"]) == (130, False)


def test_a_series_keeps_its_finished_time_points(run: Run, press: list[int], tiny_model: Path, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 99, (3, 16, 48, 96), dtype=np.uint16)
    series = write_stack(tmp_path / "series.ome.tif", data, SPACING_UM)
    words = ("predict", series, "-o", tmp_path / "out.tif", "--model", tiny_model, "--time", "all")
    assert run(*words).code == 130
    kept = open_stack(tmp_path / "out-incomplete.tif")
    assert kept.n_times == 3
    assert not np.any(kept.volume(time=2).data[...])


def test_a_second_press_breaks_off(
    run: Run, press: list[int], recording: Path, tiny_model: Path, tmp_path: Path
) -> None:
    before = names(tmp_path)
    press[:] = [int(signal.SIGINT)] * 2
    done = run("predict", recording, "-o", tmp_path / "out.tif", "--model", tiny_model, *TILE, "--json")
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err
    assert names(tmp_path) == before


def test_ctrl_c_works_again_afterwards(run: Run, press: list[int], recording: Path, tiny_model: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell may have it ignored
    try:
        run("predict", recording, "-o", recording.with_name("out.tif"), "--model", tiny_model, *TILE)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


BREAK_WHILE_SHOWING = """
from napari_deep3d.cli import console, main
def show(event, *_):
    if getattr(event, "done", 0):
        raise KeyboardInterrupt
console.show = show
main()
"""


def test_breaking_off_while_progress_is_shown(run: Run, recording: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = names(tmp_path)
    words = ["predict", str(recording), "-o", str(tmp_path / "out.tif"), "--model", str(tiny_model), *TILE]
    command = [sys.executable, "-c", BREAK_WHILE_SHOWING, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 130, done.stderr
    assert names(tmp_path) - before in (set(), {"out-incomplete.tif", ".out.tif.unfinished"})  # if a tile was finished
    assert run(*words).code == 0
    assert names(tmp_path) == before | {"out.tif"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a whole console")
def test_ctrl_c_in_a_long_prediction(tiny_model: Path, tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 999, (16, 512, 512), dtype=np.uint16)
    recording = write_stack(tmp_path / "large.ome.tif", data, SPACING_UM)
    before = names(tmp_path)
    words = ["predict", str(recording), "-o", str(tmp_path / "out.ome.tif"), "--model", str(tiny_model)]
    done, seconds = interrupted([*COMMAND, *words, "--tile", "4,16,16", "--json"], "tile 3 of")
    assert (done.code, seconds < SECONDS_TO_STOP) == (130, True), done.err
    assert done.json["complete"] is False
    assert names(tmp_path) == before | {"out-incomplete.ome.tif", ".out.ome.tif.unfinished"}
    kept = voxels(tmp_path / "out-incomplete.ome.tif")
    assert np.any(kept[0])
    assert not np.any(kept[-1])


def interrupted(command: list[str], after: str) -> tuple[Outcome, float]:
    """Send Ctrl-C once a line of standard error holds the words, and measure the seconds to the end."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if after in line:
                break
        process.send_signal(signal.SIGINT)
        start = time.perf_counter()
        out, err = process.communicate(timeout=60)
        seconds = time.perf_counter() - start
    return Outcome(process.returncode, out, "".join(lines) + err), seconds
