"""Measure prediction and registration beside other programs: seconds, peak memory and, of a shift, the error.

Usage: python -m benchmarks.peers [--shapes 48,256,256 76,512,512] [--only MONAI] [--skip compiled] [--at-most 60]
           [--tables docs/data] [--figure docs/images/peers.png]

Programs that cannot be installed beside this one have environments of their own, which
``python -m benchmarks.peers.environments`` makes. One that is not there is left out, with a line that says what to do.

Each measurement is a process of its own: it loads its program and a stack, does a small stack first, and then counts.
Memory is the largest resident set of the process, program and stack included. Another program that takes longer than
``--at-most`` seconds is stopped after the step at work (a tile, an iteration), and its time extrapolated, with as long
for each step left as for those after the first one; where steps cannot be counted, it is ended after ten times as long.

Measurements are kept in ``--work`` one by one: the same command goes on with those that are missing. Remove the folder
to measure all again. The step of a training is measured by ``python -m benchmarks.training.speed``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.common.tables import Row
from benchmarks.peers import figure
from benchmarks.peers.inputs import make_pair, make_stack
from benchmarks.peers.methods import METHODS, Method
from benchmarks.peers.running import MeasurementError, command_of, run
from benchmarks.peers.table import Measured, error_of, machine, named, write_tables

SHAPES = ("48,256,256", "76,512,512", "76,1024,1024", "76,2048,2048")
INPUTS = {"prediction": make_stack, "registration": make_pair}
UNCOUNTED = 10
"""A program whose steps cannot be counted may take so many times as long."""
START_S = 120
"""That a program may need until it begins."""
MEMORY_SHARE = 0.9
"""Of the memory that is free when a measurement begins."""


def shape_of(text: str) -> tuple[int, ...]:
    """Sizes that are written as Z,Y,X.

    Raises
    ------
    argparse.ArgumentTypeError
        If they are not three whole numbers above 0.
    """
    sizes = text.split(",")
    if len(sizes) != 3 or not all(size.strip().isdecimal() and int(size) for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is no stack; write three whole numbers, such as {SHAPES[0]}")
    return tuple(int(size) for size in sizes)


def wanted(only: Sequence[str], skip: Sequence[str]) -> list[Method]:
    """The methods in whose part or name one of the words of ``only`` is, if there are any, and none of ``skip``."""

    def has(method: Method, words: Sequence[str]) -> bool:
        return any(word in f"{method.part} {method.name}" for word in words)

    return [method for method in METHODS if (has(method, only) or not only) and not has(method, skip)]


def present(methods: Sequence[Method]) -> list[Method]:
    """Those that can be measured; a line for each of the others says what to do."""
    for method in methods:
        if why := method.missing():
            print(f"{method.part}, {method.name}: left out; {why}")
    return [method for method in methods if not method.missing()]


def measure_all(measured: Measured, methods: Sequence[Method], shape: tuple[int, ...], at_most: float) -> None:
    """Measure what is missing of one size, on inputs that are made for it and removed."""
    stack = named(shape)
    for part, make in INPUTS.items():
        left = [m for m in methods if m.part == part and not measured.has(part, m.name, stack)]
        if not left:
            continue
        with TemporaryDirectory() as name:
            make(Path(name), shape)
            for method in left:
                row = measure_one(method, Path(name), at_most)
                print(f"{stack}, {part}, {method.name}: {said(row)}", flush=True)
                measured.add({"part": part, "method": method.name, "stack": stack} | row | {"machine": machine()})


def measure_one(method: Method, folder: Path, at_most: float) -> Row:
    """Seconds, share, memory and error of a method; where there are none, the reason as ``why``."""
    give_up = UNCOUNTED * at_most + START_S if method.is_cut and at_most else 0.0
    memory_gb = MEMORY_SHARE * psutil.virtual_memory().available / 1e9
    row: Row = dict.fromkeys(("seconds", "share", "peak_gb", "shift", "error_voxels", "why", "programs"))
    try:
        row |= run(command_of(method, folder, at_most), give_up, memory_gb)
    except MeasurementError as failed:
        return row | {"why": str(failed)}
    return row | ({"error_voxels": error_of(row["shift"])} if row["shift"] else {})


def said(row: Row) -> str:
    """A measurement in a line."""
    if row["why"]:
        return f"left out; {row['why']}"
    done = "" if row["share"] >= 1 else f", of which {row['share']:.0%} was measured"
    error = "" if row["error_voxels"] is None else f", {row['error_voxels']:.3f} voxels off"
    return f"{row['seconds']:.1f} s{done}, {row['peak_gb']:.1f} GB{error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shapes", nargs="+", default=[shape_of(text) for text in SHAPES], type=shape_of, metavar="Z,Y,X"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="methods whose part or name has a word")
    parser.add_argument("--skip", nargs="+", default=[], metavar="WORD", help="methods to leave out, in the same way")
    parser.add_argument("--at-most", type=float, default=60, metavar="SECONDS", help="0: no end")
    parser.add_argument("--work", type=Path, default=Path("runs/peers"), metavar="FOLDER")
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="write what docs/performance.md shows to here")
    parser.add_argument("--figure", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    measured, methods = Measured(chosen.work), wanted(chosen.only, chosen.skip)
    if not methods:
        names = "; ".join(f"{method.part} {method.name}" for method in METHODS)
        parser.error(f"no method has such a word and none that is skipped; there are: {names}")
    methods = present(methods)
    for shape in chosen.shapes:
        measure_all(measured, methods, shape, chosen.at_most)
    if chosen.tables:
        write_tables(measured, chosen.tables)
    if chosen.figure:
        figure.draw(measured.rows("prediction"), chosen.figure)


if __name__ == "__main__":
    main()
