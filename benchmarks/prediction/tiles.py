"""Does the result depend on the tiles? The same stack with three tile sizes, and a picture to look for seams in.

Usage: python -m benchmarks.prediction.tiles [STACK] [--picture FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import numpy as np

from napari_deep3d import predict
from napari_deep3d.core.types import Shape
from napari_deep3d.jobs.figures import draw_comparison

SAMPLE = Path(__file__).parents[2] / "src" / "napari_deep3d" / "data" / "samples" / "thick_widefield.tif"
TILES: tuple[Literal["auto"] | Shape, ...] = ("auto", (24, 128, 128), (16, 64, 64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stack", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--picture", type=Path, default=Path("demo/tiles.png"))
    parser.add_argument("--precision", default="auto")
    chosen = parser.parse_args()
    results = [predict(chosen.stack, tile=tile, precision=chosen.precision) for tile in TILES]
    reference = results[0].data
    for tile, result in zip(TILES, results, strict=True):
        change = float(np.sqrt(((result.data - reference) ** 2).mean()) / reference.std())
        print(
            f"tile {tile}: RMS difference from auto {change:.4f} of the standard deviation, largest "
            f"{float(np.abs(result.data - reference).max() / reference.std()):.3f}; tile mismatch "
            f"{result.tile_mismatch:.4f}; {result.seconds:.1f} s (tile {result.tile}, halo {result.halo})",
            flush=True,
        )
    chosen.picture.parent.mkdir(parents=True, exist_ok=True)
    stacks = [(f"tile {tile}", result.data) for tile, result in zip(TILES, results, strict=True)]
    middle = int(reference.mean(axis=(1, 2)).argmax())
    draw_comparison(chosen.picture, stacks, results[0].spacing_um, plane=middle, row=reference.shape[1] // 2)


if __name__ == "__main__":
    main()
