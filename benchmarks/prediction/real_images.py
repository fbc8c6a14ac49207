"""Real wide-field stacks without a truth: pictures before and after, and the resolution of both.

Usage: python -m benchmarks.prediction.real_images [--model NAME_OR_FILE] [--with-nucleus]
[--file STACK ...] [-o runs/real] [--table docs/data/resolution.csv]

Resolution is by decorrelation analysis (core/evaluation/resolution.py), which needs no reference, in x-y and along z.
It measures how fine the finest contrast is that stands out from noise: a network that draws fine structure has a fine
resolution, whether or not the structure is true, so read the numbers beside the pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.common.real_files import ROOT, real_files
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.core import FloatArray, Spacing
from napari_deep3d.core.evaluation.resolution import axial_resolution, lateral_resolution
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.figures import draw_comparison

COLUMNS = {
    "stack": "{stack}",
    "": "{image}",
    "resolution x-y (um)": "{lateral_um:.2f}",
    "resolution z (um)": "{axial_um:.2f}",
    "two pixels, two planes (um)": "{nyquist_um}",
}


def measure(name: str, image: str, stack: FloatArray, spacing_um: Spacing) -> Row:
    limits = f"{2 * spacing_um[1]:.2f}, {2 * spacing_um[0]:.2f}"
    found = {"lateral_um": lateral_resolution(stack, spacing_um), "axial_um": axial_resolution(stack, spacing_um)}
    return {"stack": name, "image": image, "nyquist_um": limits} | found


def compare(name: str, stack: FloatArray, spacing_um: Spacing, model: str, folder: Path) -> list[Row]:
    """Predict a stack, draw both as ``folder/NAME.png`` and measure both."""
    predicted = np.asarray(predict(stack, spacing_um=spacing_um, model=model).data)
    smooth = stack - np.median(stack)
    plane, row = (int((smooth**2).sum(axis=axes).argmax()) for axes in ((1, 2), (0, 2)))
    pairs = [("wide-field", stack), ("prediction", predicted)]
    roots = [(f"{caption}, square root", np.sqrt(np.maximum(data - data.min(), 0))) for caption, data in pairs]
    path = folder / f"{name.replace(', ', '_').replace(' ', '_')}.png"
    draw_comparison(path, pairs + roots, spacing_um, plane=plane, row=row, title=name)
    return [measure(name, caption, data, spacing_um) for caption, data in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="generalist")
    parser.add_argument("--with-nucleus", action="store_true")
    parser.add_argument("--file", action="append", type=Path, default=[], help="more stacks, with a voxel size in them")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "runs" / "real", help="folder for pictures")
    add_table_option(parser)
    chosen = parser.parse_args()
    chosen.output.mkdir(parents=True, exist_ok=True)
    stacks = [(f.name, f.read(), f.spacing_um) for f in real_files("wide-field", with_nucleus=chosen.with_nucleus)]
    for path in chosen.file:
        volume = open_stack(path).volume()
        stacks.append((path.name, np.asarray(volume.data[:, :, :], dtype=np.float32), volume.require_spacing_um()))
    rows = [row for stack in stacks for row in compare(*stack, chosen.model, chosen.output)]
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
