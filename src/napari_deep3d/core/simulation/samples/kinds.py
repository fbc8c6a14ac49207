"""The kinds of samples, and the bounds of all of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation.samples.autofluorescence import AutofluorescenceBounds
from napari_deep3d.core.simulation.samples.beads import BeadsBounds, beads
from napari_deep3d.core.simulation.samples.filaments import FilamentsBounds, filaments
from napari_deep3d.core.simulation.samples.glia import GliaBounds, glia
from napari_deep3d.core.simulation.samples.membranes import MembranesBounds, membranes
from napari_deep3d.core.simulation.samples.neurons import NeuronsBounds, neurons
from napari_deep3d.core.simulation.samples.nuclei import NucleiBounds, nuclei
from napari_deep3d.core.simulation.samples.puncta import PunctaBounds, puncta
from napari_deep3d.core.simulation.samples.real import ConfocalBounds
from napari_deep3d.core.simulation.samples.tissue import TissueBounds, tissue
from napari_deep3d.core.types import FloatArray, Shape, Spacing

DrawnKind = Literal["nuclei", "neurons", "glia", "filaments", "membranes", "puncta", "tissue", "beads"]

PARTS: dict[DrawnKind, Callable[..., FloatArray]] = {
    "nuclei": nuclei,
    "neurons": neurons,
    "glia": glia,
    "filaments": filaments,
    "membranes": membranes,
    "puncta": puncta,
}
"""The kinds that tissue mixes."""


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
    rng
        Random numbers; the same state gives the same sample.
    kind
        What the sample shows.
    shape, spacing_um
        Voxels (Z, Y, X) and their size.
    bounds
        Of the random choices.

    Returns
    -------
    Density, axes (Z, Y, X), float32, zero or more; the 99.9th percentile of what is not zero is 1.
    """
    sample = _draw(rng, kind, shape, spacing_um, bounds)
    while not sample.any():
        sample = _draw(rng, kind, shape, spacing_um, bounds)
    return np.asarray(sample / np.percentile(sample[sample > 0], 99.9), dtype=np.float32)


def _draw(
    rng: np.random.Generator, kind: DrawnKind, shape: Shape, spacing_um: Spacing, bounds: SampleBounds
) -> FloatArray:
    if kind == "beads":
        return beads(rng, shape, spacing_um, bounds.beads)
    if kind == "tissue":
        parts = [partial(part, bounds=getattr(bounds, name)) for name, part in PARTS.items()]
        return tissue(rng, shape, spacing_um, parts, bounds.tissue)
    return PARTS[kind](rng, shape, spacing_um, getattr(bounds, kind))
