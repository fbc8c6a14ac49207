"""What a run of the command line gave, and what a folder holds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.io import open_stack

SPACING_UM = (0.5, 0.2, 0.2)
ORIGIN_UM = (10.0, -20.0, 30.5)
COMMAND = [sys.executable, "-c", "from napari_deep3d.cli import main; main()"]


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output; NaN and Infinity are no JSON."""
        assert self.out.count("\n") == 1, self.out
        found = json.loads(self.out, parse_constant=_no_json)
        assert isinstance(found, dict)
        return found

    @property
    def message(self) -> str:
        """The one message of a refusal, on standard error alone."""
        assert self.code == 2, (self.code, self.err)
        assert self.out == ""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("napari-deep3d: ")
        return lines[0].removeprefix("napari-deep3d: ")


Run = Callable[..., Outcome]


def _no_json(word: str) -> NoReturn:
    raise AssertionError(f"{word} is no JSON")


def run_process(*words: object, timeout: float = 120) -> Outcome:
    """Run the command line as a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, encoding="utf-8", timeout=timeout, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder, hidden or not: the bytes of files, None for folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def names(folder: Path) -> set[str]:
    """Names in a folder, hidden ones too."""
    return {path.name for path in folder.iterdir()}


def voxels(path: Path, time: int | None = None) -> NDArray[np.generic]:
    """The voxels of a file, axes Z, Y, X."""
    return np.asarray(open_stack(path).volume(time=time).data[...])
