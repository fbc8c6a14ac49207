"""Which model to predict with: those that are installed, or a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QFormLayout, QWidget

from napari_deep3d.gui.predict.session import Session
from napari_deep3d.gui.shared.widgets import Choice
from napari_deep3d.jobs.models import list_models

OPEN_FILE = "Open a model file..."


class ModelSelector(QWidget):
    """A drop-down list of models."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._files: list[str] = []
        self.choice = Choice("The model to predict with; your own are listed under their names")
        self.choice.activated.connect(self._on_chosen)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Model", self.choice)
        self.refresh()

    def refresh(self) -> None:
        """Show the models that are there now, and choose one if the chosen one is gone."""
        entries: list[tuple[str, Any]] = [(entry.name, entry.name) for entry in list_models()]
        entries += [(Path(path).name, path) for path in self._files]
        known = [value for _, value in entries]
        if self._session.model not in known:
            if Path(self._session.model).is_file():
                entries.append((Path(self._session.model).name, self._session.model))
            elif known:
                self._session.update(model=known[0])
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
