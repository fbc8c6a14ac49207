"""Run a measurement as a process of its own, and end it when it takes too long or too much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

import psutil

from benchmarks.common.tables import Row
from benchmarks.peers.clock import MARK
from benchmarks.peers.methods import Method

ROOT = Path(__file__).parents[2]
LOOK_EVERY_S = 0.2


class MeasurementError(Exception):
    """There is no measurement; the text says why."""


def command_of(method: Method, folder: Path, at_most: float) -> list[str]:
    """What measures a method on the inputs of a folder."""
    module, variant = method.worker
    limit = at_most if method.is_cut else 0.0
    return [str(method.python.absolute()), "-m", f"benchmarks.peers.{module}", variant, str(folder), str(limit)]


def parsed(output: str) -> Row:
    """The measurement among what a worker printed.

    Raises
    ------
    MeasurementError
        If there is none.
    """
    lines = [line for line in output.splitlines() if line.startswith(MARK)]
    if not lines:
        raise MeasurementError("it ended without a measurement")
    found: Row = json.loads(lines[-1].removeprefix(MARK))
    return found


def run(command: Sequence[str], give_up: float, memory_gb: float) -> Row:
    """Run a worker.

    Parameters
    ----------
    command
        See :func:`command_of`.
    give_up
        Seconds after which it is ended, its start included; 0 for no end.
    memory_gb
        Resident memory above which it is ended, since else the system would end something.

    Raises
    ------
    MeasurementError
        If it was ended, or ended by itself without a measurement.
    """
    foreign = command[0] != sys.executable
    around = {name: value for name, value in os.environ.items() if not (foreign and name.startswith("PYTHON"))}
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, text=True, cwd=ROOT, env=around)
        try:
            _watch(process, give_up, memory_gb)
        finally:
            process.kill()
            process.wait()
        for file in (output, errors):
            file.seek(0)
        if process.returncode:
            said = errors.read().strip().splitlines()
            raise MeasurementError(f"it ended with {process.returncode}: {said[-1] if said else 'it said nothing'}")
        return parsed(output.read())


def _watch(process: subprocess.Popen[str], give_up: float, memory_gb: float) -> None:
    """Wait until a process ends by itself."""
    start, watched = time.monotonic(), psutil.Process(process.pid)
    while process.poll() is None:
        try:
            used = watched.memory_info().rss / 1e9
        except psutil.NoSuchProcess:
            break
        if used > memory_gb:
            raise MeasurementError(f"it needs more than {memory_gb:.0f} GB")
        if give_up and time.monotonic() - start > give_up:
            raise MeasurementError(f"it takes more than {give_up:.0f} s")
        time.sleep(LOOK_EVERY_S)
    process.wait()
