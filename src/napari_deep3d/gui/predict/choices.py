"""The choices made for a prediction, the request they make up, and the widgets for those that are no stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import psutil
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QWidget

from napari_deep3d.core import DEFAULT_MODEL, Deepest, InputError, PredictConfig, Quality, Spacing, Volume
from napari_deep3d.gui.shared import (
    AMBER,
    Choice,
    ConfigForm,
    FormRow,
    Line,
    NumberField,
    StackSelection,
    full_data,
    make_form,
    pick,
    stack_up,
    time_axis,
)
from napari_deep3d.jobs.models.store import ModelEntry, missing_folder

BYTES_PER_VOXEL = 4
"""Of a result."""
RESULT_SHARE = 0.5
"""Share of the memory that is free which a result may take; the rest is for computing it."""
OPEN_FILE = "Open a model file..."
QUALITIES: list[tuple[str, Quality]] = [("fast", "fast"), ("best (3 to 4 x as long)", "best")]
QUALITY_TIP = (
    "best: the stack is predicted four times, turned for each, and the mean is a little closer to confocal. "
    "Estimating the error takes best quality. How long it will take stands below"
)
DEEPEST: list[tuple[str, Deepest]] = [("last", "last"), ("first", "first")]
DEEPEST_TIP = (
    "The plane farthest from the lens. Light from there is blurred and lost on its way, and a model that knows which "
    "way depth grows makes up for it: the wrong way round, the result is clearly worse"
)
UNCERTAINTY_TIP = (
    "A second layer with the error to expect in each voxel, in parts of the brightest structure: it shows where to "
    "trust the result. It is told from the four times that the stack is predicted in best quality, and takes no longer."
)
ADVANCED = {
    "device": FormRow("Device", "Where to compute; take cpu if the GPU is too small"),
    "precision": FormRow("Number format", "How exactly to compute; take float32 if the result looks speckled"),
}
SCHEDULER_TIP = (
    "Address of a dask scheduler, such as tcp://host:8786: its workers compute, and write the result into an OME-Zarr "
    "folder that is asked for and that all of them must see"
)
ListModels = Callable[[], Sequence[ModelEntry]]


@dataclass(frozen=True)
class Request:
    """What a prediction works on, fixed and checked before its thread starts.

    ``series`` are all time points, where all are asked for; ``volume`` is then the one on show.
    """

    volume: Volume
    config: PredictConfig
    series: tuple[Volume, ...] = ()

    @property
    def stacks(self) -> int:
        """Number of stacks to predict."""
        return len(self.series) or 1

    @property
    def result_bytes(self) -> int:
        """Size of the result."""
        return prod(self.volume.shape) * self.stacks * (2 if self.config.uncertainty else 1) * BYTES_PER_VOXEL

    @property
    def is_large(self) -> bool:
        """Whether the result leaves too little of the memory that is free, so that it must be predicted into a file."""
        return self.result_bytes > RESULT_SHARE * psutil.virtual_memory().available

    @property
    def needs_file(self) -> bool:
        """Whether it must be predicted into a file: since it is large, or since a cluster writes it."""
        return self.is_large or self.config.scheduler is not None

    def placed_at(self, origin_um: Spacing) -> list[Volume]:
        """All stacks to predict, the first voxel of each at a position (Z, Y, X)."""
        return [replace(volume, origin_um=origin_um) for volume in self.series or (self.volume,)]


class Session(StackSelection):
    """The stack to predict from, and how.

    Attributes
    ----------
    model : str
        Name of a model, or a model file.
    quality : str
        ``fast`` or ``best``.
    deepest : str
        Which plane lies deepest, ``last`` or ``first``.
    uncertainty : bool
        Whether to estimate the error of the result as well.
    all_times : bool
        Whether to predict every time point of a layer that has several.
    advanced : dict
        Further fields of :class:`PredictConfig` that differ from their defaults.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model = DEFAULT_MODEL
        self.quality: Quality = "fast"
        self.deepest: Deepest = "last"
        self.uncertainty = False
        self.all_times = False
        self.advanced: dict[str, Any] = {}

    def request(self) -> Request:
        """Return all choices as one checked request, or raise InputError if one is missing or wrong."""
        volume = self.volume()
        volume.require_spacing_um()
        return Request(volume, self.config(), self._series(volume))

    def config(self, **further: Any) -> PredictConfig:
        """How to predict, as chosen, with further settings; InputError if one is wrong."""
        chosen = {"model": self.model, "quality": self.quality, "deepest": self.deepest}
        return PredictConfig.checked(**chosen, uncertainty=self.uncertainty, **self.advanced, **further)

    def times(self) -> tuple[int, int] | None:
        """Position and length of the time axis of the chosen layer; None if it has none."""
        try:
            axis = None if self.layer is None else time_axis(self.axes())
        except InputError:
            return None
        return None if self.layer is None or axis is None else (axis, full_data(self.layer).shape[axis])

    def _series(self, volume: Volume) -> tuple[Volume, ...]:
        times = self.times()
        if not self.all_times or times is None or self.layer is None:
            return ()
        axis, count = times
        stacks = (pick(self.layer, self.axes(), {**self.index, axis: time}) for time in range(count))
        return tuple(replace(volume, data=stack) for stack in stacks)


