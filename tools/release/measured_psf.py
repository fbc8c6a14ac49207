"""Write the measured wide-field PSF with its right voxel size, for ``simulate --psf``; the size in its tags is wrong.

Usage: python -m tools.release.measured_psf data/psf.ome.tif
(NA 0.85, air, 520 nm, from the fixtures of pyOTF, D. Hoffman, Apache-2.0)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import tifffile

from benchmarks.common.real_files import POINT
from napari_deep3d.io import write_stack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    print(write_stack(output, tifffile.imread(POINT.path), POINT.spacing_um, channel_name="psf", overwrite=True))


if __name__ == "__main__":
    main()
