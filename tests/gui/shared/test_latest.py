"""What the newest choice asks for, worked out in a worker."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.gui.shared.latest import LatestResult
from napari_deep3d.gui.shared.worker import Failed


class Watched:
    """A LatestResult and what it tells."""

    def __init__(self) -> None:
        self.latest = LatestResult("a test", delay_ms=20)
        self.told: list[Any] = []
        self.latest.outdated.connect(lambda: self.told.append("outdated"))
        self.latest.started.connect(lambda: self.told.append("started"))
        self.latest.ended.connect(self.told.append)


@pytest.fixture
def watched(qtbot: Any) -> Watched:
    return Watched()


def test_quick_changes_ask_for_the_last_one_alone(watched: Watched, qtbot: Any) -> None:
    threads: list[threading.Thread] = []
    for number in range(5):
        watched.latest.ask(number, lambda number=number: (threads.append(threading.current_thread()), number)[1])
    qtbot.waitUntil(lambda: 4 in watched.told)
    assert watched.told == ["outdated"] * 5 + ["started", 4]
    assert threads[0] is not threading.main_thread()


def test_the_same_key_asks_once_until_it_is_forgotten(watched: Watched, qtbot: Any) -> None:
    for _ in range(2):
        watched.latest.ask(("stack", 1), lambda: "answer")
        qtbot.waitUntil(lambda: "answer" in watched.told)
    assert watched.told == ["outdated", "started", "answer"]
    watched.latest.forget()
    watched.latest.ask(("stack", 1), lambda: "again")
    qtbot.waitUntil(lambda: "again" in watched.told)


def test_a_late_answer_is_dropped(watched: Watched, qtbot: Any) -> None:
    gate = threading.Event()
    watched.latest.ask("first", lambda: gate.wait(5) and "first")
    qtbot.waitUntil(lambda: "started" in watched.told)
    watched.latest.ask("second", lambda: "second")
    gate.set()
    qtbot.waitUntil(lambda: "second" in watched.told)
    qtbot.wait(50)
    assert "first" not in watched.told


def test_an_error_is_told_and_nothing_after_the_end(watched: Watched, qtbot: Any) -> None:
    def fail() -> None:
        raise InputError("no such model")

    watched.latest.ask("wrong", fail)
    qtbot.waitUntil(lambda: Failed("no such model", "input") in watched.told)
    watched.latest.ask("waiting", lambda: "late")
    watched.latest.shut_down()
    qtbot.wait(100)
    assert "late" not in watched.told
