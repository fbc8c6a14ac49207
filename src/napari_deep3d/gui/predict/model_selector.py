"""Which model to predict with: those that are installed, or a model file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_deep3d.gui.predict.session import Session
from napari_deep3d.gui.shared.widgets import Choice, make_form, stack_up
from napari_deep3d.jobs.models import ModelEntry

OPEN_FILE = "Open a model file..."
ListModels = Callable[[], Sequence[ModelEntry]]


class ModelSelector(QWidget):
    """A drop-down list of models.

    Parameters
    ----------
    session
        Where the choice is kept.
    list_models : callable
        Returns the models that are there now.
    """

    def __init__(self, session: Session, list_models: ListModels) -> None:
        super().__init__()
        self._session, self._list_models = session, list_models
        self._files: list[str] = []
        self.choice = Choice("The model to predict with; your own are listed under their names")
        self.choice.activated.connect(self._on_chosen)
        stack_up(self, make_form({"Model": self.choice}))
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

    def _on_chosen(self, _index: int) -> None:
        model = self.choice.currentData()
        if model is None:
            model, _ = QFileDialog.getOpenFileName(self, OPEN_FILE, "", "Models (*.safetensors)")
            if model:
                self._files.append(model)
        if model:
            self._session.update(model=model)
        self.refresh()
