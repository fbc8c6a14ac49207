"""How often a stack is called unlike what a model knows: rightly for wrong input, wrongly for input like its own.

Learns from the wide-field stacks of one pairs folder, and judges those of another (other seed) as they are, spoilt in
many ways, and real pictures and stacks.

Usage: napari-deep3d simulate -o data/known-train --pairs 160 --shape 64,144,144 --seed 2026 --from CELLS3D
       napari-deep3d simulate -o data/known-test --pairs 60 --shape 64,144,144 --seed 7001 --from CELLS3D
       python -m benchmarks.novelty.warnings data/known-train data/known-test [--table FILE]
       python -m benchmarks.novelty.warnings --model NAME_OR_FILE data/known-test [--table docs/data/novelty.csv]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import scipy.ndimage as ndi
import skimage.data
from numpy.typing import NDArray
from skimage.restoration import richardson_lucy

from benchmarks.common.real_files import CORTEX_SPACING_UM, real_files
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d.core import InputError, Spacing
from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.explain import Novelty, assess
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.pairs import PairsFolder
from napari_deep3d.jobs.train.trained_model import fit_novelty_model

Voxels = NDArray[np.floating]
Stack = tuple[Voxels, Spacing]
Spoil = Callable[[np.random.Generator, Voxels, Spacing], Stack]
IN_RANGE = "as the model's own"
MAX_FALSE = 0.05
COLUMNS = {
    "input": "{kind}",
    "stacks": "{stacks}",
    "warned": "{warned:.0%}",
    "distance": "{median_distance:.2f}",
    "said most often": "{said}",
}


def brightfield(rng: np.random.Generator, voxels: Voxels, spacing: Spacing) -> Stack:
    """The stack as an absorber (Lambert-Beer) of up to 1.5, with noise of 1 % of the light."""
    depth = 1.5 * (voxels - voxels.min()) / np.ptp(voxels)
    return 1000 * np.exp(-depth) + rng.normal(0, 10, voxels.shape), spacing


def photograph(rng: np.random.Generator, shape: tuple[int, ...], drift: int) -> Voxels:
    """A photograph repeated along z, shifted by ``drift`` pixels from plane to plane, with camera noise."""
    picture = (skimage.data.camera(), skimage.data.astronaut().mean(axis=2))[int(rng.integers(2))].astype(float)
    planes, height, width = shape
    top, left = (
        int(rng.integers(0, size - n - drift * planes)) for size, n in zip(picture.shape, shape[1:], strict=True)
    )
    starts = [top + drift * plane for plane in range(planes)]
    cut = [picture[start : start + height, left : left + width] for start in starts]
    return np.stack(cut) + rng.normal(0, 2, shape)


def clipped(share: float) -> Spoil:
    """Make a camera's full well that a share of the voxels exceeds."""
    return lambda _, voxels, spacing: (np.minimum(voxels, np.quantile(voxels, 1 - share)), spacing)


def resized(z: float, across: float) -> Spoil:
    """Give the voxel size wrong by these factors."""
    return lambda _, voxels, spacing: (voxels, (z * spacing[0], across * spacing[1], across * spacing[2]))


def deconvolved(_: np.random.Generator, voxels: Voxels, spacing: Spacing) -> Stack:
    """Ten steps of Richardson and Lucy with a Gaussian PSF, twice as long along z as across (in um)."""
    axes = [np.arange(-6, 7) * size for size in spacing]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    psf = np.exp(-((z / 0.5) ** 2 + (y / 0.25) ** 2 + (x / 0.25) ** 2) / 2)
    scaled = (voxels - voxels.min()) / np.ptp(voxels)
    return richardson_lucy(scaled, psf / psf.sum(), num_iter=10, clip=False), spacing


