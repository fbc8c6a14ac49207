"""A result too large for the memory goes into a file that is asked for, and is shown while it grows."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtWidgets import QFileDialog

from napari_deep3d.core import tap
from napari_deep3d.gui.predict import choices
from napari_deep3d.gui.widget import Deep3DWidget
from napari_deep3d.io import StackWriter, open_stack, pyramid, write_stack
from napari_deep3d.jobs.predict.file import FilePrediction
from napari_deep3d.jobs.predict.unfinished import incomplete_path
from tests.helpers.gui import SPACING_UM, FakePrediction

Data = NDArray[np.uint16]
FIRST_UM = (10.0, 4.0, -6.0)


class FakeFilePrediction:
    """The fake prediction, into a file in levels; ``calls`` are its arguments."""

    def __init__(self, fake: FakePrediction) -> None:
        self.fake, self.calls = fake, list[tuple[Any, ...]]()

    def __call__(self, volumes: Any, path: Path, config: Any, about: Any, is_series: bool, stop: Any) -> Any:
        self.calls.append((volumes, path, about, is_series))
        shape = (len(volumes), *volumes[0].shape) if is_series else volumes[0].shape
        origin_um = volumes[0].origin_um
        values = np.zeros(shape, np.float32)
        with StackWriter(path, shape, SPACING_UM, origin_um, "x", grows_as=incomplete_path(path)) as writer:
            into = SimpleNamespace(prediction=values, uncertainty=None)
            job = (
                self.fake.series(volumes, config, into, stop)
                if is_series
                else self.fake(volumes[0], config, into, stop)
            )

            def write(event: Any) -> None:
                writer.data[...] = values

            made = yield from tap(job, write)
            writer.data[...] = values
            if not made.complete:
                writer.leave()
        return FilePrediction(path if made.complete else incomplete_path(path), shape, made)


@pytest.fixture
def to_file(fake: FakePrediction) -> FakeFilePrediction:
    return FakeFilePrediction(fake)


def give_memory(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    """Let so many bytes be free, as the program sees it; all else of the machine stays."""
    memory = choices.psutil.virtual_memory()._replace(available=available)
    monkeypatch.setattr(choices.psutil, "virtual_memory", lambda: memory)


@pytest.fixture
def panels(panels: dict[str, Any], to_file: FakeFilePrediction, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    give_memory(monkeypatch, 50_000)
    monkeypatch.setattr(pyramid, "MAX_COARSEST", 16)
    return panels | {"predict": partial(panels["predict"], predict_to_file=to_file)}


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user chooses when a file is asked for."""
    answers = [str(tmp_path / "result.ome.zarr")]
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (answers[0], ""))
    return answers


def add(viewer: Any, stack: Data) -> Any:
    place = {"scale": SPACING_UM, "translate": FIRST_UM, "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
    return viewer.add_image(stack, name="cell", **place)


def ended(panel: Any) -> bool:
    return bool(panel.run_button.button.text() == "Predict confocal")


def test_it_grows_in_a_file_and_is_shown(
    make_napari_viewer: Any, panels: dict[str, Any], qtbot: Any, stack: Data, fake: FakePrediction, chosen: Any
) -> None:
    viewer = make_napari_viewer()
    dock = Deep3DWidget(viewer, **panels)
    viewer.window.add_dock_widget(dock, name="Deep3D")
    fake.gate = threading.Semaphore(2)
    source, panel, path = add(viewer, stack), dock.predict_panel, Path(chosen[0])
    qtbot.waitUntil(lambda: "too large for the memory: a file is asked for" in panel.plan_line.text())
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    grows = viewer.layers[-1]
    assert (grows.name, grows.multiscale, path.exists()) == ("cell (confocal-like)", True, False)
    qtbot.waitUntil(lambda: np.asarray(grows.data[0])[0, 8, 0] == 2)
    assert not np.asarray(grows.data[0])[:, 24:].any()
    assert panel.stack.chooser.layer_choice.currentText() == "cell"
    fake.gate.release(9)
    qtbot.waitUntil(lambda: ended(panel))
    assert [np.asarray(grows.data[0])[0, y, 0] for y in (0, 8, 16, 24)] == [1, 2, 3, 4]
    assert np.asarray(grows.data[-1]).max() == 4
    np.testing.assert_allclose(grows.data_to_world((1, 2, 3)), source.data_to_world((1, 2, 3)))
    assert str(path) in panel.message.text()
    written = open_stack(path)
    assert written.origin_um == pytest.approx(FIRST_UM)
    assert written.spacing_um == pytest.approx(SPACING_UM)
    assert not panel.save.run_button.button.isEnabled()  # it is saved
    assert panel.compare.isEnabled()
    viewer.dims.ndisplay = 3  # napari shows the coarsest level there


def test_stopped_it_stays_and_can_be_gone_on_with(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction, chosen: Any
) -> None:
    fake.gate = threading.Semaphore(2)
    add(viewer, stack)
    panel = dock.predict_panel
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: panel.run_button.bar.value() == 500)
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: ended(panel))
    assert "predict into result.ome.zarr again to go on" in panel.message.text()
    assert viewer.layers[-1].name == "cell (confocal-like) (incomplete)"
    assert incomplete_path(Path(chosen[0])).exists()


