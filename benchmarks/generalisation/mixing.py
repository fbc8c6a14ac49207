"""What mixing some Richardson-Lucy into a prediction is worth where the lens is known, stack by stack.

Usage: python -m benchmarks.generalisation.mixing [FOLDER] [--model NAME_OR_FILE] [--lens 0.9 1.1]
           [-o runs/mixing.json] [--table docs/data/mixing.csv]

Richardson-Lucy is told NA, immersion, wavelength and voxel size, and stops after 30 accelerated iterations; its scale
and offset are those that bring it closest to the prediction of best quality, by least squares on the stack itself, so
no truth is needed. Scores are RMSE as a share of wide-field's, and SSIM, both after the best scale and offset; the gain
is how much of the RMSE of the best prediction is taken away. ``--lens`` tells the NA, and the step between planes,
wrong by these factors as well. The default folder serves for choosing, not for testing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common.richardson_lucy import richardson_lucy
from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, add_table_option, markdown, side_by_side, write_rows
from benchmarks.generalisation.foreign import CHOOSING, known_lens
from benchmarks.generalisation.foreign_simulator import ABOUT
from napari_deep3d import predict
from napari_deep3d.core import FloatArray, Spacing
from napari_deep3d.core.evaluation.metrics import fit_scale, score
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

ITERATIONS = 30
WEIGHTS = (0.1, 0.2, 0.3)
FAST, BEST, ALONE = "fast", "best", "Richardson-Lucy"
MEAN = "mean"
Lens = tuple[Microscope, Spacing]


def mixed(prediction: FloatArray, estimate: FloatArray, weight: float) -> FloatArray:
    """A share of an estimate (Z, Y, X), brought to the scale of a prediction, and of that the rest; never below 0."""
    return np.maximum((1 - weight) * prediction + weight * fit_scale(estimate, prediction), 0)


def lenses(lens: Microscope, spacing: Spacing, wrong: Sequence[float]) -> Iterator[tuple[str, Lens]]:
    """A lens and voxel size as they are, and with the NA, and the step between planes, wrong by each factor."""
    yield "", (lens, spacing)
    for factor in wrong:
        aperture = min(factor * lens.numerical_aperture, 0.99 * lens.immersion_index)
        yield f", NA {factor:.0%}", (replace(lens, numerical_aperture=aperture), spacing)
        yield f", step {factor:.0%}", (lens, (factor * spacing[0], *spacing[1:]))


def stack_rows(folder: Path, name: str, chosen: argparse.Namespace) -> Iterator[Row]:
    """Yield the scores of every method on one stack."""
    about = json.loads((folder / ABOUT / name).with_suffix(".json").read_text())
    path = folder / WIDEFIELD / name
    widefield = open_stack(path).volume()
    stack = np.asarray(widefield.data, dtype=np.float32)
    truth = scaled(np.asarray(open_stack(folder / CONFOCAL / name).volume().data))
    baseline = score(scaled(stack), truth).rmse_fit
    fast, best = (np.asarray(predict(path, model=chosen.model, quality=quality).data) for quality in ("fast", "best"))
    best_rmse = score(best, truth).rmse_fit

    def row(method: str, image: FloatArray) -> Row:
        found = score(image, truth)
        facts = {"stack": Path(name).stem, "kind": about["kind"], "scope": about["scope"], "method": method}
        gain = 1 - found.rmse_fit / best_rmse
        return facts | {"share": found.rmse_fit / baseline, "ssim": found.ssim_fit, "gain": gain}

    yield row(FAST, fast)
    yield row(BEST, best)
    for told, (lens, spacing) in lenses(known_lens(about), widefield.require_spacing_um(), chosen.lens):
        _, estimate = next(richardson_lucy(stack, lens, spacing, (ITERATIONS,)))
        yield row(f"{ALONE}{told}", estimate)
        for weight in WEIGHTS:
            yield row(f"{weight:.0%} of it{told}", mixed(best, estimate, weight))


def with_mean(rows: Sequence[Row]) -> list[Row]:
    """The rows, and behind them for each method the mean over the stacks, and the least gain."""
    lines = [{**row, "stack": f"{row['stack']}, {row['kind']}, {row['scope']}"} for row in rows]
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        line: Row = {"stack": MEAN, "method": method}
        line |= {name: float(np.mean([row[name] for row in mine])) for name in ("share", "ssim", "gain")}
        lines.append(line | {"least_gain": min(row["gain"] for row in mine)})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=CHOOSING)
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--lens", type=float, nargs="*", default=[], metavar="FACTOR")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for every row")
    add_table_option(parser)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for name in PairsFolder(chosen.folder).names():
        start = time.monotonic()
        found = list(stack_rows(chosen.folder, name, chosen))
        rows += found
        shares = ", ".join(f"{row['method']}: {row['share']:.3f} {row['ssim']:.3f}" for row in found)
        print(f"{name} ({time.monotonic() - start:.0f} s): {shares}", flush=True)
    lines = with_mean(rows)
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(json.dumps({"model": chosen.model, "rows": lines}, indent=1))
    write_rows(chosen.table, lines)
    columns = {"stack": "{stack}"} | {
        method: f"{{{method} share:.1%}}, {{{method} ssim:.3f}}, {{{method} gain:+.1%}}"
        for method in dict.fromkeys(row["method"] for row in rows)
    }
    print("\n" + markdown(side_by_side(lines, "stack", "method"), columns))


if __name__ == "__main__":
    main()
