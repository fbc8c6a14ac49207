"""The Register panel in a real viewer: with a registration that goes on when told to, and once with the real one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.volume import Volume
from napari_deep3d.gui.register.panel import RegisterPanel
from napari_deep3d.gui.widget import MIN_WIDTH
from napari_deep3d.jobs.register import load_transform, save_transform
from tests.helpers.gui import PLACE, SHIFT_UM, SPACING_UM, FakeRegistration, texture_pair, view_of

SCROLL_BAR = 20
OFFSET = (2.0, 5.0, -3.0)
ESTIMATED = "Shift z 1.00 um, y -0.60 um, x 0.80 um; confidence high (0.97)"


@pytest.fixture
def found() -> FakeRegistration:
    """Takes the place of the real registration."""
    return FakeRegistration()


@pytest.fixture
def open_panel(model: ViewerModel, found: FakeRegistration, qtbot: Any) -> Iterator[Callable[..., Any]]:
    """Opens the panel on a viewer without a window, by default with the fake registration."""
    opened = []

    def opens(register: Any = found) -> RegisterPanel:
        opened.append(RegisterPanel(model, register=register))
        qtbot.addWidget(opened[-1])
        return opened[-1]

    yield opens
    for panel in opened:
        panel.shut_down()


@pytest.fixture
def pair(model: ViewerModel) -> tuple[Any, Any]:
    """A wide-field and a confocal layer."""
    return add_pair(model)


@pytest.fixture
def panel(open_panel: Callable[..., Any], pair: Any) -> Any:
    """The panel on a viewer with a pair, without a window."""
    return open_panel()


@pytest.fixture
def panels(panels: dict[str, Any], found: FakeRegistration) -> dict[str, Any]:
    """The dock's panels, with the fake registration."""
    return panels | {"register": partial(RegisterPanel, register=found)}


def add_pair(viewer: Any) -> tuple[Any, Any]:
    confocal, widefield = texture_pair()
    return (
        viewer.add_image(widefield, name="cell, wide-field", translate=OFFSET, **PLACE),
        viewer.add_image(confocal, name="cell, confocal", colormap="cyan", visible=False, **PLACE),
    )


def estimate(qtbot: Any, panel: Any) -> None:
    panel.estimate.button.click()
    qtbot.waitUntil(lambda: panel.estimate.button.text() == "Estimate shift", timeout=20_000)


def offset(layer: Any) -> list[float]:
    """Where the first voxel lies in the world."""
    return [round(float(v), 6) for v in layer.data_to_world((0, 0, 0))]


def moved(*by_um: float) -> list[float]:
    """Where the confocal stack's first voxel lies when its shift is that."""
    return [round(a + b, 6) for a, b in zip(OFFSET, by_um, strict=True)]


# Choosing


def test_hints_say_what_is_missing(open_panel: Callable[..., Any], model: Any, found: FakeRegistration) -> None:
    panel = open_panel()
    assert panel.empty.isVisibleTo(panel)
    confocal, widefield = texture_pair()
    first = model.add_image(confocal, name="a", **PLACE)
    assert panel.hint.text().startswith("A second stack is needed")
    assert not panel.estimate.button.isEnabled()
    model.add_image(widefield, name="my Widefield", **PLACE)
    assert not panel.hint.isVisibleTo(panel)
    names = [part.choice.layer.name for part in (panel.chooser.widefield, panel.chooser.confocal)]
    assert names == ["my Widefield", "a"]
    assert panel.chooser.confocal.facts.text() == "16 x 64 x 64, 0.5 x 0.2 x 0.2 um"
    assert panel.estimate.button.isEnabled()
    panel.chooser.widefield.choice.choose_layer(first)
    assert panel.chooser.problem.text().startswith("The same layer is chosen twice")
    assert not panel.estimate.button.isEnabled()


