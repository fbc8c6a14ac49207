"""Jobs: generators of events with a result."""

from __future__ import annotations

import time

import pytest

from napari_deep3d.core import events as core_events
from napari_deep3d.core.events import (
    Clock,
    Event,
    Job,
    Notice,
    Progress,
    Steps,
    StoppedError,
    drain,
    finish,
    mapped,
    never,
    tap,
    told,
    wait,
)


def job(log: list[str]) -> Job[int]:
    log.append("started")
    yield Notice("one")
    yield Progress(1, 2, "half")
    log.append("ended")
    return 42


def test_drain_returns_the_result_and_hands_on_every_event_in_order() -> None:
    events: list[Event] = []
    assert drain(job([]), events.append) == 42
    assert events == [Notice("one"), Progress(1, 2, "half")]


def test_drain_needs_no_listener() -> None:
    log: list[str] = []
    assert drain(job(log)) == 42
    assert log == ["started", "ended"]


def test_drain_lets_errors_through() -> None:
    def fails() -> Job[None]:
        yield Notice("one")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        drain(fails())


def test_tap_passes_events_and_result_on_and_shows_each_first() -> None:
    seen: list[Event] = []

    def outer() -> Job[str]:
        result = yield from tap(job([]), seen.append)
        return f"got {result}"

    passed: list[int] = []
    assert drain(outer(), lambda _: passed.append(len(seen))) == "got 42"
    assert seen == [Notice("one"), Progress(1, 2, "half")]
    assert passed == [1, 2]


@pytest.mark.parametrize(("done", "total", "share"), [(0, 4, 0), (1, 4, 0.25), (4, 4, 1), (5, 4, 1), (0, 0, 1)])
def test_fraction_of_progress(done: float, total: float, share: float) -> None:
    assert Progress(done, total, "").fraction == share


def test_clock_tells_the_time_left_at_the_rate_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clock = Clock()
    now = 106.0
    assert clock.seconds == 6
    assert clock.progress(3, 4, "tile") == Progress(3, 4, "tile", 2.0)
    assert clock.progress(4, 4, "tile").seconds_left == 0
    assert clock.progress(0, 4, "tile").seconds_left is None


def test_never_stops() -> None:
    assert never() is False


def test_waiting_lasts_while_it_is_paused() -> None:
    asked = iter([True, True, True, False])
    start = time.perf_counter()
    waited = wait(lambda: next(asked), never)
    assert 0.15 <= waited <= time.perf_counter() - start
    assert next(asked, None) is None


def test_waiting_ends_when_it_is_stopped() -> None:
    asked = iter([False, False, True])
    assert wait(lambda: True, lambda: next(asked)) >= 0.1


def test_what_is_not_paused_does_not_wait() -> None:
    assert wait(never, lambda: pytest.fail("stop was asked")) < 0.05


def test_mapped_changes_every_event_and_keeps_the_result() -> None:
    events: list[Event] = []
    changed = mapped(job([]), lambda event: Progress(3, 4, "other") if isinstance(event, Progress) else event)
    assert drain(changed, events.append) == 42
    assert events == [Notice("one"), Progress(3, 4, "other")]


def quarters(made: list[float]) -> Steps[str]:
    """Four steps and a result."""
    for share in (0.25, 0.5, 0.75, 1.0):
        made.append(share)
        yield share
    return "all"


def test_steps_are_finished_in_one_go_or_left_where_they_are() -> None:
    assert finish(quarters([])) == "all"
    made: list[float] = []
    with pytest.raises(StoppedError):
        finish(quarters(made), lambda: len(made) == 2)
    assert made == [0.25, 0.5]


def test_steps_within_a_job_are_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 0.6, 1.2, 1.2, 1.8, 2.3, 2.3, 9.0])
    monkeypatch.setattr(core_events.time, "perf_counter", lambda: next(seconds))
    events: list[Event] = []
    result = drain(told(quarters([]), lambda share: Progress(share, 1, "so far")), events.append)
    assert result == "all"
    assert events == [Progress(0.5, 1, "so far"), Progress(1.0, 1, "so far")]


def test_steps_within_a_job_are_left_when_it_is_stopped() -> None:
    made: list[float] = []
    with pytest.raises(StoppedError):
        drain(told(quarters(made), lambda share: Progress(share, 1, ""), lambda: len(made) == 3))
    assert made == [0.25, 0.5, 0.75]
