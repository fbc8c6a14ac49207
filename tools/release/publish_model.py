"""Make a trained model the bundled one: give it its card, what it knows and how its error is told, and bundle it.

Usage: python -m tools.release.publish_model runs/seventh/model.safetensors [--known DIR ...] --calibration DIR

``--known`` names pairs folders whose wide-field stacks tell what the model knows, so that it can say when a stack is
unlike them (``benchmarks/novelty/warnings.py`` tests that); without it, the model knows what the bundled one did that
it goes on from. ``--calibration`` names pairs that the model was neither trained nor tested on, from which the error to
expect is learned (``benchmarks/prediction/uncertainty.py`` tests that).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import scipy.ndimage as ndi

from napari_deep3d.core import FloatArray
from napari_deep3d.jobs.pairs import PairsFolder
from napari_deep3d.jobs.train.trained_model import calibrate_on_folder, fit_novelty_model
from napari_deep3d.nn.model_file import load_model, read_info, save_model

FOLDER = Path(__file__).parents[2] / "src" / "napari_deep3d" / "data" / "models"
TITLE = "Fluorescence of many kinds, thin to thick (simulated)"
DESCRIPTION = (
    "Trained on 7549 simulated pairs: cells, nuclei, neurons, glia, vessels, filaments, membranes, sheets, puncta, "
    "beads, mixed tissue, generic shapes, and pieces of real volumes as samples; clear to strongly scattering tissue, "
    "light from outside the stack, NA 0.4 to 1.45, air, water and oil, aberrations, camera faults. Its confocal stacks "
    "have no noise and lose no light with depth; mostly the last plane is the deepest. Fluorescence only. "
    "Fine structure below the wide-field resolution cannot be trusted; see the model card."
)
LARGEST_BYTES = 15_000_000
LEAST_SEEN = 0.1
"""Correlation of neighbouring pixels, at least, of stacks that tell what the model knows: where noise is nearly all
that can be seen, the model has learned to give nothing, and stacks like that are to be warned of."""
GRAIN = (9, 15, 15)
"""Box, in planes and every other pixel, whose mean is taken off before: light that is uneven is no structure."""


def seen(stack: FloatArray) -> float:
    """Correlation of every other pixel with its neighbours, of a stack with axes (Z, Y, X): 0 for noise alone."""
    even, odd = stack[:, :-1:2, :-1:2], stack[:, 1::2, 1::2]
    first, second = ((part - ndi.uniform_filter(part, GRAIN)).ravel() for part in (even, odd))
    return float(np.corrcoef(first, second)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--known", type=Path, action="append", default=[], help="pairs it was trained on")
    parser.add_argument("--calibration", type=Path, required=True, help="pairs folder apart from training and tests")
    chosen = parser.parse_args()
    generator, info = load_model(chosen.model)
    target = FOLDER / f"{info.name}.safetensors"
    known = read_info(target).novelty
    if chosen.known:
        stacks = [pair.widefield for folder in chosen.known for pair in PairsFolder(folder).load()]
        clear = [stack for stack in stacks if seen(np.asarray(stack.data[:, :, :], np.float32)) > LEAST_SEEN]
        known = fit_novelty_model(clear, info.z_step)
    calibration = calibrate_on_folder(chosen.model, chosen.calibration)
    card = {"title": TITLE, "description": DESCRIPTION, "novelty": known, "uncertainty": calibration}
    save_model(target, generator, info.model_copy(update=card))
    size = target.stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"{target} has {size} bytes; at most {LARGEST_BYTES} are bundled")
    print(f"{target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
