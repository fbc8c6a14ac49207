"""Jobs in worker threads: their events, their end, their errors."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Job, Notice, Stop, StoppedError
from napari_deep3d.gui.shared.worker import Cancelled, Failed, LatestResult, Run, classify, job_of


def start(make_job: Any) -> tuple[Run, list[Any], list[Any]]:
    run = Run("a job", make_job)
    events: list[Any] = []
    ends: list[Any] = []
    run.happened.connect(events.append)
    run.ended.connect(ends.append)
    run.start()
    return run, events, ends


def test_events_and_result_arrive_in_the_windows_thread(qtbot: Any) -> None:
    threads = []

    def job(stop: Stop) -> Job[int]:
        threads.append(threading.current_thread())
        yield Notice("hello")
        return 3

    _run, events, ends = start(job)
    qtbot.waitUntil(lambda: ends == [3])
    assert events == [Notice("hello")]
    assert threads != [threading.main_thread()]


def test_a_function_is_a_job_without_events(qtbot: Any) -> None:
    _run, events, ends = start(lambda _stop: job_of(lambda: 5))
    qtbot.waitUntil(lambda: ends == [5])
    assert events == []


@pytest.mark.parametrize("error", [RuntimeError("wrapped C++ object"), StopIteration(), KeyError("x")])
def test_an_error_is_returned_whatever_it_is(qtbot: Any, error: Exception) -> None:
    def job(stop: Stop) -> Job[None]:
        yield Notice("before")
        raise error

    _run, _events, ends = start(job)
    qtbot.waitUntil(lambda: bool(ends))
    assert isinstance(ends[0], Failed)


def test_an_error_before_the_first_event_is_returned_too(qtbot: Any) -> None:
    def no_job(stop: Stop) -> Job[None]:
        raise InputError("no")

    _run, _events, ends = start(no_job)
    qtbot.waitUntil(lambda: ends == [Failed("no", "input")])


def test_stop_is_handed_to_the_job(qtbot: Any) -> None:
    def job(stop: Stop) -> Job[str]:
        while not stop():
            yield Notice("on")
        return "part"

    run, events, ends = start(job)
    qtbot.waitUntil(lambda: len(events) > 3)
    run.stop()
    qtbot.waitUntil(lambda: ends == ["part"])


def test_a_job_without_a_partial_result_is_cancelled(qtbot: Any) -> None:
    def job(stop: Stop) -> Job[None]:
        yield Notice("on")
        while not stop():
            pass
        raise StoppedError

    run, events, ends = start(job)
    qtbot.waitUntil(lambda: bool(events))
    run.stop()
    qtbot.waitUntil(lambda: bool(ends))
    assert isinstance(ends[0], Cancelled)


def test_napari_may_abort_the_worker(qtbot: Any) -> None:
    def job(stop: Stop) -> Job[None]:
        while not stop():
            yield Notice("on")

    run, events, ends = start(job)
    qtbot.waitUntil(lambda: len(events) > 3)
    run._worker.quit()  # what napari does when its window closes
    qtbot.waitUntil(lambda: bool(ends))
    assert isinstance(ends[0], Cancelled)


def test_close_tells_nobody_and_waits(qtbot: Any) -> None:
    ended = threading.Event()

    def job(stop: Stop) -> Job[None]:
        while not stop():
            yield Notice("on")
        ended.set()

    run, events, ends = start(job)
    qtbot.waitUntil(lambda: len(events) > 3)
    run.close()
    assert ended.is_set()
    qtbot.wait(50)
    assert ends == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("x"), "input"),
        (MemoryError(), "memory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "memory"),
        (ValueError("x"), "other"),
        (KeyError(), "other"),
    ],
)
def test_errors_are_told_apart(error: Exception, kind: str) -> None:
    assert classify(error).kind == kind


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
