"""A public set of real wide-field/confocal pairs: HZDR's nuclei, 20x (RODARE record 2668).

Usage: python -m benchmarks.study.hzdr FOLDER [--spacing Z,Y,X] [--model generalist] [--table FILE.csv]

Download the record from https://rodare.hzdr.de/record/2668 and unpack it into FOLDER. Two layouts are read:

- stacks: files that say in their own or their folder's name whether they are wide-field or confocal, and are named
  alike otherwise, such as widefield/a.tif and confocal/a.tif. Each pair is registered, predicted, and scored.
- patches, as the code of m-rBCR reads them: .npz files with single planes ``w`` or ``w_img`` and ``o``, axes (N, Y, X)
  or (N, Y, X, 1), registered by their makers. A network for stacks can only be shown such a plane again and again: that
  is done, and what it says is of little worth. Arrays do not state their voxel size: give it.

The layout of the record itself could not be looked up when this was written: tell what does not fit.

Scores are those of m-rBCR (Li, Kudryashev and Yakimovich, 2024, arXiv 2407.03239; github.com/leeroyhannover/m-rBCR):
patches of 128 x 128 pixels, each brought to [0, 1] by its least and largest value; PSNR for a data range of 1; SSIM by
scikit-image, whose older releases took a data range of 2 for floating-point images, where it was not given, as there:
that, and beside it the usual one, of 1. Their code measures a set of patches as if it were a volume; here each patch
counts by itself. Their example field: DDPM 22.27/0.73, m-rBCR 23.10/0.70, CARE 21.53/0.66, RCAN 20.51/0.58, U-Net
18.17/0.63.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict, register
from napari_deep3d.core import DEFAULT_MODEL, FloatArray, InputError, Spacing, Volume, check_spacing, drain
from napari_deep3d.core.registration import align_pair
from napari_deep3d.io import STACK_SUFFIXES, open_stack, stack_name

PATCH = 128
REPEATED = 16
"""Planes of the stack that a single plane is made into."""
WORDS = {"widefield": r"wide[ _-]?field|(?<![a-z])wf(?![a-z])", "confocal": r"confocal|(?<![a-z])conf(?![a-z])"}
Predict = Callable[[Volume], FloatArray]
Planes = tuple[FloatArray, FloatArray, FloatArray]
"""Wide-field, prediction and confocal on each other, axes (Z, Y, X); each plane counts."""
COLUMNS = {
    "image": "{image}",
    "patches": "{patches}",
    "PSNR": "{psnr:.2f} ± {psnr_spread:.2f}",
    "SSIM as m-rBCR": "{ssim_range_2:.3f} ± {ssim_range_2_spread:.3f}",
    "SSIM": "{ssim:.3f} ± {ssim_spread:.3f}",
}


def pairs_of(folder: Path) -> list[tuple[Path, Path]]:
    """Wide-field and confocal files that are named alike but for the words that tell which they are.

    InputError if there is none.
    """
    found: dict[str, dict[str, Path]] = {kind: {} for kind in WORDS}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in STACK_SUFFIXES:
            inside = (path.parent.relative_to(folder) / stack_name(path)).as_posix().lower()
            kinds = [kind for kind, words in WORDS.items() if re.search(words, inside)]
            if len(kinds) == 1:
                found[kinds[0]][re.sub(WORDS[kinds[0]], "", inside)] = path
    widefield, confocal = found.values()
    pairs = [(path, confocal[name]) for name, path in widefield.items() if name in confocal]
    if not pairs:
        raise InputError(
            f"{folder} holds no pair: {len(widefield)} files are called wide-field, {len(confocal)} confocal, and none "
            "are named alike otherwise; or .npz files are needed. Give the folder that the record was unpacked to."
        )
    return pairs


def stack_planes(widefield: Volume, confocal: Volume, answer: Predict) -> Planes:
    """Register a pair, predict, and bring the confocal stack onto the wide-field one; InputError if it is refused."""
    found = register(
        np.asarray(confocal.data[:, :, :]),
        np.asarray(widefield.data[:, :, :]),
        confocal_spacing_um=confocal.spacing_um,
        widefield_spacing_um=widefield.spacing_um,
    )
    if found.refusal:
        raise InputError(found.refusal)
    aligned = drain(align_pair(confocal, widefield, found.transform))
    shared = [np.asarray(stack, dtype=np.float32) for stack in (aligned.widefield, aligned.confocal)]
    predicted = answer(widefield)[aligned.region]
    return shared[0], predicted, shared[1]


def patch_planes(path: Path, spacing_um: Spacing, answer: Predict) -> Planes:
    """Planes of an .npz file; each is predicted as a stack of itself. InputError if arrays are missing."""
    with np.load(path) as arrays:
        seen = next((arrays[name] for name in ("w_img", "w") if name in arrays), None)
        truth = arrays.get("o")
        if seen is None or truth is None:
            has = ", ".join(arrays.files)
            raise InputError(f"{path} has the arrays {has}; 'w' or 'w_img' and 'o' are needed. Give another folder.")
    widefield, confocal = (np.asarray(a, np.float32).reshape(a.shape[:3]) for a in (seen, truth))
    stacks = (Volume(np.repeat(plane[None], REPEATED, axis=0), spacing_um, name=path.name) for plane in widefield)
    return widefield, np.stack([answer(stack)[REPEATED // 2] for stack in stacks]), confocal


def patches(plane: FloatArray) -> Iterator[FloatArray]:
    """A plane cut into patches side by side, what is left over left out; a smaller plane is one patch."""
    y, x = (min(PATCH, n) for n in plane.shape)
    for top in range(0, plane.shape[0] - y + 1, y):
        for left in range(0, plane.shape[1] - x + 1, x):
            yield plane[top : top + y, left : left + x]


def scores(image: FloatArray, truth: FloatArray) -> tuple[float, float, float]:
    """PSNR, SSIM for a data range of 2, and SSIM for one of 1, of two patches that are brought to [0, 1]."""
    own, other = (_to_unit(patch) for patch in (image, truth))
    ssims = [structural_similarity(own, other, data_range=size) for size in (2.0, 1.0)]
    with np.errstate(divide="ignore"):  # of equal patches it is infinite
        psnr = peak_signal_noise_ratio(other, own, data_range=1.0)
    return float(psnr), float(ssims[0]), float(ssims[1])


def rows(planes: Planes) -> dict[str, list[tuple[float, float, float]]]:
    """Scores of every patch that is no even grey in the confocal plane, of wide-field and of the prediction."""
    widefield, predicted, confocal = planes
    found: dict[str, list[tuple[float, float, float]]] = {"wide-field": [], "prediction": []}
    for stacks in zip(widefield, predicted, confocal, strict=True):
        for own, other, truth in zip(*map(patches, stacks), strict=True):
            if np.ptp(truth) > 0:
                found["wide-field"].append(scores(own, truth))
                found["prediction"].append(scores(other, truth))
    return found


def summary(found: dict[str, list[tuple[float, float, float]]]) -> list[Row]:
    """Mean and standard deviation over the patches."""
    lines = list[Row]()
    for image, values in found.items():
        line: Row = {"image": image, "patches": len(values)}
        for name, column in zip(("psnr", "ssim_range_2", "ssim"), zip(*values, strict=True), strict=True):
            line |= {name: float(np.mean(column)), f"{name}_spread": float(np.std(column))}
        lines.append(line)
    return lines


def measured(folder: Path, spacing_um: Spacing | None, answer: Predict) -> list[Row]:
    """Scores of all that a folder holds; pairs that cannot be registered are told and left out.

    InputError if it holds nothing, or a voxel size is missing.
    """
    found: dict[str, list[tuple[float, float, float]]] = {}
    for planes in _planes_of(folder, spacing_um, answer):
        for image, values in rows(planes).items():
            found.setdefault(image, []).extend(values)
    if not any(found.values()):
        raise InputError(f"no pair of {folder} could be registered. Check the voxel size that is given or stated.")
    return summary(found)


def _planes_of(folder: Path, spacing_um: Spacing | None, answer: Predict) -> Iterator[Planes]:
    files = sorted(folder.rglob("*.npz"))
    if files and spacing_um is None:
        raise InputError(f"{files[0]} does not state its voxel size; give it in um: --spacing 1,0.3,0.3")
    for path in files:
        assert spacing_um is not None
        yield patch_planes(path, spacing_um, answer)
    for paths in [] if files else pairs_of(folder):
        try:
            volumes = (open_stack(path).volume() for path in paths)
            widefield, confocal = (replace(v, spacing_um=spacing_um or v.spacing_um) for v in volumes)
            yield stack_planes(widefield, confocal, answer)
        except InputError as error:
            print(f"{paths[0].name} is left out: {error}", flush=True)


def _to_unit(patch: FloatArray) -> FloatArray:
    low, high = float(patch.min()), float(patch.max())
    return np.asarray((patch - low) / max(high - low, 1e-30), dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spacing", help="voxel size Z,Y,X in um, where the files do not state it")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    add_table_option(parser)
    chosen = parser.parse_args()
    spacing_um = check_spacing([float(n) for n in chosen.spacing.split(",")]) if chosen.spacing else None

    def answer(volume: Volume) -> FloatArray:
        data = np.asarray(volume.data[:, :, :])
        return np.asarray(predict(data, spacing_um=volume.require_spacing_um(), model=chosen.model).data)

    try:
        lines = measured(chosen.folder, spacing_um, answer)
    except InputError as error:
        raise SystemExit(str(error)) from None
    print(markdown(lines, COLUMNS))
    write_rows(chosen.table, lines)


if __name__ == "__main__":
    main()
