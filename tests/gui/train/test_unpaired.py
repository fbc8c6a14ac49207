"""The Train panel on stacks that are no pairs: two lists in place of one, and what is then trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog

from napari_deep3d.gui.widget import MIN_WIDTH
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.train.unpaired import UnpairedFolders
from tests.helpers.gui import SPACING_UM, FakeTraining
from tests.helpers.train_panel import start, wait_layers

UNPAIRED = 1
SCROLL_BAR = 20


@pytest.fixture
def folders(tmp_path: Path) -> UnpairedFolders:
    """Two wide-field stacks and one confocal stack."""
    for kind, names in (("wide", ("a", "b")), ("confocal", ("c",))):
        (tmp_path / kind).mkdir()
        for name in names:
            write_stack(tmp_path / kind / f"{name}.tif", np.ones((8, 32, 40), np.uint16), SPACING_UM)
    return UnpairedFolders(tmp_path / "wide", tmp_path / "confocal")


def choose(qtbot: Any, panel: Any, folders: UnpairedFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Choose both folders by their buttons, and wait until they are read."""
    for part, folder in ((panel.unpaired.widefield, folders.widefield), (panel.unpaired.confocal, folders.confocal)):
        monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, name=str(folder): name)
        part.button.click()
        qtbot.waitUntil(lambda part=part: bool(part.facts), timeout=20_000)


def test_the_pairs_give_way_to_two_lists(
    panel: Any, qtbot: Any, folders: UnpairedFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not panel.unpaired.isVisibleTo(panel)
    panel.source.setCurrentIndex(UNPAIRED)
    assert panel.unpaired.isVisibleTo(panel)
    for widget in (panel.empty, panel.adder, panel.options, panel.run_button):
        assert not widget.isVisibleTo(panel)
    choose(qtbot, panel, folders, monkeypatch)
    listed = panel.unpaired.widefield.stacks
    assert [listed.item(row).text().split(",")[0] for row in range(listed.count())] == ["a.tif", "b.tif"]
    assert panel.unpaired.confocal.count.text() == "1 stack in confocal"
    assert panel.options.isVisibleTo(panel)
    qtbot.waitUntil(lambda: panel.run_button.button.isEnabled())
    assert panel.minimumSizeHint().width() <= MIN_WIDTH - SCROLL_BAR
    panel.source.setCurrentIndex(0)
    assert panel.empty.isVisibleTo(panel)
    assert not panel.run_button.isVisibleTo(panel)


def test_both_folders_are_trained_on_from_the_chosen_model(
    panel: Any, qtbot: Any, folders: UnpairedFolders, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.source.setCurrentIndex(UNPAIRED)
    choose(qtbot, panel, folders, monkeypatch)
    qtbot.waitUntil(lambda: panel.run_button.button.isEnabled())
    start(qtbot, panel, training)
    assert training.asked[-1]["pairs"] == folders
    assert (training.asked[-1]["start"], training.asked[-1]["resume"]) == ("generalist", False)
    panel.options.start.setCurrentIndex(panel.options.start.count() - 1)
    start(qtbot, panel, training)
    assert training.asked[-1]["start"] == "scratch"
    panel.preview.drop()
    wait_layers(qtbot, panel.preview.view._viewer, 0)


def test_a_folder_without_stacks_is_told(panel: Any, qtbot: Any, tmp_path: Path) -> None:
    panel.source.setCurrentIndex(UNPAIRED)
    panel.unpaired.confocal.choose(tmp_path)
    qtbot.waitUntil(lambda: "holds no stack; confocal stacks" in panel.unpaired.confocal.problem.text())
    assert not panel.run_button.isVisibleTo(panel)
