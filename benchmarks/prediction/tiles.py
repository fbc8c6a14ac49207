"""Does the result depend on the tiles? The same stack with three tile sizes, and a picture to look for seams in.

Usage: python -m benchmarks.prediction.tiles [STACK] [--picture FILE] [--table docs/data/tiles.csv]

Differences and mismatch are shares of the standard deviation of the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.core import Shape
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.jobs.figures import draw_comparison

TILES: tuple[Literal["auto"] | Shape, ...] = ("auto", (24, 128, 128), (16, 64, 64))
COLUMNS = {
    "tile": "{tile}",
    "RMS difference from auto": "{rms_difference:.4f}",
    "largest": "{largest_difference:.3f}",
    "tile mismatch": "{tile_mismatch:.4f}",
    "s": "{seconds:.1f}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, nargs="?", default=THICK_WIDEFIELD)
    parser.add_argument("--picture", type=Path, default=Path("demo/tiles.png"))
    parser.add_argument("--precision", default="auto")
    add_table_option(parser)
    chosen = parser.parse_args()
    results = [predict(chosen.stack, tile=tile, precision=chosen.precision) for tile in TILES]
    reference = results[0].data
    names = ["auto" if tile == "auto" else " x ".join(map(str, tile)) for tile in TILES]
    rows: list[Row] = [
        {
            "tile": name,
            "rms_difference": float(np.sqrt(((result.data - reference) ** 2).mean()) / reference.std()),
            "largest_difference": float(np.abs(result.data - reference).max() / reference.std()),
            "tile_mismatch": result.tile_mismatch,
            "seconds": result.seconds,
        }
        for name, result in zip(names, results, strict=True)
    ]
    print(markdown(rows, COLUMNS))
    write_rows(
        chosen.table, [{name: row[name] for name in ("tile", "rms_difference", "tile_mismatch")} for row in rows]
    )
    chosen.picture.parent.mkdir(parents=True, exist_ok=True)
    stacks = [(f"tile {name}", result.data) for name, result in zip(names, results, strict=True)]
    middle = int(reference.mean(axis=(1, 2)).argmax())
    draw_comparison(chosen.picture, stacks, results[0].spacing_um, plane=middle, row=reference.shape[1] // 2)


if __name__ == "__main__":
    main()
