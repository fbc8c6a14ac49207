"""Several pairs folders as one, by hard links: PAIR of FOLDER becomes FOLDER_PAIR.

Usage: python benchmarks/join_pairs.py data/train data/mixture data/sparse data/thick
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_deep3d.jobs.pairs import pair_names
from napari_deep3d.jobs.simulate import CONFOCAL, WIDEFIELD


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    chosen = parser.parse_args()
    for kind in (WIDEFIELD, CONFOCAL):
        (chosen.output / kind).mkdir(parents=True)
        for folder in chosen.folders:
            for name in pair_names(folder):
                (chosen.output / kind / f"{folder.name}_{name}").hardlink_to(folder / kind / name)


if __name__ == "__main__":
    main()
