"""Training beside the other tabs, in a real viewer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.volume import Volume
from napari_deep3d.gui.register.panel import RegisterPanel
from napari_deep3d.gui.shared import make_member
from napari_deep3d.gui.train.panel import TrainPanel
from napari_deep3d.jobs.models.store import find_model, list_models, model_info, user_folder
from napari_deep3d.jobs.pairs import LoadedPair
from tests.helpers.gui import (
    PLACE,
    SPACING_UM,
    FakePrediction,
    FakeRegistration,
    FakeTraining,
    texture_pair,
    view_of,
)
from tests.helpers.train_panel import finish, names, start, wait_layers


@pytest.fixture
def panels(panels: dict[str, Any], fake: FakePrediction, make_panel: Callable[..., TrainPanel]) -> dict[str, Any]:
    fake.list_models = list_models
    return panels | {"train": make_panel, "register": partial(RegisterPanel, register=FakeRegistration())}


@pytest.fixture
def panel(dock: Any) -> Any:
    dock.show_panel("Train")
    return dock.train_panel


def test_a_registered_pair_goes_on_the_list(panel: Any, dock: Any, viewer: Any, qtbot: Any) -> None:
    confocal, widefield = texture_pair()
    viewer.add_image(widefield, name="cell, wide-field", **PLACE)
    viewer.add_image(confocal, name="cell, confocal", **PLACE)
    register = dock.register_panel
    register.estimate.button.click()
    qtbot.waitUntil(lambda: register.overlay.is_active)
    assert not register.result_actions.train_button.isVisibleTo(register)
    register.result_actions.apply.button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 4)
    register.result_actions.train_button.click()
    assert register.result_actions.message.text() == "'cell' is on the list of the Train tab."
    assert not register.result_actions.train_button.isVisibleTo(register)  # once is enough
    qtbot.waitUntil(lambda: names(panel) == ["cell"])
    (member,) = panel.pairs.members()
    assert member.facts.spacing_um == SPACING_UM
    assert np.array_equal(member.pair.widefield.data, viewer.layers["cell, wide-field (aligned)"].data)
    assert np.array_equal(member.pair.confocal.data, viewer.layers["cell, confocal (aligned)"].data)


def test_only_one_view_is_on(
    ready: Any, dock: Any, viewer: Any, qtbot: Any, training: FakeTraining, stack: Any
) -> None:
    for name in "ab":
        viewer.add_image(stack, name=name, **PLACE)
    before = view_of(viewer)
    start(qtbot, ready, training, steps=2)
    dock.show_panel("Compare")
    assert [layer.name for layer in dock.compare_panel.ticked()] == ["a", "b"]
    dock.compare_panel.enter_button.click()
    wait_layers(qtbot, viewer, 2)
    training.gate.release()
    qtbot.waitUntil(lambda: len(ready.preview.steps) == 3)
    assert dock.compare_panel.view.is_active
    dock.show_panel("Train")
    ready.preview.button.click()
    assert not dock.compare_panel.view.is_active
    ready.preview.button.click()
    wait_layers(qtbot, viewer, 2)
    assert view_of(viewer) == before
    finish(qtbot, ready, training)


def test_a_preview_does_not_take_the_view_from_another_tab(
    ready: Any, dock: Any, viewer: Any, qtbot: Any, training: FakeTraining
) -> None:
    training.hold()
    ready.run_button.button.click()
    dock.show_panel("Predict")
    training.gate.release(2)
    qtbot.waitUntil(lambda: len(ready.preview.steps) == 2)
    assert len(viewer.layers) == 0
    dock.show_panel("Train")
    training.gate.release()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)
    finish(qtbot, ready, training)


def test_the_new_model_is_chosen_in_predict(
    ready: Any, dock: Any, viewer: Any, qtbot: Any, training: FakeTraining
) -> None:
    start(qtbot, ready, training)
    choice = dock.predict_panel.model.choice
    assert "my model" in [choice.itemText(i) for i in range(choice.count())]
    assert choice.currentText() == "generalist"
    assert ready.options.start.findText("my model") > 0
    ready.predict_button.click()
    assert dock.tabs.tabText(dock.tabs.currentIndex()) == "Predict"
    assert choice.currentText() == dock.session.model == "my model"
    assert find_model("my model").parent == user_folder()
    wait_layers(qtbot, viewer, 0)


def test_memory_is_given_back(panel: Any, viewer: Any, qtbot: Any, training: FakeTraining) -> None:
    def add() -> Any:
        stacks = [Volume(np.zeros((8, 32, 40), np.float32), SPACING_UM) for _ in range(2)]
        panel.add_pair(LoadedPair("cell", *stacks))
        return weakref.ref(stacks[0].data)

    voxels, region = add(), weakref.ref(training.region)
    qtbot.waitUntil(lambda: names(panel) == ["cell"])
    start(qtbot, panel, training)
    panel.pairs.rows[0].item.setSelected(True)
    panel.adder.remove_button.click()
    panel.preview.button.click()
    training.asked.clear()
    del training.region

    def is_gone() -> bool:
        gc.collect()
        return voxels() is None and region() is None

    qtbot.waitUntil(is_gone, timeout=5000)


@pytest.mark.parametrize("way", ["dock", "viewer"])
def test_closing_stops_and_saves(
    ready: Any, dock: Any, viewer: Any, qtbot: Any, training: FakeTraining, stack: Any, way: str
) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    before = view_of(viewer)
    start(qtbot, ready, training, steps=2)
    if way == "dock":
        viewer.window.remove_dock_widget(dock)
        assert model_info("my model").training["steps"] == 2  # written before the dock has gone
        wait_layers(qtbot, viewer, 1)
        assert view_of(viewer) == before
    else:
        viewer.close()
    assert training.ended.wait(2)


def test_the_list_of_pairs_outlives_the_dock(
    panel: Any, dock: Any, viewer: Any, qtbot: Any, panels: dict[str, Any]
) -> None:
    from napari_deep3d.gui.widget import Deep3DWidget

    confocal, widefield = texture_pair()
    qtbot.wait(20)  # the dock settles in
    stacks = Volume(widefield, SPACING_UM), Volume(confocal, SPACING_UM)
    panel.pairs.add(make_member(LoadedPair(name, *stacks)) for name in "ab")
    panel.pairs.rows[1].test_only.setChecked(True)
    viewer.window.remove_dock_widget(dock)
    again = Deep3DWidget(viewer, **panels)
    viewer.window.add_dock_widget(again, name="Deep3D again")
    qtbot.waitUntil(lambda: names(again.train_panel) == ["a", "b"])
    assert again.train_panel.pairs.held_out() == ("b",)
