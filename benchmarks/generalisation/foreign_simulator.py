"""Write pairs of a simulator that was made apart from the program's own: a test of generalisation, never trained on.

Usage: python -m benchmarks.generalisation.foreign_simulator -o data/foreign-test --pairs 16 --seed 1

Five kinds of samples, four microscopes and three kinds of light take turns, so that 20 pairs hold each kind with each
microscope once. Each pair has its noise-free confocal stack as truth, and a JSON file that says what its maker knew.
The same seed gives the same pairs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import scipy.fft
import scipy.ndimage as ndi
import tifffile

from benchmarks.generalisation.foreign_light import SCOPES, Haze, Light, Scope, expose, images
from benchmarks.generalisation.foreign_samples import KINDS, draw_sample
from napari_deep3d.core import FloatArray, Shape, Spacing, Vector
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD

SHAPE: Shape = (48, 160, 160)
MARGIN: Shape = (10, 24, 24)
"""Of the sample beyond the stack on every side, whose light gets into it."""
ABOUT = "about"
HAZES: tuple[Haze, ...] = ("clear", "veil", "blur", "blur")
MEAN_FREE_PATHS_UM: dict[Haze, tuple[float, ...]] = {"clear": (1e4,), "veil": (20.0, 40.0), "blur": (30.0, 80.0)}
EMISSIONS_UM = (0.46, 0.52, 0.58, 0.62)
STOKES_SHIFT_UM = 0.035
CONFOCAL_TOP = 60000.0


@dataclass(frozen=True)
class ForeignPair:
    """A pair, axes (Z, Y, X), voxel on voxel unless it was shifted, and what it was made with."""

    kind: str
    light: Light
    widefield: FloatArray
    confocal: FloatArray

    @property
    def spacing_um(self) -> Spacing:
        """Voxel size (Z, Y, X)."""
        return self.light.scope.spacing_um

    @property
    def about(self) -> dict[str, Any]:
        """What its maker knew; the first names are those of ``foreign-choose``."""
        light, scope = self.light, self.light.scope
        return {
            "kind": self.kind,
            "scope": scope.name,
            "NA": scope.numerical_aperture,
            "em_nm": round(1000 * light.emission_um),
            "ni": scope.immersion_index,
            "depth_um": round(light.depth_um, 1),
            "mfp_um": light.mean_free_path_um,
            "photons": round(light.photons),
            "background": round(light.background, 2),
            "voxel_um": list(scope.spacing_um),
            "haze": light.haze,
            "psf": light.model,
            "pinhole_airy": round(light.pinhole_airy, 2),
        }


def draw_light(rng: np.random.Generator, scope: Scope, haze: Haze) -> Light:
    """Draw how a pair is imaged; two of three PSFs are scalar."""
    emission = float(rng.choice(EMISSIONS_UM))
    return Light(
        scope=scope,
        model="vectorial" if rng.random() < 1 / 3 else "scalar",
        emission_um=emission,
        excitation_um=emission - STOKES_SHIFT_UM,
        depth_um=float(rng.uniform(2, 12)),
        coverslip_error_um=float(rng.uniform(-4, 4)),
        pinhole_airy=float(rng.uniform(0.8, 1.2)),
        haze=haze,
        mean_free_path_um=float(rng.choice(MEAN_FREE_PATHS_UM[haze])),
        photons=float(np.exp(rng.uniform(np.log(150), np.log(3000)))),
        background=float(rng.uniform(0.02, 0.3)),
    )


def foreign_pair(seed: int, number: int, shape: Shape = SHAPE, shift: Vector = (0, 0, 0)) -> ForeignPair:
    """Make one pair.

    Parameters
    ----------
    seed, number
        Of the random choices; the number also says whose turn it is.
    shape
        Of the stacks, axes (Z, Y, X).
    shift
        By which the wide-field image is moved before its noise is added, in voxels.
    """
    rng = np.random.default_rng((seed, number))
    kind, scope = KINDS[number % len(KINDS)], SCOPES[number % len(SCOPES)]
    light = draw_light(rng, scope, HAZES[(number + number // len(SCOPES)) % len(HAZES)])
    field = tuple(n + 2 * m for n, m in zip(shape, MARGIN, strict=True))
    inner = tuple(slice(m, m + n) for n, m in zip(shape, MARGIN, strict=True))
    sample = draw_sample(rng, kind, (field[0], field[1], field[2]), scope.spacing_um, number // len(KINDS))
    widefield, confocal = images(sample, light, first_plane=MARGIN[0])
    if any(shift):
        spectrum = ndi.fourier_shift(scipy.fft.rfftn(widefield), shift, n=field[2])
        widefield = np.maximum(scipy.fft.irfftn(spectrum, s=field), 0).astype(np.float32)
    return ForeignPair(kind, light, expose(rng, widefield[inner], light), confocal[inner])


class MadePair(Protocol):
    """A pair that a simulator made, axes (Z, Y, X)."""

    @property
    def widefield(self) -> FloatArray:
        """Wide-field stack."""

    @property
    def confocal(self) -> FloatArray:
        """Confocal stack without noise."""

    @property
    def spacing_um(self) -> Spacing:
        """Voxel size (Z, Y, X)."""

    @property
    def about(self) -> dict[str, Any]:
        """What its maker knew."""


def write_pair(folder: Path, name: str, pair: MadePair) -> None:
    """Write both stacks as ImageJ TIFF of 16 bit, the confocal one up to a fixed count, and what is known of them."""
    stacks = {WIDEFIELD: pair.widefield, CONFOCAL: pair.confocal * (CONFOCAL_TOP / pair.confocal.max())}
    for kind, stack in stacks.items():
        _write_stack(folder / kind / f"{name}.tif", stack, pair.spacing_um)
    about = folder / ABOUT / f"{name}.json"
    about.parent.mkdir(parents=True, exist_ok=True)
    about.write_text(json.dumps(pair.about))


def _write_stack(path: Path, stack: FloatArray, spacing_um: Spacing) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = np.clip(np.rint(stack), 0, np.iinfo(np.uint16).max).astype(np.uint16)
    lateral = (1 / spacing_um[2], 1 / spacing_um[1])
    metadata = {"axes": "ZYX", "spacing": spacing_um[0], "unit": "um"}
    tifffile.imwrite(path, counts, imagej=True, resolution=lateral, metadata=metadata)


def write_pairs(description: str | None, make: Callable[[int, int], MadePair]) -> None:
    """Write the pairs that the command line asks for; ``make`` makes one from a seed and a number."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for number in range(chosen.pairs):
        start = time.monotonic()
        pair = make(chosen.seed, number)
        write_pair(chosen.output, f"pair_{number:02}", pair)
        print(f"pair_{number:02}: {pair.about} ({time.monotonic() - start:.0f} s)", flush=True)


def main() -> None:
    write_pairs(__doc__, foreign_pair)


if __name__ == "__main__":
    main()
