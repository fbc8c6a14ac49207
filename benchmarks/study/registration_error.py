"""Registration error along z, thin sample against thick (Fig. 8), and how sharp along z is what it is told by.

Pairs of known sub-voxel shift, every fourth halfway between two planes. The width
is that of the PSF between the stacks, and of their cross-correlation, along z through their maxima: the full width at
half of what they rise above their least, in um. At most it is that of the window that they are looked at in.
"""

from __future__ import annotations

import numpy as np

from benchmarks.common.tables import Row
from benchmarks.registration.accuracy import register_volumes
from benchmarks.registration.pairs import KnownPair, known_pair
from benchmarks.study.size import CONFIGS
from benchmarks.study.study import Part, Study
from napari_deep3d.core import DoubleArray, Shape, merge, read_toml
from napari_deep3d.core.registration.result import Curve
from napari_deep3d.core.simulation.scene import SceneBounds

SEED = 5400
SAMPLES = ("thin", "thick")
MEAN_FREE_PATHS_UM = (50.0, 120.0)
PHOTONS = (300.0, 1000.0, 3000.0)

METHODS = {
    "PSF": {"method": "psf"},
    "cross-correlation": {"method": "plain-cross-correlation"},
    "cross-correlation, filtered": {"method": "cross-correlation"},
}


def rows(study: Study) -> list[Row]:
    """A row for each pair and method; what was found of a pair is kept."""
    found, size = list[Row](), study.size
    shape, bounds = size.registration_shape, read_toml(CONFIGS / "tissue.toml")
    for sample in SAMPLES:
        for index in range(size.registrations):
            given = {"sample": sample, "pair": index, "seed": SEED, "shape": shape, "bounds": bounds}
            place = study.store.place("registration", f"{sample} {index}", **given)
            if not place.is_finished:
                place.finish(rows=measured(pair_of(sample, index, shape, merge(SceneBounds, bounds))))
                print(f"registration, {sample} {index + 1} of {size.registrations}", flush=True)
            found += [{"sample": sample, "pair": index} | row for row in place.facts()["rows"]]
    return found


def pair_of(sample: str, index: int, shape: Shape, bounds: SceneBounds) -> KnownPair:
    """A pair through the microscope of the study: thick ones fill the stack, thin ones are 3 um in 24 planes."""
    is_thin = sample == "thin"
    return known_pair(
        (SEED, SAMPLES.index(sample), index),
        ("neurons", "nuclei")[index % 2],
        (24, *shape[1:]) if is_thin else shape,
        mean_free_path_um=MEAN_FREE_PATHS_UM[index // 2 % 2],
        photons=PHOTONS[index % len(PHOTONS)],
        step_um=0.25 if is_thin else 0.5,
        pixel_um=bounds.optics.pixel_um[0],
        thin=is_thin,
        halfway=index % 4 == 3,
        bounds=bounds,
    )


def measured(pair: KnownPair) -> list[Row]:
    """Errors of the methods on a pair: along z in um and planes, laterally in pixels; and the widths in um."""
    found = list[Row]()
    step_um = pair.widefield.require_spacing_um()[0]
    for name, settings in METHODS.items():
        told = register_volumes(pair.confocal, pair.widefield, **settings)
        z, y, x = (float(v) for v in np.array(told.shift_voxels) - pair.shift_voxels)
        maps = {"PSF": told.psf, "cross-correlation": told.plain_correlation}
        evidence = maps.get(name, told.filtered_correlation)
        found.append(
            {
                "method": name,
                "z_um": abs(z) * step_um,
                "z_planes": abs(z),
                "lateral_pixels": float(np.hypot(y, x)),
                "width_um": width_um(evidence.profile(0, told.shift_um)),
                "halfway": bool(pair.facts["halfway"]),
                "refused": bool(told.refusal),
            }
        )
    return found


def width_um(curve: Curve) -> float:
    """Full width at half of what a curve rises above its least value, around its maximum; cut at the curve's ends."""
    values = curve.values - curve.values.min()
    peak = int(values.argmax())
    half = values[peak] / 2
    left = _crossing(values[peak::-1], half)
    right = _crossing(values[peak:], half)
    return float((left + right) * (curve.shift_um[1] - curve.shift_um[0]))


def _crossing(falling: DoubleArray, half: float) -> float:
    """Places from the first value to where the values fall below a half, between two of them by a straight line."""
    below = np.flatnonzero(falling < half)
    if not below.size:
        return float(len(falling) - 1)
    after = int(below[0])
    high, low = falling[after - 1], falling[after]
    return float(after - 1 + (high - half) / (high - low))


PARTS = {"registration": Part("paper_registration.csv", rows)}
