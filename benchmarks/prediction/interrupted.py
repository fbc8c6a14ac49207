"""Kill a prediction (kill -9) at random moments and run it again: the result is the same, no tile is computed twice.

Usage: python -m benchmarks.prediction.interrupted [--kills 10] [--shape 32,320,320] [--tile 32,80,320]
           [--model generalist] [--seed 0] [--ending .ome.zarr]

The stack is noise. The command line predicts it once undisturbed, and again and again with a kill at a random moment of
its work, until it ends by itself, and once more from the beginning until as many kills have come. Prints a line for
each run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_deep3d.io import open_stack, remove, write_stack

SPACING_UM = (0.4, 0.2, 0.2)
COMMAND = [sys.executable, "-c", "from napari_deep3d.cli import main; main()", "predict"]


def run(words: list[str], kill_after: float | None) -> tuple[list[str], float, int]:
    """Run the command, killed so many seconds after it has begun with a tile; what it said, its time and exit code."""
    start, lines, first = time.perf_counter(), [], 0.0
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if kill_after is not None and not first and "measuring" in line:
                first = time.perf_counter()
                time.sleep(kill_after)
                process.kill()
        code = process.wait()
    return lines, time.perf_counter() - start, code


def tiles_told(lines: list[str]) -> tuple[int, list[int], int]:
    """How many tiles were done at the beginning of a run, those it worked on, and how many there are."""
    text = "".join(lines)
    begun = re.search(r"(\d+) of \d+ tiles are done", text)
    seen = re.findall(r"tile (\d+) of (\d+)", text)
    return int(begun[1]) if begun else 0, [int(number) for number, _ in seen], int(seen[0][1]) if seen else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--shape", default="32,320,320")
    parser.add_argument("--tile", default="32,80,320")
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ending", default=".ome.zarr")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    shape = tuple(int(size) for size in options.shape.split(","))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stack = write_stack(folder / "stack.ome.zarr", rng.integers(100, 1000, shape, dtype=np.uint16), SPACING_UM)
        common = [str(stack), "--model", options.model, "--tile", options.tile]
        whole, killed = folder / f"whole{options.ending}", folder / f"killed{options.ending}"
        _, seconds, code = run([*common, "-o", str(whole)], None)
        print(f"undisturbed: {seconds:.1f} s, exit code {code}", flush=True)
        kills, ends = 0, 0
        while kills < options.kills or ends < 1:
            known = 0
            while not killed.exists():
                wait = float(rng.uniform(0, 0.25 * seconds)) if kills < options.kills else None
                lines, took, code = run([*common, "-o", str(killed)], wait)
                begun, seen, count = tiles_told(lines)
                kills += code == -9
                again = begun < known or (bool(seen) and min(seen) <= begun)
                known = max(known, begun)
                worked = f"{min(seen)} to {max(seen)}" if seen else "none"
                verdict = "finished tiles computed AGAIN" if again else "none computed again"
                print(
                    f"{begun} of {count} tiles were done, worked on {worked}, {verdict}; {took:.1f} s, {code}",
                    flush=True,
                )
            same = np.array_equal(open_stack(killed).data[...], open_stack(whole).data[...])
            left = sorted(path.name for path in folder.iterdir() if "killed" in path.name and path != killed)
            print(
                f"{kills} kills so far; result {'equal' if same else 'NOT equal'}; left beside it: {left}", flush=True
            )
            remove(killed)
            ends += 1


if __name__ == "__main__":
    main()
