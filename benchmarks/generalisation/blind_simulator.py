"""Write pairs of a second simulator apart from the program's own: a blind test, never trained on or chosen by.

Usage: python -m benchmarks.generalisation.blind_simulator -o data/foreign-blind --pairs 16 --seed 1

Five kinds of samples and four microscopes take turns, so that 20 pairs hold each kind with each microscope once. Each
pair has its noise-free confocal stack as truth, and a JSON file that says what its maker knew; both lie as
``foreign_simulator`` lays them, so that ``foreign`` scores them: python -m benchmarks.generalisation.foreign
data/foreign-blind --model prediction=generalist, which ``make foreign`` does too. The same seed gives the same pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.generalisation.blind_light import LASERS_UM, LENSES, Exposure, Lens, expose, images
from benchmarks.generalisation.blind_samples import KINDS, SCATTERING_UM, draw_sample
from benchmarks.generalisation.foreign_simulator import write_pairs
from napari_deep3d.core import FloatArray, Shape, Spacing

SHAPE: Shape = (48, 160, 160)
BELOW = 10
"""Planes of the sample that lie deeper than the stack and shine into it."""
BESIDE = 16
"""Pixels of it beyond the stack on either side."""


@dataclass(frozen=True)
class BlindPair:
    """A pair without noise and with it, axes (Z, Y, X), voxel on voxel, and what it was made with."""

    kind: str
    exposure: Exposure
    clean: FloatArray
    widefield: FloatArray
    confocal: FloatArray

    @property
    def spacing_um(self) -> Spacing:
        """Voxel size (Z, Y, X)."""
        return self.exposure.lens.spacing_um

    @property
    def about(self) -> dict[str, Any]:
        """What its maker knew, under the names of the foreign simulator where both know it."""
        exposure, lens = self.exposure, self.exposure.lens
        return {
            "kind": self.kind,
            "scope": lens.name,
            "NA": lens.numerical_aperture,
            "em_nm": round(1000 * exposure.emission_um),
            "ex_nm": round(1000 * exposure.excitation_um),
            "ni": lens.immersion_index,
            "ns": round(exposure.sample_index, 3),
            "coverslip_error_um": round(exposure.coverslip_error_um, 1),
            "mfp_um": round(exposure.scattering_um),
            "photons": round(exposure.photons),
            "background": round(exposure.background, 2),
            "read_noise": round(exposure.read_noise, 2),
            "bleached": round(exposure.bleached, 2),
            "voxel_um": list(lens.spacing_um),
            "psf": exposure.model,
            "pinhole_airy": round(exposure.pinhole_airy, 2),
        }


def draw_exposure(rng: np.random.Generator, lens: Lens, kind: str) -> Exposure:
    """Draw how a pair is imaged; one of three PSFs is vectorial."""
    excitation, emission = LASERS_UM[rng.integers(len(LASERS_UM))]
    return Exposure(
        lens=lens,
        model="vectorial" if rng.random() < 1 / 3 else "scalar",
        sample_index=float(rng.uniform(*lens.sample_indices)),
        excitation_um=excitation,
        emission_um=emission,
        coverslip_error_um=float(rng.normal(0, 2)),
        pinhole_airy=float(rng.uniform(0.6, 1.2)),
        scattering_um=float(rng.uniform(*SCATTERING_UM[kind])),
        photons=float(np.exp(rng.uniform(*np.log((150, 3000))))),
        background=float(rng.uniform(0.02, 0.3)),
        read_noise=float(rng.uniform(1.0, 2.5)),
        bleached=float(rng.uniform(0, 0.12)),
    )


def blind_pair(seed: int, number: int, shape: Shape = SHAPE) -> BlindPair:
    """Make one pair.

    Parameters
    ----------
    seed, number
        Of the random choices; the number also says whose turn it is.
    shape
        Of the stacks, axes (Z, Y, X).
    """
    rng = np.random.default_rng((seed, number))
    kind, lens = list(KINDS)[number % len(KINDS)], LENSES[number % len(LENSES)]
    exposure = draw_exposure(rng, lens, kind)
    field = (shape[0] + BELOW, shape[1] + 2 * BESIDE, shape[2] + 2 * BESIDE)
    inner = (slice(None), slice(BESIDE, BESIDE + shape[1]), slice(BESIDE, BESIDE + shape[2]))
    sample = draw_sample(rng, kind, field, lens.spacing_um)
    clean, confocal = (image[inner] for image in images(sample, exposure, shape[0]))
    return BlindPair(kind, exposure, clean, expose(rng, clean, exposure), confocal)


def main() -> None:
    write_pairs(__doc__, blind_pair)


if __name__ == "__main__":
    main()
