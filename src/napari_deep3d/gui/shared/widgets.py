"""Small widgets that the panels share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

AMBER = "background: #ffd54f; color: #1f1f1f; border-radius: 3px; padding: 5px;"
RED = "background: #c62828; color: #ffffff; border-radius: 3px; padding: 5px;"
GREEN = "background: #2e7d32; color: #ffffff; border-radius: 3px; padding: 5px;"


class Line(QLabel):
    """A line of text that wraps, can be copied, and is hidden while it is empty."""

    def __init__(self, style: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.show_text("", style)

    def show_text(self, text: str, style: str | None = None) -> None:
        """Show a text, or hide the line."""
        if style is not None:
            self.setStyleSheet(style)
        self.setText(text)
        self.setVisible(bool(text))


class Choice(QComboBox):
    """A drop-down list that does not grow with its longest entry, and leaves the wheel to scrolling."""

    def __init__(self, tip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(tip)

    def fill(self, entries: list[tuple[str, Any]], chosen: Any) -> None:
        """Show these entries (text and value) with one chosen, without telling of it."""
        blocked = self.blockSignals(True)
        self.clear()
        for text, value in entries:
            self.addItem(text, value)
        self.choose(chosen)
        self.blockSignals(blocked)

    def choose(self, value: Any) -> None:
        """Show an entry by its value, without telling of it."""
        blocked = self.blockSignals(True)
        self.setCurrentIndex(next((i for i in range(self.count()) if self.itemData(i) == value), -1))
        self.blockSignals(blocked)

    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        """Scroll the panel, not the choice."""
        event.ignore()


def stack_up(panel: QWidget, groups: Mapping[QWidget, Iterable[QWidget]]) -> None:
    """Put widgets under each other in each parent, without margins but for the panel, which also fills the rest."""
    for parent, children in groups.items():
        layout = QVBoxLayout(parent)
        if parent is not panel:
            layout.setContentsMargins(0, 0, 0, 0)
        for child in children:
            layout.addWidget(child)
    panel.layout().addStretch()
