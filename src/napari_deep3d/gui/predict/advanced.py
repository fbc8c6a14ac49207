"""The choices that few need: where to compute, in which number format, within which memory."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QDoubleSpinBox

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.gui.shared.config_form import ConfigForm, FormRow
from napari_deep3d.gui.shared.widgets import let_wheel_scroll_panel

ROWS = {
    "device": FormRow("Device", "Where to compute; take cpu if the GPU is too small"),
    "precision": FormRow("Precision", "Number format of the network; take float32 if the result looks speckled"),
}


class PredictAdvanced(ConfigForm):
    """A folded section; what is left at auto is worked out."""

    def __init__(self) -> None:
        memory = QDoubleSpinBox()
        memory.setRange(0, 1024)
        memory.setSingleStep(0.5)
        memory.setSuffix(" GB")
        memory.setSpecialValueText("auto")
        memory.setToolTip("Memory to stay within; set it if other programs need the rest")
        memory.setKeyboardTracking(False)
        let_wheel_scroll_panel(memory)
        super().__init__(PredictConfig.model_fields, ROWS, {"Memory": memory})
        self.memory = memory
        memory.valueChanged.connect(self.changed)

    def values(self) -> dict[str, Any]:
        """Return what is not left at auto, as fields of a :class:`PredictConfig`."""
        memory_bytes = int(self.memory.value() * 1e9)
        return super().values() | ({"memory_bytes": memory_bytes} if memory_bytes else {})
