"""A large evaluation: prediction, confocal and wide-field stack in OME-TIFFs, report included: time and memory.

Usage: python -m benchmarks.evaluation.large [--shape 76,1024,1024] [--folder FOLDER]

The stacks are blurred noise (prediction float32, the others 16 bits), written into a folder that is gone afterwards and
evaluated by the command in a process of its own. Memory is told twice: the largest resident set, as ``time -v`` tells
it, and the largest part of it that is the program's own; the rest is pages of the files, which the system takes back
when it needs them. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import scipy.ndimage as ndi

from napari_deep3d.core import Spacing
from napari_deep3d.io import StackWriter

SPACING_UM: Spacing = (0.5, 0.108, 0.108)
BLURS_PX = {"prediction": 1.5, "confocal": 1.2, "widefield": 4.0}
SAMPLED_SECONDS = 0.05


def write(path: Path, shape: tuple[int, ...], blur_px: float) -> None:
    """Write blurred noise, the same for each blur, plane by plane."""
    kind = np.float32 if path.name.startswith("prediction") else np.uint16
    with StackWriter(path, shape, SPACING_UM, dtype=kind) as writer:
        for z in range(shape[0]):
            rng = np.random.default_rng(z)
            plane = ndi.gaussian_filter(rng.standard_normal(shape[1:], np.float32), blur_px) * blur_px
            plane = np.maximum(0, plane) + 0.02 * rng.standard_normal(shape[1:], np.float32) + 0.2
            writer.data[z] = plane if kind is np.float32 else 3000 * np.maximum(0, plane)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="76,1024,1024", help="voxels Z,Y,X")
    parser.add_argument("--folder", help="where the stacks lie meanwhile")
    chosen = parser.parse_args()
    shape = tuple(int(size) for size in chosen.shape.split(","))
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        files = {kind: Path(name) / f"{kind}.ome.tif" for kind in BLURS_PX}
        for kind, path in files.items():
            write(path, shape, BLURS_PX[kind])
        words = [files["prediction"], files["confocal"], "--widefield", files["widefield"]]
        words += ["-o", Path(name) / "report.html", "--json"]
        start, own, whole = time.perf_counter(), 0, 0
        command = [sys.executable, "-m", "napari_deep3d.cli", "evaluate", *map(str, words)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            watched = psutil.Process(child.pid)
            processor = 0.0
            while child.poll() is None:
                memory, times = watched.memory_info(), watched.cpu_times()
                own, whole = max(own, memory.rss - memory.shared), max(whole, memory.rss)
                processor = times.user + times.system
                time.sleep(SAMPLED_SECONDS)
        seconds = time.perf_counter() - start
        if child.returncode:
            sys.exit(f"evaluate ended with {child.returncode}")
        print(f"{' x '.join(map(str, shape))}: {seconds:.0f} s, of the processor {processor:.0f} s")
        print(f"peak {whole / 1e9:.2f} GB, of which its own {own / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
