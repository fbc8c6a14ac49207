"""The Train panel in a real viewer, with a training that goes on when told to."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Metrics, Preview
from napari_deep3d.core.volume import Volume
from napari_deep3d.gui.shared.training_pairs import pair_name
from napari_deep3d.gui.train.advanced import LABELS
from napari_deep3d.gui.train.loss_plots import LossPlots
from napari_deep3d.gui.train.preview_panel import MOST, thinned
from napari_deep3d.gui.widget import MIN_WIDTH, Deep3DWidget
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.models import find_model, list_models, model_info, unique_name, user_folder
from napari_deep3d.jobs.pairs import LoadedPair
from napari_deep3d.jobs.run_folder import runs_folder, write_run
from tests.helpers.gui import PLACE, SPACING_UM, FakeRegistration, FakeTraining, texture_pair, view_of, write_model

SCROLL_BAR = 20
PLAN = "CPU (bfloat16), about 15 min, 2.1 GB of 18 GB free memory, about 1900 steps"
PREVIEWS = ["wide-field (test region)", "prediction (test region)", "confocal (test region)"]


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    """Take the place of the real training and its plan."""
    fake = FakeTraining()
    plan = SimpleNamespace(
        device_label="CPU (bfloat16)",
        memory_bytes=2_100_000_000,
        free_bytes=18_000_000_000,
        iterations=1900,
        seconds_per_step=0.5,
        seconds=900.0,
        notices=("There are few pairs.",),
    )
    monkeypatch.setattr("napari_deep3d.gui.train.run.train_model", fake)
    monkeypatch.setattr("napari_deep3d.gui.train.plan.plan_training", lambda *_, **__: plan)
    return fake


@pytest.fixture
def panel(training: FakeTraining, dock: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("napari_deep3d.gui.predict.model_selector.list_models", list_models)
    dock.show_panel("Train")
    return dock.train_panel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three pairs."""
    rng = np.random.default_rng(0)
    for number in range(3):
        for kind in ("widefield", "confocal"):
            (tmp_path / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            data = rng.integers(0, 999, (8 + number, 32, 40), dtype=np.uint16)
            write_stack(tmp_path / "pairs" / kind / f"{'abc'[number]}.ome.tif", data, SPACING_UM)
    return tmp_path / "pairs"


@pytest.fixture
def ready(panel: Any, qtbot: Any, folder: Path) -> Any:
    """The panel with the pairs of the folder on its list."""
    add_folder(qtbot, panel, folder)
    return panel


def add_folder(qtbot: Any, panel: Any, folder: Path) -> None:
    before = len(panel.pairs.members())
    panel.adder.add_folder(folder)
    qtbot.waitUntil(lambda: len(panel.pairs.members()) > before, timeout=5000)


def names(panel: Any) -> list[str]:
    return [member.name for member in panel.pairs.members()]


def tick(panel: Any, row: int) -> None:
    panel.pairs.box(panel.pairs.tree.topLevelItem(row)).click()


def start(qtbot: Any, panel: Any, training: FakeTraining, steps: int | None = None) -> None:
    """Start; wait for a number of steps, or for the end."""
    if steps is not None:
        training.gate = threading.Semaphore(steps)
    panel.controls.start.click()
    if steps is None:
        wait_end(qtbot, panel)
    else:
        qtbot.waitUntil(lambda: panel.controls.bar.value() == 125 * steps, timeout=5000)


def wait_end(qtbot: Any, panel: Any) -> None:
    qtbot.waitUntil(lambda: not panel.summary.isVisibleTo(panel), timeout=20_000)


def call_it(qtbot: Any, panel: Any, name: str) -> None:
    """Type the model's name, as the user does."""
    panel.options.name.selectAll()
    qtbot.keyClicks(panel.options.name, name)


def curve(panel: Any, name: str) -> list[tuple[float, float]]:
    panel.plots.redraw()
    points = panel.plots.curves[name]
    return list(zip(points.xData.tolist(), points.yData.tolist(), strict=True))


def wait_layers(qtbot: Any, viewer: Any, count: int) -> None:
    """The preview's layers go a moment after it is left."""
    qtbot.waitUntil(lambda: len(viewer.layers) == count)
    QApplication.processEvents()


# The list of pairs


def test_without_pairs_it_says_what_one_is(panel: Any) -> None:
    assert "one sample seen by both microscopes" in panel.empty.text()
    for widget in (panel.pairs, panel.options, panel.controls, panel.resume_bar):
        assert not widget.isVisibleTo(panel)
    assert panel.adder.folder_button.isVisibleTo(panel)


def test_a_folder_is_listed(panel: Any, qtbot: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    panel.adder.folder_button.click()
    qtbot.waitUntil(lambda: names(panel) == ["a.ome.tif", "b.ome.tif", "c.ome.tif"])
    assert panel.pairs.tree.topLevelItem(1).text(0) == "b.ome.tif\n9 x 32 x 40\nz 0.5, xy 0.2 um"
    assert not panel.pairs.tree.topLevelItem(0).icon(0).isNull()
    assert panel.split_line.text().startswith("One pair, drawn at random, is kept for testing")
    qtbot.waitUntil(lambda: panel.plan.line.text() == PLAN)
    assert panel.plan.notices.text() == "There are few pairs."
    assert panel.controls.start.isEnabled()
    assert panel.minimumSizeHint().width() <= MIN_WIDTH - SCROLL_BAR
    panel.adder.folder_button.click()
    qtbot.waitUntil(lambda: not panel.adder._runs)
    assert len(names(panel)) == 3  # the same files are not learned from twice
    panel.pairs.tree.topLevelItem(0).setSelected(True)
    panel.adder.remove_button.click()
    assert names(panel) == ["b.ome.tif", "c.ome.tif"]
    assert panel.split_line.text() == ""


def test_a_folder_that_cannot_be_used_says_why(panel: Any, qtbot: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "confocal" / "b.ome.tif").unlink()
    panel.adder.add_folder(folder)
    qtbot.waitUntil(lambda: "have no partner, such as widefield/b.ome.tif" in panel.adder.problem.text())
    write_stack(folder / "confocal" / "b.ome.tif", np.zeros((8, 32, 44), np.uint16), SPACING_UM)
    panel.adder.add_folder(folder)
    qtbot.waitUntil(lambda: panel.adder.problem.text().startswith("b.ome.tif: the wide-field stack has 9 x 32 x 40"))
    assert names(panel) == []


def test_layers_are_added(panel: Any, viewer: Any, qtbot: Any, training: FakeTraining) -> None:
    confocal, widefield = texture_pair()
    viewer.add_image(widefield[:8], name="raw, wide-field", **PLACE)
    viewer.add_image(confocal, name="raw, confocal", **PLACE)
    viewer.add_image(widefield, name="cell, wide-field (aligned)", **PLACE)
    moved = viewer.add_image(confocal, name="cell, confocal (aligned)", **PLACE)
    adder = panel.adder
    adder.layers_button.click()
    assert [layer.name for layer in adder.chooser.layers()] == [
        "cell, wide-field (aligned)",
        "cell, confocal (aligned)",
    ]
    assert adder.hint.text() == ""
    moved.translate = (0, 0, 1)
    adder.chooser.changed.emit()
    assert adder.hint.text().startswith("These layers do not lie on each other")
    adder.chooser.widefield.choice.choose_layer(viewer.layers[0])
    assert adder.hint.text().startswith("The wide-field stack has 8 x 64 x 64 voxels, the confocal stack 16 x 64 x 64")
    assert not adder.add_button.isEnabled()
    adder.chooser.widefield.choice.choose_layer(viewer.layers[2])
    for _ in range(2):
        adder.layers_button.setChecked(True)
        adder.add_button.click()
        qtbot.waitUntil(lambda: not adder._runs)
    assert names(panel) == ["cell", "cell 2"]
    start(qtbot, panel, training)
    (pair, _second), config = training.asked[0]["pairs"], training.asked[0]["config"]
    assert np.array_equal(pair.widefield.data, widefield)
    assert np.array_equal(pair.confocal.data, confocal)
    assert pair.widefield.spacing_um == SPACING_UM
    assert config == TrainConfig()


def test_a_registered_pair_goes_on_the_list(
    panel: Any, dock: Any, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_deep3d.gui.register.panel.register_volumes", FakeRegistration())
    confocal, widefield = texture_pair()
    viewer.add_image(widefield, name="cell, wide-field", **PLACE)
    viewer.add_image(confocal, name="cell, confocal", **PLACE)
    register = dock.register_panel
    register.estimate.button.click()
    qtbot.waitUntil(lambda: register.overlay.is_active)
    assert not register.actions.train_button.isVisibleTo(register)
    register.actions.apply.button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 4)
    register.actions.train_button.click()
    assert register.actions.message.text() == "'cell' is on the list of the Train tab."
    assert not register.actions.train_button.isVisibleTo(register)  # once is enough
    qtbot.waitUntil(lambda: names(panel) == ["cell"])
    (member,) = panel.pairs.members()
    assert member.facts.spacing_um == SPACING_UM
    assert np.array_equal(member.pair.widefield.data, viewer.layers["cell, wide-field (aligned)"].data)
    assert np.array_equal(member.pair.confocal.data, viewer.layers["cell, confocal (aligned)"].data)


def test_names_of_pairs() -> None:
    layer_names = ("thick sample, wide-field", "Cell_3 Widefield (aligned)", "a/b [2]", "confocal")
    assert [pair_name(name) for name in layer_names] == ["thick sample", "Cell_3", "a b 2", "pair"]
    assert unique_name("Cell", ["cell", "CELL 2"]) == "Cell 3"


# The request


def test_a_folder_is_handed_over_as_it_is(ready: Any, qtbot: Any, training: FakeTraining, folder: Path) -> None:
    call_it(qtbot, ready, "mine")
    qtbot.waitUntil(lambda: ready.plan.line.text() == PLAN)
    start(qtbot, ready, training)
    assert training.asked == [
        {
            "pairs": folder,
            "run": runs_folder() / "mine",
            "config": TrainConfig(),
            "name": "mine",
            "start": "generalist",
            "minutes": 15.0,
            "resume": False,
            "preview_every": 20,
        }
    ]
    assert training.asked[0]["config"].model_fields_set == set()


def test_choices_become_the_request(ready: Any, viewer: Any, qtbot: Any, training: FakeTraining) -> None:
    options, fields = ready.options, ready.options.advanced.fields
    assert set(LABELS) <= set(TrainConfig.flat_fields())
    assert not fields["width"].enabled
    assert not fields["iterations"].enabled
    options.start.setCurrentIndex(options.start.count() - 1)
    options.time.setCurrentText("own number of steps")
    assert options.advanced.isExpanded()
    assert (fields["width"].min, fields["width"].max, fields["learning_rate"].max) == (2, 128, 0.1)
    fields["width"].value = 8
    fields["iterations"].value = 50
    fields["learning_rate"].value = 2e-4
    fields["weight_vgg"].value = 0
    tick(ready, 1)
    assert ready.split_line.text() == ""
    start(qtbot, ready, training)
    asked = training.asked[0]
    assert (asked["start"], asked["minutes"]) == ("", None)
    assert asked["config"].flat(only_given=True) == {
        "width": 8,
        "iterations": 50,
        "learning_rate": 2e-4,
        "weight_vgg": 0,
        "held_out": ("b.ome.tif",),
    }


def test_as_in_the_paper(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    ready.options.time.setCurrentText("as in the paper")
    start(qtbot, ready, training)
    config = training.asked[0]["config"]
    steps = config.optimizer
    assert (steps.iterations, steps.batch_size, config.data.patch) == (6000, 24, ((12, 256, 256),))
    assert training.asked[0]["minutes"] is None


def test_folder_and_layers_are_mixed(ready: Any, viewer: Any, qtbot: Any, training: FakeTraining) -> None:
    for name, data in zip(("confocal", "wide-field"), texture_pair(), strict=True):
        viewer.add_image(data, name=name, **PLACE)
    ready.adder.layers_button.click()
    ready.adder.add_button.click()
    qtbot.waitUntil(lambda: len(names(ready)) == 4)
    tick(ready, 3)
    start(qtbot, ready, training)
    pairs = training.asked[0]["pairs"]
    assert [pair.name for pair in pairs] == ["a.ome.tif", "b.ome.tif", "c.ome.tif", "pair"]
    assert pairs[1].widefield.shape == (9, 32, 40)
    assert training.asked[0]["config"].data.held_out == ("pair",)


def test_what_is_wrong_is_said_before_it_starts(ready: Any) -> None:
    fields = ready.options.advanced.fields
    for name in ("weight_l1", "weight_gan", "weight_vgg"):
        fields[name].value = 0
    assert "there is nothing to learn from" in ready.problem.text()
    assert not ready.controls.start.isEnabled()
    fields["weight_l1"].value = 2
    assert ready.problem.text() == ""
    for row in range(3):
        tick(ready, row)
    assert "none is left to learn from" in ready.problem.text()
    tick(ready, 0)
    ready.options.name.setText("../x")
    assert "cannot be the name of a model" in ready.problem.text()


def test_a_plan_that_fails_is_shown(ready: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise InputError("there is no such device")

    monkeypatch.setattr("napari_deep3d.gui.train.plan.plan_training", fail)
    ready.options.time.setCurrentIndex(1)
    qtbot.waitUntil(lambda: ready.plan.problem.text() == "there is no such device")
    assert not ready.controls.start.isEnabled()


def test_a_name_that_is_taken_gets_a_number(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    write_model(user_folder() / "mine.safetensors", "mine", 77)
    call_it(qtbot, ready, "Mine")
    assert ready.options.name_hint.text() == "That name is taken; the model will be called 'Mine 2'."
    start(qtbot, ready, training)
    assert training.asked[0]["name"] == "Mine 2"
    assert model_info("mine").training["steps"] == 77
    assert model_info("Mine 2").training["steps"] == 8


def test_a_name_that_is_taken_meanwhile_gets_a_number(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=2)
    write_model(user_folder() / "my model.safetensors", "my model", 77)
    training.gate.release(9)
    wait_end(qtbot, ready)
    assert "on the list as 'my model 2'" in ready.message.text()
    assert model_info("my model").training["steps"] == 77
    assert (model_info("my model 2").name, model_info("my model 2").training["steps"]) == ("my model 2", 8)


# While it trains


def test_events_are_shown(ready: Any, viewer: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=5)
    assert ready.summary.text() == "Training 'my model' on 3 pairs, from generalist."
    assert ready.controls.bar.format() == "62 %, 3 min left"
    assert ready.message.text() == "one thing to know"
    for widget in (ready.pairs, ready.options, ready.controls.start, ready.resume_button):
        assert not widget.isVisibleTo(ready)
    assert curve(ready, "l1") == [(n, 2 / n) for n in range(1, 6)]
    assert curve(ready, "loss")[0] == (1, 3)
    assert curve(ready, "validation_rmse") == [(4, 0.1)]
    assert "texture" in ready.plots.legend.text()
    assert ready.plots.tested.isVisibleTo(ready)
    assert ready.minimumSizeHint().width() <= MIN_WIDTH - SCROLL_BAR
    training.gate.release(9)
    wait_end(qtbot, ready)
    assert ready.message.text() == (
        "Done in 2 min: 8 steps, 2.5 steps/s, on the test pairs RMSE 0.05, SSIM 0.91. "
        "The model is on the list as 'my model'."
    )
    assert ready.options.name.text() == "my model 2"


def test_the_preview_goes_back_and_forth(ready: Any, viewer: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=4)
    preview = ready.preview
    assert [layer.name for layer in viewer.layers] == PREVIEWS
    for layer in viewer.layers:
        assert tuple(layer.scale) == SPACING_UM
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        assert layer.axis_labels == ("z", "y", "x")
    assert np.array_equal(viewer.layers[0].data, training.region)
    assert viewer.layers[1].data[0, 0, 0] == pytest.approx(0.4)
    assert viewer.layers[1].contrast_limits == viewer.layers[2].contrast_limits
    assert viewer.canvas.grid.enabled
    assert viewer.dims.order == (1, 0, 2)
    assert preview.step.text() == "Test region at step 4 (newest)"
    preview.slider.setValue(1)
    assert preview.step.text() == "Test region at step 2"
    assert viewer.layers[1].data[0, 0, 0] == pytest.approx(0.2)
    training.gate.release()
    qtbot.waitUntil(lambda: len(preview.steps) == 5)
    assert viewer.layers[1].data[0, 0, 0] == pytest.approx(0.2)  # who went back stays there
    preview.slider.setValue(4)
    training.gate.release()
    qtbot.waitUntil(lambda: len(preview.steps) == 6)
    assert viewer.layers[1].data[0, 0, 0] == pytest.approx(0.6)
    preview.section.setCurrentIndex(1)
    assert viewer.dims.order == (0, 1, 2)
    training.gate.release(9)
    wait_end(qtbot, ready)
    preview.button.click()
    wait_layers(qtbot, viewer, 0)
    assert preview.steps == []
    assert not preview.isVisibleTo(ready)


def test_pictures_are_thinned_out() -> None:
    pictures: list[Preview] = []
    for step in range(200):
        voxels = np.zeros((1, 1, 1), np.float32)
        pictures = thinned([*pictures, Preview(step, voxels, voxels, voxels)])
        assert len(pictures) <= MOST
    steps = [picture.step for picture in pictures]
    assert (steps[0], steps[-1]) == (0, 199)
    assert np.diff(steps).min() >= 1
    assert np.diff(steps).max() <= 8


@pytest.mark.parametrize("has_layers", [True, False])
def test_the_view_is_put_back(
    ready: Any, viewer: Any, qtbot: Any, training: FakeTraining, stack: Any, has_layers: bool
) -> None:
    if has_layers:
        viewer.add_image(stack, name="cell", **PLACE)
        viewer.add_image(stack[None], name="series", scale=(1, *SPACING_UM), units=("s", *PLACE["units"]))
        viewer.dims.set_point(1, 1.5)
        QApplication.processEvents()
    before, count = view_of(viewer), len(viewer.layers)
    start(qtbot, ready, training, steps=2)
    assert [layer.name for layer in viewer.layers if layer.visible] == PREVIEWS
    assert viewer.dims.point[-2] == pytest.approx(12 * 0.2)
    ready.preview.button.click()
    assert not any(layer.visible for layer in viewer.layers[count:])
    wait_layers(qtbot, viewer, count)
    assert view_of(viewer) == before
    training.gate.release()
    qtbot.waitUntil(lambda: len(ready.preview.steps) == 3)
    assert view_of(viewer) == before  # hidden stays hidden
    ready.preview.button.click()
    assert viewer.layers[-2].data[0, 0, 0] == pytest.approx(0.3)
    viewer.layers.remove(viewer.layers[-1])
    wait_layers(qtbot, viewer, count)
    assert view_of(viewer) == before
    assert ready.preview.button.text() == "Show preview"
    training.gate.release(9)
    wait_end(qtbot, ready)


def test_layers_in_pixels_do_not_disturb(
    ready: Any, viewer: Any, qtbot: Any, training: FakeTraining, stack: Any
) -> None:
    viewer.add_image(stack, name="in pixels")
    before = view_of(viewer)
    start(qtbot, ready, training)
    assert [layer.name for layer in viewer.layers if layer.visible] == PREVIEWS
    ready.preview.button.click()
    wait_layers(qtbot, viewer, 1)
    assert view_of(viewer) == before


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
    training.gate.release(9)
    wait_end(qtbot, ready)


def test_a_preview_does_not_take_the_view_from_another_tab(
    ready: Any, dock: Any, viewer: Any, qtbot: Any, training: FakeTraining
) -> None:
    training.hold()
    ready.controls.start.click()
    dock.show_panel("Predict")
    training.gate.release(2)
    qtbot.waitUntil(lambda: len(ready.preview.steps) == 2)
    assert len(viewer.layers) == 0
    dock.show_panel("Train")
    training.gate.release()
    qtbot.waitUntil(lambda: len(viewer.layers) == 3)
    training.gate.release(9)
    wait_end(qtbot, ready)


def test_pause_and_continue(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=2)
    ready.controls.pause.click()
    assert ready.controls.pause.text() == "Continue"
    assert ready.controls.bar.format().startswith("paused at 25 %")
    training.gate.release(9)
    qtbot.wait(200)
    assert ready.controls.bar.value() == 250
    ready.controls.pause.click()
    assert ready.controls.pause.text() == "Pause"
    wait_end(qtbot, ready)
    assert ready.message.text().startswith("Done")


@pytest.mark.parametrize("paused", [False, True])
def test_stop_keeps_the_model_and_resume_goes_on(ready: Any, qtbot: Any, training: FakeTraining, paused: bool) -> None:
    start(qtbot, ready, training, steps=3)
    if paused:
        ready.controls.pause.click()
    begun = time.perf_counter()
    ready.controls.stop.click()
    assert ready.controls.stop.text() == "Stopping..."
    wait_end(qtbot, ready)
    assert time.perf_counter() - begun < 1
    assert ready.message.text() == (
        "Stopped at step 3 after 2 min, 2.5 steps/s, on the test pairs RMSE 0.05, SSIM 0.91. "
        "The model as it stands is on the list as 'my model'; Resume goes on from here."
    )
    assert model_info("my model").training["steps"] == 3
    assert ready.resume_bar.line.text() == "An unfinished training: my model, step 3 of 8."
    training.gate.release(9)
    ready.resume_bar.resume.click()
    assert ready.summary.text() == "Going on with 'my model'."
    assert not ready.controls.pause.isChecked()
    wait_end(qtbot, ready)
    asked = training.asked[1]
    assert (asked["pairs"], asked["resume"], asked["run"]) == (None, True, runs_folder() / "my model")
    assert ready.message.text().endswith("The model is on the list as 'my model'.")
    assert model_info("my model").training["steps"] == 8  # its own earlier state, so it takes its place
    assert len(list_models()) == 2
    assert not ready.resume_bar.isVisibleTo(ready)


def test_stopped_before_anything_was_learned(ready: Any, qtbot: Any, training: FakeTraining, monkeypatch: Any) -> None:
    from napari_deep3d.core.events import Progress, StoppedError

    def never_ready(*_: Any, stop: Any, **__: Any) -> Any:
        yield Progress(0, 8, "measuring the speed")
        while not stop():
            time.sleep(0.01)
        raise StoppedError

    monkeypatch.setattr("napari_deep3d.gui.train.run.train_model", never_ready)
    ready.controls.start.click()
    qtbot.waitUntil(lambda: ready.controls.bar.format() == "measuring the speed")
    ready.controls.stop.click()
    wait_end(qtbot, ready)
    assert ready.message.text() == "Stopped. Nothing was kept."
    assert not ready.predict_button.isVisibleTo(ready)


@pytest.mark.parametrize(
    ("error", "sentences"),
    [
        (InputError("the disk is full. Make room."), ["the disk is full. Make room.", "Step 2 is kept"]),
        (MemoryError(), ["ran out of memory", "Step 2 is kept", "smaller width"]),
        (RuntimeError("boom"), ["ended with an error (RuntimeError: boom)", "Step 2 is kept"]),
    ],
)
def test_a_failure_says_what_was_kept(
    ready: Any, qtbot: Any, training: FakeTraining, error: Exception, sentences: list[str]
) -> None:
    training.error = error
    start(qtbot, ready, training)
    for sentence in sentences:
        assert sentence in ready.message.text()
    assert ready.resume_bar.line.text() == "An unfinished training: my model, step 2 of 8."
    assert curve(ready, "l1") == [(1, 2), (2, 1)]
    assert ready.controls.start.isEnabled()


def test_an_early_end_says_why(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    training.reason = "the loss is no longer a number."
    start(qtbot, ready, training)
    assert ready.message.text().startswith("Ended early at step 8: the loss is no longer a number.")
    assert not ready.resume_bar.isVisibleTo(ready)


def test_a_model_that_cannot_be_listed_is_not_lost(
    ready: Any, qtbot: Any, training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise InputError("cannot write there")

    monkeypatch.setattr("napari_deep3d.jobs.models.import_model", refuse)
    start(qtbot, ready, training)
    assert f"The model is in {runs_folder() / 'my model' / 'model.safetensors'}, but not" in ready.message.text()
    assert not ready.predict_button.isVisibleTo(ready)


# After it


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


def test_an_unfinished_training_is_offered(training: FakeTraining, fake: Any, viewer: Any, qtbot: Any) -> None:
    run = runs_folder() / "night"
    run.mkdir(parents=True)
    write_run(run, TrainConfig(iterations=8), "night", run / "pairs", "")
    (run / "checkpoints" / "step_4.safetensors").touch()
    (run / "metrics.csv").write_text("step,loss,validation_rmse\n2,0.5,\n4,0.4,0.2\n6,0.3,\nbroken")
    dock = Deep3DWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Deep3D")
    bar = dock.train_panel.resume_bar
    assert bar.line.text() == "An unfinished training: night, step 4 of 8."
    bar.dismiss.click()
    assert not bar.isVisibleTo(dock.train_panel)
    bar.offer_folder(run)
    training.hold()
    bar.resume.click()
    assert curve(dock.train_panel, "loss") == [(2, 0.5), (4, 0.4)]
    assert curve(dock.train_panel, "validation_rmse") == [(4, 0.2)]
    training.gate.release(9)
    wait_end(qtbot, dock.train_panel)
    assert curve(dock.train_panel, "loss")[2:] == [(n, 3 / n) for n in range(5, 9)]


def test_resume_a_run_by_its_folder(
    panel: Any, qtbot: Any, training: FakeTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    panel.resume_button.click()
    assert "is not a run folder to resume" in panel.message.text()
    write_run(tmp_path, TrainConfig(iterations=8), "from the cluster", tmp_path / "pairs", "")
    panel.resume_button.click()
    qtbot.waitUntil(lambda: not panel.summary.isVisibleTo(panel))
    assert "The model is on the list as 'from the cluster'." in panel.message.text()


def test_memory_is_given_back(panel: Any, viewer: Any, qtbot: Any, training: FakeTraining) -> None:
    def add() -> Any:
        stacks = [Volume(np.zeros((8, 32, 40), np.float32), SPACING_UM) for _ in range(2)]
        panel.add_pair(LoadedPair("cell", *stacks))
        return weakref.ref(stacks[0].data)

    voxels, region = add(), weakref.ref(training.region)
    qtbot.waitUntil(lambda: names(panel) == ["cell"])
    start(qtbot, panel, training)
    panel.pairs.tree.topLevelItem(0).setSelected(True)
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


def test_the_window_stays_responsive(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    matrix = np.random.default_rng(0).random((300, 300))

    def work() -> None:
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            matrix @ matrix

    training.work = work
    ready.preview.entered.connect(ready.preview.leave)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(20)
    start(qtbot, ready, training)
    timer.stop()
    assert len(ticks) > 20
    assert np.median(np.diff(ticks)) < 0.1


def test_curves_are_drawn_at_most_ten_times_a_second(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plots = LossPlots()
    qtbot.addWidget(plots)
    drawn: list[float] = []
    monkeypatch.setattr(plots.curves["l1"], "setData", lambda *_: drawn.append(time.perf_counter()))
    for step in range(1, 60):
        plots.add(Metrics(step, {"l1": 1.0, "vgg": 0.0, "gan": float("nan")}))
        qtbot.wait(5)
    assert 2 <= len(drawn) <= 6
    assert plots.curves["vgg"].yData is not None
    assert np.isnan(plots.curves["vgg"].yData).all()  # 0 has no place on a logarithmic axis
    assert "realism" not in plots.legend.text()
