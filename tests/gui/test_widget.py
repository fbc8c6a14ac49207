"""The dock as a whole: how it opens and how it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import DynamicPlugin, PluginManifest
from numpy.typing import NDArray
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QThread, QThreadPool, QTimer
from qtpy.QtWidgets import QDialog, QLabel, QMessageBox, QPushButton

from napari_deep3d import contributions
from napari_deep3d.gui.widget import Deep3DWidget
from napari_deep3d.io import write_stack
from tests.helpers.gui import PLACE, FakePrediction, view_of

MANIFEST = Path(__file__).parents[2] / "src" / "napari_deep3d" / "napari.yaml"
Data = NDArray[np.uint16]


def workers_end() -> bool:
    return bool(QThreadPool.globalInstance().waitForDone(1000))


def test_the_dock_is_narrow_and_opens_fast(viewer: Any, fake: FakePrediction) -> None:
    start = time.perf_counter()
    widget = Deep3DWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Deep3D")
    assert time.perf_counter() - start < 2
    assert widget.width() <= 380
    assert [widget.tabs.tabText(i) for i in range(widget.tabs.count())] == ["Predict", "Register", "Train", "Compare"]
    assert widget.tabs.currentIndex() == 0


def test_the_window_stays_responsive(dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction) -> None:
    matrix = np.random.default_rng(0).random((300, 300))

    def work() -> None:
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            matrix @ matrix

    fake.work = work
    viewer.add_image(stack, **PLACE)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(20)
    dock.predict_panel.run_button.button.click()
    qtbot.waitUntil(lambda: dock.predict_panel.run_button.button.text() == "Predict confocal")
    timer.stop()
    assert len(ticks) > 20
    assert np.diff(ticks).max() < 0.5


@pytest.mark.parametrize("way", ["dock", "viewer"])
def test_closing_stops_the_job(dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction, way: str) -> None:
    fake.gate = threading.Semaphore(1)
    viewer.add_image(stack, name="cell", **PLACE)
    dock.predict_panel.run_button.button.click()
    qtbot.waitUntil(lambda: dock.predict_panel.run_button.bar.value() == 250)
    if way == "dock":
        viewer.window.remove_dock_widget(dock)
        viewer.add_image(stack, name="another")  # nothing of the dock listens any more
        assert dock.predict_panel.stack.chooser.layer_choice.count() == 2
    else:
        viewer.close()
    assert workers_end()


@pytest.fixture
def halfway(dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction) -> Any:
    """The dock with a prediction whose first quarter is ready."""
    fake.gate = threading.Semaphore(1)
    viewer.add_image(stack, name="cell", **PLACE)
    dock.predict_panel.run_button.button.click()
    qtbot.waitUntil(lambda: dock.predict_panel.run_button.bar.value() == 250)
    return dock


def test_a_dock_closed_midway_keeps_the_finished_part_by_its_name(
    halfway: Any, viewer: Any, fake: FakePrediction, panels: dict[str, Any]
) -> None:
    viewer.window.remove_dock_widget(halfway)
    result = viewer.layers[-1]
    assert result.name == "cell (confocal-like) (incomplete)"
    assert result.metadata["napari-deep3d"]["complete"] is False
    assert result.metadata["napari-deep3d"]["model"] == "generalist"
    assert [result.data[0, 8 * i, 0] for i in range(4)] == [1, 0, 0, 0]
    again = Deep3DWidget(viewer, **panels)
    viewer.window.add_dock_widget(again, name="Deep3D again")
    assert again.session.layer.name == "cell"  # not what was predicted


def test_a_closed_dock_is_deleted_in_the_windows_thread(dock: Any, viewer: Any, qtbot: Any) -> None:
    threads: list[Any] = []
    note = partial(lambda *_: threads.append(QThread.currentThread()))
    dock.tabs.destroyed.connect(note)
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not isalive(dock))
    assert threads == [viewer.window._qt_window.thread()]


def close_button(dock: Any) -> Any:
    """The x of a dock, once the dock knows it."""
    return dock.parent().titleBarWidget().findChild(QPushButton, "QTitleBarCloseButton")


@pytest.mark.parametrize("answer", ["Keep it open", "Stop and close"])
def test_the_x_of_the_dock_asks_while_a_job_runs(halfway: Any, viewer: Any, qtbot: Any, answer: str) -> None:
    qtbot.mouseClick(close_button(halfway), Qt.MouseButton.LeftButton)
    question = halfway.findChild(QMessageBox)
    assert "A prediction from 'cell' is under way; its finished part is kept" in question.text()
    assert halfway.predict_panel.run_button.is_running
    next(button for button in question.buttons() if button.text() == answer).click()
    if answer == "Keep it open":
        qtbot.wait(50)
        assert halfway.predict_panel.run_button.is_running
        halfway.predict_panel.run_button.stop()
        qtbot.waitUntil(lambda: not halfway.predict_panel.run_button.is_running)
        qtbot.mouseClick(close_button(halfway), Qt.MouseButton.LeftButton)  # nothing runs: nothing to ask
    qtbot.waitUntil(lambda: not isalive(halfway))
    assert viewer.layers[-1].name == "cell (confocal-like) (incomplete)"


def test_naparis_question_before_it_closes_says_what_is_under_way(halfway: Any, viewer: Any, qtbot: Any) -> None:
    window = viewer.window._qt_window
    said: list[str] = []

    def look() -> None:
        (question,) = (child for child in window.findChildren(QDialog) if type(child).__name__ == "ConfirmCloseDialog")
        said.extend(label.text() for label in question.findChildren(QLabel))
        question.reject()

    qtbot.wait(50)  # the dock settles in
    QTimer.singleShot(300, look)
    with patch_setting("confirm_close_window", True):
        window.close(confirm_need=True)
    assert "A prediction from 'cell' is under way; nothing of it is kept." in said
    assert halfway.predict_panel.run_button.is_running
    halfway.predict_panel.run_button.stop()


@contextmanager
def patch_setting(name: str, value: bool) -> Iterator[None]:
    """Set one of napari's settings of the application for a while."""
    from napari.settings import get_settings

    settings = get_settings().application
    before = getattr(settings, name)
    setattr(settings, name, value)
    yield
    setattr(settings, name, before)


