"""Small widgets and texts that the panels share, and how they are laid out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyqtgraph as pg
from napari.layers import Image
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QPalette
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

from napari_deep3d.core import Progress, Shape, Spacing, Volume, format_spacing

AMBER = "background: #ffd54f; color: #1f1f1f; border-radius: 3px; padding: 5px;"
RED = "background: #c62828; color: #ffffff; border-radius: 3px; padding: 5px;"
LAYER_ROLE = Qt.ItemDataRole.UserRole
MIN_PLOT_WIDTH = 100
LABEL_WIDTH = 112
"""Pixels of the labels of all forms: as the longest needs, so that the fields of a panel stand below each other."""


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
    """A list of layers to tick, at most ``height`` pixels high; ``itemChanged`` tells that the user ticked one."""

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


class Plot(pg.PlotWidget):
    """A plot without menu and zoom, which leaves the wheel to scrolling.

    Parameters
    ----------
    label : str
        What is drawn along x.
    height : int
        In pixels.
    axes : pyqtgraph.AxisItem
        Axes other than pyqtgraph's own, by their side: ``left=...``.
    """

    _label = ""

    def __init__(self, label: str, height: int, **axes: Any) -> None:
        super().__init__(background=None, axisItems=axes)
        self.setFixedHeight(height)
        self.setMinimumWidth(MIN_PLOT_WIDTH)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        let_wheel_scroll_panel(self.viewport())
        for side in ("left", "bottom"):
            self.getAxis(side).setStyle(tickTextOffset=2, tickLength=-4)
            self.getAxis(side).enableAutoSIPrefix(False)
        self._label = label
        self.label_axis("bottom", label)
        self._follow_theme()

    def label_axis(self, side: str, text: str) -> None:
        """Say along an axis, ``left`` or ``bottom``, what is drawn there."""
        colour = self.palette().color(QPalette.ColorRole.WindowText).name()
        self.setLabel(side, text, **{"color": colour, "font-size": "8pt"})

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Draw the axes in the text colour of napari's theme, which the user may change."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange and self._label:
            self._follow_theme()

    def _follow_theme(self) -> None:
        colour = self.palette().color(QPalette.ColorRole.WindowText).name()
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(colour)
            axis.setTextPen(colour)
            if axis.labelText:
                self.label_axis(side, axis.labelText)


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
        add_row(form, label, field)
    return form


def add_row(form: QFormLayout, text: str, field: QWidget) -> None:
    """Add a row below the others of a form."""
    label = QLabel(text)
    label.setMinimumWidth(LABEL_WIDTH)
    label.setBuddy(field)
    form.addRow(label, field)


def format_seconds(seconds: float) -> str:
    """Time for people: ``20 s``, ``4 min``, ``2 h 10 min``.

    Examples
    --------
    >>> format_seconds(7500)
    '2 h 5 min'
    """
    if seconds < 1:
        return "less than 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def format_estimate(seconds: float) -> str:
    """Time that is not known exactly: ``about 20 s``, ``less than 1 s``."""
    return format_seconds(seconds) if seconds < 1 else f"about {format_seconds(seconds)}"


def format_facts(volume: Volume) -> str:
    """One line about a stack, axes Z, Y, X: ``76 x 2048 x 2048, 0.5 x 0.108 x 0.108 um``."""
    return format_size(volume.shape, volume.spacing_um)


def format_size(shape: Shape, spacing_um: Spacing | None) -> str:
    """Size and voxel size of a stack, axes Z, Y, X: ``76 x 2048 x 2048, 0.5 x 0.108 x 0.108 um``."""
    z, y, x = shape
    spacing = "voxel size unknown" if spacing_um is None else format_spacing(spacing_um)
    return f"{z} x {y} x {x}, {spacing}"


def format_progress(progress: Progress) -> str:
    """How far it is and how long it will take: ``40 %, 12 s left``; before, what it does."""
    if progress.done == 0:
        return progress.message
    share = f"{100 * progress.fraction:.0f} %"
    if progress.seconds_left is None:
        return share
    return f"{share}, {format_seconds(progress.seconds_left)} left"


def format_memory(needed_bytes: float, free_bytes: float) -> str:
    """What it takes of what is free: ``2.1 GB of 18 GB free memory``."""
    return f"{needed_bytes / 1e9:.1f} GB of {free_bytes / 1e9:.3g} GB free memory"
