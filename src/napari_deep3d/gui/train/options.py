"""How to train: what to start from, how long, under which name; folded: the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import DEFAULT_MODEL, PRESETS, InputError, TrainConfig, merge
from napari_deep3d.gui.shared import AMBER, Choice, ConfigForm, FormRow, Line, Member, make_form, stack_up
from napari_deep3d.gui.train.run import TrainRequest
from napari_deep3d.jobs.models.store import free_name, model_names
from napari_deep3d.jobs.train.plan import FIXED_BY_START
from napari_deep3d.jobs.train.run_folder import runs_folder
from napari_deep3d.jobs.train.train import SCRATCH
from napari_deep3d.jobs.train.unpaired import UnpairedFolders, check_unpaired

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
ROWS = {
    "iterations": FormRow("Steps"),
    "weight_l1": FormRow("Difference (L1)"),
    "weight_gan": FormRow("Realism (GAN)"),
    "weight_vgg": FormRow("Texture (VGG)"),
    "learning_rate": FormRow("Learning rate", decimals=5),
    "batch_size": FormRow("Patches a step"),
    "width": FormRow("Width"),
    "dimensions": FormRow("Dimensions"),
    "network_input": FormRow("Network sees"),
    "z_step": FormRow("Plane step"),
    "device": FormRow("Device"),
    "precision": FormRow("Number format"),
    "seed": FormRow("Random seed"),
}
FIXED_TIP = "The model to start from decides it"


class TrainOptions(QWidget):
    """A form, and a folded section."""

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
        request = self._request({"held_out": held_out} if held_out else {})
        if len(held_out) == len(members):
            raise InputError("Every pair is ticked as test only: none is left to learn from. Untick one.")
        return replace(request, members=members)

    def unpaired_request(self, folders: UnpairedFolders) -> TrainRequest:
        """Return the same for stacks that are no pairs."""
        request = self._request({})
        check_unpaired(request.config)
        return replace(request, unpaired=folders, start=request.start or SCRATCH)

    def _request(self, values: Mapping[str, Any]) -> TrainRequest:
        time, chosen = self.time.currentData(), self.advanced.values()
        preset = PRESETS["paper" if time == PAPER else "laptop"]
        config = merge(TrainConfig, preset, chosen, values)
        name = free_name(self.name.text(), self.folder)
        minutes = time if isinstance(time, float) else None
        return TrainRequest(self.folder / name, name, self.start.currentData() or "", config, minutes)

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


class TrainAdvanced(ConfigForm):
    """The settings that few need, made from the config's fields, and where trainings are kept.

    Only what differs from the defaults becomes part of the config.
    """

    def __init__(self) -> None:
        self._chosen_folder: Path | None = None
        self.folder_button = QPushButton()
        super().__init__(TrainConfig.flat_fields(), ROWS, {"Kept in": self.folder_button})
        self.folder_button.clicked.connect(self._on_folder)
        self._show_folder()

    @property
    def folder(self) -> Path:
        """Where trainings are kept, each in a folder of its own."""
        return self._chosen_folder or runs_folder()

    def fix(self, starts_from_model: bool, sets_steps: bool) -> None:
        """Disable what a model to start from decides, and the number of steps unless it is to be set."""
        for name in self.fields.keys() & set(FIXED_BY_START):
            self.enable(name, not starts_from_model, FIXED_TIP)
        self.enable("iterations", sets_steps)

    def prefer(self, values: Mapping[str, Any]) -> None:
        """Show the values of napari's preferences; float16 is for predictions only."""
        super().prefer({name: "auto" if value == "float16" else value for name, value in values.items()})

    def _on_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of trainings", str(self.folder))
        if name:
            self._chosen_folder = Path(name)
            self._show_folder()
            self.changed.emit()

    def _show_folder(self) -> None:
        self.folder_button.setText("default folder" if self._chosen_folder is None else self._chosen_folder.name)
        self.folder_button.setToolTip(f"Each training keeps its state and its pairs in a folder in {self.folder}")
