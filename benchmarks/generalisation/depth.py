"""What it is worth to know which way depth grows in a stack, and what a better gain by depth could still bring.

Usage: python -m benchmarks.generalisation.depth [FOLDER ...] [--model NAME=MODEL ...] [--table docs/data/depth.csv]

RMSE as a share of wide-field's after the best scale and offset, mean of the pairs: of stacks as they are; upside down
and told so (``deepest="first"``); upside down and not told; and as they are, the prediction multiplied by the
exponential of depth that fits confocal best, which only the truth tells. Of all pairs the last plane is the deepest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.common.scores import PERCENTILES
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.generalisation.foreign import CHOOSING
from benchmarks.prediction.simulated import named_model
from napari_deep3d import predict
from napari_deep3d.core import FloatArray, Spacing
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs

SLOPES = np.linspace(-1, 1, 21)
"""Logarithms of the gain at the last plane; at the first it is the inverse."""
COLUMNS = {
    "pairs": "{pairs}",
    "number": "{number}",
    "model": "{model}",
    "as they are": "{share:.1%}",
    "upside down, told so": "{told:.1%}",
    "upside down, not told": "{untold:.1%}",
    "with the best gain by depth": "{best_gain:.1%}",
}


def shares(widefield: FloatArray, confocal: FloatArray, spacing_um: Spacing | None, model: str) -> Row:
    """The four shares of one pair, axes (Z, Y, X)."""
    baseline = score(widefield, confocal).rmse_fit

    def share(image: FloatArray) -> float:
        return score(image, confocal).rmse_fit / baseline

    image = np.asarray(predict(widefield, spacing_um=spacing_um, model=model).data)
    turned = widefield[::-1]
    told = np.asarray(predict(turned, spacing_um=spacing_um, model=model, deepest="first").data)
    untold = np.asarray(predict(turned, spacing_um=spacing_um, model=model).data)
    depth = np.linspace(-1, 1, len(image), dtype=np.float32)[:, None, None]
    return {
        "share": share(image),
        "told": share(told[::-1]),
        "untold": share(untold[::-1]),
        "best_gain": min(share(image * np.exp(np.float32(slope) * depth)) for slope in SLOPES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[CHOOSING])
    parser.add_argument("--model", action="append", type=named_model, metavar="NAME=MODEL", required=True)
    add_table_option(parser)
    chosen = parser.parse_args()
    lines: list[Row] = []
    for folder in chosen.folders:
        pairs = list(prepare_pairs(PairsFolder(folder).load(), PERCENTILES))
        for name, model in chosen.model:
            found = []
            for pair in pairs:
                widefield, confocal = pair.crop_widefield(pair.whole), pair.crop_confocal(pair.whole)
                found.append(shares(widefield, confocal, pair.spacing_um, model))
            means = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
            lines.append({"pairs": folder.name, "number": len(found), "model": name} | means)
            print(lines[-1], flush=True)
    write_rows(chosen.table, lines)
    print("\n" + markdown(lines, COLUMNS))


if __name__ == "__main__":
    main()
