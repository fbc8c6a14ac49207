"""Splits a layer that holds channels into one layer for each; napari's own Split Stack takes the first axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image

from napari_deep3d.gui.shared.layers import WORDS, LayerAxes, full_data, place_axes

MAX_CHANNELS = 8


def channel_axis(layer: Image, axes: LayerAxes) -> int | None:
    """Position of the axis along which a layer's channels lie, or None if it has none."""
    for axis, name in axes.others.items():
        if name == WORDS["c"]:
            return axis
    short = [axis for axis in axes.others if full_data(layer).shape[axis] <= MAX_CHANNELS]
    return short[0] if len(short) == 1 else None


def split_channels(viewer: Any, layer: Image, axes: LayerAxes, channel: int) -> list[Image]:
    """Replace a layer by one for each channel, in the same place.

    Parameters
    ----------
    viewer
        Where they go.
    layer, axes
        The layer, and which of its axes are Z, Y and X.
    channel
        Position of the axis of its channels.
    """
    data = full_data(layer)
    kept = [axis for axis in range(layer.ndim) if axis != channel]
    properties = place_axes(layer, kept, np.zeros(len(kept), dtype=int))
    names = dict(zip(axes.zyx, "zyx", strict=True))
    properties["axis_labels"] = [names.get(axis, layer.axis_labels[axis]) for axis in kept]
    before = (slice(None),) * channel
    viewer.layers.remove(layer)  # as napari does; beside layers of other axes it would draw without units
    return [
        viewer.add_image(data[(*before, i)], name=f"channel {i} of {layer.name}", colormap="gray", **properties)
        for i in range(data.shape[channel])
    ]
