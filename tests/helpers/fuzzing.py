"""Give damaged files to the commands, many in one process, and report what went wrong.

``python -m tests.helpers.fuzzing FIRST COUNT REPORT.json`` from the checkout: a process of its own, with limits to
memory and time. Allowed are exit codes 0 and 2, one message, no traceback, 2 GB, 20 s, and files in the output folder.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import hashlib
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from tests.helpers.damaged import Case, Originals, make_case

MAX_BYTES, MAX_SECONDS = 2 * 10**9, 20


class TooLongError(BaseException):
    """A command took too long."""


def tiny_model(path: Path) -> Path:
    """A model with a very small network, not trained."""
    import torch

    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import ModelInfo, save_model

    torch.manual_seed(0)
    sizes = {f"spacing_{kind}um": (0.5, 0.2, 0.2) for kind in ("", "min_", "max_")}
    return save_model(path, Generator(width=2), ModelInfo(name="tiny", width=2, halo=(8, 32, 32), **sizes))


def contents(folder: Path) -> dict[str, str]:
    """What lies in a folder, but for its folder ``out``: names, and a digest of each file; links are not followed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith("out"):
            is_file = path.is_file() and not path.is_symlink()
            found[name] = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest() if is_file else ""
    return found


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Break off what computes for longer; the process, where that cannot be broken off or waits without end."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TooLongError

    old = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(3 * seconds, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, old)


def run(case: Case) -> dict[str, Any]:
    """Run the command of a case, and say what is wrong with how it went."""
    from napari_deep3d.cli.app import main

    out, err, code, problem = io.StringIO(), io.StringIO(), None, ""
    before, begin = peak_bytes(), time.perf_counter()
    sys.argv = ["napari-deep3d", *case.words]
    try:
        with (
            time_limit(MAX_SECONDS),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            main()
            code = 0
    except SystemExit as end:
        code = 0 if end.code is None else end.code
    except TooLongError:
        problem = f"took more than {MAX_SECONDS} s"
    except BaseException:
        problem = "traceback: " + traceback.format_exc()[-1500:]
    told = [line for line in err.getvalue().splitlines() if line.strip()]
    messages = [line for line in told if line.startswith("napari-deep3d: ")]
    if not problem and code not in (0, 2):
        problem = f"exit code {code}"
    elif not problem and "Traceback" in err.getvalue():
        problem = "traceback on standard error"
    elif not problem and code == 2 and not out.getvalue() and len(messages) != 1 and "Usage" not in err.getvalue():
        problem = f"{len(messages)} messages"
    elif not problem and max((len(line) for line in messages), default=0) > 1500:
        problem = "a very long message"
    grown = peak_bytes() - before
    if not problem and grown > MAX_BYTES:
        problem = f"{grown / 1e9:.1f} GB"
    return {
        "code": code,
        "problem": problem,
        "message": (messages or told or [""])[-1][:300],
        "seconds": time.perf_counter() - begin,
    }


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def try_cases(numbers: range, report: Path) -> None:
    """Run the cases of numbers, and write a row for each."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "models").mkdir()
        os.environ["NAPARI_DEEP3D_MODELS"] = str(root / "out" / "models")
        originals = root / "originals"
        originals.mkdir()
        whole = Originals(originals, tiny_model(originals / "tiny.safetensors"))
        run(Case("whole", ("predict", str(whole.tiffs[0]), "-o", str(root / "first.tif"), "--model", str(whole.model))))
        (root / "first.tif").unlink()
        # On top of what the imports take: torch alone maps more than it uses.
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MAX_BYTES, resource.RLIM_INFINITY))
        with report.open("w") as file:
            for number in numbers:
                folder = root / f"case{number}"
                for made in (folder, folder / "out", folder / "secret"):
                    made.mkdir()
                (folder / "secret" / "secret.txt").write_text("not yours")
                case = make_case(number, folder, whole)
                file.write(
                    json.dumps(
                        {"number": number, "what": case.what, "words": case.words, "problem": "ended the process"}
                    )
                    + "\n"
                )
                file.flush()
                before = contents(folder), contents(originals)
                row = run(case)
                if not row["problem"] and before != (contents(folder), contents(originals)):
                    row["problem"] = "something outside the output was written"
                file.write(json.dumps({"number": number, "what": case.what, "words": case.words} | row) + "\n")
                file.flush()
                if not row["problem"]:
                    import shutil

                    shutil.rmtree(folder, ignore_errors=True)
                gc.collect()


if __name__ == "__main__":
    try_cases(range(int(sys.argv[1]), int(sys.argv[1]) + int(sys.argv[2])), Path(sys.argv[3]))
