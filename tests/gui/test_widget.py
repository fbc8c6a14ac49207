"""The dock as a whole: how it opens and how it goes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import DynamicPlugin, PluginManifest
from numpy.typing import NDArray
from qtpy.QtCore import QThreadPool

from napari_deep3d import contributions
from napari_deep3d.gui.widget import Deep3DWidget
from napari_deep3d.io import write_stack
from tests.helpers.gui import PLACE, FakePrediction

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


def test_closing_the_dock_puts_the_view_back(dock: Any, viewer: Any, stack: Data) -> None:
    for name in "ab":
        viewer.add_image(stack, name=name, **PLACE)
    dock.compare_panel.enter_button.click()
    assert viewer.canvas.grid.enabled
    viewer.window.remove_dock_widget(dock)
    assert not viewer.canvas.grid.enabled


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
