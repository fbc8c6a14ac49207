"""How the overlay is seen: section, colours or checkerboard, before or after, and back to the normal view."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_deep3d.gui.register.overlay import Look
from napari_deep3d.gui.shared.widgets import Choice

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
        self.orientation = self._choice(["x-z", "x-y", "y-z"], "x-z shows the depth, where the stacks differ most")
        self.style = Choice(STYLE_TIP)
        self.style.fill([("green / magenta", "colours"), ("checkerboard", "squares")], "colours")
        self.style.currentIndexChanged.connect(self.look_changed)
        self.before = QPushButton(f"Before ({BEFORE_KEY})")
        self.before.setCheckable(True)
        self.before.setToolTip(f"Flip between the stacks as they were and as they are registered (key {BEFORE_KEY})")
        self.before.toggled.connect(self._on_before)
        self.toggle_button = QPushButton(SHOW)
        self.toggle_button.clicked.connect(self.toggled)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("View", self.orientation)
        form.addRow("Overlay", self.style)
        row = QHBoxLayout()
        row.addWidget(self.before)
        row.addWidget(self.toggle_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addLayout(row)

    def look(self) -> Look:
        """Return what is chosen."""
        return Look(self.orientation.currentData(), self.style.currentData(), self.before.isChecked())

    def flip(self) -> None:
        """Flip between before and after."""
        self.before.toggle()

    def show_state(self, is_active: bool) -> None:
        """Fit the buttons to whether the overlay is on."""
        self.toggle_button.setText(LEAVE if is_active else SHOW)
        self.before.setEnabled(is_active)

    def show_after(self) -> None:
        """Choose the stacks as they are registered, without telling of it."""
        blocked = self.before.blockSignals(True)
        self.before.setChecked(False)
        self.before.blockSignals(blocked)

    def _on_before(self, _is_checked: bool) -> None:
        self.look_changed.emit()

    def _choice(self, values: list[str], tip: str) -> Choice:
        choice = Choice(tip)
        choice.fill([(value, value) for value in values], values[0])
        choice.currentIndexChanged.connect(self.look_changed)
        return choice
