"""One prediction from start to end: its job, the layers that it fills in, and what to say of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject
from superqt.utils import QSignalThrottler

from napari_deep3d.core import BoxWritten, FloatArray, Job, Stop, TileDone
from napari_deep3d.gui.predict.choices import Request
from napari_deep3d.gui.shared import (
    METADATA_KEY,
    Cancelled,
    Failed,
    LayerAxes,
    contrast_limits,
    format_seconds,
    index_in_name,
    place,
    place_at_index,
    time_axis,
)
from napari_deep3d.jobs.predict.predict import Output, Prediction

if TYPE_CHECKING:
    from napari import Viewer

REFRESH_MS = 200
log = logging.getLogger(__name__)
Predict = Callable[..., Job[Prediction]]
"""As :func:`~napari_deep3d.jobs.predict.predict.predict_volume`."""
REMEDIES = {
    "memory": "Close other programs, or set a smaller memory under Advanced, and predict again.",
    "other": "Try device cpu and precision float32 under Advanced; if it comes again, report it with the text in "
    "napari's terminal.",
}
"""What the user may do, by the kind of failure."""


@dataclass(frozen=True)
class PredictionEnd:
    """How a prediction ended: a sentence, the layer with the result if there is one, and what else to read."""

    text: str
    kind: Literal["done", "stopped", "failed"]
    layer: Image | None = None
    notices: tuple[str, ...] = ()


class ResultLayer(QObject):
    """A layer of zeros on a source layer's stack, which a job fills in tile by tile; parameters as of a run.

    ``times`` is the position of the time axis, where the result has all time points.

    Attributes
    ----------
    data : array, axes (Z, Y, X) or (T, Z, Y, X), float32
        The layer's voxels: the job writes here, so that they are in memory only once.
    """

    shown = "confocal-like"
    """What the voxels are, for the layer's name; napari numbers it if there is one of that name."""

    def __init__(
        self,
        viewer: Viewer,
        source: Image,
        axes: LayerAxes,
        index: Mapping[int, int],
        provenance: Mapping[str, Any],
        times: int | None = None,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        if times is None:  # the axes of one stack
            shape, properties = place(source, axes, index)
            long = [axis - axes.zyx[0] for axis in axes.zyx]
        else:
            shape, properties = place_at_index(source, axes, index, times)
            long = [times, *axes.zyx]
        voxels: FloatArray = np.zeros(shape, dtype=np.float32)
        single = [i for i in range(len(shape)) if i not in long]
        self.data: FloatArray = voxels.transpose(*long, *single).reshape([shape[i] for i in long])
        self._limits = (0.0, 1.0)
        self._brightest = 0.0
        self.layer: Image = viewer.add_image(
            voxels,
            name=f"{source.name}{index_in_name(axes, index, times)} ({self.shown})",
            contrast_limits=self._limits,
            metadata={METADATA_KEY: dict(provenance)},
            **self._look(source),
            **properties,
        )
        self._throttler = QSignalThrottler(QSignalThrottler.EmissionPolicy.Trailing, self)
        self._throttler.setTimeout(REFRESH_MS)
        self._throttler.triggered.connect(self._refresh)

    def _look(self, source: Image) -> dict[str, Any]:
        return {"colormap": source.colormap}

    def _final_limits(self) -> tuple[float, float]:
        return contrast_limits(self.data.reshape(-1, *self.data.shape[-2:]))

    @property
    def is_shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def note(self, values: FloatArray) -> None:
        """Take note of a tile whose values are in ``data`` now; the picture follows at most five times a second."""
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


class PredictionRun:
    """A prediction and its layers.

    Parameters
    ----------
    viewer, source, axes, index
        The stack that is predicted from: the viewer, its layer, axes, and index along the other axes.
    request, predict, predict_series
        What to predict, and what makes the job: of one stack, and of all time points.

    Attributes
    ----------
    result, uncertainty : ResultLayer
        The layers that the job fills in; the second only if it was asked for.
    is_series : bool
        Whether all time points are predicted.
    make_job : callable
        To be called in the worker with ``stop``; it holds arrays, not the layers.
    """

    def __init__(
        self,
        viewer: Viewer,
        source: Image,
        axes: LayerAxes,
        index: Mapping[int, int],
        request: Request,
        predict: Predict,
        predict_series: Predict,
    ) -> None:
        self._asked = {"model": request.config.model, "quality": request.config.resolved_quality}
        self.is_series = bool(request.series)
        times = time_axis(axes) if request.series else None
        self._input: dict[str, Any] = {"layer": source.name, "path": source.source.path}
        self._input |= {name: "all" if axis == times else index.get(axis, 0) for axis, name in axes.others.items()}
        begun = {**self._asked, "complete": False, "input": self._input}
        self.result = ResultLayer(viewer, source, axes, index, begun, times)
        into = Output(self.result.data)
        self.uncertainty: UncertaintyLayer | None = None
        self.layers: list[ResultLayer] = [self.result]
        if request.config.uncertainty:
            self.uncertainty = UncertaintyLayer(viewer, source, axes, index, begun, times)
            self.layers.append(self.uncertainty)
            into = Output(self.result.data, self.uncertainty.data)
            viewer.layers.selection.active = self.result.layer
        job = partial(predict, request.volume, request.config, into)
        if request.series:
            job = partial(predict_series, request.series, request.config, into)
        self.make_job: Callable[[Stop], Job[Prediction]] = lambda stop: job(stop=stop)

    @property
    def is_shown(self) -> bool:
        """Whether the result is still in the viewer."""
        return self.result.is_shown

    @property
    def to_save(self) -> list[Image]:
        """Layers that are in no file yet."""
        return [part.layer for part in self.layers if part.is_shown]

    def note(self, tile: TileDone | BoxWritten) -> None:
        """Show a tile that the job has written; a cluster's boxes are in a file, and never here."""
        if isinstance(tile, BoxWritten):
            return
        self.result.note(tile.values)
        if self.uncertainty is not None and tile.uncertainty is not None:
            self.uncertainty.note(tile.uncertainty)

    def conclude(self, end: Prediction | Failed | Cancelled) -> PredictionEnd:
        """Keep or discard the layers, and say how the prediction ended, whatever happens."""
        try:
            return self._conclude(end)
        except Exception as error:  # the panel must go on
            log.exception("the result could not be shown")
            return PredictionEnd(f"The result could not be shown: {error}", "failed")

    def _conclude(self, end: Prediction | Failed | Cancelled) -> PredictionEnd:
        # 1. The user has removed the result.
        if not self.result.is_shown:
            self._discard()
            return PredictionEnd("Stopped: the result layer was removed.", "stopped")

        # 2. It is complete.
        if isinstance(end, Prediction) and end.complete:
            self._finish(end.provenance())
            figures = [f"Done in {format_seconds(end.seconds)}"]
            if end.tile_mismatch > 0:  # there were seams to look at
                figures.append(f"tile mismatch {100 * end.tile_mismatch:.2g} %")
            if end.mean_uncertainty is not None and end.is_calibrated:
                figures.append(f"expected error {end.mean_uncertainty:.2g} of the brightest structure")
            text = ", ".join(figures)
            if self.uncertainty is not None and self.uncertainty.is_shown:
                name = self.uncertainty.layer.name
                text += f". To see it: the eye of {name!r} in napari's list, or compare side by side."
            return PredictionEnd(text, "done", self.result.layer, end.notices)

        # 3. Why it is not, and what the user may do.
        kind: Literal["failed", "stopped"] = "stopped"
        reason, remedy, provenance = "Stopped.", "", {**self._asked, "complete": False}
        if isinstance(end, Prediction):
            provenance = end.provenance()
        elif isinstance(end, Failed):
            kind, reason = "failed", end.sentence("The prediction")
            remedy = REMEDIES.get(end.kind, "")
            provenance["error"] = end.message

        # 4. Keep what there is.
        if not self.result.data.any():
            self._discard()
            return PredictionEnd(f"{reason} Nothing was kept. {remedy}".strip(), kind)
        self._finish(provenance)
        for layer in self.layers:
            layer.mark_incomplete()
        kept = f"The finished part is kept in {self.result.layer.name!r}; the rest of it is 0."
        return PredictionEnd(f"{reason} {kept} {remedy}".strip(), kind, self.result.layer)

    def _finish(self, provenance: Mapping[str, Any]) -> None:
        for layer in self.layers:
            layer.finish({**provenance, "input": self._input})

    def _discard(self) -> None:
        for layer in self.layers:
            layer.discard()
