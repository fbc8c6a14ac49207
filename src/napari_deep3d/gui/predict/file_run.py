"""A prediction too large for the memory: it grows in a file, which is shown as a layer meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dask.array
import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject
from superqt.utils import QSignalThrottler

from napari_deep3d.core import BoxWritten, Job, Spacing, Stop, TileDone, zyx
from napari_deep3d.gui.predict.choices import Request
from napari_deep3d.gui.predict.run import REFRESH_MS, PredictionEnd
from napari_deep3d.gui.shared import (
    METADATA_KEY,
    Cancelled,
    Failed,
    LayerAxes,
    contrast_limits,
    format_seconds,
    full_data,
    index_in_name,
    place,
    place_at_index,
    time_axis,
)
from napari_deep3d.io import STACK_AXES, StackView, open_stack, readable, shown_levels, um_per_unit
from napari_deep3d.jobs.predict.file import About, FilePrediction
from napari_deep3d.jobs.predict.unfinished import incomplete_path

if TYPE_CHECKING:
    from napari import Viewer

log = logging.getLogger(__name__)
PredictToFile = Callable[..., Job[FilePrediction]]
"""As :func:`~napari_deep3d.jobs.predict.file.predict_to_file`."""
SHOWN = ("confocal-like", "uncertainty")


class FileLayer(QObject):
    """A layer of a file on its source layer's stack, in as many levels as the file has; read when it is seen.

    Parameters
    ----------
    viewer : Viewer
        Where it is shown.
    source, axes, index, times
        The stack that was predicted from, as of a :class:`~napari_deep3d.gui.predict.run.ResultLayer`.
    path : Path
        The file, which may still grow.
    shown : str
        What the voxels are, for the layer's name.
    provenance : mapping
        Where they come from: what has it is never chosen as a stack to predict from by itself.
    """

    def __init__(
        self,
        viewer: Viewer,
        source: Image,
        axes: LayerAxes,
        index: Mapping[int, int],
        times: int | None,
        path: Path,
        shown: str,
        provenance: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._viewer, self._limits, self._brightest = viewer, (0.0, 1.0), 0.0
        where = place(source, axes, index) if times is None else place_at_index(source, axes, index, times)
        shape, properties = where
        # The layer has axes of length 1 where its source has others.
        first = source.ndim - len(shape)
        letters = dict(zip((times, *axes.zyx), "TZYX", strict=True))
        self._order = "".join(letters.get(first + axis, chr(ord("a") + axis)) for axis in range(len(shape)))
        is_error = shown == SHOWN[1]
        look = {"colormap": "inferno", "blending": "additive"} if is_error else {"colormap": source.colormap}
        self.layer: Image = viewer.add_image(
            self._levels(path),
            multiscale=True,
            cache=False,  # what is read again may have grown
            name=f"{source.name}{index_in_name(axes, index, times)} ({shown})",
            contrast_limits=self._limits,
            visible=not is_error,
            metadata={METADATA_KEY: dict(provenance)},
            **look,
            **properties,
        )
        self._throttler = QSignalThrottler(QSignalThrottler.EmissionPolicy.Trailing, self)
        self._throttler.setTimeout(REFRESH_MS)
        self._throttler.triggered.connect(self._refresh)

    def _levels(self, path: Path) -> list[dask.array.Array]:
        stack = open_stack(path)
        return shown_levels(StackView(level, STACK_AXES, self._order) for level in (stack.data, *stack.coarser))

    @property
    def is_shown(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self.layer in self._viewer.layers

    def note(self, brightest: float) -> None:
        """Show what the file holds now, at most five times a second; its brightest value is at least the given one."""
        self._brightest = max(self._brightest, brightest)
        self._throttler.throttle()

    def _refresh(self) -> None:
        if self._brightest > 0:
            self._set_limits((0.0, self._brightest))
        self.layer.refresh(extent=False)

    def finish(self, path: Path, provenance: Mapping[str, Any], is_error: bool) -> None:
        """Show the file as it is in the end, under the name that it has then."""
        self._throttler.cancel()
        self.layer.data = self._levels(path)
        self.layer.metadata[METADATA_KEY] = dict(provenance)
        stack = open_stack(path)
        coarsest = (stack.data, *stack.coarser)[-1]
        low, high = contrast_limits(coarsest.at(T=stack.n_times // 2, C=0))
        self._set_limits((0.0 if is_error else low, high))
        self.layer.refresh(extent=False)

    def discard(self) -> None:
        """Take the layer out of the viewer."""
        self._throttler.cancel()
        if self.is_shown:
            self._viewer.layers.remove(self.layer)

    def _set_limits(self, limits: tuple[float, float]) -> None:
        """Set the contrast, unless the user has set it meanwhile."""
        if np.allclose(self.layer.contrast_limits, self._limits):
            self.layer.contrast_limits = limits
            self._limits = limits


class FilePredictionRun:
    """A prediction into a file, and its layer, which appears with the first tile.

    Parameters
    ----------
    viewer, source, axes, index, request
        As of :class:`~napari_deep3d.gui.predict.run.PredictionRun`.
    path : Path
        The file to write.
    predict_to_file : callable
        Makes the job.
    """

    def __init__(
        self,
        viewer: Viewer,
        source: Image,
        axes: LayerAxes,
        index: Mapping[int, int],
        request: Request,
        path: Path,
        predict_to_file: PredictToFile,
    ) -> None:
        self._viewer, self._source, self._axes, self._index = viewer, source, axes, dict(index)
        self.is_series, self.path = bool(request.series), path
        self._times = time_axis(axes) if request.series else None
        self._can_show = True
        self._asked = {"model": request.config.model, "quality": request.config.resolved_quality}
        self.layers: list[FileLayer] = []
        file = None if source.source.path is None else Path(source.source.path)
        is_read = file is not None and file.exists() and not isinstance(full_data(source), np.ndarray)
        about = About(source.name, source.name if file is None else readable(file.name), file if is_read else None)
        self._input = {"layer": source.name, "path": source.source.path}
        origin_um = first_voxel_um(source, axes, index)
        job = partial(
            predict_to_file, request.placed_at(origin_um), path, request.config, about, is_series=self.is_series
        )
        self.make_job: Callable[[Stop], Job[FilePrediction]] = lambda stop: job(stop=stop)

    @property
    def to_save(self) -> list[Image]:
        """None: it is in its file."""
        return []

    @property
    def is_shown(self) -> bool:
        """Whether its layer is in the viewer, or will come."""
        return not self.layers or self.layers[0].is_shown

    def note(self, tile: TileDone | BoxWritten) -> None:
        """Show a tile, or a box of a cluster's, that is in the file; the first one brings the layer."""
        grows = incomplete_path(self.path)
        if not self.layers and self._can_show and grows.exists():  # after the last tile it has its own name by now
            self._can_show = self._show(grows, SHOWN[0])
        if isinstance(tile, BoxWritten):
            brightest = tile.brightest
        else:
            brightest = float(np.percentile(tile.values[:, ::4, ::4], 99.9))
        for layer in self.layers:
            layer.note(brightest)

    def _show(self, path: Path, shown: str) -> bool:
        try:
            stack = (self._viewer, self._source, self._axes, self._index, self._times)
            layer = FileLayer(*stack, path, shown, {**self._asked, "complete": False, "input": self._input})
        except Exception:  # the prediction goes on; the file can be opened at its end
            if not path.exists():  # that came meanwhile: it has its own name now
                return True
            log.exception("the growing file could not be shown")
            return False
        self.layers.append(layer)
        return True

    def conclude(self, end: FilePrediction | Failed | Cancelled) -> PredictionEnd:
        """Show the file as it is in the end, and say how the prediction ended, whatever happens."""
        try:
            return self._conclude(end)
        except Exception as error:  # the panel must go on
            log.exception("the result could not be shown")
            return PredictionEnd(f"The result in {self.path} could not be shown: {error}", "failed")

    def _conclude(self, end: FilePrediction | Failed | Cancelled) -> PredictionEnd:
        if isinstance(end, FilePrediction) and end.prediction.complete:
            made = end.prediction
            provenance = {**made.provenance(), "input": self._input}
            paths = [end.output] if end.uncertainty is None else [end.output, end.uncertainty]
            for number, (path, shown) in enumerate(zip(paths, SHOWN, strict=False)):
                if number < len(self.layers) or self._show(path, shown):
                    self.layers[number].finish(path, provenance, is_error=number > 0)
            text = f"Done in {format_seconds(made.seconds)}. The result is in {end.output}."
            return PredictionEnd(text, "done", self.layers[0].layer if self.layers else None, made.notices)
        kind: Literal["failed", "stopped"] = "failed" if isinstance(end, Failed) else "stopped"
        text = end.sentence("The prediction") if isinstance(end, Failed) else "Stopped."
        notices = end.prediction.notices if isinstance(end, FilePrediction) else ()
        grown = incomplete_path(self.path)
        if not grown.exists():
            for layer in self.layers:
                layer.discard()
            return PredictionEnd(f"{text} Nothing was kept.", kind)
        if str(grown) not in text:
            text += f" What is finished is kept as {grown}: predict into {self.path.name} again to go on."
        for layer in self.layers:
            layer.layer.name = f"{layer.layer.name} (incomplete)"
        return PredictionEnd(text, kind, self.layers[0].layer if self.layers and self.is_shown else None, notices)


def first_voxel_um(layer: Image, axes: LayerAxes, index: Mapping[int, int]) -> Spacing:
    """Position of the first voxel of a layer's stack (Z, Y, X), as a file can hold it; 0 along axes in pixels."""
    first = np.array([0 if axis in axes.zyx else index.get(axis, 0) for axis in range(layer.ndim)])
    world = np.asarray(layer.data_to_world(first))
    return zyx(float(world[axis]) * (um_per_unit(layer.units[axis]) or 0.0) for axis in axes.zyx)
