"""Small widgets that the panels share, and how they are laid out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QLabel,
    QLayout,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

AMBER = "background: #ffd54f; color: #1f1f1f; border-radius: 3px; padding: 5px;"
RED = "background: #c62828; color: #ffffff; border-radius: 3px; padding: 5px;"
LAYER_ROLE = Qt.ItemDataRole.UserRole


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
        let_wheel_scroll_panel(self)

    def fill(self, entries: Iterable[tuple[str, Any]], chosen: object) -> None:
        """Show these entries (text and value) with one chosen, without telling of it."""
        with signals_blocked(self):
            self.clear()
            for text, value in entries:
                self.addItem(text, value)
            self.choose(chosen)

    def choose(self, value: object) -> None:
        """Show an entry by its value, without telling of it."""
        with signals_blocked(self):
            self.setCurrentIndex(next((i for i in range(self.count()) if self.itemData(i) == value), -1))


class LayerChecklist(QListWidget):
    """A list of layers to tick; ``itemChanged`` tells that the user ticked one.

    Parameters
    ----------
    tip : str
        Tool tip.
    height : int
        Largest height in pixels; a longer list is scrolled.
    """

    def __init__(self, tip: str = "", height: int = 150) -> None:
        super().__init__()
        self.setMaximumHeight(height)
        self.setToolTip(tip)

    def fill(self, layers: Iterable[Image], ticked: Iterable[Image] | None = None) -> None:
        """List these layers with some ticked, by default those that are, without telling of it."""
        chosen = self.ticked() if ticked is None else list(ticked)
        with signals_blocked(self):
            self.clear()
            for layer in layers:
                item = QListWidgetItem(layer.name)
                item.setData(LAYER_ROLE, layer)
                item.setCheckState(Qt.CheckState.Checked if layer in chosen else Qt.CheckState.Unchecked)
                self.addItem(item)

    def layers(self) -> list[Image]:
        """Return the layers, from the top of the list."""
        return [item.data(LAYER_ROLE) for item in self._items()]

    def ticked(self) -> list[Image]:
        """Return the ticked layers, from the top of the list."""
        return [item.data(LAYER_ROLE) for item in self._items() if item.checkState() == Qt.CheckState.Checked]

    def _items(self) -> list[QListWidgetItem]:
        return [item for i in range(self.count()) if (item := self.item(i)) is not None]


class _WheelFilter(QObject):
    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Leave the wheel to the parents of a widget."""
        if event is not None and event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        return False


def let_wheel_scroll_panel(widget: QWidget) -> None:
    """Make the wheel over a field or plot scroll the panel, instead of changing a value by accident.

    Of a widget that scrolls itself, such as a plot, pass its viewport.
    """
    widget.installEventFilter(_WheelFilter(widget))


def stack_up(parent: QWidget, *parts: QWidget | QLayout, is_panel: bool = False) -> QVBoxLayout:
    """Put parts under each other in a widget, without margins; in a panel with margins, and empty space below."""
    layout = QVBoxLayout(parent)
    if not is_panel:
        layout.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        if isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    if is_panel:
        layout.addStretch()
    return layout


def make_form(rows: Mapping[str, QWidget]) -> QFormLayout:
    """Make a layout of labels and fields, the fields as wide as they can be."""
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for label, field in rows.items():
        form.addRow(label, field)
    return form
