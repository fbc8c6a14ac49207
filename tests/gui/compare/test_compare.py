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
    panel.contrast.setCurrentIndex(panel.contrast.findData("layers"))
    assert viewer.layers["confocal-like"].contrast_limits == [0, 0.3]
    viewer.layers["confocal"].data = viewer.layers["wide-field"].data * 3
    tick(panel, "wide-field", "confocal")
    panel.enter()
    panel.contrast.setCurrentIndex(panel.contrast.findData("common"))
    limits = [viewer.layers[name].contrast_limits for name in ("wide-field", "confocal")]
    assert limits[0] == limits[1] == pytest.approx([100, 3 * 1119], abs=6)


def test_a_common_contrast_that_would_hide_one_is_not_offered(panel: Any, viewer: Any) -> None:
    """Counts beside predicted values: the prediction would be black."""
    tick(panel, "wide-field", "confocal")
    panel.enter_button.click()
    panel.contrast.setCurrentIndex(panel.contrast.findData("common"))
    assert panel.contrast.currentData() == "common"
    tick(panel, "wide-field", "confocal-like")
    assert panel.contrast.currentData() == "each"
    assert viewer.layers["confocal-like"].contrast_limits == pytest.approx([0.05, 0.56], abs=0.01)
    assert "would hide some: prediction 0.05 to 0.559, wide-field 100 to 1.12e+03" in panel.note.text()
    entry = panel.contrast.model().item(panel.contrast.findData("common"))
    assert not entry.isEnabled()
    tick(panel, "wide-field", "confocal")
    panel.enter()
    assert entry.isEnabled()
    assert panel.note.text() == ""


def test_sections_go_through_one_point_and_back(panel: Any, viewer: Any) -> None:
    viewer.dims.set_point(0, 2.5)
    tick(panel, "wide-field", "confocal")
    panel.enter_button.click()
    viewer.dims.set_point(1, 3.2)
    seen = viewer.dims.current_step
    for section in ("x-y", "y-z", "x-z"):
        viewer.scene.camera.center = (0, 1.0, 2.0)
        panel.orientation.setCurrentText(section)
        assert viewer.dims.current_step == seen


def test_zoom_stays_until_section_or_layers_change(panel: Any, viewer: Any) -> None:
    tick(panel, "wide-field", "confocal")
    panel.enter_button.click()
    fitted = viewer.scene.camera.zoom
    viewer.scene.camera.zoom = 3 * fitted
    viewer.scene.camera.center = (0, 1.0, 2.0)
    panel.contrast.setCurrentIndex(panel.contrast.findData("layers"))
    panel.enter()
    assert viewer.scene.camera.zoom == 3 * fitted
    assert viewer.scene.camera.center == (0, 1.0, 2.0)
    tick(panel, "wide-field", "confocal", "confocal-like")
    assert viewer.scene.camera.zoom != 3 * fitted


def test_the_grid_switched_off_leaves_the_view(panel: Any, viewer: Any) -> None:
    before = view_of(viewer)
    panel.enter_button.click()
    viewer.canvas.grid.enabled = False
    QApplication.processEvents()
    assert view_of(viewer) == before
    assert panel.enter_button.isEnabled()
    assert not panel.leave_button.isEnabled()


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


def test_values_under_the_mouse_are_read_of_all(panel: Any, viewer: Any, stack: Data) -> None:
    """Whichever layer is selected, and wherever the layers lie."""
    layer = viewer.layers["confocal"]
    layer.translate = (0.5, 0.2, 0.2)
    tick(panel, "wide-field", "confocal-like", "confocal")
    assert not panel.readout.isVisibleTo(panel)
    panel.enter_button.click()
    assert viewer.layers.selection == set()  # so that napari's status bar tells of all, too
    z, y, x = 2, 30, 12
    viewer.dims.set_point(1, y * 0.2)
    viewer.cursor.position = (z * 0.5, y * 0.2, x * 0.2)
    text = panel.readout.text()
    low, high = viewer.layers["wide-field"].contrast_limits
    assert text.startswith("z 1.00, y 6.00, x 2.40 um")
    for title, value in {
        "wide-field": str(stack[z, y, x]),
        "prediction": f"{stack[z, y, x] / 2000:.4g}",
        "confocal": str(stack[z - 1, y - 1, x - 1]),
    }.items():
        assert f"<td>{title}</td><td align='right'>&nbsp;&nbsp;<b>{value}</b>" in text
    assert f"{(stack[z, y, x] - low) / (high - low):.2f}</td>" in text
    viewer.cursor.position = (-9, -9, -9)
    assert text.count("<tr>") == panel.readout.text().count("<b>-</b>") == 3
    panel.leave_button.click()
    assert not panel.readout.isVisibleTo(panel)


