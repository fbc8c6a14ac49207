"""The Predict panel, in a real viewer with a job that goes on when it is told to."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from qtpy.QtWidgets import QLabel, QSpinBox

from napari_deep3d.core.errors import InputError
from napari_deep3d.gui.shared import stack_selector
from tests.helpers.gui import PLACE, SPACING_UM, FakePrediction

Data = NDArray[np.uint16]


def wait_end(qtbot: Any, panel: Any) -> None:
    qtbot.waitUntil(lambda: panel.run_button.button.text() == "Predict confocal", timeout=5000)


def test_without_a_layer_it_invites_to_open_one(
    dock: Any, viewer: Any, stack: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = dock.predict_panel
    assert panel.empty.isVisibleTo(panel)
    assert not panel.run_button.button.isVisibleTo(panel)
    sample = [(stack, {"name": "sample", **PLACE}, "image")]
    monkeypatch.setattr(stack_selector, "thick_pair", lambda: sample)
    panel.empty.sample_button.click()
    assert not panel.empty.isVisibleTo(panel)
    assert panel.stack.chooser.layer_choice.currentText() == "sample"
    viewer.layers.clear()
    assert panel.empty.isVisibleTo(panel)


def test_a_sample_that_cannot_be_read_says_so(dock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise InputError("the sample is not there")

    monkeypatch.setattr(stack_selector, "thick_pair", missing)
    dock.predict_panel.empty.sample_button.click()
    assert dock.predict_panel.empty.problem.text() == "the sample is not there"


def test_facts_and_plan_are_shown(dock: Any, viewer: Any, qtbot: Any, stack: Data) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    viewer.add_labels(np.zeros(stack.shape, np.uint8))
    panel = dock.predict_panel
    assert panel.stack.chooser.layer_choice.count() == 1
    assert panel.stack.facts.text() == "8 x 32 x 40, 0.5 x 0.2 x 0.2 um"
    assert not panel.stack.voxel_size.isVisibleTo(panel)
    qtbot.waitUntil(lambda: panel.plan_line.text() == "CPU (float32), about 23 s")
    assert panel.model_hint.text() == "Trained on simulated nuclei"
    assert panel.notices.text() == "The planes are far apart."
    viewer.layers["cell"].name = "cell 1"
    assert panel.stack.chooser.layer_choice.currentText() == "cell 1"


def test_a_plan_that_cannot_be_made_says_why(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.plan_error = InputError("device cuda is not there; cpu is. Choose cpu.")
    panel = dock.predict_panel
    panel.advanced.fields["device"].value = "cuda"
    viewer.add_image(stack, **PLACE)
    qtbot.waitUntil(lambda: "device cuda is not there" in panel.stack.problem.text())
    assert not panel.run_button.button.isEnabled()
    assert [config.device for config in fake.planned] == ["cuda"]


def test_a_missing_voxel_size_is_asked_for_and_never_assumed(dock: Any, viewer: Any, stack: Data) -> None:
    layer = viewer.add_image(stack)
    outline = viewer.add_labels(np.zeros(stack.shape, np.uint8))
    viewer.dims.set_current_step(0, 5)
    panel = dock.predict_panel
    assert panel.stack.voxel_size.isVisibleTo(panel)
    assert "no voxel size" in panel.stack.voxel_size.reason.text()
    assert not panel.run_button.button.isEnabled()
    panel.stack.voxel_size.z_um.setValue(0.5)
    assert not panel.run_button.button.isEnabled()
    panel.stack.voxel_size.xy_um.setValue(0.2)
    assert panel.run_button.button.isEnabled()
    panel.stack.voxel_size.apply_button.click()
    assert tuple(layer.scale) == tuple(outline.scale) == SPACING_UM
    assert str(layer.units[0]) == "micrometer"
    assert viewer.dims.current_step[0] == 5
    assert viewer.scene.camera.center[-1] == pytest.approx(0.2 * 19.5)
    assert not panel.stack.voxel_size.isVisibleTo(panel)


def test_the_file_behind_a_layer_tells_its_voxel_size_and_axes(
    dock: Any, viewer: Any, stack: Data, tmp_path: Path
) -> None:
    path = tmp_path / "pair.tif"
    tifffile.imwrite(
        path,
        np.stack([stack, stack], axis=1),
        imagej=True,
        resolution=(1 / 0.2, 1 / 0.2),
        metadata={"axes": "ZCYX", "spacing": 0.5, "unit": "um"},
    )
    (layer,) = viewer.open(path, plugin="napari")
    panel = dock.predict_panel
    assert panel.stack.facts.text() == "8 x 32 x 40, 0.5 x 0.2 x 0.2 um"
    assert "the file says 0.5 x 0.2 x 0.2 um" in panel.stack.voxel_size.reason.text()
    assert "Channel" in [label.text() for label in panel.stack.chooser.findChildren(QLabel)]
    assert panel.run_button.button.isEnabled()
    panel.stack.voxel_size.apply_button.click()
    assert layer.scale == pytest.approx([0.5, 1, 0.2, 0.2])


def test_what_cannot_be_predicted_is_refused_with_a_sentence(dock: Any, viewer: Any) -> None:
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (np.zeros((20, 20, 3), np.uint8), {"rgb": True}, "colour"),
        (np.zeros((20, 20), np.uint8), {}, "one plane"),
        (np.zeros((9, 20, 20), np.uint8), PLACE | {"axis_labels": ("t", "y", "x")}, "9 time points"),
        (np.zeros((3, 20, 20), np.uint8), PLACE, "too small: 3 planes"),
        (np.zeros((8, 20, 20), bool), PLACE, "bool voxels"),
    ]
    for data, kind, sentence in refused:
        layer = viewer.add_image(data, **kind)
        assert sentence in dock.predict_panel.stack.problem.text()
        assert not dock.predict_panel.run_button.button.isEnabled()
        viewer.layers.remove(layer)


def test_a_scale_without_a_unit_is_proposed(dock: Any, viewer: Any, stack: Data) -> None:
    viewer.add_image(stack, scale=SPACING_UM)
    reason = dock.predict_panel.stack.voxel_size.reason.text()
    assert "in pixels" in reason
    assert "Check that 0.5 x 0.2 x 0.2 um is right" in reason


def test_the_result_appears_at_once_and_fills_in(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.hold()
    affine = np.eye(4)
    affine[0, 3] = 2
    source = viewer.add_image(stack, name="cell", colormap="green", translate=(1, 2, 3), affine=affine, **PLACE)
    panel = dock.predict_panel
    panel.run_button.button.click()
    assert panel.run_button.button.text() == "Stop"
    result = viewer.layers["cell (confocal-like)"]
    assert not result.data.any()
    assert result.data.dtype == np.float32
    assert result.extent.world.tolist() == source.extent.world.tolist()
    assert (result.units, result.axis_labels) == (source.units, source.axis_labels)
    assert result.colormap.name == "green"
    fake.gate.release()
    qtbot.waitUntil(lambda: result.data.any())
    assert set(np.unique(result.data)) == {0, 1}
    qtbot.waitUntil(lambda: panel.run_button.bar.value() == 250)
    assert "25 %" in panel.run_button.bar.format()
    fake.gate.release(3)
    wait_end(qtbot, panel)
    assert [result.data[0, y, 0] for y in (0, 8, 16, 24)] == [1, 2, 3, 4]
    assert result.contrast_limits == pytest.approx([1, 4], abs=0.1)
    assert result.metadata["napari-deep3d"]["model"] == "generalist"
    assert result.metadata["napari-deep3d"]["input"]["layer"] == "cell"
    assert panel.message.text() == "Done in 2 s, tile mismatch 0.8 %"
    assert "one thing to know" in panel.notices.text()
    assert panel.compare.isEnabled()
    assert threading.main_thread() not in fake.threads


def test_running_again_overwrites_nothing(dock: Any, viewer: Any, qtbot: Any, stack: Data) -> None:
    viewer.add_image(stack, name="cell", **PLACE)
    for _ in range(2):
        dock.predict_panel.run_button.button.click()
        wait_end(qtbot, dock.predict_panel)
    names = [layer.name for layer in viewer.layers]
    assert names == ["cell", "cell (confocal-like)", "cell (confocal-like) [1]"]


def test_channel_and_time_are_chosen_by_number(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    data = np.stack([np.stack([stack * 0, stack * 0]), np.stack([stack * 0, stack])])
    labels, units = ("t", "c", "z", "y", "x"), ("s", "pixel", "um", "um", "um")
    viewer.add_image(data, axis_labels=labels, units=units, scale=(1, 1, *SPACING_UM))
    boxes = dock.predict_panel.stack.chooser.findChildren(QSpinBox)
    assert [box.maximum() for box in boxes] == [1, 1]
    for box in boxes:
        box.setValue(0)
        box.setValue(1)
    assert viewer.dims.current_step[:2] == (1, 1)
    viewer.dims.set_current_step(1, 0)
    assert boxes[1].value() == 0
    viewer.dims.set_current_step(1, 1)
    dock.predict_panel.run_button.button.click()
    wait_end(qtbot, dock.predict_panel)
    assert np.array_equal(np.asarray(fake.volumes[0].data[:, :, :]), stack)
    result = viewer.layers["data t1 c1 (confocal-like)"]
    assert result.data.shape == stack.shape
    assert result.metadata["napari-deep3d"]["input"] == {
        "layer": "data",
        "path": None,
        "time point": 1,
        "channel": 1,
    }


@pytest.mark.parametrize(
    ("order", "labels"),
    [((0, 1, 2, 3, 4), ("t", "c", "z", "y", "x")), ((1, 2, 0, 3, 4), ("c", "z", "t", "y", "x"))],
)
def test_all_time_points_make_one_layer(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction, order: Any, labels: Any
) -> None:
    data = np.stack([np.stack([stack, stack + 10 * time]) for time in range(3)])  # axes T, C, Z, Y, X
    scale = np.array([30, 1, *SPACING_UM])[list(order)]
    units = [("s", "pixel", "um", "um", "um")[axis] for axis in order]
    source = viewer.add_image(data.transpose(order), name="cell", axis_labels=labels, units=units, scale=scale)
    panel = dock.predict_panel
    viewer.dims.set_current_step(labels.index("c"), 1)
    assert panel.all_times.text() == "All 3 time points"
    assert panel.all_times.isVisibleTo(panel)
    panel.all_times.click()
    qtbot.waitUntil(lambda: "about 69 s for 3 time points" in panel.plan_line.text())
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    means = [int(np.asarray(volume.data[:, :, :]).mean()) for volume in fake.volumes]
    assert np.diff(means).tolist() == [10, 10]
    result, shape = viewer.layers["cell c1 (confocal-like)"], source.data.shape  # Z, Y, X are its last axes now
    channel, time_at = source.axis_labels.index("c"), source.axis_labels.index("t")
    assert result.data.shape == tuple(1 if axis == channel else size for axis, size in enumerate(shape))
    np.testing.assert_array_equal(np.moveaxis(result.data, time_at, 0).max(axis=(1, 2, 3, 4)), [4, 8, 12])
    assert (list(result.scale), result.units) == (list(source.scale), source.units)
    assert result.translate[channel] == 1
    assert result.metadata["napari-deep3d"]["input"]["time point"] == "all"
    panel.all_times.click()


def test_a_voxel_size_of_no_microscope_is_doubted_at_once(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    viewer.add_image(stack, name="cell")
    panel = dock.predict_panel
    panel.voxel_size.z_um.setValue(9)
    panel.voxel_size.xy_um.setValue(0.2)
    doubt = panel.stack.doubt.text()
    assert "planes 45 times as far apart as pixels are wide" in doubt
    assert "Perhaps 0.9 x 0.2 x 0.2 um is meant" in doubt
    fake.plan_error = InputError(f"{doubt} It would have 126 times as many voxels. Correct it.")
    panel.voxel_size.xy_um.setValue(0.21)
    panel.voxel_size.xy_um.setValue(0.2)
    qtbot.waitUntil(lambda: panel.problem.text() == "It would have 126 times as many voxels. Correct it.")
    assert not panel.run_button.button.isEnabled()
    panel.voxel_size.z_um.setValue(0.9)
    assert panel.stack.doubt.text() == ""


def test_stop_keeps_the_finished_time_points(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.gate = threading.Semaphore(6)
    viewer.add_image(np.stack([stack] * 3), name="cell", axis_labels=("t", "z", "y", "x"), units=["s"] + ["um"] * 3)
    panel = dock.predict_panel
    panel.all_times.click()
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: len(fake.volumes) == 2 and viewer.layers[-1].data[1, 0, 8, 0] == 2)
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    result = viewer.layers["cell (confocal-like) (incomplete)"]
    assert result.data[0].min() == 1
    assert not result.data[2].any()


def test_stop_is_heeded_within_a_second_and_keeps_what_is_ready(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.gate = threading.Semaphore(2)
    viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: panel.run_button.bar.value() == 500)
    start = time.perf_counter()
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    assert time.perf_counter() - start < 1
    result = viewer.layers["cell (confocal-like) (incomplete)"]
    assert [result.data[0, y, 0] for y in (0, 8, 16, 24)] == [1, 2, 0, 0]
    assert result.metadata["napari-deep3d"]["complete"] is False
    assert panel.message.text().startswith("Stopped. The finished part is kept in")


def test_stop_before_the_first_tile_keeps_no_layer(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.hold()
    viewer.add_image(stack, name="cell", **PLACE)
    dock.predict_panel.run_button.button.click()
    dock.predict_panel.run_button.button.click()
    wait_end(qtbot, dock.predict_panel)
    assert [layer.name for layer in viewer.layers] == ["cell"]
    assert dock.predict_panel.message.text() == "Stopped. Nothing was kept."


def test_a_failure_says_what_happened_and_leaves_no_half_layer(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    failures = [
        (
            InputError("All voxels are nan. Save it again."),
            "All voxels are nan. Save it again. Nothing was kept.",
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20 GiB"),
            "ran out of memory. Nothing was kept.",
        ),
        (MemoryError(), "ran out of memory"),
        (RuntimeError("expected Half"), "(RuntimeError: expected Half). Nothing was kept."),
    ]
    viewer.add_image(stack, name="cell", **PLACE)
    panel = dock.predict_panel
    for error, sentence in failures:
        fake.error = error
        panel.run_button.button.click()
        wait_end(qtbot, panel)
        assert sentence in panel.message.text()
        assert panel.run_button.button.isEnabled()
        assert [layer.name for layer in viewer.layers] == ["cell"]
    fake.error = None
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    assert panel.message.text().startswith("Done in")


def test_a_late_failure_keeps_the_finished_tiles(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.error, fake.error_at = RuntimeError("disk is gone"), 2
    viewer.add_image(stack, name="cell", **PLACE)
    dock.predict_panel.run_button.button.click()
    wait_end(qtbot, dock.predict_panel)
    result = viewer.layers["cell (confocal-like) (incomplete)"]
    assert [result.data[0, y, 0] for y in (0, 8, 16, 24)] == [1, 2, 0, 0]
    assert "disk is gone" in result.metadata["napari-deep3d"]["error"]
    assert "is kept in" in dock.predict_panel.message.text()


def test_removing_the_result_stops_the_job(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    fake.hold()
    viewer.add_image(stack, name="cell", **PLACE)
    dock.predict_panel.run_button.button.click()
    viewer.layers.remove("cell (confocal-like)")
    fake.gate.release()
    wait_end(qtbot, dock.predict_panel)
    assert dock.predict_panel.message.text() == "Stopped: the result layer was removed."


def test_the_box_follows_what_is_opened_or_selected_until_the_user_chooses(dock: Any, viewer: Any, stack: Data) -> None:
    session, box = dock.session, dock.predict_panel.stack.chooser.layer_choice
    first = viewer.add_image(stack, name="first", **PLACE)
    second = viewer.add_image(stack, name="second", **PLACE)
    assert session.layer == second
    viewer.layers.selection = {first}
    assert session.layer == first
    viewer.add_image(stack, name="cell, confocal", **PLACE)  # hardly what is meant
    assert session.layer == first
    box.setCurrentIndex(box.findText("second"))
    box.activated.emit(box.currentIndex())
    viewer.add_image(stack, name="third", **PLACE)
    assert session.layer == second
    viewer.layers.remove(second)  # the choice is gone with it
    assert session.layer.name == "third"


def test_a_result_is_never_chosen_by_itself_and_questioned(dock: Any, viewer: Any, qtbot: Any, stack: Data) -> None:
    panel = dock.predict_panel
    source = viewer.add_image(stack, name="cell", **PLACE)
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    result = viewer.layers[-1]
    box = panel.stack.chooser.layer_choice
    viewer.layers.selection = {result}
    assert dock.session.layer == source
    viewer.add_image(stack, name="other", **PLACE)
    assert box.itemText(box.count() - 1) == result.name
    assert panel.doubt.text() == ""
    box.setCurrentIndex(box.count() - 1)
    assert "already a prediction" in panel.doubt.text()
    viewer.add_image(stack, name="cell, confocal", **PLACE)
    box.setCurrentIndex(box.findText("cell, confocal"))
    assert "confocal stack" in panel.doubt.text()
    for layer in list(viewer.layers):
        if layer != result:
            viewer.layers.remove(layer)
    assert dock.session.layer is None


def test_the_result_of_a_hyperstack_has_the_axes_of_one_stack(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction
) -> None:
    data = np.stack([stack, stack[::-1]], axis=1)  # z, c, y, x, as Fiji writes it
    labels = viewer.add_labels(np.zeros(data.shape, np.uint8), scale=(0.5, 1, 0.2, 0.2), units=("um",) * 4)
    layer = viewer.add_image(
        data, name="cell", axis_labels=("z", "c", "y", "x"), scale=(0.5, 1, 0.2, 0.2), units=("um",) * 4
    )
    viewer.dims.set_point(1, 1.0)
    dock.predict_panel.run_button.button.click()
    wait_end(qtbot, dock.predict_panel)
    result = viewer.layers[-1]
    assert result.data.shape == stack.shape
    assert tuple(result.scale) == SPACING_UM
    assert result.axis_labels == ("z", "y", "x")
    np.testing.assert_array_equal(np.asarray(fake.volumes[0].data[:, :, :]), stack[::-1])
    # The source, and what lies on it, show their planes by the same slider as the result.
    assert layer.data.shape == labels.data.shape == (2, *stack.shape)
    assert layer.axis_labels == ("c", "z", "y", "x")
    assert viewer.dims.point[0] == 1
    assert "order c, z, y, x now" in dock.predict_panel.notices.text()


@pytest.mark.parametrize("labels", [("y", "x", "z"), None])
def test_put_z_first(dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction, labels: Any) -> None:
    panel = dock.predict_panel
    place = {"scale": (0.2, 0.2, 0.5), "translate": (1, 2, 3), "units": ("um",) * 3, "axis_labels": labels}
    layer = viewer.add_image(np.moveaxis(stack, 0, -1), name="cell", **place)
    assert panel.stack.z_first_button.isVisibleTo(panel)
    assert ("Press 'Put z first'" in panel.stack.problem.text()) == (labels is not None)
    assert bool(panel.stack.z_hint.text()) == (labels is None)
    panel.stack.z_first_button.click()
    assert not panel.stack.z_first_button.isVisibleTo(panel)
    assert panel.stack.facts.text() == "8 x 32 x 40, 0.5 x 0.2 x 0.2 um"
    assert tuple(layer.translate) == (3, 1, 2)
    panel.run_button.button.click()
    wait_end(qtbot, panel)
    np.testing.assert_array_equal(fake.volumes[0].data, stack)
    assert tuple(viewer.layers[-1].scale) == SPACING_UM


def test_a_stack_with_few_columns_is_predicted_as_it_lies_unless_told(
    dock: Any, viewer: Any, qtbot: Any, fake: FakePrediction
) -> None:
    data = np.arange(40 * 60 * 16, dtype=np.uint16).reshape(40, 60, 16)
    viewer.add_image(data, name="strip", scale=(0.5, 0.2, 0.2), units=("um",) * 3)
    assert dock.predict_panel.stack.z_first_button.isVisibleTo(dock.predict_panel)
    dock.predict_panel.run_button.button.click()
    wait_end(qtbot, dock.predict_panel)
    assert fake.volumes[0].shape == (40, 60, 16)
