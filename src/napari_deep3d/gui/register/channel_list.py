"""Further layers to align by the same registration, such as other channels."""

from __future__ import annotations

from collections.abc import Iterable

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem
from superqt import QCollapsible

LAYER_ROLE = Qt.ItemDataRole.UserRole
HEIGHT = 80


class ChannelList(QCollapsible):
    """A folded list of layers to tick; hidden while there is none."""

    def __init__(self) -> None:
        super().__init__("Apply to other layers")
        self.setToolTip("Other channels of the confocal stack: Apply aligns those that are ticked too")
        self.list = QListWidget()
        self.list.setMaximumHeight(HEIGHT)
        self.setContent(self.list)
        self.collapse(animate=False)

    def fill(self, layers: Iterable[Image]) -> None:
        """Offer these layers; those that are ticked stay so."""
        ticked = self.ticked()
        self.list.clear()
        for layer in layers:
            item = QListWidgetItem(layer.name)
            item.setData(LAYER_ROLE, layer)
            item.setCheckState(Qt.CheckState.Checked if layer in ticked else Qt.CheckState.Unchecked)
            self.list.addItem(item)
        self.setVisible(self.list.count() > 0)

    def ticked(self) -> list[Image]:
        """Return the ticked layers."""
        items = [self.list.item(i) for i in range(self.list.count())]
        return [item.data(LAYER_ROLE) for item in items if item.checkState() == Qt.CheckState.Checked]
