"""Score models on pairs of foreign simulators, beside Richardson-Lucy told the lens.

Usage: python -m benchmarks.generalisation.foreign [FOLDER] [--model NAME=MODEL ...] [--no-deconvolution]
           [-o runs/foreign.json] [--with runs/foreign.json] [--table docs/data/foreign_choose.csv]

RMSE as a share of wide-field's, stack by stack, and SSIM, both after the best scale and offset; means by kind of
sample, by microscope and over all, and the worst stack. Richardson-Lucy is told what the microscope's owner knows,
which is NA, immersion, wavelength and voxel size, and stops after a fixed number of iterations: with accelerated steps,
one of which does the work of several, and with classical ones. The default folder serves for choosing between models.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.real_files import SHARED
from benchmarks.common.richardson_lucy import richardson_lucy
from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.generalisation.foreign_simulator import ABOUT
from benchmarks.prediction.simulated import earlier_rows, named_model
from napari_deep3d import predict
from napari_deep3d.core import FloatArray, Volume
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

CHOOSING = SHARED / "foreign-choose"
ITERATIONS = (20, 40)
BASELINE = "wide-field"
COLUMNS = {
    "stacks of": "{group}",
    "number": "{stacks}",
    "": "{method}",
    "of wide-field's RMSE": "{share:.0%}",
    "SSIM": "{ssim:.3f}",
    "worst": "{worst:.0%}",
}


def known_lens(about: dict[str, Any]) -> Microscope:
    """The microscope as its owner knows it, without aberrations: the sample has the immersion's index, or is water."""
    index = float(about["ni"])
    return Microscope(
        numerical_aperture=float(about["NA"]),
        immersion_index=index,
        sample_index=max(index, 1.333),
        emission_um=float(about["em_nm"]) / 1000,
    )


def deconvolved(widefield: Volume, about: dict[str, Any]) -> Iterator[tuple[str, FloatArray]]:
    """Names and estimates of Richardson-Lucy, accelerated and classical, after fixed numbers of iterations."""
    lens, spacing = known_lens(about), widefield.require_spacing_um()
    stack = np.asarray(widefield.data, dtype=np.float32)
    for steps in ("accelerated", "classical"):
        found = richardson_lucy(stack, lens, spacing, ITERATIONS, accelerated=steps == "accelerated")
        for iteration, estimate in found:
            yield f"Richardson-Lucy, {steps}, {iteration}", estimate


def stack_rows(folder: Path, name: str, chosen: argparse.Namespace) -> Iterator[Row]:
    """Yield the scores of every method on one stack."""
    about = json.loads((folder / ABOUT / name).with_suffix(".json").read_text())
    path = folder / WIDEFIELD / name
    widefield = open_stack(path).volume()
    truth = scaled(np.asarray(open_stack(folder / CONFOCAL / name).volume().data))
    baseline = score(scaled(np.asarray(widefield.data)), truth)

    def row(method: str, image: FloatArray) -> Row:
        found = score(image, truth)
        facts = {"stack": name, "kind": about["kind"], "scope": about["scope"], "method": method}
        return facts | {"share": found.rmse_fit / baseline.rmse_fit, "ssim": found.ssim_fit, "rmse": found.rmse_fit}

    yield row(BASELINE, scaled(np.asarray(widefield.data)))
    if not chosen.no_deconvolution:
        for method, estimate in deconvolved(widefield, about):
            yield row(method, scaled(estimate))
    for method, model in chosen.model:
        yield row(method, np.asarray(predict(path, model=model).data))


def means(rows: Sequence[Row]) -> list[Row]:
    """One line per group and method: number of stacks, mean share, SSIM and RMSE, and the worst share."""
    groups: dict[str, list[Row]] = {"all": list(rows)}
    for name in ("kind", "scope"):
        for row in sorted(rows, key=lambda row: str(row[name])):
            groups.setdefault(f"{name}: {row[name]}", []).append(row)
    lines = []
    for group, members in groups.items():
        for method in dict.fromkeys(row["method"] for row in rows):
            mine = [row for row in members if row["method"] == method]
            line: Row = {"group": group, "stacks": len(mine), "method": method}
            line |= {name: float(np.mean([row[name] for row in mine])) for name in ("share", "ssim", "rmse")}
            lines.append(line | {"worst": max(row["share"] for row in mine)})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=CHOOSING)
    parser.add_argument("--model", action="append", default=[], type=named_model, metavar="NAME=MODEL")
    parser.add_argument("--no-deconvolution", action="store_true")
    parser.add_argument("--with", dest="earlier", type=Path, help="rows of other methods on the same stacks (JSON)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for every row")
    add_table_option(parser)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for name in PairsFolder(chosen.folder).names():
        start = time.monotonic()
        found = list(stack_rows(chosen.folder, name, chosen))
        rows += found
        shares = ", ".join(f"{row['method']} {row['share']:.3f} {row['ssim']:.3f}" for row in found)
        print(
            f"{name}: {found[0]['kind']}, {found[0]['scope']}: {shares} ({time.monotonic() - start:.0f} s)", flush=True
        )
    if chosen.earlier:
        rows = earlier_rows(chosen.earlier, rows) + rows
    lines = means(rows)
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(json.dumps({"models": dict(chosen.model), "rows": rows, "groups": lines}, indent=1))
    write_rows(chosen.table, lines)
    print("\n" + markdown(lines, COLUMNS))


if __name__ == "__main__":
    main()