def test_all_time_points(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, to_file: FakeFilePrediction, chosen: Any
) -> None:
    viewer.add_image(np.stack([stack] * 3), name="cell", axis_labels=("t", "z", "y", "x"), units=["s"] + ["um"] * 3)
    panel = dock.predict_panel
    panel.all_times.click()
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: bool(to_file.calls) and ended(panel), timeout=20_000)
    result = viewer.layers[-1]
    assert result.data[0].shape == (3, *stack.shape)
    assert [np.asarray(result.data[0])[time, 0, 31, 0] for time in range(3)] == [4, 8, 12]


def test_a_cluster_writes_a_small_result_into_a_file(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, to_file: FakeFilePrediction, chosen: Any, monkeypatch: Any
) -> None:
    give_memory(monkeypatch, 10**9)
    add(viewer, stack)
    panel = dock.predict_panel
    panel.advanced.scheduler.setText("host")
    panel.advanced.scheduler.editingFinished.emit()
    qtbot.waitUntil(lambda: "an address such as tcp://host:8786 is allowed" in panel.stack.problem.text())
    panel.advanced.scheduler.setText("tcp://host:8786 ")
    panel.advanced.scheduler.editingFinished.emit()
    qtbot.waitUntil(lambda: "On the workers of tcp://host:8786; a file is asked for" in panel.plan_line.text())
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: bool(to_file.calls) and ended(panel), timeout=20_000)
    assert str(chosen[0]) in panel.message.text()


@pytest.mark.parametrize("answer", ["", "taken.ome.zarr"])
def test_without_a_file_nothing_starts(
    dock: Any, viewer: Any, stack: Data, to_file: FakeFilePrediction, chosen: list[str], tmp_path: Path, answer: str
) -> None:
    taken = write_stack(tmp_path / "taken.ome.zarr", np.ones((5, 20, 20)), SPACING_UM)
    chosen[0] = answer and str(tmp_path / answer)
    add(viewer, stack)
    panel = dock.predict_panel
    panel.run_button.button.click()
    assert to_file.calls == []
    assert ended(panel)
    assert ("exists and is not replaced" in panel.save.message.text()) == bool(answer)
    assert np.all(open_stack(taken).volume().data[...] == 1)


def test_a_failure_says_what_is_kept(
    dock: Any, viewer: Any, qtbot: Any, stack: Data, fake: FakePrediction, chosen: Any
) -> None:
    fake.error, fake.error_at = RuntimeError("boom"), 2
    add(viewer, stack)
    panel = dock.predict_panel
    panel.run_button.button.click()
    qtbot.waitUntil(lambda: ended(panel) and bool(panel.message.text()))
    assert "boom" in panel.message.text()
    assert "kept as" in panel.message.text()
