"""Sections from grid frames against the true confocal image, beside wide-field: how good a target they are.

Usage: python -m benchmarks.training.grid_frames [--size 192] [--table docs/data/grid_frames.csv]

Three samples of our simulator through a grid that is blurred away from the focus, three phases, without noise and with
two exposures, for a coarse and a fine grid; then, of the coarse grid, frames that flicker by 3 % with and
without the correction, a phase that is 12 degrees off, five phases, and three angles of five. RMSE and SSIM are after
the best scale and offset, of the confocal image with its percentiles 0.1 and 99.9 at 0 and 1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.common.grid_microscope import GridImages, GridMicroscope, simulated_grid_images
from benchmarks.common.scores import scaled
from benchmarks.common.tables import Row, add_table_option, write_rows
from napari_deep3d.core import FloatArray, InputError
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.core.simulation.samples import DrawnKind
from napari_deep3d.core.structured_light import even_brightness, examine, section, wide_field

KINDS: tuple[DrawnKind, ...] = ("nuclei", "filaments", "neurons")
PLANES, SEED = 24, 1
COARSE, FINE = 0.1, 0.3
"""Frequency of the grid as a share of the lens's cutoff: half of the depth of the stripes within 1.5 and 0.65 um."""
THREE, FIVE = (0.0, 120.0, 240.0), (0.0, 72.0, 144.0, 216.0, 288.0)


@dataclass(frozen=True)
class Condition:
    """How frames are taken; ``photons`` are those of the brightest voxel in one frame, 0 for no noise."""

    name: str
    fineness: float = COARSE
    photons: float = 0
    phases: tuple[float, ...] = THREE
    angles: tuple[float, ...] = (0.0,)
    flicker: float = 0.0
    even: bool = True


CONDITIONS = (
    *(
        Condition(f"{grid} grid, {f'{photons} photons' if photons else 'no noise'}", fineness, photons)
        for grid, fineness in (("coarse", COARSE), ("fine", FINE))
        for photons in (0, 10_000, 1000)
    ),
    Condition("frames flicker by 3 %", flicker=0.03),
    Condition("the same, not corrected", flicker=0.03, even=False),
    Condition("one phase 12 degrees off", phases=(0, 132, 240)),
    Condition("5 phases, 1000 photons", photons=1000, phases=FIVE),
    Condition("3 angles of 5 phases, 1000 photons", photons=1000, phases=FIVE, angles=(0.0, 60.0, 120.0)),
)


def measured(images: GridImages, how: Condition) -> Row:
    """Scores of both images, and what the frames tell of themselves."""
    rng = np.random.default_rng(SEED)
    brightness = 1 + how.flicker * rng.standard_normal((len(images.confocal), len(how.angles), len(how.phases)))
    frames = images.frames(how.phases, brightness, how.photons, SEED)
    used = np.stack([even_brightness(plane) for plane in frames]) if how.even else frames
    truth, row = scaled(images.confocal), Row()
    for name, make in (("widefield", wide_field), ("section", section)):
        found = score(stack_of(used, make), truth)
        row |= {f"{name}_rmse": found.rmse_fit, f"{name}_ssim": found.ssim_fit}
    try:
        report = examine(frames, "the stack", even=how.even)
    except InputError:
        return row | {"refused": 1}
    return row | {
        "refused": 0,
        "stripes": report.stripes_confocal,
        "signal": report.signal_to_noise,
        "modulation": max(grid.modulation for grid in report.grids),
    }


def stack_of(frames: FloatArray, make: Callable[[FloatArray], FloatArray]) -> FloatArray:
    return np.stack([make(plane) for plane in frames])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=192, help="pixels along y and x")
    add_table_option(parser)
    chosen = parser.parse_args()
    found: dict[str, list[Row]] = {}
    for kind in KINDS:
        seen = dict[tuple[float, int], GridImages]()
        for how in CONDITIONS:
            key = how.fineness, len(how.angles)
            if key not in seen:
                shape = (PLANES, chosen.size, chosen.size)
                seen[key] = simulated_grid_images(kind, shape, SEED, GridMicroscope(fineness=how.fineness), how.angles)
            row = measured(seen[key], how)
            found.setdefault(how.name, []).append(row)
            print(kind, how.name, {name: round(float(value), 4) for name, value in row.items()}, flush=True)
    names = ("widefield_rmse", "widefield_ssim", "section_rmse", "section_ssim", "stripes", "signal", "modulation")
    means = [
        {"condition": name}
        | {each: float(np.mean([row[each] for row in rows if each in row] or [np.nan])) for each in names}
        | {"refused": sum(row["refused"] for row in rows)}
        for name, rows in found.items()
    ]
    write_rows(chosen.table, means)


if __name__ == "__main__":
    main()
