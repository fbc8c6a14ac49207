"""The check box of the Predict panel and the layer that it gives."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.gui import PLACE, FakePrediction

Data = NDArray[np.uint16]
RESULT, LAYER = "cell (confocal-like)", "cell (uncertainty)"


def wait_end(qtbot: Any, panel: Any) -> None:
    qtbot.waitUntil(lambda: panel.run_button.button.text() == "Predict confocal", timeout=5000)


def test_the_box_adds_a_layer_that_fills_in(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.gate = threading.Semaphore(2)
    source = viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    assert "four times" in panel.uncertainty.toolTip()
    panel.uncertainty.click()
    panel.run_button.button.click()
    assert [layer.name for layer in viewer.layers] == ["cell", RESULT, LAYER]
    layer = viewer.layers[LAYER]
    assert (layer.colormap.name, layer.blending, layer.visible) == ("inferno", "additive", False)
    np.testing.assert_array_equal(layer.scale, source.scale)
    assert layer.units == source.units
    assert viewer.layers.selection.active is viewer.layers[RESULT]
    assert dock.session.layer is source
    qtbot.waitUntil(lambda: panel.run_button.bar.value() == 500)
    np.testing.assert_allclose([layer.data[0, y, 0] for y in (0, 8, 16)], [0.1, 0.2, 0])
    qtbot.waitUntil(lambda: np.allclose(layer.contrast_limits, [0, 0.2]))
    fake.gate.release(2)
    wait_end(qtbot, panel)
    np.testing.assert_allclose([layer.data[0, y, 0] for y in (0, 8, 16, 24)], [0.1, 0.2, 0.3, 0.4], rtol=1e-6)
    assert layer.contrast_limits == pytest.approx([0, 0.4], abs=0.01)
    assert layer.metadata["napari-deep3d"]["mean_uncertainty"] == 0.25
    assert "expected error 0.25 of the brightest structure" in panel.message.text()
    assert "the eye of 'cell (uncertainty)'" in panel.message.text()
    panel.compare.click()
    assert layer in dock.compare_panel.ticked()


def test_without_the_box_there_is_no_such_layer(dock: Any, viewer: Any, qtbot: Any, stack: Data) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    for _ in range(2):
        panel.uncertainty.click()
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    assert [layer.name for layer in viewer.layers] == ["cell", RESULT]
    assert "expect" not in panel.message.text()
    assert "eye" not in panel.message.text()


def test_the_box_plans_anew(dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    qtbot.waitUntil(lambda: [config.uncertainty for config in fake.planned] == [False])
    dock.predict_panel.uncertainty.click()
    qtbot.waitUntil(lambda: [config.uncertainty for config in fake.planned] == [False, True])
    qtbot.waitUntil(lambda: "about" in dock.predict_panel.plan_line.text())


def test_the_choice_of_quality_and_of_the_deepest_plane_plans_anew_and_the_layer_says_it(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    qtbot.waitUntil(lambda: [config.quality for config in fake.planned] == ["fast"])
    choice = panel.how.quality
    choice.setCurrentIndex(choice.findData("best"))
    choice.activated.emit(choice.currentIndex())
    qtbot.waitUntil(lambda: [config.quality for config in fake.planned] == ["fast", "best"])
    deepest = panel.how.deepest
    deepest.setCurrentIndex(deepest.findData("first"))
    deepest.activated.emit(deepest.currentIndex())
    qtbot.waitUntil(lambda: [config.deepest for config in fake.planned] == ["last", "last", "first"])
    fake.hold()
    panel.run_button.button.click()
    layer = viewer.layers[RESULT]
    assert layer.metadata["napari-deep3d"]["quality"] == "best"
    fake.gate.release(4)
    wait_end(qtbot, panel)
    assert layer.metadata["napari-deep3d"]["quality"] == "best"
    assert [each.name for each in viewer.layers] == ["cell", RESULT]


def test_the_box_takes_the_best_quality_and_gives_the_choice_back(dock: Any, viewer: Any, stack: Data) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    choice = panel.how.quality
    shown = []
    for _ in range(3):
        shown.append((choice.currentData(), choice.isEnabled()))
        panel.uncertainty.click()
    assert shown == [("fast", True), ("best", False), ("fast", True)]
    assert dock.session.quality == "fast"


def test_stop_keeps_both_parts(dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction) -> None:
    fake.gate = threading.Semaphore(2)
    viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    panel.uncertainty.click()
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: panel.run_button.bar.value() == 500)
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    for name, scale in ((RESULT, 1), (LAYER, 10)):
        kept = viewer.layers[f"{name} (incomplete)"].data
        np.testing.assert_allclose([scale * kept[0, y, 0] for y in (0, 8, 16, 24)], [1, 2, 0, 0], rtol=1e-6)


def test_nothing_ready_leaves_no_layer(dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction) -> None:
    fake.hold()
    viewer.add_image(stack, name="cell", **PLACE)
    dock.predict_panel.uncertainty.click()
    dock.predict_panel.run_button.button.click()
    dock.predict_panel.run_button.button.click()
    wait_end(qtbot, dock.predict_panel)
    assert [layer.name for layer in viewer.layers] == ["cell"]


@pytest.mark.parametrize(("removed", "left"), [(RESULT, ["cell"]), (LAYER, ["cell", RESULT])])
def test_removing_the_result_stops_it_and_removing_the_uncertainty_does_not(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction, removed: str, left: list[str]
) -> None:
    fake.hold()
    viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    panel.uncertainty.click()
    panel.run_button.button.click()
    viewer.layers.remove(removed)
    fake.gate.release(4)
    wait_end(qtbot, panel)
    assert [layer.name for layer in viewer.layers] == left
    assert panel.message.text().startswith("Stopped" if removed == RESULT else "Done")


def test_with_a_real_network(tiny_model: Path, make_napari_viewer: Any, qtbot: Any, stack: Data) -> None:
    from napari_deep3d.gui.widget import Deep3DWidget

    viewer = make_napari_viewer()
    dock = Deep3DWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Deep3D")
    panel = dock.predict_panel
    dock.session.update(model=str(tiny_model), advanced={"device": "cpu"})
    viewer.add_image(stack, name="cell", **PLACE)
    panel.uncertainty.click()
    qtbot.waitUntil(lambda: "not calibrated" in panel.notices.text(), timeout=30_000)
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: panel.message.text() != "", timeout=30_000)
    assert panel.message.text().startswith("Done in")
    data = viewer.layers[LAYER].data
    assert data.shape == stack.shape
    assert np.isfinite(data).all()
    assert data.std() > 0
