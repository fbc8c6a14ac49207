"""A pair from grid frames, in the Register panel: with the real job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_deep3d.core import FloatArray
from napari_deep3d.gui.register.grid_frames import GridFrames
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.pairs import PairsFolder
from tests.helpers.grid_frames import blobs_in_haze


@pytest.fixture
def frames(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The widget; its dialogs choose a file of frames and a folder that is there."""
    (tmp_path / "pairs").mkdir()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(tmp_path / "cell.tif"), ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "pairs"))
    widget = GridFrames()
    qtbot.addWidget(widget)
    yield widget
    widget.shut_down()


def save(path: Path, frames: FloatArray) -> None:
    write_stack(path, frames.reshape(-1, *frames.shape[-2:]).astype(np.uint16), (0.4, 0.1, 0.1))


def click(qtbot: Any, widget: Any) -> None:
    qtbot.mouseClick(widget.button.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.button.is_running, timeout=10_000)


def test_a_pair_is_made_and_goes_on_the_list(frames: Any, qtbot: Any, tmp_path: Path) -> None:
    save(tmp_path / "cell.tif", blobs_in_haze((5, 96, 96)))
    added: list[Any] = []
    frames.pair_added.connect(added.append)
    click(qtbot, frames)
    assert "stripes left" in frames.message.text()
    assert PairsFolder(tmp_path / "pairs").names() == ["cell.ome.tif"]
    frames.train_button.click()
    assert [(pair.name, pair.widefield.shape) for pair in added] == [("cell", (5, 96, 96))]


def test_a_refusal_is_shown(frames: Any, qtbot: Any, tmp_path: Path) -> None:
    save(tmp_path / "cell.tif", blobs_in_haze((5, 96, 96), (0, 60, 200)))
    click(qtbot, frames)
    assert "phases of the grid" in frames.message.text()
    assert not list((tmp_path / "pairs").iterdir())
    assert frames.train_button.isHidden()


def test_no_file_chosen_is_no_job(frames: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    click(qtbot, frames)
    assert not frames.message.text()
