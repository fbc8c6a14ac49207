"""Registration error along z, thin sample against thick (Fig. 8), and how sharp along z is what it is told by.

Pairs of `benchmarks.registration.pairs`, of known sub-voxel shift, every fourth halfway between two planes. The width
is that of the PSF between the stacks, and of their cross-correlation, along z through their maxima: the full width at
half of what they rise above their least, in um. At most it is that of the window that they are looked at in.
"""

from __future__ import annotations

import numpy as np

from benchmarks.common.tables import Row
from benchmarks.registration.accuracy import register_volumes
from benchmarks.registration.pairs import TEST_SEED, KnownPair, thick_pairs, thin_pairs
from benchmarks.study.study import Part, Study
from napari_deep3d.core import DoubleArray
from napari_deep3d.core.registration.result import Curve

METHODS = {
    "PSF": {"method": "psf"},
    "cross-correlation": {"method": "plain-cross-correlation"},
    "cross-correlation, filtered": {"method": "cross-correlation"},
}


def rows(study: Study) -> list[Row]:
    """A row for each pair and method; each pair is kept."""
    found = list[Row]()
    number = study.size.registrations
    for sample, pairs in (("thin", thin_pairs), ("thick", thick_pairs)):
        waiting = iter(pairs(TEST_SEED, number))
        places = [
            study.store.place("registration", f"{sample} {i}", sample=sample, pair=i, seed=TEST_SEED)
            for i in range(number)
        ]
        for index, place in enumerate(places):
            if not all(each.is_finished for each in places[index:]):
                pair = next(waiting)  # drawn one after the other, also those that are kept
                if not place.is_finished:
                    place.finish(rows=measured(pair))
                    print(f"registration, {sample} {index + 1} of {number}", flush=True)
            found += [{"sample": sample, "pair": index} | row for row in place.facts()["rows"]]
    return found


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
