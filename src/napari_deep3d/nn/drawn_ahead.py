"""Batches that are drawn ahead, by other threads, for steps that a GPU computes faster than one thread draws."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_THREADS = 8
"""More of them would wait for each other, and hold more batches in memory."""


class DrawnAhead(Generic[T]):
    """What a function gives for each step, asked for before the step comes.

    Parameters
    ----------
    draw : callable
        Gives what belongs to a step; it depends on the step alone, and may be called by several threads at a time.
    steps : int
        Number of steps; nothing is drawn beyond the last.
    threads : int, optional
        How many draw, each one step ahead of the other; by default one for each processor but two, at most
        :data:`MOST_THREADS`.
    """

    def __init__(self, draw: Callable[[int], T], steps: int, threads: int | None = None) -> None:
        self._draw, self._steps = draw, steps
        self._threads = threads or min(MOST_THREADS, max(1, (os.cpu_count() or 1) - 2))
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="draw")
        self._drawn: dict[int, Future[T]] = {}

    def take(self, step: int) -> T:
        """What belongs to a step, and begin the following ones; what was drawn for other steps is dropped.

        Raises what drawing raised.
        """
        wanted = range(step, min(step + 1 + self._threads, self._steps))
        for other in self._drawn.keys() - set(wanted):
            self._drawn.pop(other).cancel()
        for each in (step, *wanted):
            if each not in self._drawn:
                self._drawn[each] = self._pool.submit(self._draw, each)
        return self._drawn.pop(step).result()
