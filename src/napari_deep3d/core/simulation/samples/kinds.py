"""The kinds of samples, and the bounds of all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from napari_deep3d.core import FloatArray, Shape, Spacing
from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.samples.autofluorescence import AutofluorescenceBounds
from napari_deep3d.core.simulation.samples.beads import BeadsBounds, draw_beads
from napari_deep3d.core.simulation.samples.canvas import Canvas
from napari_deep3d.core.simulation.samples.filaments import FilamentsBounds, draw_filaments
from napari_deep3d.core.simulation.samples.glia import GliaBounds, draw_glia
from napari_deep3d.core.simulation.samples.membranes import MembranesBounds, draw_membranes
from napari_deep3d.core.simulation.samples.neurons import NeuronsBounds, draw_neurons
from napari_deep3d.core.simulation.samples.nuclei import NucleiBounds, draw_nuclei
from napari_deep3d.core.simulation.samples.puncta import PunctaBounds, draw_puncta
from napari_deep3d.core.simulation.samples.real import ConfocalBounds
from napari_deep3d.core.simulation.samples.tissue import TissueBounds, draw_tissue

DrawnKind = Literal["nuclei", "neurons", "glia", "filaments", "membranes", "puncta", "tissue", "beads"]


class SampleBounds(Config):
    """Bounds of the random choices in the shapes of samples; where things lie and which way they turn is free.

    Ranges are uniform, those marked *log* uniform in their logarithm.
    """

    nuclei: NucleiBounds = NucleiBounds()
    neurons: NeuronsBounds = NeuronsBounds()
    glia: GliaBounds = GliaBounds()
    filaments: FilamentsBounds = FilamentsBounds()
    membranes: MembranesBounds = MembranesBounds()
    puncta: PunctaBounds = PunctaBounds()
    tissue: TissueBounds = TissueBounds()
    beads: BeadsBounds = BeadsBounds()
    confocal: ConfocalBounds = ConfocalBounds()
    autofluorescence: AutofluorescenceBounds = AutofluorescenceBounds()


def draw(
    rng: np.random.Generator, kind: DrawnKind, shape: Shape, spacing_um: Spacing, bounds: SampleBounds
) -> FloatArray:
    """Draw a sample; it is never empty.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the random choices; the same state gives the same sample.
    kind : str
        What the sample shows.
    shape, spacing_um
        Voxels (Z, Y, X) and their size in um.
    bounds : SampleBounds
        Bounds of the random choices.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Density, zero or more; the 99.9th percentile of what is not zero is 1.
    """
    mixed: dict[DrawnKind, Callable[[Canvas], None]] = {
        "nuclei": partial(draw_nuclei, bounds=bounds.nuclei),
        "neurons": partial(draw_neurons, bounds=bounds.neurons),
        "glia": partial(draw_glia, bounds=bounds.glia),
        "filaments": partial(draw_filaments, bounds=bounds.filaments),
        "membranes": partial(draw_membranes, bounds=bounds.membranes),
        "puncta": partial(draw_puncta, bounds=bounds.puncta),
    }
    kinds = mixed | {
        "tissue": partial(draw_tissue, parts=list(mixed.values()), bounds=bounds.tissue),
        "beads": partial(draw_beads, bounds=bounds.beads),
    }
    sample = np.zeros(shape, dtype=np.float32)
    while not sample.any():
        canvas = Canvas.blank(rng, shape, spacing_um)
        kinds[kind](canvas)
        sample = canvas.density
    return np.asarray(sample / np.percentile(sample[sample > 0], 99.9), dtype=np.float32)
