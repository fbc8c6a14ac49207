"""The part of the Predict panel that adapts the model to the chosen stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import AdaptConfig, InputError, Job, Stop, Volume
from napari_deep3d.gui.predict.choices import Request, Session
from napari_deep3d.gui.shared import (
    AMBER,
    RED,
    Cancelled,
    Choice,
    Failed,
    Line,
    NumberField,
    RunButton,
    format_seconds,
    make_form,
    stack_up,
)
from napari_deep3d.jobs.adapt import AdaptResult, adapt_model, check_adaptable
from napari_deep3d.jobs.adapt_pairs import check_size
from napari_deep3d.jobs.models import free_name, keep_model
from napari_deep3d.jobs.run_folder import runs_folder

if TYPE_CHECKING:
    from napari.layers import Image

Adapt = Callable[..., Job[AdaptResult]]
"""As :func:`~napari_deep3d.jobs.adapt.adapt_model`."""
TITLE = "Adapt to this stack..."
HINT = (
    "Pairs of your microscope and of samples like this one are simulated, and the model learns from them. No confocal "
    "stack is needed. It is kept only if it does better than before on simulated pairs that it did not see."
)
APERTURE_TIP = "NA, as it is written on the objective: 1.4 on 63x/1.40 Oil"
IMMERSION_TIP = "What is between the objective and the cover slip"
EMISSION_TIP = "Wavelength of the light that the camera sees: about 460 for DAPI, 520 for GFP, 600 for mCherry"
MINUTES_TIP = "How long it may take; 20 min is usual. The window stays free meanwhile"
START_TIP = "Make pairs and let the model learn from them; the model itself stays as it is, a new one is listed"
STOP_TIP = "Stop now; what was gained by the last test is kept"
IMMERSIONS: list[tuple[str, float | None]] = [
    ("choose...", None),
    ("air (1.00)", 1.0),
    ("water (1.33)", 1.333),
    ("silicone oil (1.41)", 1.406),
    ("glycerol (1.46)", 1.46),
    ("oil (1.52)", 1.518),
]
TIMES: list[tuple[str, float]] = [("5 min", 5.0), ("10 min", 10.0), ("20 min", 20.0), ("30 min", 30.0), ("1 h", 60.0)]
NOT_IN_NAMES = re.compile(r"[^\w.()+-]+")


@dataclass(frozen=True)
class AdaptRequest:
    """What is adapted to what, fixed and checked before its thread starts."""

    volume: Volume
    config: AdaptConfig
    run: Path
    name: str


def adapt_and_list(request: AdaptRequest, adapt: Adapt, stop: Stop) -> Job[AdaptResult]:
    """Adapt, and put the model on the list if it was kept; in the worker."""
    result = yield from adapt(request.volume, request.run, request.config, name=request.name, stop=stop)
    if not result.kept:
        return result
    return replace(result, name=keep_model(result.name, result.model, replaces=False).name)


class AdaptPart(QWidget):
    """What the metadata do not say of the microscope, a button that starts, and what came of it.

    ``adapt`` makes the job; the stack and the model are those of the session.
    """

    adapted = Signal(str)
    """The model of that name is on the list, and better."""
    went_back = Signal(str)
    """The model of that name is to be used again."""

    def __init__(self, session: Session, adapt: Adapt = adapt_model) -> None:
        super().__init__()
        self._session, self._adapt = session, adapt
        self._request: Request | None = None
        self._layer: Image | None = None
        self._previous = ""
        self.hint = Line()
        self.hint.show_text(HINT)
        self.aperture = NumberField(0, 1.6, at_low="?", tip=APERTURE_TIP)
        self.immersion = Choice(IMMERSION_TIP)
        self.emission = NumberField(0, 900, "nm", decimals=0, at_low="?", tip=EMISSION_TIP)
        self.minutes = Choice(MINUTES_TIP)
        self.minutes.fill(TIMES, 20.0)
        self.origin, self.problem, self.message, self.likeness = Line(), Line(), Line(), Line()
        self.run_button = RunButton("Adapt the model", START_TIP, stop_tip=STOP_TIP)
        self.run_button.asked.connect(self._start)
        self.back = QPushButton()
        self.back.setToolTip("Choose the model that was used before; the adapted one stays on the list")
        self.back.clicked.connect(self._on_back)
        self.back.hide()
        rows = {"NA": self.aperture, "Immersion": self.immersion, "Emission": self.emission, "Time": self.minutes}
        self._form = QWidget()
        stack_up(self._form, make_form(rows))
        content = QWidget()
        parts = (self.hint, self._form, self.origin, self.problem, self.run_button)
        stack_up(content, *parts, self.message, self.likeness, self.back)
        self.opener = QPushButton(TITLE)
        self.opener.setCheckable(True)
        self.opener.setToolTip(HINT)
        self.opener.toggled.connect(content.setVisible)  # no QCollapsible: that keeps the height that it opened with
        content.hide()
        stack_up(self, self.opener, content)
        for number in (self.aperture, self.emission):
            number.valueChanged.connect(self._refresh)
        for choice in (self.immersion, self.minutes):
            choice.currentIndexChanged.connect(self._refresh)
        self._fill_in({})

    def follow(self, request: Request | None) -> None:
        """Take the stack and the model that are chosen now; for another layer, fill in what its file says."""
        self._request = request
        if self._session.layer is not self._layer:
            self._layer = self._session.layer
            file = self._session.file
            self._fill_in({} if file is None else file.optics)
        self._refresh()

    def under_way(self) -> str:
        """What runs, and what is kept of it; empty if nothing runs."""
        if not self.run_button.is_running:
            return ""
        return "A model is being adapted; it is lost."

    def shut_down(self) -> None:
        """Stop what runs, since the dock goes."""
        self.run_button.close_run()

    def config(self) -> AdaptConfig:
        """The choices; InputError if one is missing or wrong."""
        given: dict[str, Any] = {
            "numerical_aperture": self.aperture.value(),
            "immersion_index": self.immersion.currentData(),
            "emission_nm": self.emission.value(),
        }
        missing = [
            label for label, value in zip(("NA", "immersion", "emission"), given.values(), strict=True) if not value
        ]
        if missing:
            raise InputError(f"Tell your microscope's {', '.join(missing)}.")
        model = {} if self._request is None else self._request.config.model_dump(include={"model", "device", "deepest"})
        return AdaptConfig.checked(**given, **model, minutes=self.minutes.currentData())

    def _fill_in(self, known: Any) -> None:
        index = known.get("immersion_index")
        entries = list(IMMERSIONS)
        if index is not None and index not in [value for _, value in entries]:
            entries.append((f"as in the file ({index:.3g})", index))
        with signals_blocked(self.aperture), signals_blocked(self.emission):
            self.aperture.setValue(known.get("numerical_aperture", 0.0))
            self.emission.setValue(known.get("emission_nm", 0.0))
        self.immersion.fill(entries, index)
        words = {"numerical_aperture": "NA", "immersion_index": "immersion", "emission_nm": "emission"}
        told = [word for name, word in words.items() if name in known]
        self.origin.show_text(f"From the file: {', '.join(told)}. Correct what is wrong." if told else "")

    def _refresh(self) -> None:
        """Say what is missing, and let the user start if nothing is."""
        problem = ""
        try:
            self.config()
            if self._request is not None:
                check_size(self._request.volume)
        except InputError as error:
            problem = str(error)
        is_running = self.run_button.is_running
        self.problem.show_text("" if is_running else problem)
        self._form.setEnabled(not is_running)
        self.run_button.allow(not problem and self._request is not None)

    def _start(self) -> None:
        if self._request is None or self.run_button.is_running:
            return
        try:
            config, volume = self.config(), self._request.volume
            check_adaptable(config.model)
            base = NOT_IN_NAMES.sub(" ", volume.name).strip(" .()+-") or "stack"
            name = free_name(f"adapted to {base}"[:60].strip(), runs_folder())
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        request = AdaptRequest(volume, config, runs_folder() / name, name)
        self.message.show_text("", "")
        self.likeness.show_text("")
        job = partial(adapt_and_list, request, self._adapt)
        self.run_button.start(
            f"Deep3D adapts to {volume.name}", lambda stop: job(stop=stop), partial(self._on_ended, request)
        )
        self._refresh()

    def _on_ended(self, request: AdaptRequest, end: AdaptResult | Failed | Cancelled) -> None:
        if isinstance(end, Failed):
            self.message.show_text(f"{end.sentence('Adapting')} The model stays as it was.", RED)
        elif isinstance(end, Cancelled):
            self.message.show_text("Stopped before there was anything to keep; the model stays as it was.", AMBER)
        else:
            first = "" if end.complete else "Stopped. "
            listed = f" It is on the list as {end.name!r}, and chosen." if end.kept else ""
            text = f"{first}{end.sentence}{listed} It took {format_seconds(end.seconds)}."
            self.message.show_text(text, "" if end.kept else AMBER)
            self.likeness.show_text(likeness_line(end))
            if end.kept:
                self._previous = request.config.model
                self.back.setText(f"Back to {Path(self._previous).stem!r}")
                self.back.show()
                self.adapted.emit(end.name)
        self._refresh()

    def _on_back(self) -> None:
        self.back.hide()
        self.went_back.emit(self._previous)


def likeness_line(end: AdaptResult) -> str:
    """How far the stack is from what the model learned from, before and after; empty if that is not known."""
    if end.novelty_before is None or end.novelty_after is None:
        return ""
    told = (
        f"How unlike this stack is to those that the model learned from: {end.novelty_before.distance:.2f} before, "
        f"{end.novelty_after.distance:.2f} now; above 1 is unlike."
    )
    return f"{told} {end.novelty_after.notice}".strip()
