"""Draw seconds and memory over the size of the stack.

Usage: python -m benchmarks.peers.figure [--table docs/data/peers_prediction.csv] [--figure docs/images/peers.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.common.tables import Row, read_rows
from benchmarks.peers.methods import OURS
from benchmarks.peers.table import voxels

TABLE, FIGURE = Path("docs/data/peers_prediction.csv"), Path("docs/images/peers.png")
STYLES = {"MONAI": "#c2571a", "CAREamics": "#7b5ea7", "CSBDeep": "#a05195", "Richardson-Lucy": "#6b7280"}
"""Colours of families; this program's own is BLUE."""
BLUE = "#0b62c4"
DECONWOLF = (2048 * 2048 * 20 / 1e6, 88.0, 7.3)
"""Million voxels, seconds and GB of 20 iterations on 8 threads, as its authors publish them."""
DASHES = ("-", "--", ":")


def draw(rows: list[Row], path: Path) -> None:
    """Draw prediction's table; hollow marks are extrapolated."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rows = [row for row in rows if row["seconds"]]
    for axes, title in ((left, "seconds per million voxels"), (right, "peak memory, GB")):
        axes.set(xscale="log", yscale="log", xlabel="million voxels", title=title)
        axes.grid(visible=True, which="both", color="#eef0f2")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        axes.spines[["top", "right"]].set_visible(False)
    used: dict[str, int] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        family = next((name for name in STYLES if method.startswith(name)), OURS)
        dash = DASHES[used.setdefault(family, 0) % len(DASHES)]
        used[family] += 1
        mine = [row for row in rows if row["method"] == method]
        size = [voxels(row["stack"]) / 1e6 for row in mine]
        whole = [float(row["share"]) >= 1 for row in mine]
        rate = [float(row["seconds"]) / millions for row, millions in zip(mine, size, strict=True)]
        look = {"color": STYLES.get(family, BLUE), "linestyle": dash, "linewidth": 2.4 if family == OURS else 1.4}
        _line(left, size, rate, whole, look, method)
        _line(right, size, [float(row["peak_gb"]) for row in mine], whole, look, method)
    millions, seconds, memory_gb = DECONWOLF
    star = {"marker": "*", "s": 70, "color": STYLES["Richardson-Lucy"], "zorder": 3}
    left.scatter(millions, seconds / millions, label="deconwolf, 8 threads, as published", **star)
    right.scatter(millions, memory_gb, **star)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    print(path)


def _line(axes: Axes, x: list[float], y: list[float], whole: list[bool], look: dict[str, object], label: str) -> None:
    axes.plot(x, y, label=label, **look)  # type: ignore[arg-type]
    for place, value, is_whole in zip(x, y, whole, strict=True):
        face = look["color"] if is_whole else "white"
        axes.plot(place, value, marker="o", markersize=5, color=str(look["color"]), markerfacecolor=str(face))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    chosen = parser.parse_args()
    draw(read_rows(chosen.table), chosen.figure)


if __name__ == "__main__":
    main()
