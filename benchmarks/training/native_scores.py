"""The study's model of resampled pairs against that of pairs as they are, on stacks that both predict in seconds.

Usage: python -m benchmarks.training.native_scores data/validation data/choosing-real [--folder runs/study]
           [--table docs/data/study_voxels.csv]

Stacks that grow more than :data:`MAX_GROWTH`-fold on the one voxel size are left out, for both models. RMSE as a share
of the wide-field's, RMSE and SSIM after the best scale and offset, and the seconds that predicting took.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.common.scores import PERCENTILES
from benchmarks.common.tables import Row, add_table_option, write_rows
from benchmarks.training.choose import SCORES, share_and_scores
from benchmarks.training.native_pairs import NATIVE_UM
from napari_deep3d import predict
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs

MAX_GROWTH = 12.0
MODELS = ("start-l1", "start-native")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("validation", type=Path, nargs="+")
    parser.add_argument("--folder", type=Path, default=Path("runs/study"))
    add_table_option(parser)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for held in chosen.validation:
        pairs = list(prepare_pairs(PairsFolder(held).load(), PERCENTILES))
        kept = [p for p in pairs if np.prod(np.divide(p.widefield.require_spacing_um(), NATIVE_UM)) <= MAX_GROWTH]
        for name in MODELS:
            model, start = str(chosen.folder / name / "model.safetensors"), time.monotonic()
            images = [
                predict(np.asarray(p.widefield.data[p.whole]), spacing_um=p.spacing_um, model=model).data for p in kept
            ]
            seconds = time.monotonic() - start
            means = np.mean([share_and_scores(p, image) for p, image in zip(kept, images, strict=True)], axis=0)
            about = {"pairs": held.name, "model": name, "stacks": f"{len(kept)} of {len(pairs)}"}
            rows.append(about | dict(zip(SCORES, means.round(4).tolist(), strict=True)))
            print(rows[-1], f"{seconds:.0f} s", flush=True)
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
