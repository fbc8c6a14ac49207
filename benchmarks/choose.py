"""Short trainings that differ in one setting each, scored on validation pairs: whence the bundled model's settings.

Usage: python benchmarks/choose.py data/train data/validation [configs/study/base.toml ...] [--minutes 3]

A row for each config is added to FOLDER/table.csv: settings, steps, seconds, RMSE and SSIM on the validation pairs by
the intensities as they are and after the best scale and offset. A run that is in the table is not repeated. Test
pairs and real test images are no part of it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from napari_deep3d import predict, train
from napari_deep3d.core.config import read_toml
from napari_deep3d.core.metrics import score
from napari_deep3d.jobs.pairs import read_pairs

PERCENTILES = (0.1, 99.9)
COLUMNS = ("name", "steps", "seconds", "rmse", "ssim", "rmse_fit", "ssim_fit")
STUDY = Path(__file__).parent.parent / "configs" / "study"


def validate(folder: Path, model: str) -> list[float]:
    """Mean RMSE, SSIM, and both after the fit, of a model on a pairs folder."""
    rows = []
    for pair in read_pairs(folder, PERCENTILES):
        image = predict(np.asarray(pair.widefield.data[pair.whole]), spacing_um=pair.spacing_um, model=model).data
        found = score(image, pair.crop_confocal(pair.whole))
        rows.append((found.rmse, found.ssim, found.rmse_fit, found.ssim_fit))
    return [round(float(value), 4) for value in np.mean(rows, axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("validation", type=Path)
    parser.add_argument("configs", type=Path, nargs="*", default=sorted(STUDY.glob("*.toml")))
    parser.add_argument("--folder", type=Path, default=Path("runs/study"))
    parser.add_argument("--minutes", type=float, help="the same time for each, instead of its own number of steps")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    table = chosen.folder / "table.csv"
    done = {row["name"] for row in csv.DictReader(table.open())} if table.exists() else set()
    for path in chosen.configs:
        if path.stem in done:
            continue
        made = train(chosen.pairs, chosen.folder / path.stem, minutes=chosen.minutes, **read_toml(path))
        row = [path.stem, made.iterations, round(made.seconds), *validate(chosen.validation, str(made.model))]
        is_new = not table.exists()
        with table.open("a", newline="") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(COLUMNS)
            writer.writerow(row)
        print(dict(zip(COLUMNS, row, strict=True)), flush=True)


if __name__ == "__main__":
    main()
