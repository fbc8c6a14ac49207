"""The Train panel: the list of pairs, the request, and a training that goes on when told to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Progress, StoppedError
from napari_deep3d.gui.shared.training_pairs import pair_name
from napari_deep3d.gui.widget import MIN_WIDTH
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.models import store
from napari_deep3d.jobs.models.store import list_models, model_info, unique_name, user_folder
from napari_deep3d.jobs.train.run_folder import runs_folder, write_run
from tests.helpers.gui import PLACE, SPACING_UM, FakeTraining, texture_pair, write_model
from tests.helpers.train_panel import add_folder, call_it, curve, finish, names, start, wait_end

SCROLL_BAR = 20
PLAN = "CPU (bfloat16), about 15 min, 2.1 GB of 18 GB free memory, about 1900 steps"

SCORES = "On the test pairs: before RMSE 0.2, SSIM 0.7; now RMSE 0.05, SSIM 0.91; wide-field itself RMSE 0.3, SSIM 0.5."


# The list of pairs


def test_without_pairs_it_says_what_one_is(panel: Any) -> None:
    assert "one sample seen by both microscopes" in panel.empty.text()
    for widget in (panel.pairs, panel.options, panel.run_button, panel.resume_bar):
        assert not widget.isVisibleTo(panel)
    assert panel.adder.folder_button.isVisibleTo(panel)


def test_a_folder_is_listed(panel: Any, qtbot: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    panel.adder.folder_button.click()
    qtbot.waitUntil(lambda: names(panel) == ["a.ome.tif", "b.ome.tif", "c.ome.tif"])
    assert panel.pairs.rows[1].item.text(0) == "b.ome.tif\n9 x 32 x 40\nz 0.5, xy 0.2 um"
    assert not panel.pairs.rows[0].item.icon(0).isNull()
    assert panel.split_line.text().startswith("One pair, drawn at random, is kept for testing")
    qtbot.waitUntil(lambda: panel.plan.line.text() == PLAN)
    assert panel.plan.notices.text() == "There are few pairs."
    assert panel.run_button.button.isEnabled()
    assert panel.minimumSizeHint().width() <= MIN_WIDTH - SCROLL_BAR
    panel.adder.folder_button.click()
    qtbot.waitUntil(lambda: not panel.adder._runs)
    assert len(names(panel)) == 3  # the same files are not learned from twice
    panel.pairs.rows[0].item.setSelected(True)
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


def test_layers_are_added(panel: Any, model: Any, qtbot: Any, training: FakeTraining) -> None:
    confocal, widefield = texture_pair()
    model.add_image(widefield[:8], name="raw, wide-field", **PLACE)
    model.add_image(confocal, name="raw, confocal", **PLACE)
    model.add_image(widefield, name="cell, wide-field (aligned)", **PLACE)
    moved = model.add_image(confocal, name="cell, confocal (aligned)", **PLACE)
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
    adder.chooser.widefield.choice.choose_layer(model.layers[0])
    assert adder.hint.text().startswith("The wide-field stack has 8 x 64 x 64 voxels, the confocal stack 16 x 64 x 64")
    assert not adder.add_button.isEnabled()
    adder.chooser.widefield.choice.choose_layer(model.layers[2])
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


def test_choices_become_the_request(ready: Any, model: Any, qtbot: Any, training: FakeTraining) -> None:
    options, fields = ready.options, ready.options.advanced.fields
    assert not fields["width"].enabled
    assert not fields["iterations"].enabled
    options.start.setCurrentIndex(options.start.count() - 1)
    options.time.setCurrentText("own number of steps")
    assert options.advanced.isExpanded()
    width, rate = fields["width"].native, fields["learning_rate"].native
    assert (width.minimum(), width.maximum(), rate.maximum()) == (2, 128, 0.1)
    fields["width"].value = 8
    fields["iterations"].value = 50
    fields["learning_rate"].value = 2e-4
    fields["weight_vgg"].value = 0
    ready.pairs.rows[1].test_only.click()
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


def test_folder_and_layers_are_mixed(ready: Any, model: Any, qtbot: Any, training: FakeTraining) -> None:
    for name, data in zip(("confocal", "wide-field"), texture_pair(), strict=True):
        model.add_image(data, name=name, **PLACE)
    ready.adder.layers_button.click()
    ready.adder.add_button.click()
    qtbot.waitUntil(lambda: len(names(ready)) == 4)
    ready.pairs.rows[3].test_only.click()
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
    assert not ready.run_button.button.isEnabled()
    fields["weight_l1"].value = 2
    assert ready.problem.text() == ""
    for row in range(3):
        ready.pairs.rows[row].test_only.click()
    assert "none is left to learn from" in ready.problem.text()
    ready.pairs.rows[0].test_only.click()
    ready.options.name.setText("../x")
    assert "cannot be the name of a model" in ready.problem.text()


def test_a_plan_that_fails_is_shown(open_panel: Callable[..., Any], qtbot: Any, folder: Path) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise InputError("there is no such device")

    panel = open_panel(plan=fail)
    add_folder(qtbot, panel, folder)
    qtbot.waitUntil(lambda: panel.plan.problem.text() == "there is no such device")
    assert not panel.run_button.button.isEnabled()


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
    finish(qtbot, ready, training)
    assert "on the list as 'my model 2'" in ready.message.text()
    assert model_info("my model").training["steps"] == 77
    assert (model_info("my model 2").name, model_info("my model 2").training["steps"]) == ("my model 2", 8)


# While it trains


def test_events_are_shown(ready: Any, model: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=5)
    assert ready.summary.text() == "Training 'my model' on 2 pairs, tested on 1, from generalist."
    assert ready.run_button.button.text() == "Stop and keep"
    assert ready.run_button.bar.format() == "62 %, 3 min left"
    assert ready.message.text() == "one thing to know"
    for widget in (ready.pairs, ready.options, ready.adder, ready.resume_button):
        assert not widget.isVisibleTo(ready)
    assert curve(ready, "l1") == [(n, 2 / n) for n in range(1, 6)]
    assert curve(ready, "loss")[0] == (1, 3)
    assert curve(ready, "validation_rmse") == [(0, 0.2), (4, 0.1)]
    assert curve(ready, "widefield_rmse") == [(0, 0.3), (10, 0.3)]
    assert "before 0.2, now 0.1" in ready.plots.tested_legend.text()
    assert "texture" in ready.plots.legend.text()
    assert ready.plots.tested.isVisibleTo(ready)
    assert ready.minimumSizeHint().width() <= MIN_WIDTH - SCROLL_BAR
    finish(qtbot, ready, training)
    assert ready.message.text() == (
        f"Done in 2 min: 8 steps, 2.5 steps/s. {SCORES} The model is on the list as 'my model'."
    )
    assert ready.warning.text() == ""
    assert ready.options.name.text() == "my model 2"


def test_a_model_that_came_out_worse_is_said(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    training.scores = {"rmse": 0.25, "ssim": 0.71}
    start(qtbot, ready, training)
    assert "does worse than the model it started from (RMSE 0.2, SSIM 0.7)" in ready.warning.text()
    assert "wide-field" not in ready.warning.text()
    training.scores = {}
    start(qtbot, ready, training)
    assert ready.warning.text() == ""
    assert "8 steps, 2.5 steps/s. The model was not tested yet." in ready.message.text()


def test_pause_and_continue(ready: Any, qtbot: Any, training: FakeTraining) -> None:
    start(qtbot, ready, training, steps=2)
    ready.run_button.pause_button.click()
    assert ready.run_button.pause_button.text() == "Continue"
    assert ready.run_button.bar.format().startswith("paused at 25 %")
    training.gate.release(9)
    qtbot.wait(200)
    assert ready.run_button.bar.value() == 250
    ready.run_button.pause_button.click()
    assert ready.run_button.pause_button.text() == "Pause"
    wait_end(qtbot, ready)
    assert ready.message.text().startswith("Done")


@pytest.mark.parametrize("paused", [False, True])
def test_stop_keeps_the_model_and_resume_goes_on(ready: Any, qtbot: Any, training: FakeTraining, paused: bool) -> None:
    start(qtbot, ready, training, steps=3)
    if paused:
        ready.run_button.pause_button.click()
    begun = time.perf_counter()
    ready.run_button.button.click()
    assert ready.run_button.button.text() == "Stopping..."
    wait_end(qtbot, ready)
    assert time.perf_counter() - begun < 1
    assert ready.message.text() == (
        f"Stopped at step 3 after 2 min, 2.5 steps/s. {SCORES} "
        "The model as it stands is on the list as 'my model'; Resume goes on from here."
    )
    assert model_info("my model").training["steps"] == 3
    assert ready.resume_bar.line.text() == "An unfinished training: my model, step 3 of 8."
    training.gate.release(9)
    ready.resume_bar.resume.click()
    assert ready.summary.text() == "Going on with 'my model' after step 3."
    assert not ready.run_button.pause_button.isChecked()
    wait_end(qtbot, ready)
    asked = training.asked[1]
    assert (asked["pairs"], asked["resume"], asked["run"]) == (None, True, runs_folder() / "my model")
    assert ready.message.text().endswith("The model is on the list as 'my model'.")
    assert model_info("my model").training["steps"] == 8  # its own earlier state, so it takes its place
    assert len(list_models()) == 2
    assert not ready.resume_bar.isVisibleTo(ready)


def test_stopped_before_anything_was_learned(open_panel: Callable[..., Any], qtbot: Any, folder: Path) -> None:
    def never_ready(*_: Any, stop: Any, **__: Any) -> Any:
        yield Progress(0, 8, "measuring the speed")
        while not stop():
            time.sleep(0.01)
        raise StoppedError

    ready = open_panel(train=never_ready)
    add_folder(qtbot, ready, folder)
    ready.run_button.button.click()
    qtbot.waitUntil(lambda: ready.run_button.bar.format() == "measuring the speed")
    ready.run_button.button.click()
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
    assert ready.run_button.button.isEnabled()


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

    monkeypatch.setattr(store, "import_model", refuse)
    start(qtbot, ready, training)
    assert f"The model is in {runs_folder() / 'my model' / 'model.safetensors'}, but not" in ready.message.text()
    assert not ready.predict_button.isVisibleTo(ready)


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


# After it


def test_an_unfinished_training_is_offered(open_panel: Callable[..., Any], training: FakeTraining, qtbot: Any) -> None:
    run = runs_folder() / "night"
    run.mkdir(parents=True)
    write_run(run, TrainConfig(iterations=8), "night", run / "pairs", "")
    (run / "checkpoints" / "step_4.safetensors").touch()
    (run / "metrics.csv").write_text("step,loss,validation_rmse\n2,0.5,\n4,0.4,0.2\n6,0.3,\nbroken")
    panel = open_panel()
    bar = panel.resume_bar
    assert bar.line.text() == "An unfinished training: night, step 4 of 8."
    bar.dismiss.click()
    assert not bar.isVisibleTo(panel)
    bar.offer_folder(run)
    training.hold()
    bar.resume.click()
    assert curve(panel, "loss") == [(2, 0.5), (4, 0.4)]
    assert curve(panel, "validation_rmse") == [(4, 0.2)]
    finish(qtbot, panel, training)
    assert curve(panel, "loss")[2:] == [(n, 3 / n) for n in range(5, 9)]


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
