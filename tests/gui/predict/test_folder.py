"""The window that predicts a folder, with a job that goes on when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from napari_deep3d.core import BatchRow, Clock, InputError, Job, PredictConfig, Stop, never
from napari_deep3d.gui.widget import Deep3DWidget
from napari_deep3d.jobs.predict.folder import PredictedFolder
from napari_deep3d.jobs.predict.folder_items import Wanted
from tests.helpers.gui import FakePrediction

FAULT = (
    "b.tif is cut off: it ends after 3000 bytes, before all of its planes. Copy it again from where it was acquired."
)


class FakeBatch:
    """A batch of four files, of which b is bad; it waits for ``gate`` before each."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.error: Exception | None = None
        self.asked: list[tuple[Path, Path, PredictConfig, Wanted, dict[str, Any]]] = []

    def __call__(
        self, folder: Path, output: Path, config: PredictConfig, wanted: Wanted, *, stop: Stop = never, **more: Any
    ) -> Job[PredictedFolder]:
        self.asked.append((folder, output, config, wanted, more))
        if self.error is not None:
            raise self.error
        rows = [BatchRow(number, f"{name}.tif", output=f"{name}.ome.tif") for number, name in enumerate("abcd")]
        rows[1] = BatchRow(1, "b.tif", state="failed", reason=FAULT)
        yield from rows
        clock, complete = Clock(), True
        for number in (0, 2, 3):
            yield BatchRow(number, rows[number].file, state="running", output=rows[number].output)
            while complete and not self.gate.acquire(timeout=0.01):
                complete = not stop()
            if not complete:
                break
            rows[number] = BatchRow(number, rows[number].file, "", "done", "", 2.0, rows[number].output)
            yield rows[number]
            yield clock.progress(number, 4, f"stack {number + 1} of 4: tile 1 of 1")
        return PredictedFolder(output, output / "predictions.csv", tuple(rows), 0, 12.0, complete)


@pytest.fixture
def batch() -> FakeBatch:
    return FakeBatch()


@pytest.fixture
def session(qapp: Any) -> Any:
    from napari_deep3d.gui.predict.choices import Session

    return Session()


@pytest.fixture
def window(session: Any, batch: FakeBatch, qtbot: Any, tmp_path: Path) -> Iterator[Any]:
    from napari_deep3d.gui.predict.folder import FolderPart

    part = FolderPart(session, batch)
    qtbot.addWidget(part)
    part.button.click()
    part.window_.source.show_path(tmp_path / "cells")
    part.window_.source.changed.emit()
    yield part.window_
    part.shut_down()


def states(window: Any) -> list[str]:
    return [row.state for row in window.table.batch.rows]


def test_the_table_fills_in_and_tells_of_the_bad_file(
    window: Any, batch: FakeBatch, qtbot: Any, tmp_path: Path
) -> None:
    batch.gate = threading.Semaphore(1)
    window.run_button.button.click()
    qtbot.waitUntil(lambda: states(window) == ["done", "failed", "running", "waiting"])
    assert window.counts.text() == "2 of 4 stacks, 1 failed"
    assert "'cells' are being predicted" in window.under_way()
    assert not window.source.isEnabled()
    batch.gate.release(9)
    qtbot.waitUntil(lambda: not window.run_button.is_running)
    assert states(window) == ["done", "failed", "done", "done"]
    assert window.message.text().startswith("3 done, 1 failed, in 12 s. Table: ")
    assert window.parent().line.text() == "Folder: 3 done, 1 failed"
    assert (window.under_way(), window.source.isEnabled()) == ("", True)
    model = window.table.batch
    assert model.data(model.index(1, 3)) == FAULT
    assert window.table.rowHeight(1) > window.table.rowHeight(0)
    (tmp_path / "cells_confocal-like").mkdir()
    (tmp_path / "cells_confocal-like" / "c.ome.tif").touch()
    with qtbot.waitSignal(window.result_requested) as opened:
        window.table.doubleClicked.emit(model.index(2, 0))
    assert opened.args == [tmp_path / "cells_confocal-like" / "c.ome.tif"]


