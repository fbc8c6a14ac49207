"""The layer that a prediction fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject
from superqt.utils import QSignalThrottler

from napari_deep3d.core import FloatArray
from napari_deep3d.gui.shared import METADATA_KEY, LayerAxes, contrast_limits, place

if TYPE_CHECKING:
    from napari import Viewer

REFRESH_MS = 200


class ResultLayer(QObject):
    """A layer of zeros on a source layer's stack, which a job fills in tile by tile.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layer goes; napari numbers its name if there is one of that name.
    source, axes, index
        The stack that is predicted from: its layer, axes, and index along the other axes.

    Attributes
    ----------
    layer : Image
        The layer in napari.
    data : array, axes (Z, Y, X), float32
        Its voxels: the job writes here, so that they are in memory only once.
    tiles : int
        Number of tiles that are ready.
    shown : str
        What the voxels are, for the layer's name.
    """

    shown = "confocal-like"

    def __init__(self, viewer: Viewer, source: Image, axes: LayerAxes, index: Mapping[int, int]) -> None:
        super().__init__()
        self._viewer = viewer
        shape, properties = place(source, axes, index)
        zyx = tuple(shape[i - axes.zyx[0]] for i in axes.zyx)
        self.data: FloatArray = np.zeros(zyx, dtype=np.float32)
        self._limits = (0.0, 1.0)
        self.tiles = 0
        self._brightest = 0.0
        self.layer: Image = viewer.add_image(
            self.data.reshape(shape),
            name=f"{source.name} ({self.shown})",
            contrast_limits=self._limits,
            **self._look(source),
            **properties,
        )
        self._throttler = QSignalThrottler(QSignalThrottler.EmissionPolicy.Trailing, self)
        self._throttler.setTimeout(REFRESH_MS)
        self._throttler.triggered.connect(self._refresh)

    def _look(self, source: Image) -> dict[str, Any]:
        return {"colormap": source.colormap}

    def _final_limits(self) -> tuple[float, float]:
        return contrast_limits(self.data)

    @property
    def is_shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def note(self, values: FloatArray) -> None:
        """Take note of a tile whose values are in ``data`` now; the picture follows at most five times a second."""
        self.tiles += 1
        sample = values[:, ::4, ::4]
        self._brightest = max(self._brightest, float(np.percentile(sample, 99.9)))
        self._throttler.throttle()

    def finish(self, provenance: dict[str, Any]) -> None:
        """Show the values that there are with their contrast, and note where they come from."""
        self._throttler.cancel()
        self.layer.metadata[METADATA_KEY] = provenance
        self._set_limits(self._final_limits())
        self.layer.refresh(extent=False)

    def mark_incomplete(self) -> None:
        """Say in the layer's name that parts of it are empty."""
        self.layer.name = f"{self.layer.name} (incomplete)"

    def discard(self) -> None:
        """Take the layer out of the viewer."""
        self._throttler.cancel()
        if self.is_shown:
            self._viewer.layers.remove(self.layer)

    def _refresh(self) -> None:
        if self._brightest > 0:
            self._set_limits((0.0, self._brightest))
        self.layer.refresh(extent=False)

    def _set_limits(self, limits: tuple[float, float]) -> None:
        """Set the contrast, unless the user has set it meanwhile."""
        if np.allclose(self.layer.contrast_limits, self._limits):
            self.layer.contrast_limits = limits
            self._limits = limits


class UncertaintyLayer(ResultLayer):
    """The error to expect in each voxel of a result, in the result's unit: a glow over it, dark where it is sure.

    It is hidden at first, so that the result is seen as it is.
    """

    shown = "uncertainty"

    def _look(self, source: Image) -> dict[str, Any]:
        return super()._look(source) | {"colormap": "inferno", "blending": "additive", "visible": False}

    def _final_limits(self) -> tuple[float, float]:
        return 0.0, super()._final_limits()[1]
