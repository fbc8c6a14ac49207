"""A large stack from OME-Zarr to OME-Zarr: time, memory, and how fast a plane of the result is read.

Usage: python -m benchmarks.prediction.large [--shape 76,1024,1024] [--memory 2000000000] [--kind .ome.zarr]

The stack is noise, written and predicted in a process of its own each. Memory is the largest resident set of the
prediction, and what it gained over the one when the program was loaded.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_deep3d.core import PredictConfig, drain
from napari_deep3d.io import StackWriter, open_stack
from napari_deep3d.jobs.predict.file import predict_file

SPACING_UM = (0.4, 0.2, 0.2)


def peak_gb() -> float:
    """Largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def write(path: Path, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    with StackWriter(path, shape, SPACING_UM, dtype=np.uint16) as writer:
        for z in range(shape[0]):
            writer.data[z] = rng.integers(100, 1000, shape[1:], dtype=np.uint16)


def predict(stack: Path, output: Path, memory: int) -> None:
    import torch  # noqa: F401  (it belongs to the program, not to the prediction)

    before, start = peak_gb(), time.perf_counter()
    done = drain(predict_file(stack, output, PredictConfig.checked(memory_bytes=memory or None)))
    seconds, voxels = time.perf_counter() - start, float(np.prod(done.shape))
    print(f"tile {done.prediction.tile}, {seconds:.0f} s, {voxels / seconds / 1e6:.2f} Mvoxel/s")
    print(f"peak {peak_gb():.2f} GB, gained {peak_gb() - before:.2f} GB, {time.process_time():.0f} s of the processor")
    result = open_stack(output)
    for name, box in (("plane", np.s_[0, 0, 5]), ("x-z section", np.s_[0, 0, :, 100])):
        start = time.perf_counter()
        result.data[box]
        print(f"{name} of the result read in {1000 * (time.perf_counter() - start):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="76,1024,1024")
    parser.add_argument("--memory", type=int, default=0)
    parser.add_argument("--kind", default=".ome.zarr")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        step, stack, output = options.step
        if step == "write":
            write(Path(stack), tuple(int(size) for size in options.shape.split(",")))
        else:
            predict(Path(stack), Path(output), options.memory)
        return
    with tempfile.TemporaryDirectory() as name:
        files = [str(Path(name) / f"{kind}{options.kind}") for kind in ("stack", "result")]
        for step in ("write", "predict"):
            words = ["--shape", options.shape, "--memory", str(options.memory), "--step", step, *files]
            subprocess.run([sys.executable, "-m", "benchmarks.prediction.large", *words], check=True)


if __name__ == "__main__":
    main()