def test_pictures_have_short_titles(panel: Any, viewer: Any) -> None:
    """In napari's own overlays, which say the whole name otherwise."""

    def drawn() -> list[str]:
        visuals = viewer.window._qt_viewer.canvas._layer_overlay_to_visual
        found = [visuals[layer].get(layer.name_overlay) for layer in viewer.layers]
        return ["".join(visual.node.text) for visual in found if visual is not None and visual.node.visible]

    viewer.layers["wide-field"].name = "thick sample, wide-field"
    viewer.layers["confocal-like"].name = "thick sample, wide-field (confocal-like)"
    tick(panel, *(layer.name for layer in viewer.layers))
    panel.enter_button.click()
    assert drawn() == ["wide-field", "prediction", "confocal"]
    viewer.layers["confocal"].visible = False
    viewer.layers["confocal"].visible = True
    assert drawn() == ["wide-field", "prediction", "confocal"]
    viewer.layers["confocal"].name = "other prediction"
    assert drawn() == ["wide-field", "prediction 1", "prediction 2"]
    panel.leave_button.click()
    viewer.layers["other prediction"].visible = viewer.layers["other prediction"].name_overlay.visible = True
    assert drawn() == ["other prediction"]


def test_a_result_is_seen_beside_its_time_point_and_channel(dock: Any, viewer: Any, stack: Data) -> None:
    series = np.zeros((3, 2, *stack.shape), np.uint16)
    series[1, 1] = stack
    viewer.add_image(series, name="series", axis_labels=("t", "c", "z", "y", "x"))
    made_from = {"layer": "series", "time point": 1, "channel": 1}
    about = {"napari-deep3d": {"model": "generalist", "input": made_from}}
    viewer.add_image(stack / 2000, name="result", axis_labels=("z", "y", "x"), metadata=about)
    viewer.dims.set_current_step((0, 1), (2, 0))
    panel = dock.compare_panel
    panel.enter_button.click()
    assert viewer.dims.current_step[:2] == (1, 1)
    assert panel.place.text() == ""
    assert viewer.layers["series"].contrast_limits == pytest.approx([100, 1119], abs=2)
    viewer.dims.set_current_step(0, 2)
    assert panel.place.text() == "The prediction is of time point 1, wide-field is seen at time point 2."
    panel.contrast.setCurrentIndex(panel.contrast.findData("layers"))
    assert viewer.dims.current_step[:2] == (2, 1)  # who moved the slider is left alone
    panel.leave_button.click()
    assert panel.place.text() == ""
    assert viewer.dims.current_step[:2] == (2, 0)


def test_what_belongs_to_the_newest_is_ticked(dock: Any, viewer: Any, stack: Data) -> None:
    """As an aligned pair, and then its prediction; but not once the user has ticked."""
    panel = dock.compare_panel
    for name, data in (("confocal", stack), ("wide-field", stack[:, :30])):
        viewer.add_image(data, name=name)
    assert [layer.name for layer in panel.ticked()] == ["confocal", "wide-field"]
    for name in ("wide-field (aligned)", "confocal (aligned)"):
        viewer.add_image(stack[:, :20], name=name)
    assert [layer.name for layer in panel.ticked()] == ["wide-field (aligned)", "confocal (aligned)"]
    viewer.add_image(stack[:, :20], name="wide-field (aligned) (confocal-like)")
    assert len(panel.ticked()) == 3
    tick(panel, "confocal", "wide-field (aligned)")
    viewer.add_image(stack[:, :20], name="other")
    assert [layer.name for layer in panel.ticked()] == ["confocal", "wide-field (aligned)", "other"]


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
