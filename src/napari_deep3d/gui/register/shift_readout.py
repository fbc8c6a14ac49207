"""Reads out a registration in words and plots, and lets a person move its shift."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QApplication, QGridLayout, QPushButton, QWidget

from napari_deep3d.gui.register.adjustment import AdjustedRegistration
from napari_deep3d.gui.register.profile_plots import ProfilePlots
from napari_deep3d.gui.shared import AMBER, RED, Line, stack_up

NO_PROFILES = "Read from a file, which keeps no profiles; estimate the shift to see them."
NUDGES = (
    ("← x", "Left", 2, -1),
    ("x →", "Right", 2, 1),
    ("↑ y", "Up", 1, -1),
    ("y ↓", "Down", 1, 1),
    ("- z", "PgUp", 0, -1),
    ("z +", "PgDown", 0, 1),
)
"""Text, key, axis (0, 1, 2 for Z, Y, X) and direction; y grows downwards on the screen."""
FINE_NUDGE = 0.1
"""Wide-field voxels while Shift is held, instead of one."""
NUDGE_TIP = "Move the confocal stack by one wide-field voxel, with Shift by a tenth of it"


class NudgeButtons(QWidget):
    """Six buttons that move the shift in small steps, and the same by keys.

    Parameters
    ----------
    key_area : QWidget
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
        for column, (text, key, axis, direction) in enumerate(NUDGES):
            button = QPushButton(text)
            button.setMinimumWidth(10)
            button.setAutoRepeat(True)
            button.setToolTip(f"{NUDGE_TIP} (key {key}, after a click in a plot)")
            button.clicked.connect(partial(self._on_clicked, axis, direction))
            layout.addWidget(button, 0, column)
            self.buttons.append(button)
            for modifier, voxels in (("", 1.0), ("Shift+", FINE_NUDGE)):
                shortcut = QShortcut(QKeySequence(modifier + key), key_area)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(partial(self.nudged.emit, axis, direction * voxels))

    def _on_clicked(self, axis: int, direction: int, _checked: bool = False) -> None:
        is_fine = QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier
        self.nudged.emit(axis, direction * (FINE_NUDGE if is_fine else 1.0))


class ShiftReadout(QWidget):
    """The shift in words, the plots, and what moves it.

    Attributes
    ----------
    adjusted
        Signal, with the :class:`AdjustedRegistration` as the user moved it.
    """

    adjusted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._shown: AdjustedRegistration | None = None
        self.shift, self.refusal, self.notices = Line("font-weight: bold;"), Line(RED), Line(AMBER)
        self.no_profiles = Line()
        self.plots = ProfilePlots()
        self.plots.moved.connect(lambda axis, um: self._adjust(lambda shown: shown.with_shift(axis, um)))
        self.nudge = NudgeButtons(self)
        self.nudge.nudged.connect(lambda axis, voxels: self._adjust(lambda shown: shown.nudged(axis, voxels)))
        self.back_button = QPushButton("Back to the estimate")
        self.back_button.clicked.connect(lambda: self._adjust(AdjustedRegistration.unadjusted))
        stack_up(
            self,
            *(self.shift, self.refusal, self.notices, self.no_profiles),
            *(self.plots, self.nudge, self.back_button),
        )

    def show_registration(self, adjusted: AdjustedRegistration) -> None:
        """Show a registration as it stands."""
        self._shown = adjusted
        registration = adjusted.registration
        self.shift.show_text(adjusted.text())
        self.refusal.show_text(registration.refusal)
        self.notices.show_text("\n".join(registration.notices))
        self.no_profiles.show_text("" if adjusted.has_profiles else NO_PROFILES)
        self.plots.setVisible(adjusted.has_profiles)
        if adjusted.has_profiles:
            self.plots.show_profiles(adjusted.estimate, registration.shift_um)
        self.back_button.setEnabled(adjusted.is_adjusted)

    def _adjust(self, change: Callable[[AdjustedRegistration], AdjustedRegistration]) -> None:
        if self._shown is not None:
            self.show_registration(change(self._shown))
            self.adjusted.emit(self._shown)