def test_a_missing_voxel_size_is_asked_for_and_written_to_the_layers(
    open_panel: Callable[..., Any], model: Any, qtbot: Any, found: FakeRegistration
) -> None:
    panel = open_panel()
    layers = [model.add_image(data, name=name) for data, name in zip(texture_pair(), ("confocal", "wide"), strict=True)]
    part = panel.chooser.widefield
    assert "no voxel size" in part.voxel_size.reason.text()
    assert not panel.estimate.button.isEnabled()
    for form in (part.voxel_size, panel.chooser.confocal.voxel_size):
        form.z_um.setValue(0.5)
        form.xy_um.setValue(0.2)
    estimate(qtbot, panel)
    assert [tuple(layer.scale) for layer in layers] == [SPACING_UM, SPACING_UM]
    assert found.asked[0][0].spacing_um == SPACING_UM
    assert panel.overlay.is_active


def test_settings_become_the_config(panel: Any, qtbot: Any, found: FakeRegistration) -> None:
    panel.options.transform.setCurrentText("shift, rotation and magnification")
    panel.options.advanced.fields["method"].value = "cross-correlation"
    panel.options.max_shift_z.setValue(4)
    estimate(qtbot, panel)
    config = found.asked[0][2]
    assert (config.transform, config.method) == ("similarity", "cross-correlation")
    assert config.max_shift_um == (4, 10_000, 10_000)


# Estimating


def test_the_real_thing_from_estimate_to_aligned_pair(
    open_panel: Callable[..., Any], model: Any, qtbot: Any, pair: Any
) -> None:
    panel, (widefield, confocal) = open_panel(register_volumes), pair
    estimate(qtbot, panel)
    assert panel.message.text() == ""
    shift = [plot.marker.value() for plot in panel.readout.plots.plots]
    assert shift == pytest.approx(SHIFT_UM, abs=0.1)
    assert offset(confocal) == pytest.approx(moved(*shift), abs=1e-5)
    for plot in panel.readout.plots.plots:
        curve = plot.psf.getData()
        assert curve[0][int(np.argmax(curve[1]))] == pytest.approx(plot.marker.value(), abs=0.3)
    for axis, um in enumerate(SHIFT_UM):
        panel.readout.plots.moved.emit(axis, um)
    panel.result_actions.apply.button.click()
    qtbot.waitUntil(lambda: len(model.layers) == 4)
    aligned = [model.layers[f"{layer.name} (aligned)"] for layer in pair]
    assert aligned[0].data.shape == aligned[1].data.shape
    assert np.corrcoef(aligned[0].data.ravel(), aligned[1].data.ravel())[0, 1] > 0.6
    for layer in aligned:
        assert tuple(layer.scale) == SPACING_UM
        assert layer.units == widefield.units
        assert layer.axis_labels == ("z", "y", "x")
        assert layer.metadata["napari-deep3d"]["method"] == "by hand"
    first = np.rint(widefield.world_to_data(aligned[0].data_to_world((0, 0, 0)))).astype(int)
    assert np.array_equal(aligned[0].data[0], widefield.data[first[0], first[1] :, first[2] :][:61, :60])
    assert offset(confocal) == [0, 0, 0]
    assert confocal.colormap.name == "cyan"
    assert [layer.visible for layer in (*pair, *aligned)] == [False, False, True, True]


def test_the_result_is_shown_in_words_plots_and_overlay(
    panel: Any, model: Any, qtbot: Any, pair: Any, found: FakeRegistration
) -> None:
    found.notices = ("1.2% of the stack is saturated.",)
    estimate(qtbot, panel)
    assert panel.readout.shift.text() == ESTIMATED
    assert panel.readout.notices.text() == "1.2% of the stack is saturated."
    widefield, confocal = pair
    assert (widefield.colormap.name, confocal.colormap.name) == ("green", "magenta")
    assert {layer.blending for layer in pair} == {"additive"}
    assert all(layer.visible for layer in pair)
    assert model.dims.order == (1, 0, 2)
    assert offset(confocal) == moved(*SHIFT_UM)
    assert [plot.marker.value() for plot in panel.readout.plots.plots] == list(SHIFT_UM)
    assert panel.minimumSizeHint().width() <= MIN_WIDTH - SCROLL_BAR


