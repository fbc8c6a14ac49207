"""Several pairs folders as one, by hard links: PAIR of FOLDER becomes FOLDER_PAIR.

Left out are pairs whose brightest confocal voxels are above :data:`LARGEST` where the usual percentiles are 0 and 1:
too little of the field is bright for what becomes 1 to be structure.

Usage: python -m tools.release.join_pairs data/train data/mixture data/sparse data/thick
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_deep3d.core import intensity_range
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, LoadedPair, PairsFolder

PERCENTILES = (0.1, 99.9)
LARGEST = 15.0


def is_scaled(pair: LoadedPair) -> bool:
    """Whether the percentiles of the confocal stack are those of its structure."""
    confocal = np.asarray(pair.confocal.data[:, :, :], dtype=np.float32)
    low, high = intensity_range(confocal, PERCENTILES)
    return float(confocal.max()) - low < LARGEST * (high - low)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    chosen = parser.parse_args()
    for kind in (WIDEFIELD, CONFOCAL):
        (chosen.output / kind).mkdir(parents=True)
    for folder in chosen.folders:
        kept = [pair.name for pair in PairsFolder(folder).load() if is_scaled(pair)]
        print(f"{folder}: {len(kept)} pairs")
        for name in kept:
            for kind in (WIDEFIELD, CONFOCAL):
                (chosen.output / kind / f"{folder.name}_{name}").hardlink_to(folder / kind / name)


if __name__ == "__main__":
    main()
