"""The button that saves a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_deep3d.gui.predict import save
from napari_deep3d.io import open_stack
from tests.helpers.gui import PLACE, SPACING_UM

Data = NDArray[np.uint16]


@pytest.fixture
def panel(dock: Any, viewer: Any, qtbot: Any, stack: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The panel after a prediction with its uncertainty, from a layer of a file."""
    tifffile.imwrite(tmp_path / "cell.tif", stack)
    viewer.open(tmp_path / "cell.tif", plugin="napari", **PLACE, translate=(1, 2, 3))
    panel = dock.predict_panel
    assert not panel.save.run_button.button.isEnabled()
    panel.uncertainty.click()
    panel.run_button.button.click()
    wait_for(qtbot, panel.run_button, "Predict confocal")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: pytest.fail("nothing is there to be replaced"))
    return panel


def wait_for(qtbot: Any, run_button: Any, text: str) -> None:
    qtbot.waitUntil(lambda: run_button.button.text() == text, timeout=5000)


def answer(monkeypatch: pytest.MonkeyPatch, name: str, kind: str = "OME-TIFF (*.ome.tif)") -> list[str]:
    """Answer the dialog; returned are the names that it proposes."""
    proposed: list[str] = []

    def ask(_parent: object, _title: str, name_: str, _filters: str) -> tuple[str, str]:
        proposed.append(name_)
        return name, kind

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    return proposed


@pytest.mark.parametrize(("kind", "ending"), save.FILTERS.items())
def test_result_and_error_are_saved_beside_the_source(
    panel: Any, viewer: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, ending: str
) -> None:
    proposed = answer(monkeypatch, str(tmp_path / "mine"), kind)
    panel.save.run_button.button.click()
    wait_for(qtbot, panel.save.run_button, "Save result...")
    assert proposed == [str(tmp_path / "cell (confocal-like).ome.tif")]
    names = [f"mine{ending}", f"mine-uncertainty{ending}"]
    assert panel.save.message.text() == f"Saved as {names[0]} and {names[1]} in {tmp_path}."
    for name, layer in zip(names, ("cell (confocal-like)", "cell (uncertainty)"), strict=True):
        opened = open_stack(tmp_path / name)
        assert opened.spacing_um == pytest.approx(SPACING_UM)
        assert opened.origin_um == pytest.approx((1, 2, 3))
        np.testing.assert_array_equal(opened.volume().data[...], viewer.layers[layer].data)


def test_the_file_says_how_the_result_was_made(
    panel: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, str(tmp_path / "mine.ome.tif"))
    panel.save.run_button.button.click()
    wait_for(qtbot, panel.save.run_button, "Save result...")
    with tifffile.TiffFile(tmp_path / "mine.ome.tif") as tif:
        image = ElementTree.fromstring(str(tif.ome_metadata)).find("{*}Image")
    assert image is not None
    about = json.loads(str(image.findtext("{*}Description")))
    assert (about["model"], about["input"]["layer"]) == ("generalist", "cell")


def test_nothing_is_replaced_without_a_yes(
    panel: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, str(tmp_path / "mine"))
    (tmp_path / "mine.ome.tif").write_text("mine")
    asked: list[str] = []

    def question(reply: Any, *words: Any) -> Any:
        asked.append(words[-1])
        return reply

    no, yes = QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes
    monkeypatch.setattr(QMessageBox, "question", lambda *words: question(no, *words))
    panel.save.run_button.button.click()
    assert (tmp_path / "mine.ome.tif").read_text() == "mine"
    assert asked == ["mine.ome.tif exists already. Replace?"]
    monkeypatch.setattr(QMessageBox, "question", lambda *words: question(yes, *words))
    panel.save.run_button.button.click()
    wait_for(qtbot, panel.save.run_button, "Save result...")
    assert open_stack(tmp_path / "mine.ome.tif").spacing_um == pytest.approx(SPACING_UM)


def test_what_cannot_be_written_is_said(
    panel: Any, viewer: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, str(tmp_path / "missing" / "mine.ome.tif"))
    panel.save.run_button.button.click()
    assert "there is no folder" in panel.save.message.text()
    viewer.layers.remove("cell (confocal-like)")
    assert not panel.save.run_button.button.isEnabled()
    assert panel.save.message.text() == ""
