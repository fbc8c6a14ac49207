"""The Compare panel: linked pictures, and napari's view as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
from napari.plugins import _initialize_plugins
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, QPointF, QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget

from tests.helpers.gui import PLACE, SPACING_UM, view_of

Data = NDArray[np.uint16]
MOVE_MS = 15
"""Moves of the mouse that follow each other faster are left out by pyqtgraph."""


@pytest.fixture
def panel(model: Any, qtbot: Any, stack: Data) -> Any:
    """The panel beside four stacks, without a window around it."""
    from napari_deep3d.gui.compare.panel import ComparePanel

    add_stacks(model, stack)
    made = ComparePanel(model)
    qtbot.addWidget(made)
    qtbot.addWidget(made.view)
    yield made
    made.shut_down()


def add_stacks(viewer: Any, stack: Data) -> None:
    viewer.add_image(stack, name="wide-field", **PLACE)
    viewer.add_image(stack / 2000, name="confocal-like", colormap="green", contrast_limits=(0, 0.3), **PLACE)
    viewer.add_image(stack, name="confocal", visible=False, **PLACE)
    viewer.add_labels(np.zeros(stack.shape, np.uint8), name="cells", scale=PLACE["scale"], units=PLACE["units"])


def tick(panel: Any, *names: str) -> None:
    items = [panel.choices.list.item(i) for i in range(panel.choices.list.count())]
    for item in sorted(items, key=lambda item: item.text() not in names):
        item.setCheckState(Qt.CheckState.Checked if item.text() in names else Qt.CheckState.Unchecked)


def choose(choice: Any, value: object) -> None:
    choice.setCurrentIndex(choice.findData(value))


def titles(panel: Any) -> list[str]:
    return [picture.stack.title for picture in panel.view.pictures]


def drag(view: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag with the left button in the first picture, between rows and columns in um."""
    port, picture = view.graphics.viewport(), view.pictures[0]

    def place(row: float, column: float) -> QPoint:
        return view.graphics.mapFromScene(picture.mapViewToScene(QPointF(column, row)))

    QTest.mousePress(port, Qt.MouseButton.LeftButton, pos=place(*start))
    for share in (0.3, 0.6, 1.0):
        here = [a + share * (b - a) for a, b in zip(start, end, strict=True)]
        QTest.qWait(MOVE_MS)
        QTest.mouseMove(port, place(*here))
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, pos=place(*end))
    QApplication.processEvents()


def test_pictures_take_the_place_of_the_canvas_and_give_it_back(dock: Any, viewer: Any, stack: Data) -> None:
    add_stacks(viewer, stack)
    panel, view, window = dock.compare_panel, dock.compare_panel.view, viewer.window._qt_window
    viewer.dims.set_point(0, 1.5)
    before = view_of(viewer)
    lists = [each for each in window.findChildren(QDockWidget) if each.objectName() in ("layer list", "layer controls")]
    panel.enter_button.click()
    choose(panel.choices.orientation, "all three")
    view.set_point((1.0, 2.0, 3.0))
    QApplication.processEvents()
    assert view.isVisibleTo(window)
    assert view.geometry() == window.centralWidget().rect()
    centre, size = window.centralWidget(), QSize(700, 500)
    centre.resize(size)
    QApplication.sendEvent(centre, QResizeEvent(size, size))  # a window that is not shown sends none
    assert view.size() == size
    assert [each.isHidden() for each in lists] == [True, True]
    panel.choices.larger.setChecked(False)
    assert [each.isHidden() for each in lists] == [False, False]
    panel.choices.larger.setChecked(True)
    view.tools.left.emit()
    QApplication.processEvents()
    assert not view.isVisibleTo(window)
    assert [each.isHidden() for each in lists] == [False, False]
    assert view_of(viewer) == before