def test_a_refusal_is_shown_and_lifted_by_hand(panel: Any, qtbot: Any, found: FakeRegistration) -> None:
    found.confidence, found.refusal = 0.2, "No alignment was found that can be trusted."
    estimate(qtbot, panel)
    assert "confidence low (0.20)" in panel.readout.shift.text()
    assert panel.readout.refusal.text() == found.refusal
    assert not panel.result_actions.apply.button.isEnabled()
    panel.readout.nudge.buttons[0].click()
    assert not panel.readout.refusal.isVisibleTo(panel)
    assert panel.result_actions.apply.button.isEnabled()
    panel.readout.back_button.click()
    assert not panel.result_actions.apply.button.isEnabled()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("the confocal stack is constant. Choose another."), "the confocal stack is constant"),
        (RuntimeError("boom"), "The registration ended with an error (RuntimeError: boom)"),
    ],
)
def test_a_failure_keeps_what_was_there(
    panel: Any, qtbot: Any, pair: Any, found: FakeRegistration, error: Exception, sentence: str
) -> None:
    estimate(qtbot, panel)
    found.error = error
    estimate(qtbot, panel)
    assert sentence in panel.message.text()
    assert panel.readout.shift.text() == ESTIMATED
    assert offset(pair[1]) == moved(*SHIFT_UM)
    assert panel.estimate.button.isEnabled()


def test_stop_is_heeded_within_a_second(panel: Any, qtbot: Any, found: FakeRegistration) -> None:
    found.hold()
    panel.estimate.button.click()
    assert panel.estimate.button.text() == "Stop"
    assert not panel.chooser.isEnabled()
    qtbot.waitUntil(lambda: panel.estimate.bar.value() == 250)
    start = time.perf_counter()
    estimate(qtbot, panel)
    assert time.perf_counter() - start < 1
    assert panel.message.text() == "Stopped."
    assert panel.chooser.isEnabled()
    assert not panel.overlay.is_active


@pytest.mark.parametrize("when", ["estimating", "seen"])
def test_closing_the_dock_leaves_no_thread_and_no_trace(
    dock: Any, viewer: Any, qtbot: Any, found: FakeRegistration, when: str
) -> None:
    panel, pair = dock.register_panel, add_pair(viewer)
    before = view_of(viewer)
    if when == "estimating":
        found.hold()
        panel.estimate.button.click()
        qtbot.waitUntil(lambda: panel.estimate.bar.value() == 250)
    else:
        estimate(qtbot, panel)
        panel.controls.overlay_style.setCurrentIndex(1)
    viewer.window.remove_dock_widget(dock)
    assert view_of(viewer) == before
    assert [layer.name for layer in viewer.layers] == [layer.name for layer in pair]
    assert offset(pair[1]) == [0, 0, 0]
    assert "B" not in [str(key) for key in viewer.keymap]


# Looking


def test_before_and_after_flip_by_button_and_key(panel: Any, model: Any, qtbot: Any, pair: Any) -> None:
    estimate(qtbot, panel)
    panel.controls.before.click()
    assert offset(pair[1]) == [0, 0, 0]
    (flip,) = [function for key, function in model.keymap.items() if str(key) == "B"]
    flip(model)
    assert offset(pair[1]) == moved(*SHIFT_UM)
    flip(model)
    panel.readout.nudge.buttons[0].click()  # who moves it sees it
    assert offset(pair[1]) == moved(1.0, -0.6, 0.6)
    assert not panel.controls.before.isChecked()


