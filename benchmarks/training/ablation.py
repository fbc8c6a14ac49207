"""What each part of the method is worth: losses, third dimension, whole stack; small trainings on the same data.

Usage: napari-deep3d simulate -o data/ablation-train --pairs 40 --shape 64,128,128 --seed 41 --from CELLS3D
       napari-deep3d simulate -o data/ablation-test --pairs 12 --shape 64,128,128 --seed 7041 --from CELLS3D
       python -m benchmarks.training.ablation data/ablation-train data/ablation-test [--out runs/ablation.csv]
           [--table docs/data/ablation.csv]

Every row is one training of one variant with one seed, scored on the test pairs, with its weights and with their
running mean; rows that the file has already are not made again. Two workers share the work with --worker 0/2 and 1/2.
The table has mean and standard deviation over the seeds, of the weights of the last step.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.tables import Row, add_table_option, markdown, read_rows, write_rows
from napari_deep3d.core import FloatArray, TrainConfig
from napari_deep3d.core.evaluation.metrics import fit_scale, rmse, ssim
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.patches import TrainingPair
from napari_deep3d.nn.trainer import Trainer
from napari_deep3d.nn.validation import Predictor

COMMON: dict[str, Any] = {
    "batch_size": 1,
    "patch": ((12, 64, 64), (24, 64, 64), (48, 64, 64)),
    "width": 16,
    "ema": 0.99,
    "device": "cpu",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "L1": {"weight_gan": 0.0, "weight_vgg": 0.0},
    "L1+GAN": {"weight_vgg": 0.0},
    "L1+GAN+VGG": {},
    "2D": {"dimensions": 2},
    "DeepZ+": {"dimensions": 2, "network_input": "plane"},
    "not registered": {"misregistration_um": (1.0, 1.0, 1.0)},
    "every 2nd plane": {"z_step": 2},
    "every 4th plane": {"z_step": 4},
}
WIDEFIELD = "wide-field"
SCORES = ("rmse", "ssim", "rmse_fit", "ssim_fit", "high_frequencies")
COLUMNS = ("variant", "seed", "steps", "weights", "seconds", *SCORES)
BAND = (0.25, 0.75)
"""Box of high lateral frequencies as shares of the Nyquist frequency (Fig. 7 of the paper gives none)."""


def high_frequencies(stack: FloatArray) -> float:
    """Amplitude of the lateral spectrum summed inside the box of high frequencies, over all planes."""
    spectrum = np.abs(np.fft.fft2(stack))
    ky, kx = (np.abs(np.fft.fftfreq(size)) * 2 for size in stack.shape[1:])
    largest = np.maximum(ky[:, None], kx)
    return float(spectrum[:, (largest >= BAND[0]) & (largest <= BAND[1])].sum())


def scores(generator: Generator, pairs: list[TrainingPair], trainer: Trainer) -> dict[str, float]:
    """Mean scores of whole-stack predictions."""
    rows = []
    for pair in pairs:
        predict = Predictor(generator, pair, trainer.config, trainer.device, trainer.dtype)
        rows.append(row(predict(pair.whole), pair.crop_confocal(pair.whole)))
    return dict(zip(SCORES, np.mean(rows, axis=0).tolist(), strict=True))


def row(image: FloatArray, truth: FloatArray) -> tuple[float, ...]:
    """RMSE and SSIM, the same after fitting scale and offset, and high frequencies as a share of confocal's."""
    fitted = fit_scale(image, truth)
    share = high_frequencies(image) / high_frequencies(truth)
    return rmse(image, truth), ssim(image, truth), rmse(fitted, truth), ssim(fitted, truth), share


def train(pairs: list[TrainingPair], variant: str, seed: int, steps: int) -> tuple[Trainer, float]:
    """One training; as the train command does it, without its files."""
    config = TrainConfig.checked(**(COMMON | VARIANTS[variant] | {"seed": seed, "iterations": steps}))
    if config.data.misregistration_um is not None:
        rng = np.random.default_rng(seed)
        pairs = [pair.misaligned(rng, config.data.misregistration_um) for pair in pairs]
    trainer, start = Trainer(config, pairs), time.perf_counter()
    for step in range(steps):
        trainer.step(step)
    return trainer, time.perf_counter() - start


def done(path: Path) -> list[Row]:
    return read_rows(path) if path.exists() else []


def append(path: Path, values: dict[str, Any]) -> None:
    fresh = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in values.items()})


def means(path: Path) -> list[Row]:
    """Mean and spread over the seeds of every variant, by the weights that were scored."""
    groups: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    for found in done(path):
        groups[found["variant"], found["weights"]].append([float(found[name]) for name in SCORES])
    lines: list[Row] = []
    for (variant, weights), rows in groups.items():
        line: Row = {"variant": variant, "weights": weights, "seeds": len(rows)}
        for name, mean, spread in zip(SCORES, np.mean(rows, axis=0), np.std(rows, axis=0), strict=True):
            line |= {name: float(mean), f"{name}_spread": float(spread) if len(rows) > 1 else None}
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/ablation.csv"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--worker", default="0/1")
    add_table_option(parser)
    chosen = parser.parse_args()
    mine, workers = (int(part) for part in chosen.worker.split("/"))
    if workers > 1:
        torch.set_num_threads(1)
    training, test = (prepare_pairs(PairsFolder(folder).load(), (0.1, 99.9)) for folder in (chosen.train, chosen.test))
    if not mine and not any(r["variant"] == WIDEFIELD for r in done(chosen.out)):
        before = [row(pair.crop_widefield(pair.whole), pair.crop_confocal(pair.whole)) for pair in test]
        means_before = dict(zip(SCORES, np.mean(before, axis=0).tolist(), strict=True))
        append(chosen.out, {"variant": WIDEFIELD, "weights": "last"} | means_before)
    work = list(itertools.product(range(chosen.seeds), chosen.variants))
    for seed, variant in work[mine::workers]:
        if any(r["variant"] == variant and int(r["seed"]) == seed for r in done(chosen.out)):
            continue
        trainer, seconds = train(training, variant, seed, chosen.steps)
        for weights, network in (("last", trainer.generator), ("running mean", trainer.ema)):
            assert isinstance(network, Generator)
            about = {"variant": variant, "seed": seed, "steps": chosen.steps, "weights": weights, "seconds": seconds}
            found = about | scores(network, test, trainer)
            append(chosen.out, found)
            print(found, flush=True)
    lines = means(chosen.out)
    columns = {"variant": "{variant}", "weights": "{weights}", "seeds": "{seeds}"}
    print(markdown(lines, columns | {name: f"{{{name}:.4f}} ± {{{name}_spread:.4f}}" for name in SCORES}))
    last = [line for line in lines if line["weights"] == "last"]
    write_rows(chosen.table, [{k: v for k, v in line.items() if k not in ("weights", "seeds")} for line in last])


if __name__ == "__main__":
    main()