def test_the_options_of_the_panel_and_of_the_window(window: Any, batch: FakeBatch, session: Any, qtbot: Any) -> None:
    session.update(quality="best", deepest="first", advanced={"device": "cpu"})
    assert "Model generalist, best quality, deepest plane first, device cpu" in window.how.text()
    window.channel.setValue(1)
    window.suffix.setCurrentIndex(1)
    window.replace.setChecked(True)
    window.z_um.setValue(0.5)
    window.run_button.button.click()
    assert "one number is missing" in window.message.text()
    window.xy_um.setValue(0.2)
    window.run_button.button.click()
    qtbot.waitUntil(lambda: not window.run_button.is_running)
    source, output, config, wanted, more = batch.asked[-1]
    assert (source.name, output.name) == ("cells", "cells_confocal-like")
    assert config == PredictConfig(quality="best", deepest="first", device="cpu", spacing_um=(0.5, 0.2, 0.2))
    assert (wanted, more) == (Wanted(channel=1), {"suffix": ".ome.zarr", "overwrite": True})


def test_stop_is_heeded_within_a_second(window: Any, batch: FakeBatch, qtbot: Any) -> None:
    batch.gate = threading.Semaphore(1)
    window.run_button.button.click()
    qtbot.waitUntil(lambda: states(window)[2:3] == ["running"])
    start = time.monotonic()
    window.run_button.button.click()
    qtbot.waitUntil(lambda: not window.run_button.is_running)
    assert time.monotonic() - start < 1
    assert window.message.text().startswith("Stopped. 1 done, 1 failed, 2 waiting")
    assert "goes on where it ended" in window.message.text()


def test_what_cannot_be_used_is_said(window: Any, batch: FakeBatch, qtbot: Any) -> None:
    batch.error = InputError("cells holds no stack; files ending in .tif are needed.")
    window.run_button.button.click()
    qtbot.waitUntil(lambda: not window.run_button.is_running)
    assert window.message.text() == str(batch.error)
    window.source.field.clear()
    window.run_button.button.click()
    assert "Choose the folder" in window.message.text()


def test_enter_starts_nothing(window: Any, batch: FakeBatch, qtbot: Any) -> None:
    for field in (window.source.field, window.z_um):
        qtbot.keyClick(field, "\r")
    assert not window.run_button.is_running
    assert (batch.asked, window.isVisible()) == ([], True)


def test_the_output_that_the_user_gave_stays(window: Any, tmp_path: Path) -> None:
    window.source.show_path(tmp_path / "others")
    window.source.changed.emit()
    assert window.output.path() == tmp_path / "others_confocal-like"
    window.output.show_path(tmp_path / "mine")
    window.source.changed.emit()
    assert window.output.path() == tmp_path / "mine"


@pytest.fixture
def panels(fake: FakePrediction, batch: FakeBatch) -> dict[str, Any]:
    from napari_deep3d.gui.predict.panel import PredictPanel

    make = partial(PredictPanel, plan=fake.plan, predict=fake, predict_series=fake.series, models=fake.models)
    return {"predict": partial(make, predict_folder=batch)}


def test_in_the_dock_it_needs_no_layer_and_ends_with_the_dock(
    panels: dict[str, Any], viewer: Any, qtbot: Any, batch: FakeBatch, tmp_path: Path
) -> None:
    dock = Deep3DWidget(viewer, **panels)
    qtbot.addWidget(dock)
    panel, window = dock.predict_panel, dock.predict_panel.folder.window_
    assert not panel.model.isVisibleTo(panel)
    panel.folder.button.click()
    assert window.isVisible()
    assert panel.model.isVisibleTo(panel)
    batch.gate = threading.Semaphore(0)
    window.source.show_path(tmp_path)
    window.source.changed.emit()
    window.run_button.button.click()
    qtbot.waitUntil(lambda: states(window)[:1] == ["running"])
    window.close()
    assert window.run_button.is_running
    assert "are being predicted; what is finished is kept" in dock.under_way()
    dock.shut_down()
    assert not window.run_button.is_running