def test_crosshair_and_line_follow_the_mouse_in_every_section(panel: Any, stack: Data) -> None:
    view = panel.view
    view.resize(600, 500)
    view.show()
    panel.enter_button.click()
    choose(panel.choices.orientation, "all three")
    QApplication.processEvents()

    # 1. The crosshair, in x-y and then in x-z below it.
    view.set_point((1.5, 1.0, 1.0))
    drag(view, (1.0, 2.0), (3.0, 5.0))
    assert view.point_um == pytest.approx((1.5, 3.0, 5.0), abs=0.1)
    below = view.placements[1]
    drag(view, (0.5 + below.shift[0], 2.0), (2.5 + below.shift[0], 4.0))
    assert view.point_um == pytest.approx((2.5, 3.0, 4.0), abs=0.1)
    assert all(np.array_equal(picture.images[0].image, stack[5]) for picture in view.pictures[::2])

    # 2. A line, then one of its ends in another section: a line in 3D.
    view.tools.buttons["line"].click()
    drag(view, (1.0, 1.0), (5.0, 6.0))
    assert view.line_um is not None
    assert view.line_um[0] == pytest.approx((2.5, 1.0, 1.0), abs=0.1)
    assert view.line_um[1] == pytest.approx((2.5, 5.0, 6.0), abs=0.1)
    assert view.line_normal == 0
    drag(view, (2.5 + below.shift[0], 6.0), (0.5 + below.shift[0], 6.0))
    assert view.line_um[1] == pytest.approx((0.5, 5.0, 6.0), abs=0.1)
    assert view.line_normal is None
    assert panel.profile.line.currentData() == "line"
    length = np.linalg.norm(np.subtract(*view.line_um))
    assert panel.profile.profiles["confocal"].distance_um[-1] == pytest.approx(length)
    assert view.point_um == pytest.approx((2.5, 3.0, 4.0), abs=0.1)


def test_sections_are_linked_and_go_through_one_point(panel: Any, model: Any, stack: Data) -> None:
    model.dims.set_point(0, 2.0)
    model.scene.camera.center = (0, 3.0, 4.0)
    tick(panel, "wide-field", "confocal")
    panel.enter_button.click()
    view = panel.view
    assert titles(panel) == ["wide-field", "confocal"]
    assert view.point_um == pytest.approx((2.0, 3.0, 4.0))  # what was seen
    z, y, x = 4, 15, 20
    for section, expected in (("x-z", stack[:, y]), ("x-y", stack[z]), ("y-z", stack[:, :, x])):
        choose(panel.choices.orientation, section)
        assert view.point_um == pytest.approx((2.0, 3.0, 4.0))
        for picture in view.pictures:
            assert np.array_equal(picture.images[0].image, expected)
    view.slider.slider.setValue(7)
    QApplication.processEvents()
    assert view.point_um == pytest.approx((2.0, 3.0, 7 * 0.2))
    assert view.slider.place.text() == "x 1.40 um (8 of 40)"
    view.pictures[0].setRange(xRange=(1, 2), yRange=(1, 2))
    assert view.pictures[1].viewRange() == view.pictures[0].viewRange()
    zoomed = view.pictures[0].viewRange()
    choose(panel.choices.contrast, "layers")
    assert view.pictures[0].viewRange() == zoomed


def test_one_at_a_time_in_one_place(panel: Any) -> None:
    """The next stack is put in the place of the one on show; the test's window gets no keys."""
    view = panel.view
    view.resize(600, 500)
    view.show()
    panel.enter_button.click()
    view.tools.single_button.click()
    seen, zoom = [titles(panel)], view.pictures[0].viewRange()
    for _ in range(3):
        view.tools.next.emit()
        seen.append(titles(panel))
    assert seen == [["wide-field"], ["prediction"], ["confocal"], ["wide-field"]]
    assert view.pictures[0].viewRange() == zoom
    assert len(panel.profile.profiles) == 3
    view.tools.single_button.click()
    assert len(view.pictures) == 3


