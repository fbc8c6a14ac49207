"""One prediction from start to end: the job in its thread, the layer that it fills in, and what to say."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_deep3d.core.events import Event, Notice, Progress, TileDone
from napari_deep3d.gui.predict.session import Request
from napari_deep3d.gui.shared.layers import LayerAxes
from napari_deep3d.gui.shared.result_layer import ResultLayer, UncertaintyLayer
from napari_deep3d.gui.shared.texts import format_rate, format_seconds
from napari_deep3d.gui.shared.worker import Cancelled, Failed, Run
from napari_deep3d.jobs.predict import Output, Prediction, predict_volume

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionEnd:
    """How a prediction ended: a sentence, in which of three ways, and the layer if there is one."""

    text: str
    kind: Literal["done", "stopped", "failed"]
    layer: Image | None = None


class PredictionRun(QObject):
    """A prediction under way.

    Attributes
    ----------
    progressed
        Signal, with a Progress.
    noticed
        Signal, with a sentence that the user should read.
    ended
        Signal, once, with an :class:`Outcome`.
    """

    progressed = Signal(object)
    noticed = Signal(str)
    ended = Signal(object)

    def __init__(self, viewer: Any, source: Image, axes: LayerAxes, index: Mapping[int, int], request: Request) -> None:
        super().__init__()
        self._request = request
        self._input: dict[str, Any] = {"layer": source.name, "path": source.source.path}
        self._input |= {name: index.get(axis, 0) for axis, name in axes.others.items()}
        self.result = ResultLayer(viewer, source, axes, index)
        into = Output(self.result.data)
        self.layers: list[ResultLayer] = [self.result]
        self.uncertainty: UncertaintyLayer | None = None
        if request.config.uncertainty:
            self.uncertainty = UncertaintyLayer(viewer, source, axes, index)
            self.layers.append(self.uncertainty)
            into = Output(self.result.data, self.uncertainty.data)
            viewer.layers.selection.active = self.result.layer
        predict = partial(predict_volume, request.volume, request.config, into)
        self._run = Run(f"Deep3D predicts from {source.name}", lambda stop: predict(stop=stop))
        self._run.happened.connect(self._on_event)
        self._run.ended.connect(self._on_ended)

    def start(self) -> None:
        """Start the job; connect the signals first."""
        self._run.start()

    def stop(self) -> None:
        """Ask the job to finish now; what is ready is kept."""
        self._run.stop()

    def close(self) -> None:
        """Stop without telling anyone, as when the window closes."""
        self._run.close()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, TileDone):
            self.result.note(event.values)
            if self.uncertainty is not None and event.uncertainty is not None:
                self.uncertainty.note(event.uncertainty)
            if not self.result.is_shown:  # who removes the layer does not want it
                self.stop()
        elif isinstance(event, Progress):
            self.progressed.emit(event)
        elif isinstance(event, Notice):
            self.noticed.emit(event.message)

    def _on_ended(self, end: Any) -> None:
        try:
            outcome = self._conclude(end)
        except Exception as error:  # the button must come back whatever happens
            log.exception("the result could not be shown")
            outcome = PredictionEnd(f"The result could not be shown: {error}", "failed")
        self.ended.emit(outcome)

    def _conclude(self, end: Prediction | Failed | Cancelled) -> PredictionEnd:
        if not self.result.is_shown:
            self._discard()
            return PredictionEnd("Stopped: the result layer was removed.", "stopped")
        if isinstance(end, Prediction) and end.complete:
            return self._complete(end)
        kind: Literal["failed", "stopped"] = "failed" if isinstance(end, Failed) else "stopped"
        if not self.result.tiles:
            self._discard()
            return PredictionEnd(f"{_reason(end)} Nothing was kept. {_remedy(end)}".strip(), kind)
        self._keep_part(end)
        kept = f"The finished part is kept in {self.result.layer.name!r}; the rest of it is 0."
        return PredictionEnd(f"{_reason(end)} {kept} {_remedy(end)}".strip(), kind, self.result.layer)

    def _complete(self, prediction: Prediction) -> PredictionEnd:
        self._finish(self._provenance(prediction.provenance()))
        figures = [f"Done in {format_seconds(prediction.seconds)}", format_rate(prediction.voxels_per_second)]
        if prediction.tile_mismatch > 0:  # there were seams to look at
            figures.append(f"tile mismatch {100 * prediction.tile_mismatch:.2g} %")
        if prediction.mean_uncertainty is not None and prediction.is_calibrated:
            figures.append(f"error to expect {prediction.mean_uncertainty:.2g} on average")
        for notice in prediction.notices:
            self.noticed.emit(notice)
        text = ", ".join(figures)
        if self.uncertainty is not None and self.uncertainty.is_shown:
            text += (
                f". To see it: the eye of {self.uncertainty.layer.name!r} in napari's list, or compare side by side."
            )
        return PredictionEnd(text, "done", self.result.layer)

    def _keep_part(self, end: Prediction | Failed | Cancelled) -> None:
        provenance: dict[str, Any] = {"model": self._request.config.model, "complete": False}
        if isinstance(end, Prediction):
            provenance = end.provenance()
        elif isinstance(end, Failed):
            provenance["error"] = end.message
        self._finish(self._provenance(provenance))
        for layer in self.layers:
            layer.mark_incomplete()

    def _finish(self, provenance: dict[str, Any]) -> None:
        for layer in self.layers:
            layer.finish(provenance)

    def _discard(self) -> None:
        for layer in self.layers:
            layer.discard()

    def _provenance(self, provenance: Mapping[str, Any]) -> dict[str, Any]:
        return {**provenance, "input": self._input}


def _reason(end: Prediction | Failed | Cancelled) -> str:
    return end.sentence("The prediction") if isinstance(end, Failed) else "Stopped."


def _remedy(end: Prediction | Failed | Cancelled) -> str:
    if not isinstance(end, Failed) or end.kind == "input":
        return ""
    if end.kind == "memory":
        return "Close other programs, or set a smaller memory under Advanced, and predict again."
    return (
        "Try device cpu and precision float32 under Advanced; if it comes again, report it with the text in "
        "napari's terminal."
    )
