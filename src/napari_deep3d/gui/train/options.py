"""How to train: what to start from, how long, under which name; folded: the rest."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import InputError
from napari_deep3d.core.config import DEFAULT_MODEL, PRESETS, TrainConfig, merge
from napari_deep3d.gui.shared import AMBER, Choice, Line, Member, make_form, stack_up
from napari_deep3d.gui.train.advanced import TrainAdvanced
from napari_deep3d.gui.train.run import TrainRequest
from napari_deep3d.jobs.models import free_name, model_names

SCRATCH = "scratch"
PAPER, STEPS = "paper", "steps"
TIMES: list[tuple[str, float | str]] = [
    ("15 min", 15.0),
    ("2 h", 120.0),
    ("as in the paper", PAPER),
    ("own number of steps", STEPS),
]
NAME = "my model"
START_TIP = "Starting from a model needs fewer pairs and less time; scratch learns everything anew"
TIME_TIP = (
    "The speed is measured first. 15 min shows whether it works, 2 h is for good results; the paper's setting needs a "
    "GPU; the number of steps stands under Advanced"
)


class TrainOptions(QWidget):
    """A form, and a folded section.

    Attributes
    ----------
    changed
        Signal: a choice was changed.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.start, self.time = Choice(START_TIP), Choice(TIME_TIP)
        self.time.fill(TIMES, 15.0)
        self.name = QLineEdit()
        self.name.setToolTip("The model's name in the list of models")
        self.name_hint = Line(AMBER)
        self.advanced = TrainAdvanced()
        form = make_form({"Start from": self.start, "Time": self.time, "Name": self.name})
        stack_up(self, form, self.name_hint, self.advanced)
        self.refresh()
        self.start.currentIndexChanged.connect(self._on_changed)
        self.time.currentIndexChanged.connect(self._on_time)
        self.name.textChanged.connect(self._on_changed)
        self.advanced.changed.connect(self._on_changed)

    @property
    def folder(self) -> Path:
        """Where trainings are kept, each in a folder of its own."""
        return self.advanced.folder

    def fold(self) -> None:
        """Fold what few need."""
        self.advanced.collapse(animate=False)

    def propose_name(self) -> None:
        """Propose a name for the next model, whatever the user called the last one."""
        self.name.setModified(False)
        self.refresh()

    def refresh(self) -> None:
        """Show the models that are there now, and propose a name that is free."""
        names = model_names()
        chosen = self.start.currentData() if self.start.count() else DEFAULT_MODEL
        entries = [*((name, name) for name in dict.fromkeys(names)), (SCRATCH, "")]
        self.start.fill(entries, chosen if chosen in names or chosen == "" else entries[0][1])
        if not self.name.isModified():
            with signals_blocked(self.name):
                self.name.setText(free_name(NAME, self.folder))
        self._show_state()

    def request(self, members: tuple[Member, ...], held_out: tuple[str, ...]) -> TrainRequest:
        """Return all choices as one checked request.

        Raises
        ------
        InputError
            If a choice is wrong.
        """
        time, values = self.time.currentData(), self.advanced.values()
        preset = PRESETS["paper" if time == PAPER else "laptop"]
        config = merge(TrainConfig, preset, values, {"held_out": held_out} if held_out else {})
        if len(held_out) == len(members):
            raise InputError("Every pair is ticked as test only: none is left to learn from. Untick one.")
        name = free_name(self.name.text(), self.folder)
        minutes = time if isinstance(time, float) else None
        return TrainRequest(self.folder / name, name, self.start.currentData() or "", config, minutes, members)

    def _on_time(self, _index: int) -> None:
        if self.time.currentData() == STEPS:
            self.advanced.expand(animate=False)
        self._on_changed()

    def _on_changed(self, _value: object = None) -> None:
        self._show_state()
        self.changed.emit()

    def _show_state(self) -> None:
        self.advanced.fix(bool(self.start.currentData()), self.time.currentData() == STEPS)
        hint = ""
        try:
            free = free_name(self.name.text(), self.folder)
            if free != self.name.text().strip():
                hint = f"That name is taken; the model will be called {free!r}."
        except InputError:  # the request says so
            pass
        self.name_hint.show_text(hint)