WRONG: dict[str, Spoil] = {
    "inverted contrast": lambda _, v, s: (v.max() - v, s),
    "brightfield (absorption)": brightfield,
    "Gaussian noise": lambda rng, v, s: (rng.normal(100, 10, v.shape), s),
    "Poisson noise": lambda rng, v, s: (rng.poisson(5, v.shape).astype(float), s),
    "photograph repeated along z": lambda rng, v, s: (photograph(rng, v.shape, 0), s),
    "photograph drifting along z": lambda rng, v, s: (photograph(rng, v.shape, 2), s),
    "one plane repeated": lambda _, v, s: (np.repeat(v[len(v) // 2][None], len(v), axis=0), s),
    "one plane repeated, new noise": lambda rng, v, s: (
        np.repeat(v[len(v) // 2][None], len(v), axis=0) + rng.normal(0, v.std() / 3, v.shape),
        s,
    ),
    "planes shuffled": lambda rng, v, s: (rng.permutation(v, axis=0), s),
    "z and y swapped": lambda _, v, s: (v.transpose(1, 0, 2), s),
    "z and x swapped": lambda _, v, s: (v.transpose(2, 1, 0), s),
    "20 % saturated": clipped(0.2),
    "3 % saturated": clipped(0.03),
    "0.5 % saturated": clipped(0.005),
    "blurred (6 pixels)": lambda _, v, s: (ndi.gaussian_filter(v, (0, 6, 6)), s),
    "smoothed (mean of 3)": lambda _, v, s: (ndi.uniform_filter(v, 3), s),
    "deconvolved": deconvolved,
    "voxels stated 3 x too large": resized(3, 3),
    "voxels stated 3 x too small": resized(1 / 3, 1 / 3),
    "z step stated 3 x too large": resized(3, 1),
    "z step stated 3 x too small": resized(1 / 3, 1),
    "every 4th plane, z step right": lambda _, v, s: (v[::4], (4 * s[0], s[1], s[2])),
}
"""What is made of the test stacks. The last kind is no mistake; of the voxel sizes not all can be told."""
REAL = {
    "real wide-field nucleus": ("nucleus", "wide-field"),
    "real confocal nucleus": ("nucleus", "confocal"),
    "real confocal nuclei (cells3d)": ("nuclei", "confocal"),
    "real two-photon cortex, 5 um planes": ("cortex_neurons", "confocal"),
}
"""Kind of input, and name and microscope of the real stack."""


def look(kind: str, stacks: list[Stack], known: NoveltyModel) -> Row:
    """What became of stacks of a kind of input."""
    start = perf_counter()
    found: list[Novelty] = [assess(voxels, spacing, known) for voxels, spacing in stacks]
    seconds = (perf_counter() - start) / len(stacks)
    said = Counter(reason.what for novelty in found for reason in novelty.reasons[:1])
    return {
        "kind": kind,
        "stacks": len(stacks),
        "warned": float(np.mean([novelty.is_unlike for novelty in found])),
        "median_distance": float(np.median([novelty.distance for novelty in found])),
        "seconds": seconds,
        "said": said.most_common(1)[0][0] if said else "",
    }


def real_stacks() -> list[tuple[str, Stack]]:
    """Real stacks, where they are at hand, at their true voxel size."""
    files = {(file.name, file.microscope): file for file in real_files(with_nucleus=True)}
    found = []
    for kind, name in REAL.items():
        if name in files:
            spacing_um = CORTEX_SPACING_UM if name[0] == "cortex_neurons" else files[name].spacing_um
            found.append((kind, (files[name].read().astype(float), spacing_um)))
    return found


def study(known: NoveltyModel, test: Path, seed: int = 0) -> list[Row]:
    """Judge the test stacks as they are, spoilt, and the real ones."""
    rng = np.random.default_rng(seed)
    pairs = PairsFolder(test).load()
    own, confocal = (
        [(np.asarray(v.data[:, :, :], dtype=float), v.require_spacing_um()) for v in side]
        for side in ([pair.widefield for pair in pairs], [pair.confocal for pair in pairs])
    )
    rows = [look(IN_RANGE, own, known), look("simulated confocal", confocal, known)]
    rows += [look(kind, [spoil(rng, *stack) for stack in own], known) for kind, spoil in WRONG.items()]
    return rows + [look(kind, [stack], known) for kind, stack in real_stacks()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="pairs to learn from (not with --model), pairs to judge")
    parser.add_argument("--model", help="take what this model knows")
    add_table_option(parser)
    chosen = parser.parse_args()
    if chosen.model:
        known = model_info(chosen.model).novelty
    else:
        known = fit_novelty_model([pair.widefield for pair in PairsFolder(chosen.folders[0]).load()])
    if known is None:
        raise InputError("the model does not say what it knows, or there are too few pairs to learn it from.")
    rows = study(known, chosen.folders[-1])
    print(f"learned from {known.stacks} stacks; {len(known.model_dump_json()) / 1000:.0f} kB in a model's header")
    print(markdown(rows, COLUMNS))
    print(f"{np.mean([row['seconds'] for row in rows]):.2f} s for a stack")
    write_rows(chosen.table, [{name: row[name] for name in ("kind", "stacks", "warned")} for row in rows])
    if rows[0]["warned"] > MAX_FALSE:
        print(f"too many false warnings: {rows[0]['warned']:.1%}, at most {MAX_FALSE:.0%} are wanted")


if __name__ == "__main__":
    main()