def test_contrast_is_each_its_own_or_common_or_the_layers(panel: Any, model: Any) -> None:
    tick(panel, "wide-field", "confocal-like")
    panel.enter_button.click()

    def limits() -> list[Any]:
        return [tuple(picture.images[0].levels) for picture in panel.view.pictures]

    assert limits()[0] == pytest.approx((100, 1119), abs=2)
    assert limits()[1] == pytest.approx((0.05, 0.56), abs=0.01)
    choose(panel.choices.contrast, "common")  # counts beside predicted values: the prediction would be black
    assert panel.choices.contrast.currentData() == "each"
    assert "would hide some: prediction 0.05 to 0.559, wide-field 100 to 1.12e+03" in panel.choices.note.text()
    choose(panel.choices.contrast, "layers")
    assert limits()[1] == (0, 0.3)
    model.layers["confocal-like"].contrast_limits = (0.1, 0.2)
    assert limits()[1] == (0.1, 0.2)
    model.layers["confocal"].data = model.layers["wide-field"].data * 3
    tick(panel, "wide-field", "confocal")
    choose(panel.choices.contrast, "common")
    assert limits()[0] == limits()[1] == pytest.approx((100, 3 * 1119), abs=6)
    assert model.layers["wide-field"].contrast_limits != list(limits()[0])  # the layers keep theirs


def test_values_and_profiles_are_read_of_all_in_um(panel: Any, model: Any, qtbot: Any, stack: Data) -> None:
    """Wherever the layers lie, and whatever their voxel size."""
    coarse = model.layers["confocal"]
    coarse.data, coarse.scale, coarse.translate = stack[:, ::2, ::2], (0.5, 0.4, 0.4), (0.5, 0.0, 0.0)
    tick(panel, "wide-field", "confocal-like", "confocal")
    panel.enter_button.click()
    panel.view.set_point((2.0, 2.0, 3.2))
    qtbot.waitUntil(lambda: panel.readout.text().startswith("z 2.00, y 2.00, x 3.20 um"))
    text = panel.readout.text()
    for title, value in {"wide-field": stack[4, 10, 16], "confocal": stack[3, 10, 16]}.items():
        assert f"<td>{title}</td><td align='right'>&nbsp;&nbsp;<b>{value}</b>" in text
    assert f"<b>{stack[4, 10, 16] / 2000:.4g}</b>" in text
    profile = panel.profile.profiles["wide-field"]  # along z: planes 2 to 4 are bright
    assert profile.fwhm_um == pytest.approx(1.5, abs=0.1)
    qtbot.waitUntil(lambda: f"&nbsp; {profile.fwhm_um:.2f}</td>" in panel.profile.table.text())
    choose(panel.profile.line, 2)
    assert panel.profile.profiles["wide-field"].fwhm_um == pytest.approx(15 * 0.2, abs=0.1)
    choose(panel.profile.line, "line")
    assert panel.profile.problem.text().startswith("Choose Profile line")
    panel.view.hovered.emit((-9.0, -9.0, -9.0))
    qtbot.waitUntil(lambda: panel.readout.text().count("<b>-</b>") == 3)


def test_stacks_on_disk_are_read_in_a_worker(panel: Any, model: Any, qtbot: Any, stack: Data) -> None:
    model.layers["confocal"].data = dask.array.from_array(stack, chunks=(1, 32, 40))
    tick(panel, "wide-field", "confocal")
    panel.enter_button.click()
    panel.view.set_point((2.0, 2.0, 3.2))
    second = panel.view.pictures[1].images[0]
    qtbot.waitUntil(lambda: second.image is not None and np.array_equal(second.image, stack[:, 10]))
    qtbot.waitUntil(lambda: "confocal" in panel.profile.profiles)


def test_sections_that_were_read_for_another_view_are_not_shown(
    panel: Any, model: Any, qtbot: Any, stack: Data
) -> None:
    """The answer of the worker comes while other sections are on show already."""
    model.layers["confocal"].data = dask.array.from_array(stack, chunks=(1, 32, 40))
    tick(panel, "wide-field", "confocal")
    panel.enter_button.click()
    choose(panel.choices.orientation, "all three")
    view, read = panel.view, []
    view._later.ended.connect(read.append)
    qtbot.waitUntil(lambda: bool(read))
    assert "being read" not in view.pictures[1].title.toPlainText()
    choose(panel.choices.orientation, "x-y")
    assert "being read" in view.pictures[1].title.toPlainText()
    view._on_read(read[0])
    assert view.pictures[1].images[0].image is None
    index = int(view.point_um[0] / SPACING_UM[0] + 0.5)
    qtbot.waitUntil(lambda: view.pictures[1].images[0].image is not None)
    assert np.array_equal(view.pictures[1].images[0].image, stack[index])


