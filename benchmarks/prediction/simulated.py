"""Simulated test stacks of a seed never trained on: wide-field, Richardson-Lucy and models against the confocal truth.

Usage: napari-deep3d simulate -o data/test --pairs 40 --shape 64,144,144 --seed 7001
       python -m benchmarks.prediction.simulated data/test --model prediction=generalist [--model NAME=MODEL ...]
           [-o runs/simulated.json] [--table docs/data/simulated.csv]

By kind of sample, haze and thickness. Richardson-Lucy is told the true PSF, that of the microscope in the file, of one
of three depths; stack by stack the truth says which, and at which iteration to stop. RMSE and SSIM are taken after the
best scale and offset, and once more without, from intensities whose percentiles 0.1 and 99.9 are 0 and 1 (a
prediction's are its own). The order of brightness is Spearman's correlation of the mean intensities of the confocal
stack's structures, median over the stacks with five structures or more.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.common.richardson_lucy import best_richardson_lucy
from benchmarks.common.scene_files import SceneFile, microscopes_of, read_scene, read_voxels
from benchmarks.common.scores import scaled, score_row, structures, summarise
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.core import FloatArray
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

ITERATIONS = (5, 10, 15, 20, 30, 40, 60)
BASELINE = "wide-field"
COLUMNS = {
    "stacks of": "{group}",
    "number": "{stacks}",
    "": "{method}",
    "RMSE, fitted": "{rmse_fit:.4f}",
    "of wide-field's": "{share:.0%}",
    "SSIM, fitted": "{ssim_fit:.3f}",
    "RMSE": "{rmse:.4f}",
    "SSIM": "{ssim:.3f}",
    "order of brightness": "{rank_correlation:.2f}",
    "stacks with an order": "{ranked}",
}


def methods(
    path: Path, widefield: FloatArray, truth: FloatArray, scene: SceneFile, chosen: argparse.Namespace
) -> Iterator[Row]:
    """Yield the scores of every method on one stack."""
    labels = structures(truth)
    yield {"method": BASELINE} | score_row(scaled(widefield), truth, labels)
    if not chosen.no_deconvolution:
        start, scopes = time.monotonic(), microscopes_of(scene)
        iteration, estimate = best_richardson_lucy(widefield, truth, scopes, scene.spacing_um, ITERATIONS)
        facts = {"method": "Richardson-Lucy", "iterations": iteration, "seconds": time.monotonic() - start}
        yield facts | score_row(scaled(estimate), truth, labels)
    for name, model in chosen.model:
        start, image = time.monotonic(), np.asarray(predict(path, model=model).data)
        yield {"method": name, "seconds": time.monotonic() - start} | score_row(image, truth, labels)


def named_model(text: str) -> tuple[str, str]:
    """``NAME=MODEL``, or a model that is its own name."""
    name, equals, model = text.partition("=")
    return (name, model) if equals else (Path(text).name, text)


def earlier_rows(file: Path, rows: list[Row]) -> list[Row]:
    """Rows of a file by methods that are not among the rows at hand."""
    known = {row["method"] for row in rows}
    return [row for row in json.loads(file.read_text())["rows"] if row["method"] not in known]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", action="append", default=[], type=named_model, metavar="NAME=MODEL")
    parser.add_argument("--no-deconvolution", action="store_true")
    parser.add_argument("--stacks", type=int, help="only so many of the folder's")
    parser.add_argument("--with", dest="earlier", type=Path, help="rows of other methods on the same stacks (JSON)")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for every row")
    add_table_option(parser)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for name in PairsFolder(chosen.folder).names()[: chosen.stacks]:
        path, start = chosen.folder / WIDEFIELD / name, time.monotonic()
        scene, truth = read_scene(path), scaled(read_voxels(chosen.folder / CONFOCAL / name))
        found = list(methods(path, read_voxels(path), truth, scene, chosen))
        rows += [{"stack": name} | scene.groups | row for row in found]
        errors = ", ".join(f"{row['method']} {row['rmse_fit']:.4f}" for row in found)
        print(f"{name}: {scene.kind}, {scene.haze}: {errors} ({time.monotonic() - start:.0f} s)", flush=True)
    if chosen.earlier:
        rows = earlier_rows(chosen.earlier, rows) + rows
    lines = summarise(rows, ("kind", "haze", "thickness"), BASELINE)
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(json.dumps({"models": dict(chosen.model), "rows": rows, "groups": lines}, indent=1))
    write_rows(chosen.table, lines)
    print("\n" + markdown(lines, COLUMNS))


if __name__ == "__main__":
    main()
