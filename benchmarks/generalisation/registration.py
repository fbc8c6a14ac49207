"""Register pairs of the foreign simulator whose shift is known, and pairs that do not match.

Usage: python -m benchmarks.generalisation.registration [--pairs 24] [--seed 5] [--unrelated 200]
           [-o runs/foreign_registration.json] [--table docs/data/foreign_registration.csv]

The confocal stacks are as dim as real ones, 15 to 300 photons in the brightest voxels. Right is an answer within half a
plane and half a pixel, as for :mod:`benchmarks.registration.accuracy`, whose unrelated
pairs these are. Refused is one whose confidence is too small to be used.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path

import numpy as np

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.generalisation.foreign_samples import KINDS
from benchmarks.generalisation.foreign_simulator import foreign_pair
from benchmarks.registration.accuracy import register_volumes, unrelated
from napari_deep3d import InputError
from napari_deep3d.core import Shape, Volume, zyx

SHAPE: Shape = (48, 160, 160)
LARGEST_SHIFT: Shape = (4, 10, 10)
CONFOCAL_PHOTONS = (15.0, 300.0)
BRIGHT_PERCENTILE = 99.9
RIGHT_VOXELS = 0.5
HIGH = 0.9
COLUMNS = {
    "pairs": "{pairs}",
    "number": "{number}",
    "right": "{right}",
    "right, and refused": "{right_refused}",
    "wrong, and not refused": "{wrong_used}",
    "wrong, told with confidence 0.9 or more": "{wrong_sure}",
}


def known_row(seed: int, number: int, confocal_photons: tuple[float, float]) -> Row:
    """Shift a pair by random parts of voxels, and find the shift again."""
    rng = np.random.default_rng((seed, number, 1))
    shift = zyx(float(v) for v in rng.uniform(-1, 1, 3) * LARGEST_SHIFT)
    pair = foreign_pair(seed, number, SHAPE, shift)
    spacing = pair.light.scope.spacing_um
    photons = float(np.exp(rng.uniform(*np.log(confocal_photons))))
    brightest = float(np.percentile(pair.confocal, BRIGHT_PERCENTILE))
    confocal = rng.poisson(pair.confocal * (photons / brightest)).astype(np.float32)
    facts = {**pair.about, "confocal_photons": round(photons), "shift_voxels": shift}
    row: Row = {"pairs": "shifted", **facts, "confidence": 0.0, "right": False}
    try:
        found = register_volumes(Volume(confocal, spacing), Volume(pair.widefield, spacing))
    except InputError as error:
        return row | {"refused": True, "problem": str(error)}
    error_voxels = np.abs(np.subtract(found.shift_voxels, shift))
    return row | {
        "confidence": found.confidence,
        "refused": bool(found.refusal),
        "error_voxels": error_voxels.tolist(),
        "right": bool(np.all(error_voxels <= RIGHT_VOXELS)),
        "evidence": found.evidence.report(),
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """How many are right, how many of these are withheld, and how many wrong ones are not; by set and kind."""
    groups = {
        "shifted": [row for row in rows if row["pairs"] == "shifted"],
        "unrelated": [row for row in rows if row["pairs"] == "unrelated"],
    }
    for row in groups["shifted"]:
        groups.setdefault(f"shifted, {row['kind']}", []).append(row)
    return [
        {
            "pairs": name,
            "number": len(some),
            "right": sum(row["right"] for row in some),
            "right_refused": sum(row["right"] and row["refused"] for row in some),
            "wrong_used": sum(not row["right"] and not row["refused"] for row in some),
            "wrong_sure": sum(not row["right"] and row["confidence"] >= HIGH for row in some),
        }
        for name, some in groups.items()
        if some
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--unrelated", type=int, default=200)
    parser.add_argument("-o", "--output", type=Path, help="JSON file for every row")
    add_table_option(parser)
    parser.add_argument("--kind", choices=KINDS, help="of sample, instead of all")
    parser.add_argument(
        "--confocal-photons", type=float, nargs=2, default=CONFOCAL_PHOTONS, help="in the brightest voxels, from and to"
    )
    chosen = parser.parse_args()
    rows: list[Row] = []
    numbers = (number for number in count() if chosen.kind in (None, KINDS[number % len(KINDS)]))
    for number in islice(numbers, chosen.pairs):
        rows.append(known_row(chosen.seed, number, tuple(chosen.confocal_photons)))
        names = (
            "kind",
            "scope",
            "haze",
            "photons",
            "confocal_photons",
            "right",
            "refused",
            "confidence",
            "error_voxels",
        )
        print(number, {name: rows[-1].get(name) for name in names}, flush=True)
    if chosen.unrelated:
        rows += [row | {"pairs": "unrelated", "right": False} for row in unrelated(chosen.unrelated)]
    lines = summary(rows)
    if chosen.output:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(json.dumps(rows, indent=1))
    write_rows(chosen.table, lines)
    print("\n" + markdown(lines, COLUMNS))


if __name__ == "__main__":
    main()