def test_numbers_and_difference_against_the_reference(panel: Any, model: Any, qtbot: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 50, model.layers["wide-field"].data.shape)
    model.layers["wide-field"].data = model.layers["wide-field"].data + noise
    tick(panel, "wide-field", "confocal-like", "confocal")
    panel.enter_button.click()
    numbers = panel.numbers
    qtbot.waitUntil(lambda: numbers.numbers is not None)
    assert numbers.about.text().startswith("Against confocal, after the best scale and offset. Estimates.")
    assert "<td>prediction</td><td align='right'>&nbsp;&nbsp; <b>0.000</b></td>" in numbers.table.text()
    assert "<tr><td>confocal</td><td align='right'>&nbsp;&nbsp; -</td>" in numbers.table.text()
    own = numbers.numbers.alone.figures["prediction"]["resolution x-y (um)"]
    assert (f"{own:.2f}</td>" in numbers.table.text()) or np.isnan(own)
    choose(numbers.kind, "ssim_fit")
    depth, values = numbers.curves[1].getData()
    assert (depth.min(), depth.max()) == (1.5, 2.0)  # the windows that fit in
    assert values == pytest.approx(1, abs=1e-3)

    panel.choices.difference.setChecked(True)
    qtbot.waitUntil(lambda: titles(panel)[-1] == "prediction - confocal")
    picture = panel.view.pictures[-1]
    qtbot.waitUntil(lambda: picture.images[0].image is not None)
    assert np.abs(picture.images[0].image).max() < 1e-3
    panel.export.save_tables(tmp_path / "cell.csv")
    panel.export.save_picture(tmp_path / "cell.svg")
    panel.export.save_report(tmp_path / "cell.html")
    made = [tmp_path / f"cell{ending}" for ending in (".svg", "-depth.csv", ".html")]
    qtbot.waitUntil(lambda: all(path.exists() for path in made), timeout=60_000)

    choose(panel.choices.reference, None)
    assert len(panel.view.pictures) == 3
    qtbot.waitUntil(lambda: numbers.numbers is not None)
    assert numbers.about.text().startswith("No confocal stack is ticked: what the stacks say by themselves.")
    assert "resolution z (um)" in numbers.table.text()
    assert panel._report().reference is None
    choose(panel.choices.reference, model.layers["wide-field"])
    qtbot.waitUntil(lambda: numbers.numbers is not None)
    assert numbers.about.text().startswith("Against wide-field")


def test_layers_that_come_and_go_meanwhile(panel: Any, model: Any, stack: Data) -> None:
    panel.enter_button.click()
    assert len(panel.view.pictures) == 3
    model.layers.remove("confocal-like")
    assert titles(panel) == ["wide-field", "confocal"]
    model.add_image(stack, name="new", **PLACE)
    assert titles(panel) == ["wide-field", "confocal", "new"]
    tick(panel, "wide-field", "confocal")
    model.layers.remove("confocal")
    assert not panel.view.is_active
    assert panel.view.pictures == []


def test_a_layer_that_is_filled_is_drawn_again(panel: Any, model: Any) -> None:
    tick(panel, "wide-field", "confocal-like")
    panel.enter_button.click()
    layer = model.layers["confocal-like"]
    layer.data[...] = 7
    layer.refresh()
    assert (panel.view.pictures[1].images[0].image == 7).all()


