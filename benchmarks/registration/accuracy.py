"""How far off registration is, by method, on simulated pairs whose shift is known; and on pairs that do not match.

Usage: python -m benchmarks.registration.accuracy [--thick 64] [--thin 24] [--turned 12] [--unrelated 200]
           [--output FILE.json] [--tables docs/data]

Seeds and real samples are apart from those that the method was tuned on. Errors are in planes and pixels.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.registration import phase_cross_correlation

from benchmarks.common.tables import Row, markdown, write_rows
from benchmarks.registration.pairs import TEST_SEED, KnownPair, known_pair, real_samples, thick_pairs, thin_pairs
from napari_deep3d import InputError, register
from napari_deep3d.core import DoubleArray, Volume
from napari_deep3d.core.registration.transform import corners_um

BAND_PASS = (2, 6, 6)
AXIAL, LATERAL = 0.25, 0.5
COLUMNS = {
    "pairs": "{pairs}",
    "method": "{method}",
    f"axial <= {AXIAL}": "{axial_share:.0%}",
    f"lateral <= {LATERAL}": "{lateral_share:.0%}",
    "median axial": "{axial_median:.3f}",
    "median lateral": "{lateral_median:.3f}",
    "worst axial, lateral": "{axial_worst:.2f}, {lateral_worst:.2f}",
    "s": "{seconds:.2f}",
}
CONFIDENCES = (
    ("0.97 and more", 0.97, np.inf),
    ("0.9 to 0.97", 0.9, 0.97),
    ("0.5 to 0.9", 0.5, 0.9),
    ("below 0.5 (refused)", 0.0, 0.5),
)
Found = tuple[DoubleArray, float, Any]
"""Shift (Z, Y, X) in voxels, confidence, and what that was told from."""


def ours(**settings: Any) -> Callable[[KnownPair], Found]:
    """Our registration with settings."""

    def find(pair: KnownPair) -> Found:
        found = register_volumes(pair.confocal, pair.widefield, **settings)
        return np.array(found.shift_voxels), found.confidence, found.evidence.report()

    return find


def register_volumes(confocal: Volume, widefield: Volume, **settings: Any) -> Any:
    """Register two volumes through the public function."""
    return register(
        np.asarray(confocal.data),
        np.asarray(widefield.data),
        confocal_spacing_um=confocal.spacing_um,
        widefield_spacing_um=widefield.spacing_um,
        **settings,
    )


def scikit_image(normalization: str | None, filtered: bool) -> Callable[[KnownPair], Found]:
    """scikit-image's phase_cross_correlation at a twentieth of a voxel."""

    def find(pair: KnownPair) -> Found:
        images = [np.asarray(volume.data, dtype=np.float32) for volume in (pair.confocal, pair.widefield)]
        if filtered:
            images = [image - gaussian_filter(image, BAND_PASS, mode="nearest") for image in images]
        shift, _, _ = phase_cross_correlation(*images, upsample_factor=20, normalization=normalization)
        return -np.asarray(shift, dtype=np.float64), np.nan, None

    return find


DEFAULT = "psf (default)"
METHODS: dict[str, Callable[[KnownPair], Found]] = {
    DEFAULT: ours(),
    "cross-correlation, filtered": ours(method="cross-correlation"),
    "cross-correlation, plain": ours(method="plain-cross-correlation"),
    "psf, preset paper": ours(preset="paper"),
    "scikit-image, phase": scikit_image("phase", False),
    "scikit-image, phase, filtered": scikit_image("phase", True),
    "scikit-image, no normalization": scikit_image(None, False),
    "scikit-image, no normalization, filtered": scikit_image(None, True),
}


def measure(pairs: Any, label: str, methods: dict[str, Callable[[KnownPair], Found]]) -> list[Row]:
    """Errors of the methods on every pair."""
    rows = []
    for number, pair in enumerate(pairs):
        for name, find in methods.items():
            start = time.perf_counter()
            shift, confidence, evidence = find(pair)
            error = shift - pair.shift_voxels
            rows.append(
                {
                    "set": label,
                    "pair": number,
                    "method": name,
                    "axial": abs(float(error[0])),
                    "lateral": float(np.hypot(error[1], error[2])),
                    "confidence": confidence,
                    "evidence": evidence,
                    "seconds": time.perf_counter() - start,
                    **pair.facts,
                }
            )
        print(f"{label} {number}: axial {rows[-len(methods)]['axial']:.3f}", flush=True)
    return rows


def accuracy(rows: list[Row], pairs: str) -> list[Row]:
    """Share within bounds, median and worst error of every method; errors in planes and pixels."""
    lines: list[Row] = []
    for name in METHODS:
        mine = [row for row in rows if row["method"] == name]
        if not mine:
            continue
        line: Row = {"pairs": pairs, "method": name}
        for axis, bound in (("axial", AXIAL), ("lateral", LATERAL)):
            errors = np.array([row[axis] for row in mine])
            line[f"{axis}_share"] = float(np.mean(errors <= bound))
            line[f"{axis}_median"], line[f"{axis}_worst"] = float(np.median(errors)), float(errors.max())
        lines.append(line | {"seconds": float(np.median([row["seconds"] for row in mine]))})
    return lines


def calibration(rows: list[Row]) -> list[Row]:
    """How often the default is right within half a plane and half a pixel, by its confidence."""
    lines: list[Row] = []
    for name, low, high in CONFIDENCES:
        some = [row for row in rows if row["method"] == DEFAULT and low <= row["confidence"] < high]
        right = sum(row["axial"] <= 0.5 and row["lateral"] <= 0.5 for row in some)
        lines.append({"confidence": name, "pairs": len(some), "right": right})
    return lines


