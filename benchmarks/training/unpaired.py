"""Training on stacks of different fields, against the bundled model and against pairs, for as many steps.

Usage: python -m benchmarks.training.unpaired [--steps 100] [--folder runs/unpaired] [--table docs/data/unpaired.csv]

Stained membranes (those of ``benchmarks.training.finetune``) through one lens whose aberrations change from field to
field: eight fields seen by the wide-field microscope, eight others by the confocal one, five more to test with. Pairs
are those of the first eight fields. All with the same losses, from the bundled model.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.training.finetune import COLUMNS, evaluate, membranes
from napari_deep3d import train
from napari_deep3d.api import TrainSettings
from napari_deep3d.core import DEFAULT_MODEL, Shape
from napari_deep3d.core.simulation.imaging import take_images
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

SHAPE: Shape = (32, 96, 96)
SETS = {"a": (1, 8), "b": (2, 8), "test": (3, 5)}
"""Seed and number of fields."""
BOUNDS = SceneBounds.checked(
    thickness_um=(20, 30),
    thick=0.0,
    objectives={"oil": {"share": 1, "immersion_index": 1.518, "numerical_aperture": (1.3, 1.3)}},
    pixel=(0.6, 0.6),
    step=(0.5, 0.5),
    emission_um=(0.52, 0.52),
    stokes_shift_um=(0.03, 0.03),
    sample_index=(1.36, 1.36),
    corrected_um=(0, 0),
    aberrated=1.0,
    aberration_waves=(0.1, 0.1),
    scalar=0.0,
    pinhole_airy=(1.0, 1.0),
    photons=(300, 600),
)


def write_fields(folder: Path, seed: int, count: int) -> None:
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        scene = BOUNDS.draw(rng, "membranes")
        spacing_um = scene.spacing_um
        pair = take_images(rng, scene, SHAPE, partial(membranes, rng, spacing_um=spacing_um))
        PairsFolder(folder).write(f"{folder.name}{number}", pair.widefield, pair.confocal, spacing_um, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/unpaired"))
    parser.add_argument("--steps", type=int, default=100)
    add_table_option(parser)
    chosen = parser.parse_args()
    for name, (seed, count) in SETS.items():
        if not (chosen.folder / name).exists():
            write_fields(chosen.folder / name, seed, count)
    fields, others, tests = (chosen.folder / name for name in SETS)
    rows: list[Row] = [
        {"image": name, "steps": None} | evaluate(tests, model)
        for name, model in (("wide-field", ""), ("bundled model", DEFAULT_MODEL))
    ]
    settings = TrainSettings(
        iterations=chosen.steps,
        patch=(24, 64, 64),
        learning_rate=3e-4,
        weight_l1=0.5,
        weight_l2=4.0,
        weight_correlation=0.15,
        weight_gan=0.0,
        weight_vgg=0.0,
        blank_share=0.0,
        validation_share=0.0,
        ema=0.0,
    )
    for name, source, unpaired in (
        ("unpaired", fields / WIDEFIELD, others / CONFOCAL),
        ("pairs", fields, None),
    ):
        made = train(source, chosen.folder / f"run-{name}", start=DEFAULT_MODEL, unpaired=unpaired, **settings)
        print(f"{name}: {made.iterations} steps in {made.seconds:.0f} s", flush=True)
        rows.append({"image": name, "steps": made.iterations} | evaluate(tests, str(made.model)))
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
