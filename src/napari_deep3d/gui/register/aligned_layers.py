"""New layers from a registration: the aligned pair, further channels, and the PSF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Layer

from napari_deep3d.core import DoubleArray, Volume
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.registration.warp import AlignedPair
from napari_deep3d.gui.register.overlay import CONFOCAL_COLOUR, WIDEFIELD_COLOUR
from napari_deep3d.gui.shared import (
    METADATA_KEY,
    LayerPair,
    contrast_limits,
    find_axes,
    full_data,
    image_layers,
    pick,
    place_part,
)
from napari_deep3d.io.units import um_per_unit

if TYPE_CHECKING:
    from napari import Viewer


def other_channels(layers: Sequence[Layer], pair: LayerPair) -> list[Image]:
    """Layers of the confocal layer's shape, such as its other channels."""
    shape = full_data(pair.confocal.layer).shape
    both = (pair.confocal.layer, pair.widefield.layer)
    return [
        layer
        for layer in image_layers(layers)
        if layer not in both
        and not layer.rgb
        and full_data(layer).shape == shape
        and METADATA_KEY not in layer.metadata
    ]


def channel_volume(layer: Image, pair: LayerPair) -> Volume:
    """The stack of another channel; its voxels are those of the confocal stack."""
    confocal = pair.confocal
    return Volume(
        pick(layer, find_axes(layer, confocal.axes.zyx[0]), confocal.index), confocal.volume.spacing_um, name=layer.name
    )


def add_aligned(
    viewer: Viewer,
    pair: LayerPair,
    channels: Sequence[Image],
    aligned: Sequence[AlignedPair],
    registration: Registration,
) -> list[Image]:
    """Add the aligned pair and the other channels as layers, where the wide-field layer lies, and hide the others.

    Parameters
    ----------
    viewer : Viewer
        Where they go.
    pair : LayerPair
        What was aligned; its layers are hidden.
    channels, aligned : sequence
        Further layers, and the aligned pairs of the confocal stack and of each of them.
    registration : Registration
        Written to the metadata of the new layers.
    """
    widefield, confocal = pair.widefield.layer, pair.confocal.layer
    inserted, properties = place_part(pair.widefield, aligned[0].origin_um)
    sources = [(widefield, aligned[0].widefield, WIDEFIELD_COLOUR), (confocal, aligned[0].confocal, CONFOCAL_COLOUR)]
    sources += [(layer, part.confocal, layer.colormap) for layer, part in zip(channels, aligned[1:], strict=True)]
    added = []
    for source, data, colour in sources:
        layer = viewer.add_image(
            np.expand_dims(data, inserted),
            name=f"{source.name} (aligned)",
            colormap=colour,
            blending="additive",
            contrast_limits=contrast_limits(data),
            metadata={METADATA_KEY: registration.report()},
            **properties,
        )
        source.visible = False
        added.append(layer)
    return added


def add_psf(viewer: Viewer, pair: LayerPair, registration: Registration) -> Image:
    """Add the PSF as a layer, at true scale, in the middle of what is seen now."""
    inserted, properties = place_part(pair.widefield, (0.0, 0.0, 0.0))
    psf = registration.psf
    data = np.expand_dims(psf.values, inserted)
    scale = np.ones(data.ndim)
    scale[[axis for axis in range(data.ndim) if axis not in inserted]] = psf.step_um
    return viewer.add_image(
        data,
        name=f"PSF ({pair.widefield.layer.name})",
        scale=scale,
        translate=_seen_point(viewer, data.ndim) - (np.array(data.shape) - 1) / 2 * scale,
        units=["um" if axis not in inserted else properties["units"][axis] for axis in range(data.ndim)],
        axis_labels=properties["axis_labels"],
        colormap="gray",
        contrast_limits=(0.0, float(psf.values.max()) or 1.0),
        metadata={METADATA_KEY: registration.report()},
    )


def _seen_point(viewer: Viewer, count: int) -> DoubleArray:
    """Middle of the picture along the last ``count`` axes, in um where an axis has a length."""
    dims, camera = viewer.dims, viewer.scene.camera
    point = np.array(dims.point, dtype=np.float64)
    for axis, place in zip(dims.displayed, camera.center[-dims.ndisplay :], strict=True):
        point[axis] = place
    for axis, unit in enumerate(viewer.layers.extent.units or ()):
        point[axis] *= um_per_unit(unit) or 1.0
    return point[-count:]
