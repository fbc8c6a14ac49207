"""What stands above and below the pictures: what the mouse does, and the slider through the stack."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QPushButton, QSlider, QToolButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import Vector, zyx
from napari_deep3d.gui.compare.sections import AXES, Bounds

TOOLS = {
    "cross": ("Crosshair", "Click or drag in any picture: all sections go there"),
    "line": ("Profile line", "Draw a line in any picture; its ends can be dragged, in every section"),
    "move": ("Move", "Drag the pictures; the middle button always does"),
}
"""What the left button does: text and tip."""
SINGLE_TIP = (
    "Show one stack, larger; the space bar puts the next one in its place: "
    "what is drawn only in the prediction then springs to the eye"
)
WHEEL_TIP = "The wheel zooms."
CHOSEN = "QToolButton:checked { background: #4a62c8; color: #ffffff; } QToolButton { padding: 4px; }"
"""Napari's own style shows no difference between tools that are chosen and others."""


class ViewTools(QWidget):
    """Buttons for what the left button of the mouse does, and to go back."""

    chosen = Signal()
    fit = Signal()
    left = Signal()
    single = Signal(bool)
    """One stack at a time, or all."""
    next = Signal()
    """The next one, please."""

    def __init__(self) -> None:
        super().__init__()
        self._group = QButtonGroup(self)
        self.buttons: dict[str, QToolButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for name, (text, tip) in TOOLS.items():
            button = _tool(text, f"{tip}. {WHEEL_TIP}")
            button.setCheckable(True)
            self._group.addButton(button)
            self.buttons[name] = button
            row.addWidget(button)
        self.buttons["cross"].setChecked(True)
        self._group.buttonToggled.connect(self.chosen)
        fit = _tool("Fit", "Show the stacks whole")
        fit.clicked.connect(self.fit)
        self.single_button = _tool("One at a time", SINGLE_TIP)
        self.single_button.setCheckable(True)
        self.single_button.toggled.connect(self._on_single)
        self._space = QShortcut(QKeySequence("Space"), self)
        self._space.setEnabled(False)  # meanwhile buttons are pressed by it, as everywhere
        self._space.activated.connect(self.next)
        back = QPushButton("Back to normal view")
        back.clicked.connect(self.left)
        row.addWidget(fit)
        row.addWidget(self.single_button)
        row.addStretch()
        row.addWidget(back)
        self.setStyleSheet(CHOSEN)

    def _on_single(self, is_on: bool) -> None:
        self._space.setEnabled(is_on)
        self.single.emit(is_on)

    @property
    def tool(self) -> str:
        """The tool that is chosen: ``cross``, ``line`` or ``move``."""
        return next(name for name, button in self.buttons.items() if button.isChecked())


class SectionSlider(QWidget):
    """Goes through the stacks across the section, and says where the crosshair is."""

    moved = Signal(object)
    """With the point of the crosshair, (Z, Y, X) in um."""

    def __init__(self) -> None:
        super().__init__()
        self._axis, self._step_um, self._unit = 0, 1.0, "um"
        self._bounds, self._point_um = Bounds((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), (0.0, 0.0, 0.0)
        self.slider, self.place = QSlider(Qt.Orientation.Horizontal), QLabel()
        self.slider.setToolTip("Go through the stack; the crosshair goes along")
        self.slider.valueChanged.connect(self._on_slider)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.slider, 1)
        row.addWidget(self.place)

    def set_up(self, bounds: Bounds, axis: int | None, step_um: float, unit: str) -> None:
        """Go along an axis (0, 1, 2 for Z, Y, X) in such steps; None only says where the crosshair is."""
        self._bounds, self._axis, self._step_um, self._unit = bounds, axis or 0, step_um, unit
        self.slider.setVisible(axis is not None)
        with signals_blocked(self.slider):
            self.slider.setRange(0, max(0, self._count() - 1))

    def show_point(self, point_um: Vector) -> None:
        """Show where the crosshair is."""
        self._point_um = point_um
        if self.slider.isHidden():
            text = ", ".join(f"{name} {value:.2f}" for name, value in zip(AXES, point_um, strict=True))
            self.place.setText(f"{text} {self._unit}")
            return
        value = point_um[self._axis]
        step = min(int((value - self._bounds.low_um[self._axis]) / self._step_um), self._count() - 1)
        with signals_blocked(self.slider):
            self.slider.setValue(step)
        self.place.setText(f"{AXES[self._axis]} {value:.2f} {self._unit} ({step + 1} of {self._count()})")

    def _count(self) -> int:
        return round((self._bounds.high_um[self._axis] - self._bounds.low_um[self._axis]) / self._step_um)

    def _on_slider(self, step: int) -> None:
        point = list(self._point_um)
        point[self._axis] = self._bounds.low_um[self._axis] + (step + 0.5) * self._step_um
        self.moved.emit(zyx(point))


def _tool(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setToolTip(tip)
    return button
