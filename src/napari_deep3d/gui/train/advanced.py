"""The settings of a training that few need: a folded form, made from the config's fields."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QPushButton

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.gui.shared import ConfigForm, FormRow
from napari_deep3d.jobs.run_folder import runs_folder
from napari_deep3d.jobs.train_plan import FIXED_BY_START

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
    "precision": FormRow("Precision"),
    "seed": FormRow("Random seed"),
}
FIXED_TIP = "The model to start from decides it"


class TrainAdvanced(ConfigForm):
    """The form, and where trainings are kept; only what differs from the defaults becomes part of the config."""

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

    def _on_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of trainings", str(self.folder))
        if name:
            self._chosen_folder = Path(name)
            self._show_folder()
            self.changed.emit()

    def _show_folder(self) -> None:
        self.folder_button.setText("default folder" if self._chosen_folder is None else self._chosen_folder.name)
        self.folder_button.setToolTip(f"Each training keeps its state and its pairs in a folder in {self.folder}")
