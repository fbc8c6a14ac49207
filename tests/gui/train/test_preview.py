"""The preview of a training: its pictures, and the view that is put back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from napari_deep3d.core.events import Preview
from napari_deep3d.gui.train.preview import where_structure_is
from napari_deep3d.gui.train.preview_panel import MAX_PICTURES, thinned
from tests.helpers.gui import PLACE, SPACING_UM, FakeTraining, view_of
from tests.helpers.train_panel import PREVIEWS, finish, start, wait_end, wait_layers


def test_the_preview_goes_back_and_forth(ready: Any, model: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=4)
    preview = ready.preview
    assert [layer.name for layer in model.layers] == PREVIEWS
    for layer in model.layers:
        assert tuple(layer.scale) == SPACING_UM
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        assert layer.axis_labels == ("z", "y", "x")
    assert np.array_equal(model.layers[0].data, training.region)
    assert model.layers[1].data[0, 0, 0] == pytest.approx(0.4)
    assert model.layers[1].contrast_limits == model.layers[2].contrast_limits
    assert model.canvas.grid.enabled
    assert model.dims.order == (1, 0, 2)
    assert preview.step.text() == "Test region at step 4 (newest)"
    preview.slider.setValue(1)
    assert preview.step.text() == "Test region at step 2"
    assert model.layers[1].data[0, 0, 0] == pytest.approx(0.2)
    training.gate.release()
    qtbot.waitUntil(lambda: len(preview.steps) == 5)
    assert model.layers[1].data[0, 0, 0] == pytest.approx(0.2)  # who went back stays there
    preview.slider.setValue(4)
    training.gate.release()
    qtbot.waitUntil(lambda: len(preview.steps) == 6)
    assert model.layers[1].data[0, 0, 0] == pytest.approx(0.6)
    preview.section.setCurrentIndex(1)
    assert model.dims.order == (0, 1, 2)
    finish(qtbot, ready, training)
    preview.button.click()
    wait_layers(qtbot, model, 0)
    assert preview.steps == []
    assert not preview.isVisibleTo(ready)


def test_pictures_before_a_stop_are_there_after_resuming(
    ready: Any, model: Any, qtbot: Any, training: FakeTraining
) -> None:
    start(qtbot, ready, training, steps=3)
    ready.run_button.button.click()
    wait_end(qtbot, ready)
    assert ready.preview.steps == [1, 2, 3]
    training.gate.release(9)
    ready.resume_bar.resume.click()
    wait_end(qtbot, ready)
    assert ready.preview.steps == list(range(1, 9))
    ready.preview.slider.setValue(0)
    assert ready.preview.step.text() == "Test region at step 1"
    assert model.layers[1].data[0, 0, 0] == pytest.approx(0.1)
    start(qtbot, ready, training, steps=1)
    assert ready.preview.steps == [1]  # another training begins without them
    finish(qtbot, ready, training)


def test_pictures_are_thinned_out() -> None:
    pictures: list[Preview] = []
    for step in range(200):
        voxels = np.zeros((1, 1, 1), np.float32)
        pictures = thinned([*pictures, Preview(step, voxels, voxels, voxels)])
        assert len(pictures) <= MAX_PICTURES
    steps = [picture.step for picture in pictures]
    assert (steps[0], steps[-1]) == (0, 199)
    assert np.diff(steps).min() >= 1
    assert np.diff(steps).max() <= 8


def test_the_first_sections_go_through_structure() -> None:
    confocal = np.random.default_rng(0).normal(0, 0.1, (16, 40, 40)).astype(np.float32)
    assert where_structure_is(np.ones_like(confocal)) == (8, 20, 20)
    confocal[2:5, 26:35, 5:14] += 1
    assert np.abs(np.subtract(where_structure_is(confocal), (3, 30, 9))).max() <= 1


@pytest.mark.parametrize("has_layers", [True, False])
def test_the_view_is_put_back(
    ready: Any, model: Any, qtbot: Any, training: FakeTraining, stack: Any, has_layers: bool
) -> None:
    if has_layers:
        model.add_image(stack, name="cell", **PLACE)
        model.add_image(stack[None], name="series", scale=(1, *SPACING_UM), units=("s", *PLACE["units"]))
        model.dims.set_point(1, 1.5)
        QApplication.processEvents()
    before, count = view_of(model), len(model.layers)
    start(qtbot, ready, training, steps=2)
    assert [layer.name for layer in model.layers if layer.visible] == PREVIEWS
    assert model.dims.point[-2] == pytest.approx(where_structure_is(training.region)[1] * 0.2)
    ready.preview.button.click()
    assert not any(layer.visible for layer in model.layers[count:])
    wait_layers(qtbot, model, count)
    assert view_of(model) == before
    training.gate.release()
    qtbot.waitUntil(lambda: len(ready.preview.steps) == 3)
    assert view_of(model) == before  # hidden stays hidden
    ready.preview.button.click()
    assert model.layers[-2].data[0, 0, 0] == pytest.approx(0.3)
    model.layers.remove(model.layers[-1])
    wait_layers(qtbot, model, count)
    assert view_of(model) == before
    assert ready.preview.button.text() == "Show preview"
    finish(qtbot, ready, training)


def test_the_grid_switched_off_hides_the_preview(ready: Any, model: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=2)
    model.canvas.grid.enabled = False
    wait_layers(qtbot, model, 0)
    assert ready.preview.button.text() == "Show preview"
    finish(qtbot, ready, training)
    assert len(model.layers) == 0
    assert ready.preview.steps == list(range(1, 9))


def test_layers_in_pixels_do_not_disturb(
    ready: Any, model: Any, qtbot: Any, training: FakeTraining, stack: Any
) -> None:
    model.add_image(stack, name="in pixels")
    before = view_of(model)
    start(qtbot, ready, training)
    assert [layer.name for layer in model.layers if layer.visible] == PREVIEWS
    ready.preview.button.click()
    wait_layers(qtbot, model, 1)
    assert view_of(model) == before
