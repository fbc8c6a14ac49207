"""One prediction from start to end: its job, the layers that it fills in, and what to say of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from napari.layers import Image

from napari_deep3d.core import Job, Stop, TileDone
from napari_deep3d.gui.predict.choices import Request
from napari_deep3d.gui.predict.result_layer import ResultLayer, UncertaintyLayer
from napari_deep3d.gui.shared import Cancelled, Failed, LayerAxes, format_rate, format_seconds
from napari_deep3d.jobs.predict import Output, Prediction

if TYPE_CHECKING:
    from napari import Viewer

log = logging.getLogger(__name__)
Predict = Callable[..., Job[Prediction]]
"""As :func:`~napari_deep3d.jobs.predict.predict_volume`."""
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


class PredictionRun:
    """A prediction and its layers.

    Parameters
    ----------
    viewer, source, axes, index
        The stack that is predicted from: the viewer, its layer, axes, and index along the other axes.
    request : Request
        What to predict, and how.
    predict : callable
        Makes the job.

    Attributes
    ----------
    result, uncertainty : ResultLayer
        The layers that the job fills in; the second only if it was asked for.
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
    ) -> None:
        self._model = request.config.model
        self._input: dict[str, Any] = {"layer": source.name, "path": source.source.path}
        self._input |= {name: index.get(axis, 0) for axis, name in axes.others.items()}
        self.result = ResultLayer(viewer, source, axes, index)
        into = Output(self.result.data)
        self.uncertainty: UncertaintyLayer | None = None
        self.layers: list[ResultLayer] = [self.result]
        if request.config.uncertainty:
            self.uncertainty = UncertaintyLayer(viewer, source, axes, index)
            self.layers.append(self.uncertainty)
            into = Output(self.result.data, self.uncertainty.data)
            viewer.layers.selection.active = self.result.layer
        job = partial(predict, request.volume, request.config, into)
        self.make_job: Callable[[Stop], Job[Prediction]] = lambda stop: job(stop=stop)

    def note(self, tile: TileDone) -> None:
        """Show a tile that the job has written."""
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
            figures = [f"Done in {format_seconds(end.seconds)}", format_rate(end.voxels_per_second)]
            if end.tile_mismatch > 0:  # there were seams to look at
                figures.append(f"tile mismatch {100 * end.tile_mismatch:.2g} %")
            if end.mean_uncertainty is not None and end.is_calibrated:
                figures.append(f"error to expect {end.mean_uncertainty:.2g} on average")
            text = ", ".join(figures)
            if self.uncertainty is not None and self.uncertainty.is_shown:
                name = self.uncertainty.layer.name
                text += f". To see it: the eye of {name!r} in napari's list, or compare side by side."
            return PredictionEnd(text, "done", self.result.layer, end.notices)

        # 3. Why it is not, and what the user may do.
        kind: Literal["failed", "stopped"] = "stopped"
        reason, remedy, provenance = "Stopped.", "", {"model": self._model, "complete": False}
        if isinstance(end, Prediction):
            provenance = end.provenance()
        elif isinstance(end, Failed):
            kind, reason = "failed", end.sentence("The prediction")
            remedy = REMEDIES.get(end.kind, "")
            provenance["error"] = end.message

        # 4. Keep what there is.
        if not self.result.tiles:
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
