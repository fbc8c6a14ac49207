"""How many turns of the stack an uncertainty needs: error of their mean, and how well their spread tells it.

Usage: python -m benchmarks.prediction.turns data/test [--model NAME_OR_FILE] [--table docs/data/turns.csv]

The spread alone, before any calibration, of pairs whose voxel size the model knows.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d.core import intensity_range, normalise
from napari_deep3d.core.evaluation.metrics import rmse, ssim
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.models.store import find_model
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.nn.devices import choose_device, choose_precision
from napari_deep3d.nn.folded_network import FoldedNetwork
from napari_deep3d.nn.model_file import load_model
from napari_deep3d.nn.tta import AUGMENTATIONS, Augmentation, AugmentedNetwork

FLIPS = [(bool(z), bool(y), bool(x)) for z, y, x in product((0, 1), repeat=3)]
EVERY_TURN = (
    *AUGMENTATIONS,
    *(t for s in (False, True) for t in (Augmentation(f, s) for f in FLIPS) if t not in AUGMENTATIONS),
)
EIGHT = (
    *AUGMENTATIONS,
    *(Augmentation((z, y, not x), s) for (z, y, x), s in ((t.flips, t.transpose) for t in AUGMENTATIONS)),
)
"""The chosen four, and the same with X reversed as well: each of the eight turns of a plane once."""
COLUMNS = {
    "turns": "{turns}",
    "RMSE": "{rmse:.4f}",
    "SSIM": "{ssim:.4f}",
    "rank correlation of spread and error": "{rank_correlation:.3f}",
}
CHOICES = {1: AUGMENTATIONS[:1], 2: AUGMENTATIONS[:3:2], 4: AUGMENTATIONS, 8: EIGHT, 16: EVERY_TURN}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="generalist")
    add_table_option(parser)
    chosen = parser.parse_args()
    generator, info = load_model(find_model(chosen.model))
    device = choose_device()
    scores: dict[int, list[list[float]]] = {count: [] for count in CHOICES}
    for pair in prepare_pairs(PairsFolder(chosen.folder).load(), info.percentiles):
        stack = np.asarray(open_stack(chosen.folder / "widefield" / pair.name).volume().data[:, :, :])
        widefield = normalise(stack, intensity_range(stack, info.percentiles))
        confocal = normalise(np.asarray(pair.confocal.data[:, :, :]), pair.confocal_range)
        with torch.no_grad():
            network = FoldedNetwork(generator, [widefield], device, choose_precision(device))
        for count, turns in CHOICES.items():
            prediction, spread = AugmentedNetwork(network, None, turns)(widefield)
            error = np.abs(prediction - confocal)
            rank = float(spearmanr(spread.ravel(), error.ravel()).statistic) if count > 1 else np.nan
            scores[count].append([rmse(prediction, confocal), ssim(prediction, confocal), rank])
    means = {count: np.mean(values, axis=0).tolist() for count, values in scores.items()}
    rows: list[Row] = [
        {"turns": count, "rmse": error, "ssim": likeness, "rank_correlation": rank}
        for count, (error, likeness, rank) in means.items()
    ]
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