class ModelSelector(QWidget):
    """A drop-down list of the models that ``list_models`` returns; the choice is kept in the session."""

    def __init__(self, session: Session, list_models: ListModels) -> None:
        super().__init__()
        self._session, self._list_models = session, list_models
        self._files: list[str] = []
        self.choice = Choice("The model to predict with; your own are listed under their names")
        self.choice.activated.connect(self._on_chosen)
        self.folder_hint = Line(AMBER)
        stack_up(self, make_form({"Model": self.choice}), self.folder_hint)
        self.refresh()

    def refresh(self) -> None:
        """Show the models that are there now, and choose one if the chosen one is gone."""
        entries: list[tuple[str, str | None]] = [(entry.name, entry.name) for entry in self._list_models()]
        entries += [(Path(path).name, path) for path in self._files]
        known = [value for _, value in entries]
        if self._session.model not in known:
            if Path(self._session.model).is_file():
                entries.append((Path(self._session.model).name, self._session.model))
            elif entries:
                self._session.update(model=entries[0][1])
        self.choice.fill([*entries, (OPEN_FILE, None)], self._session.model)
        self.folder_hint.show_text(missing_folder())

    def _on_chosen(self, _index: int) -> None:
        model = self.choice.currentData()
        if model is None:
            model, _ = QFileDialog.getOpenFileName(self, OPEN_FILE, "", "Models (*.safetensors)")
            if model:
                self._files.append(model)
        if model:
            self._session.update(model=model)
        self.refresh()


class HowToPredict(QWidget):
    """Which plane is the deepest, how good the result is to be, and whether its error is estimated too.

    An estimate takes the best quality. The choices are kept in the session.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.quality = Choice(QUALITY_TIP)
        self.quality.fill(QUALITIES, session.quality)
        self.quality.activated.connect(lambda _: session.update(quality=self.quality.currentData()))
        self.deepest = Choice(DEEPEST_TIP)
        self.deepest.fill(DEEPEST, session.deepest)
        self.deepest.activated.connect(lambda _: session.update(deepest=self.deepest.currentData()))
        self.uncertainty = QCheckBox("Also estimate the error (best quality)")
        self.uncertainty.setToolTip(UNCERTAINTY_TIP)
        self.uncertainty.toggled.connect(self._on_uncertainty)
        stack_up(self, make_form({"Deepest plane": self.deepest, "Quality": self.quality}), self.uncertainty)

    def _on_uncertainty(self, on: bool) -> None:
        self.quality.setEnabled(not on)
        self.quality.choose("best" if on else self._session.quality)
        self._session.update(uncertainty=on)


class PredictAdvanced(ConfigForm):
    """What few need: device, number format, memory, and a cluster; what is left at auto is worked out."""

    def __init__(self) -> None:
        tip = "Memory to stay within; set it if other programs need the rest"
        memory = NumberField(0, 1024, "GB", at_low="auto", tip=tip)
        self.scheduler = QLineEdit()
        self.scheduler.setPlaceholderText("none: this computer")
        self.scheduler.setToolTip(SCHEDULER_TIP)
        super().__init__(PredictConfig.model_fields, ADVANCED, {"Memory": memory, "Cluster": self.scheduler})
        self.memory = memory
        memory.valueChanged.connect(self.changed)
        self.scheduler.editingFinished.connect(self.changed)

    def values(self) -> dict[str, Any]:
        """Return what is not left at auto, as fields of a :class:`PredictConfig`."""
        memory_bytes = int(self.memory.value() * 1e9)
        scheduler = self.scheduler.text().strip()
        further = {"memory_bytes": memory_bytes, "scheduler": scheduler}
        return super().values() | {name: value for name, value in further.items() if value}

    def prefer(self, values: Mapping[str, Any]) -> None:
        """Show the values of napari's preferences, that of the memory too."""
        super().prefer(values)
        self.memory.setValue(values.get("memory_gb", self.memory.value()))
