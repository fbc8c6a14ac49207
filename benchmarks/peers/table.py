"""The measurements that are there already, and what the documentation shows of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil

from benchmarks.common.tables import Row, read_rows, write_rows
from benchmarks.peers.inputs import SHIFT
from benchmarks.peers.methods import METHODS

KEY = ("part", "method", "stack")


def named(shape: Sequence[object]) -> str:
    """A stack's sizes as the tables have them."""
    return " x ".join(map(str, shape))


class Measured:
    """The measurements of one folder, kept one by one, so that a run that was ended goes on where it was."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "measured.csv"

    def rows(self, part: str) -> list[Row]:
        """All measurements of a part, in the order of the methods, then of the stacks."""
        rows = read_rows(self._path) if self._path.exists() else []
        order = [(method.part, method.name) for method in METHODS]
        found = [row for row in rows if row["part"] == part and (part, row["method"]) in order]
        return sorted(found, key=lambda row: (order.index((part, row["method"])), voxels(row["stack"])))

    def has(self, part: str, method: str, stack: str) -> bool:
        """Whether this was measured, or was tried and is too much for the machine."""
        return any(row["method"] == method and row["stack"] == stack for row in self.rows(part))

    def add(self, row: Row) -> None:
        """Keep a measurement."""
        write_rows(self._path, [row], key=KEY)


def voxels(stack: str) -> int:
    """Number of voxels of a stack, from its sizes."""
    return int(np.prod([int(size) for size in stack.split(" x ")]))


def error_of(shift: str) -> float:
    """Distance of a shift that was found from the true one, in voxels."""
    return float(np.linalg.norm(np.array(shift.split(), float) - SHIFT))


def write_tables(measured: Measured, folder: Path) -> None:
    """Write what is shown of the measurements: a table for each part, and machine and versions."""
    everything: list[Row] = []
    for part in dict.fromkeys(method.part for method in METHODS):
        rows = measured.rows(part)
        everything += rows
        shown = [{k: v for k, v in row.items() if k not in ("part", "programs", "machine")} for row in rows]
        if shown:
            write_rows(folder / f"peers_{part}.csv", shown)
    about = {row["machine"]: "machine" for row in everything}
    for row in everything:
        about.setdefault(row["programs"], row["method"])
    lines = [{"what": what, "version": found} for found, what in about.items() if found]
    write_rows(folder / "peers_versions.csv", lines)


def machine() -> str:
    """Processor, cores, memory, system and Python, and the number of threads if it is set."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    cores, memory = psutil.cpu_count(), psutil.virtual_memory().total / 1e9
    threads = os.environ.get("OMP_NUM_THREADS")
    about = [name, f"{cores} cores", f"{memory:.0f} GB", platform.system(), f"Python {platform.python_version()}"]
    return ", ".join(about + ([f"OMP_NUM_THREADS={threads}"] if threads else []))
