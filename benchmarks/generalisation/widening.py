"""What each widening of the simulated pairs is worth: short trainings that differ in one thing from the first.

Usage: python -m benchmarks.generalisation.widening data/fourth_leg.safetensors --choosing ../shared/data/foreign-choose
           --choosing data/foreign-test --choosing data/calibration [--table docs/data/widening.csv]

For every file of configs/widening 60 pairs are simulated within the bounds of configs/simulate/usual.toml, changed by
the file's table [simulate]; the model is trained on with them by configs/widening.toml, changed by its table [train],
on a core of its own. Scores are RMSE as a share of wide-field's, and SSIM, after the best scale and offset. A run that
is in FOLDER/table.csv is not repeated. Eight minutes for each on one core.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.common.real_files import FETCHED, ROOT
from benchmarks.common.tables import Row, add_table_option, read_rows, write_rows
from benchmarks.training.choose import validate
from napari_deep3d import simulate, train
from napari_deep3d.core import read_toml
from napari_deep3d.core.config import merge
from napari_deep3d.core.simulation.scene import SceneBounds

CONFIGS = ROOT / "configs" / "widening"
USUAL = ROOT / "configs" / "simulate" / "usual.toml"
TRAINING = ROOT / "configs" / "widening.toml"
PAIRS, SHAPE, SEED = 60, (64, 128, 128), 4301


def study(path: Path, start: Path, choosing: list[Path], folder: Path) -> Row:
    """Simulate the pairs of one file, train on with them, and score the last weights."""
    torch.set_num_threads(1)
    changes = read_toml(path)
    bounds = merge(SceneBounds, read_toml(USUAL), changes.get("simulate", {}))
    shapes = sorted((FETCHED / "training").glob("*.ome.tif"))
    pairs = folder / f"{path.stem}-pairs"
    simulate(pairs, pairs=PAIRS, shape=SHAPE, seed=SEED, confocal_stacks=shapes, bounds=bounds, overwrite=True)
    settings = read_toml(TRAINING) | changes.get("train", {})
    made = train(pairs, folder / path.stem, start=str(start), **settings)
    row: Row = {"name": path.stem, "steps": made.iterations}
    for held in choosing:
        row |= validate(held, str(made.run / "last.safetensors"))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path)
    parser.add_argument("--choosing", type=Path, action="append", required=True)
    parser.add_argument("--config", type=Path, action="append", help="only these files")
    parser.add_argument("--folder", type=Path, default=Path("runs/widening"))
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    add_table_option(parser)
    chosen = parser.parse_args()
    table = chosen.folder / "table.csv"
    done = {row["name"] for row in read_rows(table)} if table.exists() else set()
    configs = [path for path in chosen.config or sorted(CONFIGS.glob("*.toml")) if path.stem not in done]
    with ProcessPoolExecutor(chosen.cores, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(study, path, chosen.start, chosen.choosing, chosen.folder) for path in configs]
        for task in as_completed(tasks):
            row = task.result()
            print(row, flush=True)
            write_rows(table, [row], ("name",))
    write_rows(chosen.table, read_rows(table), ("name",))


if __name__ == "__main__":
    main()