def turned(count: int) -> list[Row]:
    """Corner errors of similarity and affine on pairs turned by up to 2 degrees and magnified by up to 2 %."""
    rows: list[Row] = []
    for number in range(count):
        rng = np.random.default_rng((TEST_SEED, 2000 + number))
        pair = known_pair(
            (TEST_SEED, 3000 + number),
            ("neurons", "nuclei")[number % 2],
            (60, 384, 384),
            mean_free_path_um=(25.0, 60.0, np.inf)[number % 3],
            photons=(300.0, 1000.0)[number % 2],
            pixel_um=0.15,
            turn_deg=rng.uniform(-2, 2),
            tilt_deg=rng.uniform(-0.3, 0.3),
            magnification=1 + rng.uniform(-0.02, 0.02),
        )
        for kind in ("shift", "similarity", "affine"):
            found = register_volumes(pair.confocal, pair.widefield, transform=kind)
            corners = corners_um(pair.confocal.shape, pair.confocal.require_spacing_um())
            error = (found.transform.apply(corners) - pair.truth.apply(corners)) / pair.widefield.require_spacing_um()
            rows.append(
                {
                    "set": "turned",
                    "pair": number,
                    "method": kind,
                    "lateral": float(np.hypot(error[:, 1], error[:, 2]).max()),
                    "axial": float(np.abs(error[:, 0]).max()),
                    "confidence": found.confidence,
                    "blocks": len(found.blocks),
                    "notices": len(found.notices),
                }
            )
            print(f"turned {number} {kind}: {json.dumps(rows[-1])}", flush=True)
    for kind in ("shift", "similarity", "affine") if rows else ():
        mine = [row for row in rows if row["method"] == kind]
        good = np.mean([row["lateral"] <= 1 and row["axial"] <= 0.5 for row in mine])
        fell = sum(row["notices"] > 0 for row in mine)
        lateral, axial = np.median([[row["lateral"], row["axial"]] for row in mine], axis=0)
        print(
            f"{kind}: corners within 1 px and 0.5 planes {good:.0%}; median {lateral:.2f} px, {axial:.2f}; {fell} told"
        )
    return rows


def unrelated(count: int) -> list[Row]:
    """Confidence on pairs that do not match: stacks of different samples, noise, blank stacks with a gradient."""
    rows: list[Row] = []
    earlier: list[KnownPair] = []
    rng = np.random.default_rng(TEST_SEED)
    pairs = iter(thick_pairs(TEST_SEED + 1, count, real_samples()))
    while len(rows) < count:
        pair = next(pairs)
        cases = [("other sample", old.confocal.data) for old in earlier[-4:]]
        if len(rows) % 5 == 0:
            shape = pair.confocal.shape
            gradient = np.add.outer(np.arange(shape[0]) * 20.0, np.zeros(shape[1:])) + rng.normal(0, 5, shape) + 500
            cases += [("noise", rng.poisson(100, shape)), ("gradient", gradient)]
        for name, data in cases[: count - len(rows)]:
            rows.append({"set": "unrelated", "case": name} | _confidence(np.asarray(data), pair))
        earlier.append(pair)
        print(f"unrelated {len(rows)}: {rows[-1] if rows else ''}", flush=True)
    values = [row["confidence"] for row in rows] or [0.0]
    print(
        f"unrelated: {len(rows)} pairs, {sum(row['refused'] for row in rows)} refused, largest confidence "
        f"{max(values):.3f}, above 0.9: {sum(v >= 0.9 for v in values)}"
    )
    return rows


def _confidence(data: NDArray[Any], pair: KnownPair) -> Row:
    try:
        found = register_volumes(Volume(data, pair.confocal.spacing_um), pair.widefield)
    except InputError as error:
        return {"confidence": 0.0, "refused": True, "problem": str(error)}
    told = found.evidence.report()
    return {"confidence": found.confidence, "refused": bool(found.refusal), "evidence": told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("thick", 64), ("thin", 24), ("turned", 12), ("unrelated", 200)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--output", type=Path, help="JSON file for every row")
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="write what docs/results.md shows to here")
    parser.add_argument("--default-only", action="store_true", help="leave the other methods out")
    chosen = parser.parse_args()
    methods = {DEFAULT: METHODS[DEFAULT]} if chosen.default_only else METHODS
    rows = measure(thick_pairs(TEST_SEED, chosen.thick, real_samples()), "thick", methods)
    rows += measure(thin_pairs(TEST_SEED, chosen.thin), "thin", methods)
    conditions: dict[str, Callable[[Row], bool]] = {
        "thick": lambda row: row["set"] == "thick",
        "strong haze (25 um), thick": lambda row: row["mean_free_path_um"] == 25 and row["set"] == "thick",
        "100 photons, thick": lambda row: row["photons"] == 100 and row["set"] == "thick",
        "sparse samples, thick": lambda row: not row["dense"] and row["set"] == "thick",
        "real confocal volumes as samples, thick": lambda row: row["kind"] == "confocal",
        "shifted halfway between planes, thick and thin": lambda row: row["halfway"],
        "thin": lambda row: row["set"] == "thin",
    }
    lines = [line for name, test in conditions.items() for line in accuracy([r for r in rows if test(r)], name)]
    confidences = calibration(rows)
    print(
        f"\n{markdown(lines, COLUMNS)}\n\n{markdown(confidences, {name: f'{{{name}}}' for name in confidences[0]})}\n"
    )
    if chosen.tables:
        shown = [{name: value for name, value in line.items() if name != "seconds"} for line in lines]
        write_rows(chosen.tables / "registration.csv", shown)
        write_rows(chosen.tables / "registration_confidence.csv", confidences)
    rows += turned(chosen.turned)
    rows += unrelated(chosen.unrelated)
    if chosen.output:
        chosen.output.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
