"""Fine-tuning the bundled model on two pairs of a new kind of sample, against training from scratch for as long.

Usage: python -m benchmarks.training.finetune [--minutes 10] [--folder runs/finetune] [--only NAME ...]
           [--seed 0] [--table docs/data/finetune.csv]

The new kind is tissue of stained cell membranes, made in another way than the simulator's own. Two pairs to train on,
eight to test with, all through one microscope; the tests are not looked at before the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import scipy.ndimage as ndi

from benchmarks.common.scores import NAMES, PERCENTILES, scaled
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict, train
from napari_deep3d.core import DEFAULT_MODEL, FloatArray, Shape, Spacing
from napari_deep3d.core.config.train import LossConfig
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.core.simulation.imaging import SimulatedPair, take_images
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs

SHAPE: Shape = (64, 144, 144)
TRAINING, TESTS = 2, 8
TRAINING_SEED, TEST_SEED = 5100, 5200
TRAININGS = {
    "fine-tuned": (DEFAULT_MODEL, LossConfig()),
    "fine-tuned, L1 alone": (DEFAULT_MODEL, LossConfig(weight_gan=0, weight_vgg=0)),
    "scratch": ("", LossConfig()),
    "scratch, L1 alone": ("", LossConfig(weight_gan=0, weight_vgg=0)),
}
"""Model to start from, and losses."""
COLUMNS = {
    "": "{image}",
    "steps": "{steps}",
    "RMSE": "{rmse:.4f}",
    "SSIM": "{ssim:.4f}",
    "RMSE, scaled": "{rmse_fit:.4f}",
    "SSIM, scaled": "{ssim_fit:.4f}",
}


def membranes(rng: np.random.Generator, shape: Shape, spacing_um: Spacing) -> FloatArray:
    """Cell membranes: surfaces half-way between randomly placed, randomly stretched cells; density (Z, Y, X)."""
    field_um = np.array(shape) * spacing_um
    radius_um = rng.uniform(3.0, 7.0)
    count = int(np.clip(field_um.prod() / (4 * radius_um**3), 8, 400))
    seeds = (rng.uniform(0, 1, (count, 3)) * shape).astype(int)
    marks = np.ones(shape, dtype=bool)
    marks[tuple(seeds.T)] = False
    _, nearest = ndi.distance_transform_edt(marks, sampling=spacing_um, return_indices=True)
    cell = np.ravel_multi_index(tuple(nearest), shape)
    border = np.zeros(shape, dtype=bool)
    for axis in range(3):
        # Not around the ends: walls at the sample's own sides would shine into the picture.
        differs = np.diff(cell, axis=axis) != 0
        border[tuple(slice(1, None) if i == axis else slice(None) for i in range(3))] |= differs
    sigma = rng.uniform(0.05, 0.15) / np.array(spacing_um)
    sheet = ndi.gaussian_filter(border.astype(np.float32), sigma)
    patchy = ndi.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 1.0 / np.array(spacing_um))
    return np.asarray(sheet * np.exp(0.5 * patchy / patchy.std()), dtype=np.float32)


def simulate_membranes(seed: int, number: int) -> SimulatedPair:
    """A pair of the new kind; the microscope, which is that of all of them, is drawn as for any other pair."""
    scene = SceneBounds().draw(np.random.default_rng(TRAINING_SEED), "nuclei")
    rng = np.random.default_rng((seed, number))
    return take_images(rng, scene, SHAPE, lambda field: membranes(rng, field, scene.spacing_um))


def write_pairs(folder: Path, seed: int, count: int) -> None:
    for number in range(count):
        pair = simulate_membranes(seed, number)
        PairsFolder(folder).write(str(number), pair.widefield, pair.confocal, pair.scene.spacing_um, overwrite=True)


def evaluate(folder: Path, model: str) -> dict[str, float]:
    """Mean scores on the test pairs; those of the wide-field stacks themselves for ``model=''``."""
    rows = []
    for pair in prepare_pairs(PairsFolder(folder).load(), PERCENTILES):
        truth = pair.crop_confocal(pair.whole)
        widefield = np.asarray(pair.widefield.data[pair.whole])
        image = scaled(widefield)
        if model:
            image = predict(widefield, spacing_um=pair.spacing_um, model=model).data
        found = score(image, truth)
        rows.append([getattr(found, name) for name in NAMES])
    return {name: round(float(value), 4) for name, value in zip(NAMES, np.mean(rows, axis=0), strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/finetune"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", choices=TRAININGS, nargs="+", help="only these trainings, and nothing else")
    parser.add_argument("--seed", type=int, default=0)
    add_table_option(parser)
    chosen = parser.parse_args()
    pairs, tests = chosen.folder / "pairs", chosen.folder / "test"
    for folder, seed, count in ((pairs, TRAINING_SEED, TRAINING), (tests, TEST_SEED, TESTS)):
        if not folder.exists():
            write_pairs(folder, seed, count)
    rows: list[Row] = []
    if chosen.only is None:
        rows = [
            {"image": name, "steps": None} | evaluate(tests, model)
            for name, model in (("wide-field", ""), ("bundled model", DEFAULT_MODEL))
        ]
    for name, (start, losses) in TRAININGS.items():
        if chosen.only is None or name in chosen.only:
            run = chosen.folder / f"{name.replace(', ', '-').replace(' ', '-')}-{chosen.seed}"
            made = train(
                pairs,
                run,
                start=start,
                minutes=chosen.minutes,
                seed=chosen.seed,
                weight_gan=losses.weight_gan,
                weight_vgg=losses.weight_vgg,
            )
            print(f"{name}: {made.iterations} steps in {made.seconds:.0f} s", flush=True)
            rows.append({"image": name, "steps": made.iterations} | evaluate(tests, str(made.model)))
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
