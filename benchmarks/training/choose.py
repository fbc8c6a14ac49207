"""Short trainings that differ in one setting each, scored on pairs held apart: whence the bundled model's settings.

Usage: python -m benchmarks.training.choose data/train data/validation data/choosing-real [--minutes 6]
           [--config FILE ...] [--table docs/data/study.csv]

Every config of configs/study is trained for the same time on a processor of its own, and scored on each of the
validation folders by RMSE and SSIM after the best scale and offset. What is no setting of a training stands in its
table [run]: the model to start from, or other pairs. A row for each is added to FOLDER/table.csv; a run that is in
that file is not repeated. Test pairs and real test images are no part of it.
"""

from __future__ import annotations

import argparse
import csv
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.real_files import ROOT
from benchmarks.common.scores import PERCENTILES
from benchmarks.common.tables import Row, add_table_option, read_rows, write_rows
from napari_deep3d import predict, train
from napari_deep3d.core import FloatArray, read_toml
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.nn.patches import TrainingPair

SCORES = ("share", "rmse", "ssim")
"""RMSE as a share of the wide-field's, RMSE and SSIM, each the mean of a folder's stacks."""
STUDY = ROOT / "configs" / "study"


def share_and_scores(pair: TrainingPair, image: FloatArray) -> tuple[float, float, float]:
    """RMSE of an image as a share of the wide-field's, its RMSE and SSIM."""
    confocal = pair.crop_confocal(pair.whole)
    found, before = score(image, confocal), score(pair.crop_widefield(pair.whole), confocal)
    return found.rmse_fit / before.rmse_fit, found.rmse_fit, found.ssim_fit


def validate(folder: Path, model: str) -> dict[str, float]:
    """Mean scores of a model on a pairs folder."""
    rows = []
    for pair in prepare_pairs(PairsFolder(folder).load(), PERCENTILES):
        stack = np.asarray(pair.widefield.data[pair.whole])
        image = predict(stack, spacing_um=pair.spacing_um, model=model).data
        rows.append(share_and_scores(pair, image))
    means = np.mean(rows, axis=0)
    return {f"{folder.name} {name}": round(float(value), 4) for name, value in zip(SCORES, means, strict=True)}


def study(path: Path, pairs: Path, validation: list[Path], folder: Path, minutes: float) -> Row:
    """Train by one config on one processor, and score the model."""
    torch.set_num_threads(1)
    settings = read_toml(path)
    run = settings.pop("run", {})
    made = train(run.get("pairs", pairs), folder / path.stem, minutes=minutes, start=run.get("start", ""), **settings)
    row: Row = {"name": path.stem, "steps": made.iterations, "seconds": round(made.seconds)}
    for held in validation:
        row |= validate(held, str(made.model))
    return row


def add_row(table: Path, row: Row) -> None:
    """Write a row at the end of the table."""
    is_new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)
    print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("validation", type=Path, nargs="+")
    parser.add_argument("--config", type=Path, action="append")
    parser.add_argument("--folder", type=Path, default=Path("runs/study"))
    parser.add_argument("--minutes", type=float, default=6.0)
    add_table_option(parser)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    table = chosen.folder / "table.csv"
    done = {row["name"] for row in read_rows(table)} if table.exists() else set()
    configs = [path for path in chosen.config or sorted(STUDY.glob("*.toml")) if path.stem not in done]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rest = (chosen.pairs, chosen.validation, chosen.folder, chosen.minutes)
        for task in as_completed(pool.submit(study, path, *rest) for path in configs):
            add_row(table, task.result())
    write_rows(chosen.table, read_rows(table), key=("name",))


if __name__ == "__main__":
    main()
