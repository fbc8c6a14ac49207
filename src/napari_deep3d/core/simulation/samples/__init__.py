"""Simulated samples: where the fluorescent molecules are.

Every sample is a density, axes (Z, Y, X), float32, zero or more, its bright structures about 1. Sizes are in um and
biological, whatever the voxels; numbers follow from the volume. The bounds of the random choices stand at the top
of the module of each kind, and are collected in :class:`SampleBounds`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from napari_deep3d.core import FloatArray, Shape, Spacing
from napari_deep3d.core.simulation.bounds import Bounds
from napari_deep3d.core.simulation.samples.beads import BeadsBounds, draw_beads
from napari_deep3d.core.simulation.samples.canvas import Canvas, normalized
from napari_deep3d.core.simulation.samples.cells import CellsBounds, draw_cells
from napari_deep3d.core.simulation.samples.changes import ChangesBounds, change
from napari_deep3d.core.simulation.samples.filaments import FilamentsBounds, draw_filaments
from napari_deep3d.core.simulation.samples.glia import GliaBounds, draw_glia
from napari_deep3d.core.simulation.samples.membranes import MembranesBounds, draw_membranes
from napari_deep3d.core.simulation.samples.neurons import NeuronsBounds, draw_neurons
from napari_deep3d.core.simulation.samples.nuclei import NucleiBounds, draw_nuclei
from napari_deep3d.core.simulation.samples.puncta import PunctaBounds, draw_puncta
from napari_deep3d.core.simulation.samples.real import ConfocalBounds, from_confocal
from napari_deep3d.core.simulation.samples.shapes import ShapesBounds, draw_shapes
from napari_deep3d.core.simulation.samples.sheets import SheetsBounds, draw_sheets
from napari_deep3d.core.simulation.samples.tissue import (
    AutofluorescenceBounds,
    TissueBounds,
    draw_autofluorescence,
    draw_tissue,
)
from napari_deep3d.core.simulation.samples.vessels import VesselsBounds, draw_vessels

__all__ = ["DrawnKind", "SampleBounds", "change", "draw", "draw_autofluorescence", "from_confocal"]

DrawnKind = Literal[
    "nuclei",
    "neurons",
    "glia",
    "filaments",
    "membranes",
    "puncta",
    "cells",
    "vessels",
    "sheets",
    "shapes",
    "tissue",
    "beads",
]


class SampleBounds(Bounds):
    """Bounds of the random choices in the shapes of samples; where things lie and which way they turn is free."""

    nuclei: NucleiBounds = NucleiBounds()
    neurons: NeuronsBounds = NeuronsBounds()
    glia: GliaBounds = GliaBounds()
    filaments: FilamentsBounds = FilamentsBounds()
    membranes: MembranesBounds = MembranesBounds()
    puncta: PunctaBounds = PunctaBounds()
    cells: CellsBounds = CellsBounds()
    vessels: VesselsBounds = VesselsBounds()
    sheets: SheetsBounds = SheetsBounds()
    shapes: ShapesBounds = ShapesBounds()
    tissue: TissueBounds = TissueBounds()
    beads: BeadsBounds = BeadsBounds()
    confocal: ConfocalBounds = ConfocalBounds()
    autofluorescence: AutofluorescenceBounds = AutofluorescenceBounds()
    changes: ChangesBounds = ChangesBounds()


def draw(
    rng: np.random.Generator, kind: DrawnKind, shape: Shape, spacing_um: Spacing, bounds: SampleBounds
) -> FloatArray:
    """Draw a sample of some voxels (Z, Y, X) of a size in um; the same state of ``rng`` gives the same one.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Density, zero or more, never empty; the 99.9th percentile of what is not zero is 1.
    """
    mixed: dict[DrawnKind, Callable[[Canvas], None]] = {
        "nuclei": partial(draw_nuclei, bounds=bounds.nuclei),
        "neurons": partial(draw_neurons, bounds=bounds.neurons),
        "glia": partial(draw_glia, bounds=bounds.glia),
        "filaments": partial(draw_filaments, bounds=bounds.filaments),
        "membranes": partial(draw_membranes, bounds=bounds.membranes),
        "puncta": partial(draw_puncta, bounds=bounds.puncta),
        "cells": partial(draw_cells, bounds=bounds.cells),
        "vessels": partial(draw_vessels, bounds=bounds.vessels),
        "sheets": partial(draw_sheets, bounds=bounds.sheets),
    }
    kinds = mixed | {
        "shapes": partial(draw_shapes, bounds=bounds.shapes),
        "tissue": partial(draw_tissue, parts=list(mixed.values()), bounds=bounds.tissue),
        "beads": partial(draw_beads, bounds=bounds.beads),
    }
    sample = np.zeros(shape, dtype=np.float32)
    while not sample.any():
        canvas = Canvas.blank(rng, shape, spacing_um)
        kinds[kind](canvas)
        sample = canvas.density
    return normalized(sample)
