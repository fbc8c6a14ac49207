"""Fingerprints of everything the program computes, to show that a change of its structure changed no answer.

Run once on each checkout, in one environment, then compare::

    python tools/release/same_answers.py record ../before -o runs/before.json
    python tools/release/same_answers.py record . -o runs/after.json
    python tools/release/same_answers.py compare runs/before.json runs/after.json

It speaks through the command line alone, whose names stay. Recorded are SHA-256 sums of voxels and weights and the
figures of every command but its times; predictions of the bundled sample and of the real nucleus (whole, in tiles,
with uncertainty), the registration of the real pair, 20 steps of each kind of training, pairs of ten seeds.
One thread, so that sums are taken in one order; takes about ten minutes.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from safetensors.numpy import load_file

Answers = dict[str, Any]

SUBJECTS = ("predict", "register", "simulate", "train")
NUCLEUS = Path("..") / "shared" / "data" / "neubias" / "nucleus_confocal_widefield.tif"
PREDICTIONS: dict[str, tuple[str, ...]] = {
    "whole": ("--memory", "4GB"),
    "tiled": ("--tile", "24,64,64"),
    "uncertain": ("--memory", "4GB", "--uncertainty"),
}
NETWORK = ("width=4", "patch=[[12,48,48],[24,48,48]]", "iterations=20", "validate_every=10", "checkpoint_every=10")
TRAININGS: dict[str, tuple[str, ...]] = {
    "all losses": (),
    "L1": ("weight_gan=0", "weight_vgg=0"),
    "L1 and GAN": ("weight_vgg=0", "batch_size=2"),
    "L1 and VGG": ("weight_gan=0", "ema=0"),
    "2D": ("dimensions=2",),
    "DeepZ+": ("dimensions=2", "network_input=plane"),
    "every second plane": ("z_step=2", "patch=[12,48,48]"),
    "misregistered": ("misregistration_um=[0.5,0.2,0.2]", "weight_gan=0", "weight_vgg=0"),
}
FROM_MODEL = ("iterations=20", "patch=[12,48,48]", "weight_vgg=0", "validate_every=10")
TIMES = ("seconds", "voxels_per_second", "iterations_per_second", "output", "uncertainty", "run", "model")
"""Figures that are no answers: times and paths."""


def main() -> None:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    record_parser = commands.add_parser("record")
    record_parser.add_argument("checkout", type=Path)
    record_parser.add_argument("-o", "--output", type=Path, required=True)
    record_parser.add_argument("--only", choices=SUBJECTS, help="one subject, for a quick look")
    compare_parser = commands.add_parser("compare")
    compare_parser.add_argument("before", type=Path)
    compare_parser.add_argument("after", type=Path)
    words = parser.parse_args()
    if words.command == "record":
        words.output.parent.mkdir(parents=True, exist_ok=True)
        chosen = (words.only,) if words.only else SUBJECTS
        words.output.write_text(json.dumps(record(words.checkout.resolve(), chosen), indent=1) + "\n")
    else:
        sys.exit(compare(json.loads(words.before.read_text()), json.loads(words.after.read_text())))


def record(checkout: Path, subjects: Sequence[str] = SUBJECTS) -> Answers:
    """Everything that the program in a checkout computes on some subjects, by the name of the question."""
    answers: Answers = {}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for subject in subjects:
            {"predict": _predict, "register": _register, "simulate": _simulate, "train": _train}[subject](
                checkout, work, answers
            )
    return answers


def compare(before: Answers, after: Answers) -> int:
    """Print what differs in the subjects that both have; the exit code."""
    both = {name.split()[0] for name in before} & {name.split()[0] for name in after}
    before, after = ({k: v for k, v in side.items() if k.split()[0] in both} for side in (before, after))
    different = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    for name in different:
        print(f"{name}: {before.get(name)} | {after.get(name)}")
    print(f"{len(before.keys() | after.keys()) - len(different)} answers are the same, {len(different)} differ")
    return 1 if different else 0


def _predict(checkout: Path, work: Path, answers: Answers) -> None:
    thick = next((checkout / "src").rglob("thick_widefield.tif"))
    samples: dict[str, tuple[str, ...]] = {"thick": (str(thick),), "nucleus": (str(NUCLEUS), "--channel", "1")}
    for sample, stack in samples.items():
        for kind, options in PREDICTIONS.items():
            output = work / f"{sample}-{kind}.ome.tif"
            found = _run(checkout, "predict", *stack, "-o", str(output), "--precision", "float32", *options)
            _keep(answers, f"predict {sample} {kind}", found, work, output.name.split(".")[0])


def _register(checkout: Path, work: Path, answers: Answers) -> None:
    for transform in ("shift", "affine"):
        channels = ("--confocal-channel", "0", "--widefield-channel", "1", "--transform", transform)
        folder = work / f"registered-{transform}"
        found = _run(checkout, "register", str(NUCLEUS), str(NUCLEUS), "-o", str(folder), *channels)
        _keep(answers, f"register {transform}", found, folder, "")


def _simulate(checkout: Path, work: Path, answers: Answers) -> None:
    for seed in range(10):
        folder = work / f"pairs-{seed}"
        found = _run(
            checkout, "simulate", "-o", str(folder), "--pairs", "1", "--shape", "24,64,64", "--seed", str(seed)
        )
        _keep(answers, f"simulate {seed}", found, folder, "")
    for kind in ("sparse", "thick"):
        folder, bounds = work / f"pairs-{kind}", checkout / "configs" / "simulate" / f"{kind}.toml"
        size = ("--pairs", "2", "--shape", "24,64,64", "--seed", "11", "--config", str(bounds))
        _keep(answers, f"simulate {kind}", _run(checkout, "simulate", "-o", str(folder), *size), folder, "")


def _train(checkout: Path, work: Path, answers: Answers) -> None:
    pairs = work / "pairs"
    found = _run(checkout, "simulate", "-o", str(pairs), "--pairs", "6", "--shape", "32,80,80", "--seed", "21")
    _keep(answers, "simulate six", found, pairs, "")
    common = ("--set", "precision=float32", "--set", "log_every=1", "--set", "validation_share=0.34")
    for kind, settings in TRAININGS.items():
        words = [word for setting in (*NETWORK, *settings) for word in ("--set", setting)]
        _keep_training(answers, kind, checkout, work / kind, [str(pairs), *common, *words])
    words = [word for setting in FROM_MODEL for word in ("--set", setting)]
    _keep_training(
        answers, "from a model", checkout, work / "start", [str(pairs), *common, "--start", "generalist", *words]
    )


def _keep_training(answers: Answers, kind: str, checkout: Path, run: Path, words: list[str]) -> None:
    figures = _run(checkout, "train", *words, "-o", str(run))
    _keep(answers, f"train {kind}", figures, run, "")
    for path in sorted(run.glob("*.safetensors")):
        for name, weights in load_file(path).items():
            answers[f"train {kind} {path.name} {name}"] = _sum(weights)
    with (run / "metrics.csv").open(newline="") as file:
        rows = [{name: value for name, value in row.items() if "second" not in name} for row in csv.DictReader(file)]
    answers[f"train {kind} metrics"] = rows


def _run(checkout: Path, *words: str) -> Answers:
    """The JSON that a command of the program in a checkout prints."""
    surroundings = os.environ | {
        "PYTHONPATH": str(checkout / "src"),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "napari_deep3d.cli", *words, "--json"]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\nended with {done.returncode}: {done.stderr[-2000:]}")
    answer: Answers = json.loads(done.stdout)
    return answer


def _keep(answers: Answers, name: str, figures: Answers, folder: Path, prefix: str) -> None:
    """Record a command's figures, and the voxels of the files in a folder that begin with a prefix."""
    for key, value in figures.items():
        if key not in TIMES and "output" not in key:
            answers[f"{name} {key}"] = value
    for path in sorted(folder.rglob(f"{prefix}*.tif")):
        with tifffile.TiffFile(path) as file:
            answers[f"{name} {path.relative_to(folder)}"] = _sum(file.asarray())


def _sum(values: NDArray[Any]) -> str:
    values = np.ascontiguousarray(values)
    return f"{values.dtype} {values.shape} {hashlib.sha256(values.tobytes()).hexdigest()}"


if __name__ == "__main__":
    main()
