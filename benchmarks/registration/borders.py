"""How far off registration is where stacks have borders that are no image, by kind of border.

Usage: python -m benchmarks.registration.borders [--pairs 4] [--only KIND] [--table docs/data/registration_borders.csv]

Simulated pairs of known shift are given borders of ten kinds and registered as they are, without a look for such
borders, and with it. What is the same in both stacks draws the match to no shift at all, what was shifted with a stack
to the shift of its edges. Errors are in um; a pair is right within half a voxel along each axis.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.registration.pairs import MEAN_FREE_PATHS_UM, PHOTONS, TEST_SEED, KnownPair, known_pair
from napari_deep3d.core import InputError, RegisterConfig, Shape, Volume, all_finite, drain, never
from napari_deep3d.core.registration import register_volumes
from napari_deep3d.core.simulation.scene import SampleKind

SHAPE: Shape = (48, 224, 224)
FIRST_SEED = 7000
Voxels = NDArray[np.generic]
Spoil = Callable[[Voxels, bool], Voxels]
"""Gives a copy of a stack borders; whether it is the confocal one."""
COLUMNS = {
    "border": "{border}",
    "taken as image: right": "{before right}",
    "error, um": "{before error_um}",
    "confidence": "{before confidence}",
    "left out: right": "{after right}",
    "its error, um": "{after error_um}",
    "its confidence": "{after confidence}",
}


def _with(stack: Voxels, part: Any, value: float = 0) -> Voxels:
    """A copy with a value in a part, a mask or slices; float32 where the value is no whole number."""
    spoilt: Voxels = stack.astype(np.float32) if np.isnan(value) else stack.copy()
    spoilt[part] = value
    return spoilt


def _frame(stack: Voxels, width: int, value: float = 0) -> Voxels:
    inside = np.zeros(stack.shape, bool)
    inside[:, width:-width, width:-width] = True
    return _with(stack, ~inside, value)


def _turned(stack: Voxels, _: bool) -> Voxels:
    """The corners of a turn by 20 degrees."""
    _z, y, x = np.ogrid[: stack.shape[0], : stack.shape[1], : stack.shape[2]]
    y, x = y - stack.shape[1] / 2, x - stack.shape[2] / 2
    cos, sin = np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))
    away = np.maximum(np.abs(cos * x + sin * y) / stack.shape[2], np.abs(cos * y - sin * x) / stack.shape[1])
    return _with(stack, np.broadcast_to(away > 0.52, stack.shape))


def _sheared(stack: Voxels, _: bool) -> Voxels:
    """The wedges of a light sheet's stack that was sheared, of a third of the voxels."""
    z, y, _x = np.ogrid[: stack.shape[0], : stack.shape[1], : stack.shape[2]]
    first = 1.6 * z
    outside = (y < first) | (y >= first + stack.shape[1] - 1.6 * stack.shape[0])
    return _with(stack, np.broadcast_to(outside, stack.shape))


def _padded(stack: Voxels, _: bool) -> Voxels:
    """The stack in the middle of one twice as wide."""
    margin = [(0, 0), *((n // 2, n // 2) for n in stack.shape[1:])]
    return np.pad(stack, margin)


KINDS: dict[str, Spoil] = {
    "none": lambda stack, _: stack,
    "frame of one voxel, both": lambda stack, _: _frame(stack, 1),
    "frame of 16 voxels, both": lambda stack, _: _frame(stack, 16),
    "edges of a shift, each its own": lambda s, c: _with(s, np.s_[:, :9, :]) if c else _with(s, np.s_[:, :, -13:]),
    "edges of the largest value, wide-field": lambda s, c: s if c else _with(s, np.s_[:, -12:, :], 65_535),
    "NaN edges, both": lambda stack, _: _with(stack, np.s_[:, 212:, :], np.nan),
    "dead column and row, both": lambda stack, _: _with(_with(stack, np.s_[:, :, 90]), np.s_[:, 120]),
    "every sixth plane dropped, both": lambda stack, _: _with(stack, np.s_[3::6]),
    "corners of a turn, both": _turned,
    "wedges of a sheared stack, both": _sheared,
    "three quarters padding, both": _padded,
}


def pairs(count: int) -> Iterator[KnownPair]:
    """Pairs over kinds, haze and light."""
    kinds: tuple[SampleKind, ...] = ("neurons", "nuclei")
    for index in range(count):
        yield known_pair(
            (TEST_SEED, FIRST_SEED + index),
            kinds[index % 2],
            SHAPE,
            mean_free_path_um=MEAN_FREE_PATHS_UM[index % 4],
            photons=PHOTONS[(index // 2) % 4],
            halfway=index % 4 == 3,
        )


def measure(pair: KnownPair, spoil: Spoil, looks: bool) -> tuple[float, bool, float]:
    """Error in um, whether that is right, and confidence, of a pair with borders; infinite where it is refused."""
    spoilt = [
        replace(volume, data=spoil(np.asarray(volume.data), is_confocal))
        for volume, is_confocal in ((pair.confocal, True), (pair.widefield, False))
    ]
    try:
        if looks:
            found = drain(register_volumes(*_two(spoilt), RegisterConfig(), never))
        elif not all(all_finite(volume.data) for volume in spoilt):  # which was refused
            return np.inf, False, 0.0
        else:
            with patch("napari_deep3d.core.registration.common_grid.find_no_image", lambda _: None):
                found = drain(register_volumes(*_two(spoilt), RegisterConfig(), never))
    except InputError:
        return np.inf, False, 0.0
    spacing = np.array(pair.widefield.require_spacing_um())
    error = np.array(found.shift_um) - pair.shift_voxels * spacing
    right = bool(np.all(np.abs(error) <= spacing / 2))
    return float(np.linalg.norm(error)), right, found.confidence


def _two(volumes: list[Volume]) -> tuple[Volume, Volume]:
    confocal, widefield = volumes
    return confocal, widefield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--only", help="one kind of border")
    add_table_option(parser)
    chosen = parser.parse_args()
    simulated = list(pairs(chosen.pairs))
    rows: list[Row] = []
    for name, spoil in KINDS.items():
        if chosen.only and chosen.only not in name:
            continue
        row: Row = {"border": name}
        for label, looks in (("before", False), ("after", True)):
            found = [measure(pair, spoil, looks) for pair in simulated]
            errors, right, confidences = (list(each) for each in zip(*found, strict=True))
            row[f"{label} right"] = f"{sum(right)} of {len(found)}"
            median, worst = np.median(errors), max(errors)
            row[f"{label} error_um"] = f"{median:.2f} ({worst:.2f})" if np.isfinite(worst) else "refused"
            row[f"{label} confidence"] = round(float(np.median(confidences)), 2)
            print(name, label, [f"{e:.2f} {c:.2f}" for e, _, c in found], flush=True)
        rows.append(row)
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
