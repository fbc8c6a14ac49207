"""A training that is killed and resumed ends with the same weights, bit for bit, as one that never was.

Usage: python -m benchmarks.training.kill_resume [--kills 20] [--seed 0]

A small training with all losses runs once unbroken. Then the same training is begun, killed (SIGKILL) at random
moments, and resumed, until it ends; and begun anew, until there were as many kills as asked for. Model files and the
weights and optimisers of the last checkpoint are compared byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from napari_deep3d import simulate

SETTINGS = {
    "iterations": 60,
    "patch": "12,32,32",
    "batch_size": 1,
    "width": 4,
    "checkpoint_every": 7,
    "validate_every": 10,
    "log_every": 1,
    "device": "cpu",
}


def command(pairs: Path, run: Path) -> list[str]:
    """Begin or resume the training."""
    start = [sys.executable, "-m", "napari_deep3d.cli", "train", str(pairs), "-o", str(run), "--json"]
    if (run / "run.toml").exists():
        return [*start, "--resume"]
    words = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    return [*start, "--name", "killed", *words]


def digests(run: Path) -> dict[str, str]:
    """Fingerprints of what a run has left."""
    files = [run / "model.safetensors", run / "last.safetensors", run / "metrics.csv"]
    files += sorted((run / "checkpoints").glob("*.safetensors"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def run_killed(pairs: Path, run: Path, longest: float, kills_left: int, rng: random.Random) -> list[float]:
    """Run a training to its end, killing it at random moments; return these, in seconds."""
    kills: list[float] = []
    while True:
        process = subprocess.Popen(command(pairs, run), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        delay = rng.uniform(0, longest) if len(kills) < kills_left else 1e6
        try:
            _, errors = process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills.append(delay)
            if not (run / "run.toml").exists() and run.exists():  # killed before there was anything to resume
                for file in run.rglob("*"):
                    if file.is_file():
                        file.unlink()
            continue
        if process.returncode:
            raise SystemExit(f"the training ended with {process.returncode}: {errors.decode()}")
        return kills


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        pairs, wholes = Path(folder) / "pairs", Path(folder) / "whole"
        simulate(pairs, pairs=3, shape=(16, 48, 48), seed=1)
        start = time.perf_counter()
        subprocess.run(command(pairs, wholes), check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        expected = digests(wholes)
        print(f"unbroken: {seconds:.1f} s, files {', '.join(expected)}", flush=True)
        total, number = 0, 0
        while total < chosen.kills:
            run = Path(folder) / f"run{number}"
            kills = run_killed(pairs, run, seconds, chosen.kills - total, rng)
            same = digests(run) == expected
            moments = ", ".join(f"{delay:.1f}" for delay in kills)
            print(f"run {number}: killed after {moments} s; {'the same' if same else 'NOT THE SAME'}", flush=True)
            if not same:
                raise SystemExit({name: (digests(run).get(name) == value) for name, value in expected.items()})
            total, number = total + len(kills), number + 1
        print(f"{total} kills in {number} trainings: all ended with the same bytes")


if __name__ == "__main__":
    main()
