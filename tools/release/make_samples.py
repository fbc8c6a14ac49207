"""Make the bundled sample: a simulated thick scattering pair of neurons and nuclei, never trained on.

Usage: python -m tools.release.make_samples
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from napari_deep3d.core import FloatArray, Shape
from napari_deep3d.core.simulation import samples
from napari_deep3d.core.simulation.camera import Camera, Stage
from napari_deep3d.core.simulation.imaging import take_images
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.simulation.scattering import Tissue
from napari_deep3d.core.simulation.scene import Scene, SceneBounds
from napari_deep3d.data import THICK_CONFOCAL, THICK_WIDEFIELD
from napari_deep3d.io import write_stack

FILES = {"widefield": THICK_WIDEFIELD, "confocal": THICK_CONFOCAL}
SEED = 40_004
SHAPE: Shape = (56, 160, 160)
SPACING_UM = (0.5, 0.2, 0.2)
BOUNDS = samples.SampleBounds()


def scene() -> Scene:
    """A water-immersion objective looking 28 um deep into scattering tissue."""
    return replace(
        SceneBounds().draw(np.random.default_rng(SEED), "tissue"),
        spacing_um=SPACING_UM,
        thickness_um=40.0,
        microscope=Microscope(1.1, 1.333, 1.37, 0.488, 0.52, 1.0, 0.0),
        tissue=Tissue(80.0, 0.92, 0.8, np.inf, 0.02, deep_end_last=True),
        camera=Camera(photons=1500.0, background=0.05, read_noise=1.5),
        stage=Stage(),
        confocal=Camera(photons=300.0, background=0.005, read_noise=0.5),
        compensated=1.0,
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rng = np.random.default_rng(SEED)

    def draw(shape: Shape) -> FloatArray:
        neurons = samples.draw(rng, "neurons", shape, SPACING_UM, BOUNDS)
        return np.maximum(neurons, 0.7 * samples.draw(rng, "nuclei", shape, SPACING_UM, BOUNDS).clip(0, 2))

    pair = take_images(rng, scene(), SHAPE, draw)
    about = {"simulated": pair.scene.description(), "seed": SEED}
    for name, counts in (("widefield", pair.widefield), ("confocal", pair.confocal)):
        print(write_stack(FILES[name], counts, SPACING_UM, channel_name=name, overwrite=True, description=about))


if __name__ == "__main__":
    main()
