"""Make a trained model the bundled one: give it its card, and put it into the package.

Usage: python benchmarks/publish_model.py runs/generalist/model.safetensors --known data/train

``--known`` names the pairs folder whose wide-field stacks tell what the model knows, so that it can say when a stack is
unlike them (``benchmarks/likeness.py`` tests that); without it, it stays as the training wrote it, from fewer pairs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_deep3d.jobs.likeness import fit_known
from napari_deep3d.nn.model_file import load_model, save_model

FOLDER = Path(__file__).parent.parent / "src" / "napari_deep3d" / "models"
TITLE = "Nuclei and neurons, thin to thick (simulated)"
DESCRIPTION = (
    "Trained on 160 simulated pairs: nuclei, neurons, and pieces of one real confocal stack of nuclei as samples; "
    "clear to scattering tissue, NA 0.7 to 1.42. Fluorescence only. Fine structure below the wide-field resolution "
    "cannot be trusted; see the model card."
)
LARGEST_BYTES = 15_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--known", type=Path, help="pairs folder that the model was trained on")
    chosen = parser.parse_args()
    generator, info = load_model(chosen.model)
    known = fit_known(chosen.known, info.z_step) if chosen.known else info.known
    target = FOLDER / f"{info.name}.safetensors"
    save_model(target, generator, info.model_copy(update={"title": TITLE, "description": DESCRIPTION, "known": known}))
    size = target.stat().st_size
    if size > LARGEST_BYTES:
        raise SystemExit(f"{target} has {size} bytes; at most {LARGEST_BYTES} are bundled")
    print(f"{target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
