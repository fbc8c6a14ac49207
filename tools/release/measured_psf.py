"""Write the measured wide-field PSF with its right voxel size, for ``simulate --psf``; the size in its tags is wrong.

Usage: python -m tools.release.measured_psf data/psf.ome.tif
(NA 0.85, air, 520 nm, from the fixtures of pyOTF, D. Hoffman, Apache-2.0)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tifffile

from napari_deep3d.io import write_stack

FILE = Path(__file__).parents[3] / "shared" / "data" / "psf" / "widefield_na0.85_520nm_z0.3um_xy0.13um.tif"
SPACING_UM = (0.3, 0.13, 0.13)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    print(write_stack(output, tifffile.imread(FILE), SPACING_UM, channel_name="psf", overwrite=True))


if __name__ == "__main__":
    main()