def test_back_to_normal_view_restores_everything(panel: Any, model: Any, qtbot: Any, pair: Any) -> None:
    other = model.add_image(np.zeros((8, 32, 40)), name="other", **PLACE)
    model.dims.set_point(0, 3.5)
    QApplication.processEvents()
    before = view_of(model)
    looks = [(layer.colormap.name, layer.blending, offset(layer)) for layer in pair]
    estimate(qtbot, panel)
    assert not other.visible
    panel.controls.orientation.setCurrentText("x-y")
    panel.controls.toggle_button.click()
    QApplication.processEvents()
    assert view_of(model) == before
    assert [(layer.colormap.name, layer.blending, offset(layer)) for layer in pair] == looks
    panel.controls.toggle_button.click()
    assert offset(pair[1]) == moved(*SHIFT_UM)


@pytest.mark.parametrize(("section", "plane"), [("x-y", (8, slice(None), slice(None))), ("x-z", (slice(None), 30))])
def test_a_checkerboard_shows_both_registered(
    panel: Any, model: Any, qtbot: Any, pair: Any, section: str, plane: Any
) -> None:
    estimate(qtbot, panel)
    panel.controls.orientation.setCurrentText(section)
    panel.controls.overlay_style.setCurrentText("checkerboard")
    seen = [layer for layer in model.layers if layer.visible]
    assert [layer.name for layer in seen] == ["cell, wide-field (overlay)", "cell, confocal (overlay)"]
    widefield, confocal = (layer.data[plane] for layer in seen)
    own = pair[0].data[plane]
    shown = widefield != seen[0].data.empty
    assert np.array_equal(widefield[shown], own[shown])
    assert 0.3 < shown.mean() < 0.7
    shifted = np.roll(pair[1].data, (2, -3, 4), axis=(0, 1, 2))[plane]
    inner = (slice(3, -3), slice(5, -5))
    assert confocal[inner][~shown[inner]] == pytest.approx(shifted[inner][~shown[inner]], abs=1e-3)
    assert panel.chooser.layers() == pair
    assert panel.chooser.confocal.chooser.layer_choice.count() == 2
    model.dims.ndisplay = 3
    assert [layer.visible for layer in (*pair, *seen)] == [True, True, False, False]


def test_fine_detail_shows_both_registered_without_haze(panel: Any, model: Any, qtbot: Any, pair: Any) -> None:
    estimate(qtbot, panel)
    panel.controls.overlay_style.setCurrentText("fine detail, no haze")
    seen = [layer for layer in model.layers if layer.visible]
    assert [layer.name for layer in seen] == ["cell, wide-field (overlay)", "cell, confocal (overlay)"]

    def sections() -> list[Any]:
        return [np.asarray(layer.data[:, 30])[3:-3, 5:-5] for layer in seen]

    def likeness() -> float:
        return float(np.corrcoef(*(section.ravel() for section in sections()))[0, 1])

    registered = likeness()
    panel.controls.before.click()
    assert registered > likeness() + 0.3
    panel.controls.before.click()
    for layer, section in zip(seen, sections(), strict=True):
        assert layer.contrast_limits[0] == section.min() == 0
        assert section.max() / 3 < layer.contrast_limits[1] < 3 * section.max()
    panel.controls.overlay_style.setCurrentText("checkerboard")
    assert [layer.contrast_limits for layer in seen] == [layer.contrast_limits for layer in pair]
    panel.controls.overlay_style.setCurrentText("green / magenta")
    assert [layer.name for layer in model.layers if layer.visible] == ["cell, wide-field", "cell, confocal"]


def test_apply_keeps_the_section_that_is_seen(panel: Any, model: Any, qtbot: Any, pair: Any) -> None:
    estimate(qtbot, panel)
    model.dims.set_point(1, 8.0)
    model.scene.camera.zoom = 17
    panel.result_actions.apply.button.click()
    qtbot.waitUntil(lambda: len(model.layers) == 4)
    assert model.dims.order == (1, 0, 2)
    assert model.dims.point[1] == pytest.approx(8.0)
    assert model.scene.camera.zoom == 17
    assert not panel.overlay.is_active
    assert [layer.visible for layer in model.layers] == [False, False, True, True]


