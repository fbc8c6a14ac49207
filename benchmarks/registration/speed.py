"""Time and peak memory of registration, against scikit-image's phase correlation on the same arrays.

Usage: python -m benchmarks.registration.speed [--shapes 76,512,512 76,1024,1024] [--peer-up-to 1024]
           [--table docs/data/registration_speed.csv]

Each measurement is a process of its own; times are those of the call, memory is the process's largest resident set,
the two 16-bit stacks included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from benchmarks.common.tables import Row, add_table_option, markdown, side_by_side, write_rows
from napari_deep3d.core import RegisterConfig, Volume, drain, never
from napari_deep3d.core.registration.register import register_volumes

SPACING_UM = (0.5, 0.108, 0.108)
SHIFT = (2, -7, 12)
TILE = 256
COLUMNS = {
    "stack": "{stack}",
    "ours, s": "{ours seconds:.1f}",
    "ours, GB": "{ours peak_gb:.1f}",
    "scikit-image, s": "{scikit-image seconds:.1f}",
    "scikit-image, GB": "{scikit-image peak_gb:.1f}",
}


def stacks(shape: tuple[int, ...]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """A confocal and a wide-field stack (Z, Y, X): random spots, and the same blurred, shifted and noisy."""
    rng = np.random.default_rng(0)
    confocal = np.empty(shape, np.uint16)
    widefield = np.empty(shape, np.uint16)
    for y in range(0, shape[1], TILE):
        for x in range(0, shape[2], TILE):
            box = np.s_[:, y : y + TILE, x : x + TILE]
            confocal[box], widefield[box] = _tile(rng, confocal[box].shape)
    return confocal, widefield


def _tile(rng: np.random.Generator, shape: tuple[int, ...]) -> list[NDArray[np.uint16]]:
    """A part of both stacks; what is shifted out at one side comes in at the other."""
    spots = np.zeros(shape, np.float32)
    spots.ravel()[rng.integers(0, spots.size, spots.size // 2000)] = 1
    sharp = ndi.gaussian_filter(spots, (1, 1.5, 1.5), mode="wrap", truncate=3)
    blurred = np.roll(ndi.gaussian_filter(spots, (4, 3, 3), mode="wrap", truncate=3), SHIFT, axis=(0, 1, 2))
    return [rng.poisson(image * (500 / image.max()) + 20).astype(np.uint16) for image in (sharp, blurred)]


def measure(shape: tuple[int, ...], who: str) -> dict[str, object]:
    """Register once in this process."""
    confocal, widefield = stacks(shape)
    start = time.perf_counter()
    if who == "scikit-image":
        images = confocal.astype(np.float32), widefield.astype(np.float32)
        shift = -np.asarray(phase_cross_correlation(*images, upsample_factor=10, normalization="phase")[0])
    else:
        volumes = Volume(confocal, SPACING_UM), Volume(widefield, SPACING_UM)
        shift = np.asarray(drain(register_volumes(*volumes, RegisterConfig(), never)).shift_voxels)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": round(seconds, 2), "peak_gb": round(peak, 2), "shift": [round(float(v), 2) for v in shift]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["76,256,256", "76,512,512", "76,1024,1024", "76,2048,2048"])
    parser.add_argument(
        "--peer-up-to", type=int, default=1024, help="widest stack for scikit-image, which needs memory"
    )
    parser.add_argument("--who", help="measure one of: ours, scikit-image, in this process")
    add_table_option(parser)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for text in chosen.shapes:
        shape = tuple(int(n) for n in text.split(","))
        if chosen.who:
            print(json.dumps(measure(shape, chosen.who)))
            continue
        for who in ("ours", "scikit-image"):
            if who == "ours" or shape[1] <= chosen.peer_up_to:
                command = [sys.executable, "-m", "benchmarks.registration.speed", "--shapes", text, "--who", who]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                print(f"{text} {who}: {done.stdout.strip()}", flush=True)
                found = json.loads(done.stdout)
                place = {"stack": text.replace(",", " x "), "program": who}
                rows.append(place | {name: found[name] for name in ("seconds", "peak_gb")})
    if rows:
        print(markdown(side_by_side(rows, "stack", "program"), COLUMNS))
        write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
