"""Simulated samples: where the fluorescent molecules are.

Every sample is a density, axes (Z, Y, X), float32, zero or more, its bright structures about 1. Sizes are in um and
biological, whatever the voxels; numbers follow from the volume. The bounds of the random choices stand at the top
of the module of each kind, and are collected in :class:`SampleBounds`.
"""

from napari_deep3d.core.simulation.samples.autofluorescence import autofluorescence
from napari_deep3d.core.simulation.samples.kinds import DrawnKind, SampleBounds, draw
from napari_deep3d.core.simulation.samples.neurons import neurons
from napari_deep3d.core.simulation.samples.nuclei import chromatin, nuclei
from napari_deep3d.core.simulation.samples.rasterize import stamp_tube
from napari_deep3d.core.simulation.samples.real import from_confocal

__all__ = [
    "DrawnKind",
    "SampleBounds",
    "autofluorescence",
    "chromatin",
    "draw",
    "from_confocal",
    "neurons",
    "nuclei",
    "stamp_tube",
]
