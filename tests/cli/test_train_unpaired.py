"""The ``train`` command on stacks of different fields."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.io import write_stack
from napari_deep3d.jobs.train.run_folder import read_run
from tests.helpers.cli import SPACING_UM, Run


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """A folder of a wide-field stack, and one of a confocal stack."""
    found = []
    for seed, name in enumerate(("wide", "confocal")):
        found.append(tmp_path / name)
        found[-1].mkdir()
        voxels = np.random.default_rng(seed).integers(0, 1000, (8, 32, 32)).astype(np.uint16)
        write_stack(found[-1] / f"{name}.tif", voxels, SPACING_UM)
    return found


@pytest.mark.slow
def test_it_begins_from_the_bundled_model(run: Run, folders: list[Path], tmp_path: Path) -> None:
    settings = ("iterations=1", "patch=8,32,32", "weight_vgg=0.0", "ema=0.0", "device=cpu")
    words = [word for each in settings for word in ("--set", each)]
    done = run("train", folders[0], "--unpaired", folders[1], "-o", tmp_path / "run", "--json", *words)
    assert done.code == 0, done.err
    assert done.json["complete"]
    assert done.json["validation"] == {}
    assert read_run(tmp_path / "run").start == "generalist"


def test_the_same_folder_twice_is_refused_and_nothing_is_written(run: Run, folders: list[Path], tmp_path: Path) -> None:
    message = run("train", folders[0], "--unpaired", folders[0], "-o", tmp_path / "run").message
    assert "both folders are" in message
    assert not (tmp_path / "run").exists()
