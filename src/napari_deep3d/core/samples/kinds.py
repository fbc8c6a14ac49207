"""The kinds of samples."""

from __future__ import annotations

from typing import Literal

import numpy as np

from napari_deep3d.core.samples.beads import beads
from napari_deep3d.core.samples.filaments import filaments
from napari_deep3d.core.samples.glia import glia
from napari_deep3d.core.samples.membranes import membranes
from napari_deep3d.core.samples.neurons import neurons
from napari_deep3d.core.samples.noise import Array
from napari_deep3d.core.samples.nuclei import nuclei
from napari_deep3d.core.samples.puncta import puncta
from napari_deep3d.core.samples.tissue import tissue
from napari_deep3d.core.volume import Shape, Spacing

Kind = Literal["nuclei", "neurons", "glia", "filaments", "membranes", "puncta", "tissue", "beads"]

DRAW = {
    "nuclei": nuclei,
    "neurons": neurons,
    "glia": glia,
    "filaments": filaments,
    "membranes": membranes,
    "puncta": puncta,
    "tissue": tissue,
    "beads": beads,
}


def draw(rng: np.random.Generator, kind: Kind, shape: Shape, spacing_um: Spacing) -> Array:
    """Draw a sample; it is never empty.

    Parameters
    ----------
    rng
        Random numbers; the same state gives the same sample.
    kind
        What the sample shows.
    shape, spacing_um
        Voxels (Z, Y, X) and their size.

    Returns
    -------
    Density, axes (Z, Y, X), float32, zero or more; the 99.9th percentile of what is not zero is 1.
    """
    sample = DRAW[kind](rng, shape, spacing_um)
    while not sample.any():
        sample = DRAW[kind](rng, shape, spacing_um)
    return np.asarray(sample / np.percentile(sample[sample > 0], 99.9), dtype=np.float32)
