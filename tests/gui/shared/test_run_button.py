"""The button that starts, pauses and stops a job."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_deep3d.core.events import Clock, Event, Job, Notice, Progress, Stop, wait
from napari_deep3d.gui.shared.run_button import RunButton


class Work:
    """A job of steps that goes on until it is stopped."""

    def __init__(self, button: RunButton) -> None:
        self.button, self.steps = button, 0

    def note(self, event: Event) -> None:
        assert isinstance(event, Notice | Progress)

    def __call__(self, stop: Stop) -> Job[str]:
        yield Notice("begun")
        clock = Clock()
        while not stop():
            wait(self.button.paused, stop)
            self.steps += 1
            yield clock.progress(1, 4, "a step")
        return "part"


@pytest.fixture
def button(qtbot: Any) -> RunButton:
    made = RunButton("Go", "Starts", stop="Stop and keep", stop_tip="Ends", pause_tip="Waits")
    qtbot.addWidget(made)
    made.show()
    return made


def test_it_starts_pauses_and_stops(button: RunButton, qtbot: Any) -> None:
    ends: list[Any] = []
    events: list[Event] = []
    work = Work(button)
    button.asked.connect(lambda: button.start("a test", work, ends.append, events.append))
    assert (button.button.text(), button.button.toolTip()) == ("Go", "Starts")
    assert not button.bar.isVisible()
    assert not button.pause_button.isVisible()
    button.button.click()
    assert (button.button.text(), button.button.toolTip()) == ("Stop and keep", "Ends")
    qtbot.waitUntil(lambda: button.bar.value() == 250)
    assert button.bar.format().startswith("25 %")
    assert events[0] == Notice("begun")
    button.pause_button.click()
    assert button.pause_button.text() == "Continue"
    assert button.bar.format().startswith("paused at 25 %")
    qtbot.wait(100)
    steps = work.steps
    qtbot.wait(100)
    assert work.steps == steps
    button.button.click()
    assert button.button.text() == "Stopping..."
    assert not button.button.isEnabled()
    assert not button.pause_button.isEnabled()
    qtbot.waitUntil(lambda: ends == ["part"])
    assert not button.is_running
    assert button.button.text() == "Go"
    button.button.click()
    assert button.bar.format() == "starting"
    assert not button.paused()
    button.close_run()


def test_a_job_that_runs_can_be_stopped_whatever_is_allowed(button: RunButton, qtbot: Any) -> None:
    ends: list[Any] = []
    button.allow(False)
    assert not button.button.isEnabled()
    button.start("a test", Work(button), ends.append)
    button.allow(False)
    assert button.button.isEnabled()
    button.stop()
    qtbot.waitUntil(lambda: ends == ["part"])
    assert not button.button.isEnabled()


def test_a_job_that_has_ended_is_let_go(button: RunButton, qtbot: Any) -> None:
    ends: list[Any] = []
    work = Work(button)
    kept = weakref.ref(work)
    button.start("a test", work, ends.append, work.note)
    button.stop()
    qtbot.waitUntil(lambda: ends == ["part"])
    del work
    qtbot.waitUntil(lambda: gc.collect() >= 0 and kept() is None)


def test_a_button_that_qt_deletes_ends_its_job(qtbot: Any) -> None:
    made = RunButton("Go", closing_seconds=0.5)
    work = Work(made)
    made.start("a test", work, lambda _end: None)
    qtbot.waitUntil(lambda: work.steps > 0)
    made.deleteLater()
    with qtbot.waitSignal(made.destroyed):
        pass
    steps = work.steps
    qtbot.wait(50)
    assert work.steps == steps


def test_a_click_meant_for_stop_starts_nothing(button: RunButton, qtbot: Any) -> None:
    ends: list[Any] = []
    button.asked.connect(lambda: button.start("a test", Work(button), ends.append))
    button.button.click()
    button.stop()
    qtbot.waitUntil(lambda: ends == ["part"])
    for _ in range(2):
        qtbot.mouseClick(button.button, Qt.MouseButton.LeftButton)
        qtbot.keyClick(button.button, Qt.Key.Key_Space)
    assert not button.is_running
    qtbot.wait(600)
    qtbot.mouseClick(button.button, Qt.MouseButton.LeftButton)
    assert button.is_running
    qtbot.mouseClick(button.button, Qt.MouseButton.LeftButton)  # Stop is taken at once
    qtbot.waitUntil(lambda: ends == ["part", "part"])


def test_a_job_that_tells_nothing_is_shown_as_busy_with_its_time(button: RunButton, qtbot: Any) -> None:
    gate, ends = threading.Event(), list[Any]()

    def quiet(_stop: Stop) -> Job[str]:
        yield Progress(0, 1, "measuring the stack")
        gate.wait(20)
        yield Progress(1, 2, "a half")
        return "whole"

    button.start("a test", quiet, ends.append)
    qtbot.waitUntil(lambda: button.bar.maximum() == 0, timeout=6000)
    assert button.bar.text().startswith("measuring the stack, ")
    assert button.bar.text().endswith(" s")
    gate.set()
    qtbot.waitUntil(lambda: ends == ["whole"])
    assert button.bar.maximum() == 1000


def test_a_closed_run_tells_its_end_at_once(button: RunButton, qtbot: Any) -> None:
    ends: list[Any] = []
    work = Work(button)
    button.start("a test", work, ends.append)
    qtbot.waitUntil(lambda: work.steps > 0)
    button.close_run()
    assert ends == ["part"]
    qtbot.wait(50)
    assert ends == ["part"]  # once
