"""A real field: time, memory and answer to Stop, with the tiles that are chosen and with a single one.

Usage: python -m benchmarks.prediction.field [--shapes 76,512,512 76,1024,1024] [--moments 4] [--at-most 600]
           [--memory 0] [--core-seconds] [--table docs/data/field.csv]

Each measurement is a process of its own. Memory is what the largest resident set gained over the one before the
prediction, which holds the stack and the program; the result is in it. Stop is asked at random moments of further
predictions; its time is that until the prediction has ended. A prediction that takes longer than ``--at-most``
seconds is stopped, and its time extrapolated from the share that is done. With ``--core-seconds`` all times are those
of the process on a single processor core, which hardly change when other programs run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import torch

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d.core import Event, PredictConfig, Progress, Volume, drain
from napari_deep3d.jobs.predict.plan import plan_prediction
from napari_deep3d.jobs.predict.predict import predict_volume

SPACING_UM = (0.4, 0.2, 0.2)
COLUMNS = {
    "stack": "{stack}",
    "tiles": "{tiles}",
    "s": "{seconds:.0f}",
    "s, by the plan": "{planned_seconds:.0f}",
    "Mvoxel/s": "{mvoxel_per_second:.2f}",
    "memory, GB": "{memory_gb:.1f}",
    "Stop, longest, s": "{stop_seconds:.2f}",
    "longest without progress, s": "{silent_seconds:.1f}",
}


def peak_bytes() -> int:
    """Largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(shape: tuple[int, ...], tile: str, moments: int, at_most: float, memory: int) -> Row:
    """Predict a stack of noise in this process, and again to stop it."""
    rng = np.random.default_rng(0)
    volume = Volume(rng.integers(100, 1000, shape, dtype=np.uint16), SPACING_UM)
    config = PredictConfig.checked(tile=shape if tile == "one" else "auto", memory_bytes=memory or None)
    plan = plan_prediction(volume, config)
    before, start = peak_bytes(), time.perf_counter()
    told, done = [start], [0.0]

    def note(event: Event) -> None:
        told.append(time.perf_counter())
        if isinstance(event, Progress):
            done.append(event.fraction)

    drain(predict_volume(volume, config, stop=lambda: time.perf_counter() - start > at_most), note)
    seconds, memory_used = time.perf_counter() - start, peak_bytes() - before
    delays = []
    for _ in range(moments):
        moment = time.perf_counter() + rng.uniform(0, seconds)

        def stop(moment: float = moment) -> bool:
            return time.perf_counter() > moment

        drain(predict_volume(volume, config, stop=stop))
        delays.append(max(0.0, time.perf_counter() - moment))
    seconds /= done[-1]
    return {
        "stack": " x ".join(map(str, shape)),
        "tiles": plan.tiles,
        "tile": " x ".join(map(str, plan.tile)),
        "seconds": seconds,
        "planned_seconds": plan.seconds,
        "mvoxel_per_second": np.prod(shape) / seconds / 1e6,
        "memory_gb": memory_used / 1e9,
        "stop_seconds": max(delays, default=None),
        "silent_seconds": float(np.diff(told).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=["76,512,512", "76,1024,1024"])
    parser.add_argument("--moments", type=int, default=4)
    parser.add_argument("--at-most", type=float, default=600)
    parser.add_argument("--memory", type=int, default=0, help="bytes; 0: as it comes")
    parser.add_argument("--core-seconds", action="store_true")
    parser.add_argument("--tiles", choices=("auto", "one"), help="measure one of them, in this process")
    add_table_option(parser)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for text in chosen.shapes:
        if chosen.tiles:
            shape = tuple(int(n) for n in text.split(","))
            clock = time.perf_counter
            if chosen.core_seconds:
                torch.set_num_threads(1)
                clock = time.process_time
            with mock.patch("time.perf_counter", clock):
                print(json.dumps(measure(shape, chosen.tiles, chosen.moments, chosen.at_most, chosen.memory)))
            continue
        for tiles in ("auto", "one"):
            command = [sys.executable, "-m", "benchmarks.prediction.field", "--shapes", text, "--tiles", tiles]
            command += ["--moments", str(chosen.moments), "--at-most", str(chosen.at_most)]
            command += ["--memory", str(chosen.memory), *(["--core-seconds"] if chosen.core_seconds else [])]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{text} {tiles}: {done.stdout.strip()}", flush=True)
            found = json.loads(done.stdout)
            named = f"chosen: {found['tiles']}" if tiles == "auto" else "one"
            rows.append(found | {"tiles": named})
    if rows:
        print(markdown(rows, COLUMNS))
        write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
