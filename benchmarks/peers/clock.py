"""The clock and the memory of one measurement; runs in any Python, those of other programs' environments included."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

MARK = "measured: "
"""Begins the line of standard output that holds the measurement, for other programs print as well."""


class Enough(BaseException):
    """So much was done that the rest is known; no error, so that no program takes it for one of its own."""


class Clock:
    """Times a measurement, and ends it early where its steps are counted.

    Parameters
    ----------
    at_most
        Seconds after which the step at work is the last one; 0 for no end.
    now
        Tells the time in seconds.
    """

    def __init__(self, at_most: float = 0.0, now: Callable[[], float] = time.perf_counter) -> None:
        self._at_most, self._now = at_most, now
        self._start, self._first, self._seconds = now(), 0.0, 0.0
        self._done, self._total = 0, 0

    def start(self) -> None:
        """Begin to count: all before was preparation."""
        self._start, self._done, self._total = self._now(), 0, 0

    def step(self, total: int) -> None:
        """Note that one of ``total`` equal steps is done.

        Raises
        ------
        Enough
            If it took as long as it may, and steps are left.
        """
        self._done, self._total = self._done + 1, total
        self._seconds = self._now() - self._start
        if self._done == 1:
            self._first = self._seconds
        if self._at_most and self._seconds > self._at_most and self._done < total:
            raise Enough

    def stop(self) -> None:
        """All is done."""
        self._seconds, self._done, self._total = self._now() - self._start, 1, 1

    @property
    def share(self) -> float:
        """Share of the whole that was done when the last step ended."""
        return self._done / self._total if self._total else 0.0

    @property
    def seconds(self) -> float:
        """Of the whole: as measured, or with as long for each missing step as for those after the first one.

        What was done once, before and within the first step, is counted once.
        """
        if not self._done:
            return float("nan")
        each = (self._seconds - self._first) / (self._done - 1) if self._done > 1 else self._seconds
        return self._seconds + each * (self._total - self._done)


def peak_bytes() -> int:
    """Largest resident set of this process so far, without that of the program which started it where that is told."""
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(peak.split()[1])
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def versions(*packages: str) -> str:
    """Packages with their versions."""
    return ", ".join(f"{name} {version(name)}" for name in packages)


def measure(run: Callable[[Clock], dict[str, Any] | None], at_most: float, programs: str) -> None:
    """Measure in this process, and print it as a line that :func:`benchmarks.peers.running.parsed` reads.

    Parameters
    ----------
    run
        Starts the clock when all is loaded; returns what else it found.
    at_most
        See :class:`Clock`.
    programs
        What is measured, with versions.
    """
    clock = Clock(at_most)
    found = None
    try:
        found = run(clock)
        clock.stop()
    except Enough:
        pass
    about = {"seconds": clock.seconds, "share": clock.share, "peak_gb": peak_bytes() / 1e9, "programs": programs}
    print(MARK + json.dumps(about | (found or {})), flush=True)
