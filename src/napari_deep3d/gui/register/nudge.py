"""Moves the peak in small steps: buttons, and keys while the plots have the focus."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QApplication, QGridLayout, QPushButton, QWidget

FINE = 0.1
STEPS = (
    ("← x", "Left", 2, -1),
    ("x →", "Right", 2, 1),
    ("↑ y", "Up", 1, -1),
    ("y ↓", "Down", 1, 1),
    ("- z", "PgUp", 0, -1),
    ("z +", "PgDown", 0, 1),
)
"""Text, key, axis (0, 1, 2 for Z, Y, X) and direction; y grows downwards on the screen."""

TIP = "Move the confocal stack by one wide-field voxel, with Shift by a tenth of it"


class Nudge(QWidget):
    """Six buttons.

    Parameters
    ----------
    key_area
        The keys work while this widget, or one in it, has the focus.

    Attributes
    ----------
    nudged
        Signal, with the axis (0, 1, 2 for Z, Y, X) and the step in wide-field voxels.
    """

    nudged = Signal(int, float)

    def __init__(self, key_area: QWidget) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        self.buttons: list[QPushButton] = []
        for column, (text, key, axis, direction) in enumerate(STEPS):
            button = QPushButton(text)
            button.setMinimumWidth(10)
            button.setAutoRepeat(True)
            button.setToolTip(f"{TIP} (key {key}, after a click in a plot)")
            button.clicked.connect(partial(self._on_clicked, axis, direction))
            layout.addWidget(button, 0, column)
            self.buttons.append(button)
            for modifier, share in (("", 1.0), ("Shift+", FINE)):
                shortcut = QShortcut(QKeySequence(modifier + key), key_area)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(partial(self.nudged.emit, axis, direction * share))

    def _on_clicked(self, axis: int, direction: int, _checked: bool = False) -> None:
        is_fine = QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier
        self.nudged.emit(axis, direction * (FINE if is_fine else 1.0))
