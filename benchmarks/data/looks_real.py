"""Whether simulated stacks look like real ones: a sheet of pictures, and simple statistics of both.

Usage: napari-deep3d simulate -o data/look --pairs 40 --shape 64,144,144 --seed 5
       python -m benchmarks.data.looks_real data/look [--sheet runs/sheet.png] [--with-nucleus]
           [--tables docs/data]

The table gives the 5th, 50th and 95th percentile of the simulated stacks and the value of every real one; those
outside are marked with *. A single bead or point is far from any tissue, and is expected to be outside here and there;
voxel sizes that real stacks are only taken to have (real_files.py) make their widths in um guesses.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage as ndi

from benchmarks.common.real_files import real_files
from benchmarks.common.scene_files import read_scene, read_voxels
from benchmarks.common.tables import Row, markdown, write_rows
from benchmarks.data.stack_statistics import STATISTICS, statistics
from napari_deep3d.core import FloatArray, Spacing, format_spacing
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

MICROSCOPES = {"wide-field": WIDEFIELD, "confocal": CONFOCAL}
RANGE = (5, 50, 95)
COLUMNS = 6
INCHES = 2.4
BAR_UM = 5.0
"""Length of the bar in every picture."""


@dataclass(frozen=True)
class Picture:
    """A stack (Z, Y, X) for the sheet."""

    caption: str
    stack: FloatArray
    spacing_um: Spacing
    plane: int
    row: int


def sections(stack: FloatArray) -> tuple[int, int]:
    """The plane and the row with the most contrast of a stack (Z, Y, X), hot pixels aside."""
    calm = ndi.median_filter(stack, (1, 3, 3))
    return int(calm.std(axis=(1, 2)).argmax()), int(calm.std(axis=(0, 2)).argmax())


def simulated_pictures(folder: Path) -> list[Picture]:
    """Both stacks of the first pair of every kind of sample."""
    first: dict[str, str] = {}
    for name in PairsFolder(folder).names():
        first.setdefault(read_scene(folder / WIDEFIELD / name).kind, name)
    pictures = []
    for kind, name in sorted(first.items()):
        shown = sections(read_voxels(folder / CONFOCAL / name))
        for microscope, side in MICROSCOPES.items():
            path = folder / side / name
            spacing_um = read_scene(path).spacing_um
            pictures.append(Picture(f"simulated {kind} ({microscope})", read_voxels(path), spacing_um, *shown))
    return pictures


def real_pictures(with_nucleus: bool) -> list[Picture]:
    """Every real stack that is at hand."""
    pictures = []
    for file in real_files(with_nucleus=with_nucleus):
        stack = file.read()
        pictures.append(Picture(f"real {file.name} ({file.microscope})", stack, file.spacing_um, *sections(stack)))
    return pictures


def draw_sheet(path: Path, pictures: list[Picture]) -> None:
    """Draw a plane of each (x-y) and below it a cross section (x-z), where there is most to see; bars are 5 um."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(pictures) // COLUMNS)
    figure = Figure(figsize=(INCHES * COLUMNS, 1.75 * INCHES * rows), layout="constrained", facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 * rows, COLUMNS, squeeze=False, height_ratios=[1, 0.55] * rows)
    for axis in axes.flat:
        axis.set_axis_off()
    for index, picture in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        _draw(axes[2 * row, column], axes[2 * row + 1, column], picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, facecolor="black")


def _draw(above: Any, below: Any, picture: Picture) -> None:
    stack, (z_um, y_um, x_um) = picture.stack, picture.spacing_um
    low, high = np.percentile(stack, (0.1, 99.9))
    for axis, section, aspect in (
        (above, stack[picture.plane], y_um / x_um),
        (below, stack[:, picture.row], z_um / x_um),
    ):
        axis.imshow(section, cmap="gray", vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
        axis.plot([2, 2 + BAR_UM / x_um], [section.shape[0] - 3] * 2, color="#ffd34d", linewidth=2)
    above.set_title(f"{picture.caption}\n{format_spacing(picture.spacing_um)}", color="white", fontsize=7)


def compare(folder: Path, microscope: str, with_nucleus: bool) -> list[Row]:
    """One line per statistic: the simulated range and the real values, those outside with *."""
    paths = [folder / MICROSCOPES[microscope] / name for name in PairsFolder(folder).names()]
    simulated = [statistics(read_voxels(path), read_scene(path).spacing_um) for path in paths]
    files = real_files(microscope, with_nucleus=with_nucleus)
    real = {file.name: statistics(file.read(), file.spacing_um) for file in files}
    lines = []
    for name in STATISTICS:
        low, middle, high = np.nanpercentile([values[name] for values in simulated], RANGE)
        line: Row = {"statistic": name, "5 %": low, "50 %": middle, "95 %": high}
        for file, values in real.items():
            inside = low <= values[name] <= high or np.isnan(values[name])
            line[file] = f"{values[name]:.3g}" + ("" if inside else " *")
        lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--with-nucleus", action="store_true")
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="write what docs/results.md shows to here")
    chosen = parser.parse_args()
    if chosen.sheet:
        draw_sheet(chosen.sheet, simulated_pictures(chosen.folder) + real_pictures(chosen.with_nucleus))
    tables = {name: compare(chosen.folder, name, chosen.with_nucleus) for name in MICROSCOPES}
    for name, lines in tables.items():
        columns = {key: f"{{{key}:.3g}}" if key.endswith(" %") else f"{{{key}}}" for key in lines[0]}
        print(f"{name}\n\n{markdown(lines, columns)}\n")
        if chosen.tables:
            write_rows(chosen.tables / f"looks_real_{MICROSCOPES[name]}.csv", lines)


if __name__ == "__main__":
    main()
