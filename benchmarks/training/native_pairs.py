"""Pairs resampled to one voxel size, for the comparison of ways to treat voxel sizes (see choose.py).

Usage: python -m benchmarks.training.native_pairs data/train data/native

The middle of each pair's field is kept, at most as many voxels as the pair had; pairs whose field is too small for a
patch are left out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from napari_deep3d.core import Box, Shape, Volume
from napari_deep3d.core.resampling import Resampled, grid_for
from napari_deep3d.jobs.pairs import WRITTEN_SUFFIX, PairsFolder

NATIVE_UM = (0.5, 0.2, 0.2)
LEAST: Shape = (12, 80, 80)


def resampled(volume: Volume, most: Shape) -> Volume:
    """The middle of a stack at the native voxel size."""
    spacing = volume.require_spacing_um()
    shape: Shape = volume.data.shape  # type: ignore[assignment]
    seen = Resampled(volume.data, grid_for(shape, spacing, NATIVE_UM))
    return replace(volume, data=seen[Box.centred(most, seen.shape)], spacing_um=NATIVE_UM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("output", type=Path)
    chosen = parser.parse_args()
    left_out = 0
    for pair in PairsFolder(chosen.pairs).load():
        most: Shape = pair.widefield.data.shape  # type: ignore[assignment]
        sides = [resampled(volume, most) for volume in (pair.widefield, pair.confocal)]
        if any(have < least for have, least in zip(sides[0].data.shape, LEAST, strict=True)):
            left_out += 1
            continue
        name = pair.name.removesuffix(WRITTEN_SUFFIX)
        PairsFolder(chosen.output).write(name, sides[0].data, sides[1].data, sides[0].require_spacing_um())
    print(f"{left_out} pairs were left out: a field of less than {LEAST} voxels of {NATIVE_UM} um")


if __name__ == "__main__":
    main()
