from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_deep3d.cli.app import main
from napari_deep3d.io import write_stack
from napari_deep3d.nn import devices
from tests.helpers.cli import ORIGIN_UM, SPACING_UM, Outcome, Run


@pytest.fixture(autouse=True)
def _no_collection_of_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking through everything that pytest holds takes a second after each training."""
    monkeypatch.setattr(devices, "release_memory", lambda: None)


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model of the user, and no terminal settings, reach a test."""
    monkeypatch.setenv("NAPARI_DEEP3D_MODELS", str(tmp_path_factory.mktemp("models")))
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, for speed."""

    def command(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["napari-deep3d", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        code = end.value.code
        return Outcome(0 if code is None else int(code), printed.out, printed.err)

    return command


@pytest.fixture
def stack() -> NDArray[np.uint16]:
    """A small stack that takes several tiles of 16 x 32 x 32, axes Z, Y, X."""
    data = np.random.default_rng(0).integers(100, 120, size=(16, 48, 96), dtype=np.uint16)
    data[4:10, 8:20, 10:60] += 1000
    return data


@pytest.fixture
def recording(tmp_path: Path, stack: NDArray[np.uint16]) -> Path:
    """A wide-field stack in an OME-TIFF that states its voxel size and position."""
    return write_stack(tmp_path / "cell.ome.tif", stack, SPACING_UM, ORIGIN_UM)
