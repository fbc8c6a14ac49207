"""Make the bundled sample: a simulated thick scattering pair of neurons and nuclei, never trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_deep3d.core import samples
from napari_deep3d.core.optics import Microscope
from napari_deep3d.core.simulation import CAMERA_OFFSET, Scene, draw_scene, expose, form_images
from napari_deep3d.io import write_stack

FOLDER = Path(__file__).parent.parent / "src" / "napari_deep3d" / "samples"
SEED = 40_001
SHAPE, MARGIN = (56, 160, 160), (12, 24, 24)
SPACING_UM = (0.5, 0.2, 0.2)


def scene() -> Scene:
    """A water-immersion objective looking 28 um deep into scattering tissue."""
    drawn = draw_scene(np.random.default_rng(SEED), "neurons")
    return replace(
        drawn,
        spacing_um=SPACING_UM,
        microscope=Microscope(1.1, 1.333, 1.37, 0.488, 0.52, 1.0, 5.0),
        mean_free_path_um=60.0,
        scatter_slope=0.25,
        scatter_collected=0.8,
        photons=1500.0,
        background=0.05,
        read_noise=1.5,
        confocal_photons=300.0,
        deep_end_last=True,
    )


def main() -> None:
    rng = np.random.default_rng(SEED)
    field = tuple(n + 2 * m for n, m in zip(SHAPE, MARGIN, strict=True))
    shape = (field[0], field[1], field[2])
    made = scene()
    sample = np.maximum(
        samples.neurons(rng, shape, SPACING_UM), 0.7 * samples.nuclei(rng, shape, SPACING_UM).clip(0, 2)
    )
    inner = tuple(slice(m, m + n) for m, n in zip(MARGIN, SHAPE, strict=True))
    widefield, clean = (image[inner] for image in form_images(sample, made))
    for name, image, photons, background, noise in (
        ("widefield", widefield, made.photons, made.background, made.read_noise),
        ("confocal", clean, made.confocal_photons, 0.005, 0.5),
    ):
        counts = expose(rng, image, photons, background, noise)
        about = {"simulated": made.description(), "seed": SEED, "camera_offset": CAMERA_OFFSET}
        path = FOLDER / f"thick_{name}.tif"
        print(write_stack(path, counts, SPACING_UM, channel_name=name, overwrite=True, description=about))


if __name__ == "__main__":
    main()
