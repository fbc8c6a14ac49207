"""The simulate command."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.simulation.samples.glia import GliaBounds
from napari_deep3d.core.simulation.samples.neurons import NeuronsBounds
from napari_deep3d.io import open_stack
from napari_deep3d.jobs import simulate
from tests.helpers.cli import Run, contents, names, voxels

SMALL = ("--pairs", "1", "--shape", "8,32,32", "--json")


def test_pairs_in_a_new_folder(run: Run, recording: Path, tmp_path: Path) -> None:
    done = run("simulate", "-o", tmp_path / "new" / "pairs", *SMALL, "--seed", 3, "--from", recording)
    assert done.code == 0, done.err
    told = done.json
    assert told["output"] == str(tmp_path / "new" / "pairs")
    assert (told["pairs"], told["shape"], told["seed"]) == (1, [8, 32, 32], 3)
    assert "simulated pair 1 of 1" in done.err
    files = [tmp_path / "new" / "pairs" / kind / "pair_0000.ome.tif" for kind in ("widefield", "confocal")]
    for path in files:
        assert names(path.parent) == {path.name}
        assert open_stack(path).spacing_um == pytest.approx(told["spacing_um"][0])
        assert voxels(path).shape == (8, 32, 32)
    assert np.any(voxels(files[0]) != voxels(files[1]))


def test_a_folder_in_use(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    message = run("simulate", "-o", tmp_path / "pairs", *SMALL).message
    assert "already holds files" in message
    assert "--overwrite" in message
    assert contents(tmp_path) == before


def test_a_file_in_the_way(run: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text("mine")
    assert "is a file" in run("simulate", "-o", tmp_path / "pairs", *SMALL).message
    assert "cannot write" in run("simulate", "-o", tmp_path / "pairs" / "below", *SMALL).message
    assert contents(tmp_path) == {"pairs": b"mine"}


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        *(("--pairs", value, "pairs") for value in ("0", "-3", "100000")),
        *(("--shape", value, "Z,Y,X") for value in ("8,32", "large", "8.5,32,32")),
        *(("--shape", value, "at least 8 planes") for value in ("4,32,32", "8,16,32", "4096,4096,4096")),
        ("--shape", "-8,-32,-32", "shape"),
        ("--seed", "-1", "seed"),
        ("--from", "no.tif", "there is no file"),
    ],
)
def test_nonsense(run: Run, tmp_path: Path, option: str, value: str, what: str) -> None:
    assert what in run("simulate", "-o", tmp_path / "pairs", *SMALL, f"{option}={value}").message
    assert contents(tmp_path) == {}


def test_bounds_in_tables_of_a_file_and_in_words(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text(
        "photons = [500, 2000]\n[samples.neurons]\nsoma_um = [3.0, 4.0]\ndendrites = [2, 3]\n"
    )
    make, given = simulate.simulate_pair, []

    def watched(*arguments: Any, **options: Any) -> Any:
        given.append(options["bounds"])
        return make(*arguments, **options)

    monkeypatch.setattr(simulate, "simulate_pair", watched)
    words = ("--set", "samples.neurons.soma_um=[5,6]", "--set", "samples.beads.hollow_chance=1", "--kind", "neurons")
    done = run("simulate", "-o", tmp_path / "pairs", *SMALL, "--config", tmp_path / "mine.toml", *words)
    assert done.code == 0, done.err
    (bounds,) = given
    assert bounds.camera.photons == (500, 2000)
    assert bounds.samples.neurons == NeuronsBounds(soma_um=(5, 6), dendrites=(2, 3))
    assert bounds.samples.beads.hollow_chance == 1
    assert bounds.samples.glia == GliaBounds()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[samples.neurons]\nsoma_um = [8.0, 3.0]", "samples.neurons.soma_um is [8.0, 3.0]: two rising numbers"),
        ("[samples.neurons]\nsomas = [3.0, 8.0]", "unknown name 'samples.neurons.somas'; known are: apical_bend"),
        ("[neurons]\nsoma_um = [3.0, 8.0]", "unknown name 'neurons'; known are: aberrated"),
        ("samples.neurons = 3", "samples.neurons is 3: a table is allowed, of these names: apical_bend"),
    ],
)
def test_wrong_bounds_in_a_file(run: Run, tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    assert what in run("simulate", "-o", tmp_path / "pairs", *SMALL, "--config", tmp_path / "mine.toml").message
    assert names(tmp_path) == {"mine.toml"}


def test_ctrl_c_keeps_the_finished_pairs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, presses = simulate.simulate_pair, iter([signal.SIGINT])

    def pressed(*arguments: Any, **options: Any) -> Any:
        for press in presses:
            signal.raise_signal(press)
        return make(*arguments, **options)

    monkeypatch.setattr(simulate, "simulate_pair", pressed)
    done = run("simulate", "-o", tmp_path / "pairs", "--pairs", 40, "--shape", "8,32,32", "--json")
    assert done.code == 130
    assert 1 <= done.json["pairs"] < 40  # those under way are finished
    assert len(names(tmp_path / "pairs" / "confocal")) == done.json["pairs"]
    shutil.rmtree(tmp_path / "pairs")