def test_the_overlay_goes_through_one_point(panel: Any, model: Any, qtbot: Any, pair: Any) -> None:
    estimate(qtbot, panel)
    model.dims.set_point(1, 8.0)
    seen = model.dims.current_step
    for section in ("x-y", "y-z", "x-z"):
        model.scene.camera.center = (0, 1.0, 1.0)
        panel.controls.orientation.setCurrentText(section)
        assert model.dims.current_step == seen


def test_a_turned_stack_is_resampled_for_looking(
    dock: Any, viewer: Any, qtbot: Any, found: FakeRegistration, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, pair = dock.register_panel, add_pair(viewer)
    turned = np.array([[1, 0, 0, 1.0], [0, 0.8, -0.6, 0], [0, 0.6, 0.8, 0], [0, 0, 0, 1]])
    plain = found.result()
    object.__setattr__(plain, "transform", Transform.from_array(turned))
    monkeypatch.setattr(found, "result", lambda: plain)
    notices = len(notification_manager.records)
    estimate(qtbot, panel)
    assert "turned by 36.9 degrees, magnified 1.000" in panel.readout.shift.text()
    assert [layer.name for layer in viewer.layers if layer.visible] == ["cell, wide-field", "cell, confocal (overlay)"]
    assert len(notification_manager.records) == notices  # napari warns where it cannot draw what it is asked to
    viewer.dims.ndisplay = 3
    position = np.array([2, 10, 12]) * SPACING_UM
    expected = turned[:3, :3] @ position + turned[:3, 3] + OFFSET
    assert pair[1].data_to_world((2, 10, 12)) == pytest.approx(expected)
    viewer.add_image(np.zeros((8, 32, 40)), **PLACE)
    assert panel.readout.isVisibleTo(panel)


# Moving


def test_the_marker_is_dragged_and_clicked(panel: Any, qtbot: Any, pair: Any) -> None:
    estimate(qtbot, panel)
    panel.window().show()
    plot = panel.readout.plots.plots[2]
    QApplication.processEvents()

    def at(um: float) -> QPoint:
        view = plot.getViewBox()
        scene = view.mapViewToScene(QPointF(um, 0.5))
        return plot.mapFromScene(scene)

    def drag(kind: Any, place: QPoint, button: Any, buttons: Any) -> None:
        port = plot.viewport()
        event = QMouseEvent(kind, QPointF(place), QPointF(port.mapToGlobal(place)), button, buttons, no_key)
        QApplication.sendEvent(port, event)

    left, none, no_key = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    drag(QMouseEvent.Type.MouseMove, at(0.8), none, none)
    drag(QMouseEvent.Type.MouseButtonPress, at(0.8), left, left)
    for um in (0.9, 1.1, 1.3):
        time.sleep(0.03)  # pyqtgraph passes over moves that come too fast
        drag(QMouseEvent.Type.MouseMove, at(um), none, left)
    assert panel.readout.shift.text().endswith("set by hand")
    drag(QMouseEvent.Type.MouseButtonRelease, at(1.3), left, none)
    x, profile = plot.marker.value(), plot.psf.getData()
    assert profile[0][int(np.argmax(profile[1]))] == pytest.approx(0.8)  # stays where it was found
    assert x == pytest.approx(1.3, abs=0.05)
    assert offset(pair[1]) == moved(1.0, -0.6, round(x, 6))
    qtbot.mouseClick(plot.viewport(), left, pos=at(0.4))
    assert plot.marker.value() == pytest.approx(0.4, abs=0.05)
    panel.readout.back_button.click()
    assert plot.marker.value() == 0.8
    assert panel.readout.shift.text() == ESTIMATED


def test_nudges_by_button_and_key(panel: Any, qtbot: Any, pair: Any) -> None:
    estimate(qtbot, panel)
    panel.window().show()
    panel.window().activateWindow()
    plots = panel.readout.plots.plots
    for button in panel.readout.nudge.buttons[1::2]:  # x, y, z, all forwards
        button.click()
    assert offset(pair[1]) == moved(1.5, -0.4, 1.0)
    plots[0].setFocus()
    qtbot.waitUntil(plots[0].hasFocus)
    keys = Qt.Key
    for key in (keys.Key_Left, keys.Key_Up, keys.Key_PageUp):
        qtbot.keyClick(plots[0], key)
    assert panel.readout.shift.text() == ESTIMATED
    qtbot.keyClick(plots[0], keys.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    assert offset(pair[1]) == moved(1.0, -0.6, 0.82)
    qtbot.keyClick(plots[0], keys.Key_Left)  # Qt forgets that Shift was held
    assert offset(pair[1]) == moved(1.0, -0.6, 0.62)


# Using it


def test_other_channels_are_aligned_too(panel: Any, model: Any, qtbot: Any, pair: Any) -> None:
    model.add_image(pair[1].data * 2, name="second channel", **PLACE)
    model.add_image(np.zeros((8, 32, 40)), name="unlike", **PLACE)
    estimate(qtbot, panel)
    channels = panel.result_actions.channels
    assert [channels.item(i).text() for i in range(channels.count())] == ["second channel"]
    channels.item(0).setCheckState(Qt.CheckState.Checked)
    panel.result_actions.apply.button.click()
    qtbot.waitUntil(lambda: "second channel (aligned)" in model.layers)
    first, second = (model.layers[f"{name} (aligned)"] for name in ("cell, confocal", "second channel"))
    assert second.data == pytest.approx(2 * first.data)
    assert offset(second) == offset(first) == pytest.approx([3.0, 5.0, -2.2])
    assert "3 aligned layers" in panel.result_actions.message.text()


def test_alignment_that_cannot_be_is_refused(panel: Any, model: Any, qtbot: Any, found: FakeRegistration) -> None:
    estimate(qtbot, panel)
    panel.readout.plots.moved.emit(0, 7.5)
    panel.result_actions.apply.button.click()
    qtbot.waitUntil(lambda: "share only" in panel.result_actions.message.text())
    assert len(model.layers) == 2


def test_the_psf_is_a_layer_in_the_middle_of_the_picture(panel: Any, model: Any, qtbot: Any) -> None:
    estimate(qtbot, panel)
    panel.result_actions.psf_button.click()
    layer = model.layers["PSF (cell, wide-field)"]
    assert tuple(layer.scale) == SPACING_UM
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert layer.data_to_world((4, 4, 4))[1] == pytest.approx(model.dims.point[1])
    assert panel.overlay.is_active


def test_save_and_load(
    panel: Any, model: Any, qtbot: Any, pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shift.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    estimate(qtbot, panel)
    panel.readout.nudge.buttons[1].click()
    panel.result_actions.save_button.click()
    assert panel.result_actions.message.text() == "Saved shift.json."
    assert json.loads(path.read_text())["shift_um"] == pytest.approx([1.0, -0.6, 1.0])
    panel.readout.back_button.click()
    panel.result_actions.load_button.click()
    assert panel.readout.shift.text() == "Shift z 1.00 um, y -0.60 um, x 1.00 um; set by hand"
    assert offset(pair[1]) == moved(1.0, -0.6, 1.0)
    assert not panel.readout.plots.isVisibleTo(panel)
    assert not panel.result_actions.psf_button.isEnabled()
    path.write_text("no registration")
    panel.result_actions.load_button.click()
    assert "no registration of napari-deep3d" in panel.result_actions.message.text()
    assert offset(pair[1]) == moved(1.0, -0.6, 1.0)


def test_files_are_not_replaced_unasked(tmp_path: Path) -> None:
    found = FakeRegistration().result()
    volume = Volume(np.zeros((16, 64, 64), np.float32), SPACING_UM)
    path = save_transform(tmp_path / "shift", found)
    assert path.name == "shift.json"
    for name, overwrite in (("shift.json", False), ("shift", True)):  # the dialog asked about another name
        with pytest.raises(InputError, match="is not replaced"):
            save_transform(tmp_path / name, found, overwrite=overwrite)
    save_transform(path, found, overwrite=True)
    loaded = load_transform(path, volume, volume)
    assert (loaded.transform, loaded.confidence, loaded.method) == (found.transform, 0.97, "psf")
    assert loaded.shift_voxels == pytest.approx(found.shift_voxels)
    assert [file.name for file in tmp_path.iterdir()] == ["shift.json"]
    with pytest.raises(InputError, match="cannot write"):
        save_transform(tmp_path / "missing" / "shift.json", found)
    path.write_text(json.dumps(found.report() | {"confidence": "much"}))
    with pytest.raises(InputError, match="changed by hand"):
        load_transform(path, volume, volume)


def test_only_one_view_is_on(dock: Any, viewer: Any, qtbot: Any) -> None:
    panel, pair = dock.register_panel, add_pair(viewer)
    before = view_of(viewer)
    estimate(qtbot, panel)
    dock.compare_panel.enter_button.click()
    assert not panel.overlay.is_active
    assert offset(pair[1]) == [0, 0, 0]
    panel.controls.toggle_button.click()
    assert not dock.compare_panel.view.is_active
    panel.controls.toggle_button.click()
    QApplication.processEvents()
    assert view_of(viewer) == before


def test_a_removed_layer_ends_the_overlay(panel: Any, model: Any, qtbot: Any, pair: Any) -> None:
    estimate(qtbot, panel)
    panel.controls.overlay_style.setCurrentIndex(1)
    model.layers.remove(pair[1])
    assert not panel.overlay.is_active
    assert not panel.readout.isVisibleTo(panel)
    assert [layer.name for layer in model.layers] == ["cell, wide-field"]
    assert model.dims.order == (0, 1, 2)


def test_a_file_with_both_channels_is_split(
    open_panel: Callable[..., Any], model: Any, qtbot: Any, found: FakeRegistration
) -> None:
    confocal, widefield = texture_pair()
    place = {"scale": (0.5, 1, 0.2, 0.2), "units": ("um", "pixel", "um", "um"), "axis_labels": ("z", "c", "y", "x")}
    model.add_image(np.stack([widefield, confocal], axis=1), name="cell", translate=(1, 0, 2, 3), **place)
    panel = open_panel()
    panel.chooser.split_button.click()
    assert [layer.name for layer in model.layers] == ["channel 0 of cell", "channel 1 of cell"]
    assert panel.chooser.layers() == tuple(model.layers)
    assert not panel.chooser.split_button.isVisibleTo(panel)
    assert all(offset(layer) == [1, 2, 3] for layer in model.layers)
    estimate(qtbot, panel)
    assert np.array_equal(found.asked[0][0].data, confocal)


def test_time_points_follow_the_slider(panel: Any, model: Any, qtbot: Any, found: FakeRegistration) -> None:
    confocal, widefield = texture_pair()
    place = {"scale": (1, *SPACING_UM), "units": ("s", "um", "um", "um"), "axis_labels": ("t", "z", "y", "x")}
    model.layers.clear()
    model.add_image(np.stack([widefield, widefield * 2]), name="wide-field series", **place)
    model.add_image(np.stack([confocal, confocal * 2]), name="confocal series", **place)
    model.dims.set_current_step(0, 0)
    estimate(qtbot, panel)
    panel.controls.overlay_style.setCurrentText("checkerboard")
    model.dims.set_current_step(0, 1)
    assert panel.overlay.is_active
    assert panel.readout.shift.text() == ESTIMATED
    panel.result_actions.apply.button.click()
    qtbot.waitUntil(lambda: "confocal series (aligned)" in model.layers)
    assert [layer.name for layer in model.layers][2:] == ["wide-field series (aligned)", "confocal series (aligned)"]
    aligned = model.layers["wide-field series (aligned)"].data
    assert np.array_equal(aligned, 2 * widefield[2:, :61, 4:])
