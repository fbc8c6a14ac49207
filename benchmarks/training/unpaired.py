"""Training on stacks of different fields, against the bundled model and against pairs, for as many steps.

Usage: python -m benchmarks.training.unpaired [--steps 400] [--seeds 0 1] [--cycle 0.2] [--folder runs/unpaired]
           [--table docs/data/unpaired.csv] [--images docs/images]

Stained membranes (those of ``benchmarks.training.finetune``) through one lens whose aberrations change from field to
field: eight fields seen by the wide-field microscope, eight others by the confocal one, five more to test with. Pairs
are those of the first eight fields. All with the same losses, from the bundled model; one of them with a cycle as well.
Trainings that are done are passed over.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from benchmarks.training.finetune import COLUMNS, evaluate, membranes
from napari_deep3d import predict, train
from napari_deep3d.core import DEFAULT_MODEL, Shape
from napari_deep3d.core.simulation.imaging import take_images
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.jobs.figures import draw_comparison, new_figure
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder
from napari_deep3d.jobs.train.run_folder import MODEL_FILE, read_metrics

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


LEARNING: dict[str, Any] = {
    "patch": (24, 64, 64),
    "learning_rate": 3e-4,
    "weight_l1": 0.5,
    "weight_l2": 4.0,
    "weight_correlation": 0.15,
    "weight_gan": 0.0,
    "weight_vgg": 0.0,
    "blank_share": 0.0,
    "validation_share": 0.0,
    "ema": 0.0,
    "log_every": 5,
}
CURVES = ("l1", "l2", "correlation", "blur", "cycle")
SMOOTHED = 3
"""Notes of which the mean is drawn."""


def write_fields(folder: Path, seed: int, count: int) -> None:
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        scene = BOUNDS.draw(rng, "membranes")
        spacing_um = scene.spacing_um
        pair = take_images(rng, scene, SHAPE, partial(membranes, rng, spacing_um=spacing_um))
        PairsFolder(folder).write(f"{folder.name}{number}", pair.widefield, pair.confocal, spacing_um, overwrite=True)


def row_of(name: str, seed: int | None, steps: int | None, tests: Path, model: str) -> Row:
    """Mean scores on the test pairs."""
    return {"image": name, "seed": seed, "steps": steps} | evaluate(tests, model)


def draw_curves(path: Path, runs: Mapping[str, Path]) -> Path:
    """Draw the figures that trainings note, each as a share of its mean over the first tenth."""
    figure = new_figure(4.5 * len(runs), 3.2)
    for axis, (title, run) in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs.items(), strict=True):
        noted = [metrics for metrics in read_metrics(run, 10**9) if metrics.step]
        for name in CURVES:
            points = [(metrics.step, metrics.values[name]) for metrics in noted if metrics.values.get(name)]
            if points:
                steps, values = (np.array(column) for column in zip(*points, strict=True))
                smooth = np.convolve(values, np.ones(SMOOTHED) / SMOOTHED, mode="valid")
                axis.plot(steps[SMOOTHED - 1 :], smooth / values[: max(1, len(values) // 10)].mean(), label=name)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=100)
    return path


def draw_field(path: Path, tests: Path, models: Mapping[str, str]) -> Path:
    """Draw one test field: wide-field, what models make of it, confocal."""
    name = PairsFolder(tests).names()[0]
    widefield, confocal = (PairsFolder(tests).volume(kind, name) for kind in (WIDEFIELD, CONFOCAL))
    recorded, spacing_um = np.asarray(widefield.data[:, :, :]), widefield.require_spacing_um()
    made = {
        title: np.asarray(predict(recorded, spacing_um=spacing_um, model=model).data) for title, model in models.items()
    }
    stacks = [("wide-field", recorded), *made.items(), ("confocal", np.asarray(confocal.data[:, :, :]))]
    return draw_comparison(path, stacks, spacing_um, plane=SHAPE[0] // 2, row=SHAPE[1] // 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/unpaired"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--cycle", type=float, default=0.2, help="weight of the cycle in its own training")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="draw a field and the losses of the first seed")
    add_table_option(parser)
    chosen = parser.parse_args()
    for name, (seed, count) in SETS.items():
        if not (chosen.folder / name).exists():
            write_fields(chosen.folder / name, seed, count)
    fields, others, tests = (chosen.folder / name for name in SETS)
    rows = [
        row_of(name, None, None, tests, model) for name, model in (("wide-field", ""), ("bundled model", DEFAULT_MODEL))
    ]
    kinds = {
        "unpaired": (fields / WIDEFIELD, others / CONFOCAL, {}),
        "unpaired, with a cycle": (fields / WIDEFIELD, others / CONFOCAL, {"weight_cycle": chosen.cycle}),
        "pairs": (fields, None, {}),
    }
    for seed in chosen.seeds:
        for name, (source, unpaired, changes) in kinds.items():
            run = run_of(chosen.folder, name, seed)
            settings = LEARNING | changes | {"iterations": chosen.steps, "seed": seed}
            if not (run / MODEL_FILE).exists():
                train(source, run, start=DEFAULT_MODEL, unpaired=unpaired, **settings)
            rows.append(row_of(name, seed, chosen.steps, tests, str(run / MODEL_FILE)))
            print(rows[-1], flush=True)
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)
    if chosen.images:
        runs = {name: run_of(chosen.folder, name, chosen.seeds[0]) for name in kinds}
        models = {"bundled model": DEFAULT_MODEL} | {name: str(run / MODEL_FILE) for name, run in runs.items()}
        print(draw_curves(chosen.images / "unpaired_losses.png", runs))
        print(draw_field(chosen.images / "unpaired.png", tests, models))


def run_of(folder: Path, name: str, seed: int) -> Path:
    """The run folder of a training."""
    return folder / f"run {name} {seed}".replace(",", "").replace(" ", "-")


if __name__ == "__main__":
    main()
