"""The settings of a training that few need: a folded form, made from the config's fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from magicgui.widgets import create_widget
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QFileDialog, QFormLayout, QPushButton, QWidget
from superqt import QCollapsible

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.jobs.run_folder import runs_folder
from napari_deep3d.jobs.train_plan import FIXED_BY_START

LABELS = {
    "iterations": "Steps",
    "weight_l1": "Difference (L1)",
    "weight_gan": "Realism (GAN)",
    "weight_vgg": "Texture (VGG)",
    "learning_rate": "Learning rate",
    "batch_size": "Patches a step",
    "width": "Width",
    "dimensions": "Dimensions",
    "network_input": "Network sees",
    "z_step": "Plane step",
    "device": "Device",
    "precision": "Precision",
    "seed": "Random seed",
}
DECIMALS = {"learning_rate": 5}
FIXED_TIP = "The model to start from decides it"


class TrainAdvanced(QCollapsible):
    """A folded section; only what differs from the defaults becomes part of the config.

    Attributes
    ----------
    changed
        Signal: a setting was changed.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("Advanced")
        self._chosen_folder: Path | None = None
        self.fields = {name: _make_field(name) for name in LABELS}
        self.folder_button = QPushButton()
        self.folder_button.clicked.connect(self._on_folder)
        self._show_folder()
        content = QWidget()
        form = QFormLayout(content)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        wheel = _WheelPasses(self)
        for name, field in self.fields.items():
            field.native.installEventFilter(wheel)
            field.native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            field.native.setMinimumWidth(70)
            field.changed.connect(lambda _value: self.changed.emit())
            form.addRow(LABELS[name], field.native)
        form.addRow("Kept in", self.folder_button)
        self.setContent(content)
        self.collapse(animate=False)

    @property
    def folder(self) -> Path:
        """Where trainings are kept, each in a folder of its own."""
        return self._chosen_folder or runs_folder()

    def values(self) -> dict[str, Any]:
        """Return the settings that differ from the defaults and can be chosen now."""
        return {
            name: field.value
            for name, field in self.fields.items()
            if field.enabled and field.value != TrainConfig.flat_fields()[name].default
        }

    def fix(self, starts_from_model: bool, sets_steps: bool) -> None:
        """Disable what a model to start from decides, and the number of steps unless it is to be set."""
        for name in FIXED_BY_START:
            if name in self.fields:
                self.fields[name].enabled = not starts_from_model
                self.fields[name].tooltip = FIXED_TIP if starts_from_model else _tip(name)
        self.fields["iterations"].enabled = sets_steps

    def _on_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of trainings", str(self.folder))
        if name:
            self._chosen_folder = Path(name)
            self._show_folder()
            self.changed.emit()

    def _show_folder(self) -> None:
        self.folder_button.setText("default folder" if self._chosen_folder is None else self._chosen_folder.name)
        self.folder_button.setToolTip(f"Each training keeps its state and its pairs in a folder in {self.folder}")


def _make_field(name: str) -> ValueWidget[Any]:
    """A form field with the bounds and the description that the config has."""
    info = TrainConfig.flat_fields()[name]
    bounds: dict[str, Any] = {}
    for rule in info.metadata:
        for key, bound in (("ge", "min"), ("gt", "min"), ("le", "max"), ("lt", "max")):
            if getattr(rule, key, None) is not None:
                bounds[bound] = getattr(rule, key)
    if info.annotation is int:
        bounds.setdefault("max", 2**31 - 1)
    options = {**bounds, "tooltip": _tip(name)}
    field = cast(ValueWidget[Any], create_widget(annotation=info.annotation, name=name, options=options))
    if isinstance(field.native, QDoubleSpinBox):
        field.native.setDecimals(DECIMALS.get(name, 3))
        field.native.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
    if isinstance(field.native, QComboBox):
        field.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    field.value = info.default
    return field


def _tip(name: str) -> str:
    text = TrainConfig.flat_fields()[name].description or ""
    return text[:1].upper() + text[1:]


class _WheelPasses(QObject):
    """Lets the wheel scroll the panel instead of changing a field."""

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return False