def test_closing_the_dock_puts_the_view_back(dock: Any, viewer: Any, stack: Data) -> None:
    for name in "ab":
        viewer.add_image(stack, name=name, **PLACE)
    before, pictures = view_of(viewer), dock.compare_panel.view
    dock.compare_panel.enter_button.click()
    assert pictures.isVisibleTo(viewer.window._qt_window)
    viewer.window.remove_dock_widget(dock)
    assert not pictures.is_active
    assert view_of(viewer) == before


def test_menus_open_the_dock_at_a_panel_and_the_sample(
    make_napari_viewer: Any,
    npe2pm: Any,
    fake: FakePrediction,
    stack: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari._app_model import get_app_model

    viewer = make_napari_viewer(show=True)
    with DynamicPlugin("napari-deep3d", plugin_manager=npe2pm, manifest=PluginManifest.from_file(MANIFEST)):
        commands = get_app_model().commands
        for command, panel in (
            ("show_compare", "Compare"),
            ("show_register", "Register"),
            ("show_train", "Train"),
            ("show_predict", "Predict"),
        ):
            commands.execute_command(f"napari-deep3d.{command}").result()
            (widget,) = viewer.window.dock_widgets.values()
            assert widget.tabs.tabText(widget.tabs.currentIndex()) == panel
            assert widget.isVisible()
            widget.parent().close()  # hidden, as by its title bar
        for name in ("THICK_WIDEFIELD", "THICK_CONFOCAL"):
            path = write_stack(tmp_path / f"{name}.tif", stack, (0.3, 0.1, 0.1))
            monkeypatch.setattr(contributions, name, path)
        viewer.open_sample("napari-deep3d", "thick_pair")
        assert widget.session.layer.name == "thick sample, wide-field"
