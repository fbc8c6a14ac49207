"""The choices that few need: where to compute, in which number format, within which memory."""

from __future__ import annotations

from typing import Any, get_args

from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QWidget
from superqt import QCollapsible

from napari_deep3d.core.config import Device, Precision
from napari_deep3d.gui.predict.session import Session
from napari_deep3d.gui.shared.widgets import Choice


class Advanced(QCollapsible):
    """A folded section; what is left at auto is worked out."""

    def __init__(self, session: Session) -> None:
        super().__init__("Advanced")
        self._session = session
        self.device = self._choice(get_args(Device), "Where to compute; take cpu if the GPU is too small")
        self.precision = self._choice(
            get_args(Precision), "Number format of the network; take float32 if the result looks speckled"
        )
        self.memory = QDoubleSpinBox()
        self.memory.setRange(0, 1024)
        self.memory.setSingleStep(0.5)
        self.memory.setSuffix(" GB")
        self.memory.setSpecialValueText("auto")
        self.memory.setToolTip("Memory to stay within; set it if other programs need the rest")
        self.memory.setKeyboardTracking(False)
        self.memory.valueChanged.connect(self._on_changed)
        content = QWidget()
        form = QFormLayout(content)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for label, field in (("Device", self.device), ("Precision", self.precision), ("Memory", self.memory)):
            form.addRow(label, field)
        self.setContent(content)
        self.collapse(animate=False)

    def _choice(self, values: tuple[str, ...], tip: str) -> Choice:
        choice = Choice(tip)
        choice.fill([(value, value) for value in values], "auto")
        choice.currentIndexChanged.connect(self._on_changed)
        return choice

    def _on_changed(self, _value: Any) -> None:
        chosen = {"device": self.device.currentData(), "precision": self.precision.currentData()}
        advanced: dict[str, Any] = {name: value for name, value in chosen.items() if value != "auto"}
        if self.memory.value() > 0:
            advanced["memory_bytes"] = int(self.memory.value() * 1e9)
        self._session.update(advanced=advanced)
