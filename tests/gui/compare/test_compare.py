"""The Compare panel: side by side, and back to the view as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from tests.helpers.gui import PLACE, SPACING_UM, view_of

Data = NDArray[np.uint16]


@pytest.fixture
def panel(dock: Any, viewer: Any, stack: Data) -> Any:
    viewer.add_image(stack, name="wide-field", **PLACE)
    viewer.add_image(stack / 2000, name="confocal-like", colormap="green", contrast_limits=(0, 0.3), **PLACE)
    viewer.add_image(stack, name="confocal", visible=False, **PLACE)
    viewer.add_labels(np.zeros(stack.shape, np.uint8), name="cells", scale=PLACE["scale"], units=PLACE["units"])
    dock.show_panel("Compare")
    return dock.compare_panel


def tick(panel: Any, *names: str) -> None:
    for i in range(panel.list.count()):
        item = panel.list.item(i)
        item.setCheckState(Qt.CheckState.Checked if item.text() in names else Qt.CheckState.Unchecked)


@pytest.mark.parametrize(
    ("section", "order", "ndisplay"), [("x-y", (0, 1, 2), 2), ("x-z", (1, 0, 2), 3), ("y-z", (2, 0, 1), 2)]
)
def test_side_by_side_and_exactly_back(
    panel: Any, viewer: Any, section: str, order: tuple[int, ...], ndisplay: int
) -> None:
    viewer.dims.ndisplay = ndisplay
    viewer.dims.set_point(0, 1.5)
    viewer.scene.camera.zoom = 17.0
    viewer.scene.camera.center = (0, 3.0, 4.0)
    QApplication.processEvents()
    before = view_of(viewer)
    tick(panel, "wide-field", "confocal-like")
    panel.orientation.setCurrentText(section)
    panel.enter_button.click()
    QApplication.processEvents()
    assert viewer.dims.order == order
    assert viewer.dims.ndisplay == 2
    assert viewer.canvas.grid.enabled
    assert viewer.canvas.overlays.scale_bar.visible
    assert [layer.visible for layer in viewer.layers] == [True, True, False, False]
    assert [layer.name_overlay.visible for layer in viewer.layers] == [True, True, False, False]
    positions = {viewer.canvas.grid.position(i, viewer.layers) for i in (0, 1)}
    assert len(positions) == 2
    panel.leave_button.click()
    QApplication.processEvents()
    assert view_of(viewer) == before


def test_contrast_is_each_its_own_or_common(panel: Any, viewer: Any) -> None:
    tick(panel, "wide-field", "confocal-like")
    panel.enter_button.click()
    widefield, confocal = (viewer.layers[name].contrast_limits for name in ("wide-field", "confocal-like"))
    assert widefield == pytest.approx([100, 1119], abs=2)
    assert confocal == pytest.approx([0.05, 0.56], abs=0.01)
    panel.contrast.setCurrentIndex(panel.contrast.findData("common"))
    limits = [viewer.layers[name].contrast_limits for name in ("wide-field", "confocal-like")]
    assert limits[0] == limits[1] == pytest.approx([0.05, 1119], abs=2)
    panel.contrast.setCurrentIndex(panel.contrast.findData("layers"))
    assert viewer.layers["confocal-like"].contrast_limits == [0, 0.3]


def test_the_section_goes_through_what_was_seen(panel: Any, viewer: Any) -> None:
    viewer.scene.camera.center = (0, 4.0, 5.0)
    tick(panel, "wide-field", "confocal")
    panel.enter_button.click()
    assert viewer.dims.point[1] == pytest.approx(4.0)


def test_layers_that_come_and_go_meanwhile(panel: Any, viewer: Any, stack: Data) -> None:
    tick(panel, "wide-field", "confocal", "confocal-like")
    panel.enter_button.click()
    viewer.layers.remove("confocal-like")
    assert panel.view.is_active
    new = viewer.add_image(stack, name="new", **PLACE)
    assert new in panel.ticked()
    tick(panel, "wide-field", "confocal")
    assert not new.visible
    viewer.layers.remove("confocal")
    assert not panel.view.is_active
    assert new.visible
    assert not viewer.canvas.grid.enabled


def test_hints_say_what_is_missing(dock: Any, viewer: Any, stack: Data) -> None:
    panel = dock.compare_panel
    assert panel.hint.text().startswith("Two stacks are needed")
    viewer.add_image(stack, name="a", **PLACE)
    viewer.add_image(np.zeros((20, 20)), name="flat")
    assert panel.hint.text().startswith("A second stack is needed")
    assert not panel.enter_button.isEnabled()
    viewer.add_image(stack, name="b")
    assert panel.enter_button.isEnabled()
    panel.enter_button.click()
    assert "b has no voxel size" in panel.problem.text()


def test_a_voxel_size_that_the_file_states_is_set(dock: Any, viewer: Any, stack: Data, tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", "spacing": SPACING_UM[0], "unit": "um"}
    tifffile.imwrite(tmp_path / "cell.tif", stack, imagej=True, resolution=(5, 5), metadata=metadata)
    (bare,) = viewer.open(tmp_path / "cell.tif", plugin="napari")
    assert str(bare.units[0]) == "pixel"
    viewer.add_image(stack, name="b", **PLACE)
    dock.compare_panel.enter_button.click()
    assert dock.compare_panel.problem.text() == ""
    assert tuple(bare.scale) == pytest.approx(SPACING_UM)
    assert [str(unit) for unit in bare.units] == ["micrometer"] * 3


def test_stacks_with_channels_are_cut_along_their_own_z(dock: Any, viewer: Any, stack: Data) -> None:
    pair = np.stack([stack, stack], axis=1)
    viewer.add_image(pair, axis_labels=("z", "c", "y", "x"))
    viewer.add_image(pair[:, :1], axis_labels=("z", "c", "y", "x"))
    dock.compare_panel.enter_button.click()
    assert viewer.dims.order == (1, 2, 0, 3)
    dock.compare_panel.leave_button.click()
    assert viewer.dims.order == (0, 1, 2, 3)


def test_a_series_and_its_result_go_side_by_side(dock: Any, viewer: Any, stack: Data) -> None:
    viewer.add_image(np.stack([stack, stack]), axis_labels=("t", "z", "y", "x"))
    viewer.add_image(stack, axis_labels=("z", "y", "x"))
    dock.compare_panel.enter_button.click()
    assert viewer.dims.order == (0, 2, 1, 3)
    assert dock.compare_panel.problem.text() == ""


def test_predict_hands_over_stack_and_result(dock: Any, viewer: Any, qtbot: Any, stack: Data) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    viewer.add_image(np.zeros((9, 64, 64)), name="unlike", **PLACE)
    dock.session.choose_layer(viewer.layers["cell"])
    predict = dock.predict_panel
    predict.run_button.button.click()
    qtbot.waitUntil(predict.compare.isEnabled)
    predict.compare.click()
    assert dock.tabs.tabText(dock.tabs.currentIndex()) == "Compare"
    assert [layer.name for layer in dock.compare_panel.ticked()] == ["cell", "cell (confocal-like)"]
    assert dock.compare_panel.view.is_active


def test_stacks_beside_a_time_series_fill_the_view(panel: Any, viewer: Any, stack: Data) -> None:
    panel.enter_button.click()
    center, zoom = viewer.scene.camera.center, viewer.scene.camera.zoom
    panel.leave_button.click()
    viewer.add_image(stack[None], name="series", scale=(1, *PLACE["scale"]), units=("s", *PLACE["units"]))
    panel.list.item(panel.list.count() - 1).setCheckState(Qt.CheckState.Unchecked)
    panel.enter_button.click()
    assert viewer.dims.order == (0, 2, 1, 3)
    assert viewer.scene.camera.center == pytest.approx(center)
    assert viewer.scene.camera.zoom == pytest.approx(zoom)
