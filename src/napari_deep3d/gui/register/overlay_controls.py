"""How the overlay is seen: section, colours or checkerboard, before or after, and back to the normal view."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.gui.register.overlay import OverlayLook
from napari_deep3d.gui.shared import Choice, make_form, stack_up

BEFORE_KEY = "B"
STYLE_TIP = (
    "Wide-field green on confocal magenta: white where both are. In a checkerboard edges go on from square to square"
)
SHOW, LEAVE = "Show overlay", "Back to normal view"


class OverlayControls(QWidget):
    """Two choices and two buttons.

    Attributes
    ----------
    look_changed
        Signal: :meth:`look` is another one.
    toggled
        Signal: the overlay is to be shown, or left.
    """

    look_changed = Signal()
    toggled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.orientation = Choice("x-z shows the depth, where the stacks differ most")
        self.orientation.fill([(name, name) for name in ("x-z", "x-y", "y-z")], "x-z")
        self.orientation.currentIndexChanged.connect(self._on_look)
        self.overlay_style = Choice(STYLE_TIP)
        self.overlay_style.fill([("green / magenta", "colours"), ("checkerboard", "checkerboard")], "colours")
        self.overlay_style.currentIndexChanged.connect(self._on_look)
        self.before = QPushButton(f"Before ({BEFORE_KEY})")
        self.before.setCheckable(True)
        self.before.setToolTip(f"Flip between the stacks as they were and as they are registered (key {BEFORE_KEY})")
        self.before.toggled.connect(self._on_look)
        self.toggle_button = QPushButton(SHOW)
        self.toggle_button.clicked.connect(self.toggled)
        row = QHBoxLayout()
        row.addWidget(self.before)
        row.addWidget(self.toggle_button)
        stack_up(self, make_form({"View": self.orientation, "Overlay": self.overlay_style}), row)

    def look(self) -> OverlayLook:
        """Return what is chosen."""
        return OverlayLook(self.orientation.currentData(), self.overlay_style.currentData(), self.before.isChecked())

    def flip(self) -> None:
        """Flip between before and after."""
        self.before.toggle()

    def show_state(self, is_active: bool) -> None:
        """Fit the buttons to whether the overlay is on."""
        self.toggle_button.setText(LEAVE if is_active else SHOW)
        self.before.setEnabled(is_active)

    def show_after(self) -> None:
        """Choose the stacks as they are registered, without emitting :attr:`look_changed`."""
        with signals_blocked(self.before):
            self.before.setChecked(False)

    def _on_look(self, _value: object = None) -> None:
        self.look_changed.emit()