def test_hints_say_what_is_missing(model: Any, qtbot: Any, stack: Data, tmp_path: Path) -> None:
    from napari_deep3d.gui.compare.panel import ComparePanel

    panel = ComparePanel(model)
    qtbot.addWidget(panel)
    assert panel.hint.text().startswith("Two stacks are needed")
    model.add_image(stack, name="a", **PLACE)
    model.add_image(np.zeros((20, 20)), name="flat")
    assert panel.hint.text().startswith("A second stack is needed")
    assert not panel.enter_button.isEnabled()
    model.add_image(stack, name="b")
    panel.enter_button.click()
    assert "b has no voxel size" in panel.problem.text()
    panel.leave_button.click()

    metadata = {"axes": "ZYX", "spacing": SPACING_UM[0], "unit": "um"}
    tifffile.imwrite(tmp_path / "cell.tif", stack, imagej=True, resolution=(5, 5), metadata=metadata)
    _initialize_plugins()  # napari's own readers, which a viewer without a window does not know
    (bare,) = model.open(tmp_path / "cell.tif", plugin="napari")
    tick(panel, "a", "cell")
    panel.enter_button.click()
    assert panel.problem.text() == ""  # the file states it
    assert tuple(bare.scale) == pytest.approx(SPACING_UM)
    panel.shut_down()


def test_a_result_is_seen_beside_its_time_point_and_channel(model: Any, qtbot: Any, stack: Data) -> None:
    from napari_deep3d.gui.compare.panel import ComparePanel

    series = np.zeros((3, 2, *stack.shape), np.uint16)
    series[1, 1] = stack
    model.add_image(series, name="series", axis_labels=("t", "c", "z", "y", "x"))
    about = {"napari-deep3d": {"model": "generalist", "input": {"layer": "series", "time point": 1, "channel": 1}}}
    model.add_image(stack / 2000, name="result", axis_labels=("z", "y", "x"), metadata=about)
    model.dims.set_current_step((0, 1), (2, 0))
    panel = ComparePanel(model)
    qtbot.addWidget(panel)
    panel.enter_button.click()
    assert model.dims.current_step[:2] == (1, 1)
    assert panel.place.text() == ""
    shown = panel.view.pictures[0]
    assert tuple(shown.images[0].levels) == pytest.approx((100, 1119), abs=2)
    panel.series.sliders[0].setValue(2)
    assert panel.place.text() == "The prediction is of time point 1, wide-field is seen at time point 2."
    assert not shown.images[0].image.any()
    choose(panel.choices.contrast, "layers")
    assert model.dims.current_step[:2] == (2, 1)  # who moved the slider is left alone
    panel.leave_button.click()
    assert model.dims.current_step[:2] == (2, 0)
    panel.shut_down()


def test_what_belongs_to_the_newest_is_ticked(model: Any, qtbot: Any, stack: Data) -> None:
    """As an aligned pair, and then its prediction; but not once the user has ticked."""
    from napari_deep3d.gui.compare.panel import ComparePanel

    panel = ComparePanel(model)
    qtbot.addWidget(panel)
    for name, data in (("confocal", stack), ("wide-field", stack[:, :30])):
        model.add_image(data, name=name)
    assert [layer.name for layer in panel.ticked()] == ["confocal", "wide-field"]
    for name in ("wide-field (aligned)", "confocal (aligned)"):
        model.add_image(stack[:, :20], name=name)
    assert [layer.name for layer in panel.ticked()] == ["wide-field (aligned)", "confocal (aligned)"]
    assert panel.choices.reference.currentText() == "confocal"
    model.add_image(stack[:, :20], name="wide-field (aligned) (confocal-like)")
    assert len(panel.ticked()) == 3
    tick(panel, "confocal", "wide-field (aligned)")
    model.add_image(stack[:, :20], name="other")
    assert [layer.name for layer in panel.ticked()] == ["confocal", "wide-field (aligned)", "other"]
    panel.shut_down()


def test_predict_hands_over_stack_and_result(dock: Any, viewer: Any, qtbot: Any, stack: Data) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    viewer.add_image(np.zeros((9, 64, 64)), name="unlike", **PLACE)
    dock.session.choose_layer(viewer.layers["cell"])
    predict = dock.predict_panel
    predict.run_button.button.click()
    qtbot.waitUntil(predict.compare.isEnabled)
    predict.compare.click()
    assert dock.tabs.tabText(dock.tabs.currentIndex()) == "Compare"
    assert titles(dock.compare_panel) == ["wide-field", "prediction"]
