"""Where the time of a prediction from OME-Zarr to OME-Zarr goes: reading, convolutions, what is around them, writing.

Usage: python -m benchmarks.prediction.parts [--shape 76,512,512] [--precision auto] [--table docs/data/parts.csv]

The stack is noise. PyTorch's profiler tells the seconds of each operation on the calling thread, whose calls last as
long as they take on all of torch's threads; reading and writing are timed as calls. What is left is Python, NumPy
(scaling, resampling, blending), and the profiler's own cost, a few per cent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.prediction.large import write
from napari_deep3d.core import PredictConfig, drain
from napari_deep3d.io.stack_file import StackView
from napari_deep3d.jobs.predict.file import predict_file
from napari_deep3d.jobs.predict.unfinished import GrowingOutput

PARTS = {
    "convolutions": ("conv",),
    "interpolation between levels": ("upsample", "interpolate"),
    "max-pooling": ("max_pool", "maxpool", "amax"),
    "norm statistics": ("var_mean", "norm", "mean", "sum"),
    "changes of layout and number format": ("copy", "contiguous", "_to_copy", "reorder", "to_mkldnn"),
    "joining, padding, allocating": ("cat", "pad", "empty", "fill", "zero", "resize"),
    "ReLU, sums": ("relu", "clamp", "add", "mul", "sub", "div"),
}
"""By what the names of PyTorch's operations hold; the first that fits counts."""
OTHERS = "other operations of PyTorch"
READING, WRITING, REST = "reading and unpacking the stack", "writing, with the pyramid", "the rest: Python and NumPy"
COLUMNS = {"": "{part}", "s": "{seconds:.1f}", "share": "{share:.0%}"}


def part_of(operation: str) -> str:
    """Which part an operation belongs to."""
    name = operation.removeprefix("aten::")
    return next((part for part, words in PARTS.items() if any(word in name for word in words)), OTHERS)


def rows_of(operations: Iterable[tuple[str, float]], timed: dict[str, float], whole: float) -> list[Row]:
    """A row for each part, of operations and their own seconds, timed calls, and the seconds of the whole."""
    seconds = defaultdict[str, float](float, timed)
    for operation, own in operations:
        seconds[part_of(operation)] += own
    seconds[REST] = whole - sum(seconds.values())
    order = [READING, *PARTS, OTHERS, WRITING, REST]
    return [{"part": part, "seconds": seconds[part], "share": seconds[part] / whole} for part in order]


@contextmanager
def timed_calls() -> Iterator[dict[str, float]]:
    """Seconds of reading and writing, by what they are called here."""
    seconds = {READING: 0.0, WRITING: 0.0}

    def timer(original: Callable[..., Any], part: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            start = time.perf_counter()
            try:
                return original(*args)
            finally:
                seconds[part] += time.perf_counter() - start

        return call

    with (
        mock.patch.object(StackView, "_read", timer(StackView._read, READING)),
        mock.patch.object(GrowingOutput, "add", timer(GrowingOutput.add, WRITING)),
    ):
        yield seconds


def measure(shape: tuple[int, ...], precision: str, folder: Path) -> list[Row]:
    """Predict once, unprofiled, so that everything is loaded; then under the profiler."""
    stack = folder / "stack.ome.zarr"
    write(stack, shape)
    config = PredictConfig.checked(precision=precision)
    drain(predict_file(stack, folder / "first.ome.zarr", config))
    with timed_calls() as timed, profile(activities=[ProfilerActivity.CPU]) as profiled:
        start = time.perf_counter()
        done = drain(predict_file(stack, folder / "second.ome.zarr", config))
        whole = time.perf_counter() - start
    averages = [(str(entry.key), entry.self_cpu_time_total / 1e6) for entry in profiled.key_averages()]
    print(f"{done.prediction.precision}, tile {done.prediction.tile}, {torch.get_num_threads()} threads, {whole:.1f} s")
    return rows_of(averages, timed, whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="76,512,512")
    parser.add_argument("--precision", default="auto")
    add_table_option(parser)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(tuple(int(n) for n in chosen.shape.split(",")), chosen.precision, Path(folder))
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
