"""Simulated samples: where the fluorescent molecules are.

Every sample is a density, axes (Z, Y, X), float32, zero or more, its bright structures about 1. Sizes are in um and
biological, whatever the voxels; numbers follow from the volume. The bounds of the random choices stand at the top
of the module of each kind, and are collected in :class:`SampleBounds`.
"""

from napari_deep3d.core.simulation.samples.autofluorescence import draw_autofluorescence
from napari_deep3d.core.simulation.samples.kinds import DrawnKind, SampleBounds, draw
from napari_deep3d.core.simulation.samples.real import from_confocal

__all__ = ["DrawnKind", "SampleBounds", "draw", "draw_autofluorescence", "from_confocal"]
