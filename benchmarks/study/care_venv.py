"""Make the environment that CAREamics needs for itself: its release cannot live with this program's torch.

Usage: python -m benchmarks.study.care_venv [--folder runs/care-venv]

CAREamics 0.3.5 asks for torchvision of at most 0.26, which is made for torch 2.11; from PyPI that is a build for GPUs
of some gigabytes. Where pip knows an index of processor builds (PIP_EXTRA_INDEX_URL), those are taken.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path("runs/care-venv")
REQUIREMENT = "careamics==0.3.5"


def python_of(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    chosen = parser.parse_args()
    venv.create(chosen.folder, with_pip=True)
    subprocess.run([python_of(chosen.folder), "-m", "pip", "install", REQUIREMENT], check=True)
    print(chosen.folder)


if __name__ == "__main__":
    main()
