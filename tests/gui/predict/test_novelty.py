"""The yellow line about a stack that is unlike what the model knows: before predicting, and never a stale one."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.novelty.explain import NEGATIVE, NOISE, Novelty
from napari_deep3d.nn.model_file import load_model, save_model
from tests.helpers.gui import PLACE, SPACING_UM, write_model
from tests.helpers.novelty import known, widefield

GOOD = widefield(7000)
INVERTED = GOOD.max() - GOOD


@pytest.fixture
def knowing(tmp_path: Path) -> Path:
    """A very small model that says what it knows."""
    path = write_model(tmp_path / "knows.safetensors", "knows")
    generator, info = load_model(path)
    return save_model(path, generator, info.model_copy(update={"novelty": known()}))


class Answers:
    """Takes the place of the comparison: waits for the gate, then says what it was told to for the stack's name."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.asked: list[str] = []
        self.by_name: dict[str, Any] = {}

    def __call__(self, volume: Any, _config: Any) -> Any:
        self.asked.append(volume.name)
        assert threading.current_thread() is not threading.main_thread()
        assert self.gate.acquire(timeout=5)
        answer = self.by_name.get(volume.name)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def dock_with_answers(open_dock: Any, panels: dict[str, Any], answers: Answers) -> Any:
    """The dock with the answers in place of the comparison."""
    return open_dock(predict=partial(panels["predict"], find_novelty=answers))


def test_it_is_said_before_predicting_and_only_once(dock: Any, viewer: Any, qtbot: Any, knowing: Path) -> None:
    panel = dock.predict_panel
    dock.session.update(model=str(knowing))
    viewer.add_image(INVERTED, name="brightfield", **PLACE)
    qtbot.waitUntil(lambda: "transmitted light" in panel.novelty.text(), timeout=10_000)
    assert panel.novelty.isVisibleTo(panel)
    assert panel.run_button.button.isEnabled()
    panel._show_notice(panel.novelty.text())  # as the prediction will say again
    assert "transmitted light" not in panel.notices.text()


def test_of_a_stack_like_the_models_nothing_is_said(dock: Any, viewer: Any, qtbot: Any, knowing: Path) -> None:
    panel = dock.predict_panel
    dock.session.update(model=str(knowing))
    viewer.add_image(INVERTED, name="brightfield", **PLACE)
    qtbot.waitUntil(lambda: panel.novelty.text() != "", timeout=10_000)
    dock.session.choose_layer(viewer.add_image(GOOD, name="fluorescence", **PLACE))
    assert panel.novelty.text() == ""
    qtbot.wait(700)
    assert panel.novelty.text() == ""
    assert not panel.novelty.isVisibleTo(panel)


def test_a_late_answer_about_another_layer_is_dropped(
    dock_with_answers: Any, viewer: Any, qtbot: Any, answers: Answers
) -> None:
    answers.by_name = {"first": Novelty(2.0, (NOISE,)), "second": Novelty(2.0, (NEGATIVE,))}
    answers.gate = threading.Semaphore(0)
    panel = dock_with_answers.predict_panel
    viewer.add_image(GOOD, name="first", **PLACE)
    qtbot.waitUntil(lambda: answers.asked == ["first"])
    dock_with_answers.session.choose_layer(viewer.add_image(GOOD, name="second", **PLACE))
    qtbot.waitUntil(lambda: answers.asked == ["first", "second"])
    answers.gate.release(2)
    qtbot.waitUntil(lambda: "dark on bright" in panel.novelty.text())
    qtbot.wait(100)
    assert "noise" not in panel.novelty.text()
    assert answers.asked == ["first", "second"]


def test_quick_changes_ask_once(dock_with_answers: Any, viewer: Any, qtbot: Any, answers: Answers) -> None:
    for number in range(5):
        dock_with_answers.session.choose_layer(viewer.add_image(GOOD, name=f"stack {number}", **PLACE))
    qtbot.waitUntil(lambda: bool(answers.asked))
    qtbot.wait(500)
    assert answers.asked == ["stack 4"]
    dock_with_answers.session.update(advanced={"device": "cpu"})  # which changes nothing about the stack
    qtbot.wait(500)
    assert answers.asked == ["stack 4"]


def test_a_model_trained_anew_under_its_name_is_asked_again(
    dock_with_answers: Any, viewer: Any, qtbot: Any, answers: Answers, knowing: Path
) -> None:
    dock_with_answers.session.update(model=str(knowing))
    viewer.add_image(GOOD, name="cell", **PLACE)
    qtbot.waitUntil(lambda: answers.asked == ["cell"])
    dock_with_answers.predict_panel.refresh_models()
    qtbot.wait(500)
    assert answers.asked == ["cell"]
    generator, info = load_model(knowing)
    save_model(knowing, generator, info.model_copy(update={"title": "Another training"}))
    dock_with_answers.predict_panel.refresh_models()
    qtbot.waitUntil(lambda: answers.asked == ["cell", "cell"])


def test_the_window_lives_while_it_looks(dock_with_answers: Any, viewer: Any, qtbot: Any, answers: Answers) -> None:
    answers.gate = threading.Semaphore(0)
    viewer.add_image(GOOD, name="slow", **PLACE)
    qtbot.waitUntil(lambda: answers.asked == ["slow"])
    start = time.monotonic()
    viewer.dims.set_current_step(0, 3)
    qtbot.wait(20)
    assert time.monotonic() - start < 1
    answers.gate.release()


def test_an_error_shows_no_line_and_does_not_get_in_the_way(
    dock_with_answers: Any, viewer: Any, qtbot: Any, answers: Answers
) -> None:
    answers.by_name = {"odd": InputError("no such model")}
    viewer.add_image(GOOD, name="odd", **PLACE)
    qtbot.waitUntil(lambda: answers.asked == ["odd"])
    qtbot.wait(100)
    assert dock_with_answers.predict_panel.novelty.text() == ""
    assert dock_with_answers.predict_panel.run_button.button.isEnabled()


def test_another_time_point_is_another_stack(dock_with_answers: Any, viewer: Any, qtbot: Any, answers: Answers) -> None:
    place = {"scale": (1, *SPACING_UM), "units": ("s", "um", "um", "um"), "axis_labels": ("t", "z", "y", "x")}
    viewer.add_image(np.stack([GOOD, INVERTED]), name="series", **place)
    qtbot.waitUntil(lambda: answers.asked == ["series t0"])
    dock_with_answers.session.update(index={0: 1})
    qtbot.waitUntil(lambda: answers.asked == ["series t0", "series t1"])
