"""Reads out a registration in words and plots, and lets a person move its shift."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pyqtgraph as pg
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QApplication, QGridLayout, QLabel, QPushButton, QWidget

from napari_deep3d.gui.register.adjustment import AdjustedRegistration
from napari_deep3d.gui.shared import AMBER, RED, Line, Plot, curves, legend_entry, stack_up

HEIGHT, AXIS_HEIGHT = 98, 32
LABEL_OVERHANG = 5
"""Pixels by which pyqtgraph draws an axis label below its axis."""
PSF_COLOUR, FILTERED_COLOUR, PLAIN_COLOUR = curves.ORANGE, curves.GREEN, curves.GREY
MARKER_COLOUR = curves.BLUE
MARKER = "&#10074;"
LEGEND = "<br>".join(
    (
        legend_entry(PSF_COLOUR, curves.SOLID, "blur between the stacks (PSF)"),
        f"{legend_entry(FILTERED_COLOUR, curves.SOLID, 'match of fine detail')} &nbsp; "
        f"{legend_entry(PLAIN_COLOUR, curves.DASHED, 'plain match')}",
        legend_entry(MARKER_COLOUR, MARKER, "the shift: drag it, or click in a plot"),
    )
)
LEFT_AXIS_WIDTH = 18
LEGEND_TIP = (
    "How well each shift explains the pair, from 0 to the best. The highest point of the orange curve, the blur "
    "between the stacks, is the shift. One sharp peak can be trusted; several, or a flat curve, cannot. For comparison "
    "the cross-correlation of both stacks, without (green) and with (dashed) their out-of-focus haze."
)
NO_PROFILES = "Read from a file, which keeps no profiles; estimate the shift to see them."
NUDGES = (
    ("← x", "Left", 2, -1),
    ("x →", "Right", 2, 1),
    ("↑ y", "Up", 1, -1),
    ("y ↓", "Down", 1, 1),
    ("↑ z", "PgUp", 0, -1),
    ("z ↓", "PgDown", 0, 1),
)
"""Text, key, axis (0, 1, 2 for Z, Y, X) and direction; y grows downwards on the screen, z does in x-z."""
FINE_NUDGE = 0.1
"""Wide-field voxels while Shift is held, instead of one."""
NUDGE_TIP = "Move the confocal stack by one wide-field voxel, with Shift by a tenth of it"


class NudgeButtons(QWidget):
    """Six buttons that move the shift in small steps, and the same by keys while ``key_area`` has the focus."""

    nudged = Signal(int, float)  # the axis (0, 1, 2 for Z, Y, X) and the step in wide-field voxels

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
    """The shift in words, the plots, and what moves it."""

    adjusted = Signal(object)  # the AdjustedRegistration as the user moved it

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
        self.back_button.setToolTip("Forget what was moved by hand")
        self.back_button.clicked.connect(lambda: self._adjust(AdjustedRegistration.unadjusted))
        lines = (self.shift, self.refusal, self.notices, self.no_profiles)
        stack_up(self, *lines, self.plots, self.nudge, self.back_button)

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
            self.plots.show_profiles(adjusted)
        self.back_button.setEnabled(adjusted.is_adjusted)

    def _adjust(self, change: Callable[[AdjustedRegistration], AdjustedRegistration]) -> None:
        if self._shown is not None:
            self.show_registration(change(self._shown))
            self.adjusted.emit(self._shown)


class ProfilePlot(Plot):
    """The profiles along one axis (0, 1, 2 for Z, Y, X); the plot's items are made once."""

    moved = Signal(float)  # the shift in um to which the marker was dragged or that was clicked

    def __init__(self, axis: int) -> None:
        super().__init__(f"shift along {'zyx'[axis]} (um)", HEIGHT)
        self._axis = axis
        left = self.getAxis("left")
        left.setStyle(showValues=False, tickLength=0)
        left.setWidth(LEFT_AXIS_WIDTH)
        self.label_axis("left", "match")
        bottom = self.getAxis("bottom")
        bottom.setStyle(tickTextOffset=1)
        bottom.setHeight(AXIS_HEIGHT)
        self.getPlotItem().layout.setContentsMargins(0, 0, 0, LABEL_OVERHANG)
        self.plain = self.plot(pen=pg.mkPen(PLAIN_COLOUR, width=1, style=Qt.PenStyle.DashLine))
        self.filtered = self.plot(pen=pg.mkPen(FILTERED_COLOUR, width=1.5))
        self.psf = self.plot(pen=pg.mkPen(PSF_COLOUR, width=2.5))
        self.marker = pg.InfiniteLine(
            angle=90, movable=True, pen=pg.mkPen(MARKER_COLOUR, width=2), hoverPen=pg.mkPen(MARKER_COLOUR, width=4)
        )
        self.addItem(self.marker)
        self.marker.sigDragged.connect(lambda line: self.moved.emit(float(line.value())))
        self.scene().sigMouseClicked.connect(self._on_click)

    def show_profiles(self, adjusted: AdjustedRegistration) -> None:
        """Show the profiles through the estimated peak, and the marker at the shift as it stands."""
        # The profiles stay when the peak is moved: each is scaled to its own largest value, so one through a place
        # beside the peak would make noise look like peaks.
        estimate, shift_um = adjusted.estimate, adjusted.registration.shift_um[self._axis]
        maps = (estimate.psf, estimate.filtered_correlation, estimate.plain_correlation)
        psf, filtered, plain = (values.profile(self._axis, estimate.shift_um) for values in maps)
        for item, curve in ((self.psf, psf), (self.filtered, filtered), (self.plain, plain)):
            item.setData(curve.shift_um, curve.values)
        ends = (min(float(psf.shift_um[0]), shift_um), max(float(psf.shift_um[-1]), shift_um))
        self.marker.setBounds(ends)
        self.marker.setValue(shift_um)
        self.setXRange(*ends, padding=0.02)
        lowest = min(float(curve.values.min()) for curve in (psf, filtered, plain))
        self.setYRange(min(0.0, lowest), 1.0, padding=0.08)

    def _on_click(self, event: MouseClickEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.moved.emit(float(self.getViewBox().mapSceneToView(event.scenePos()).x()))


class ProfilePlots(QWidget):
    """What tells the shift, along z, y and x, with a marker in each plot that can be dragged."""

    moved = Signal(int, float)  # the axis (0, 1, 2 for Z, Y, X) and the shift in um along it that the user chose

    def __init__(self) -> None:
        super().__init__()
        self.plots = [ProfilePlot(axis) for axis in range(3)]
        legend = QLabel(LEGEND)
        legend.setWordWrap(True)
        legend.setToolTip(LEGEND_TIP)
        for axis, plot in enumerate(self.plots):
            plot.setToolTip(LEGEND_TIP)
            plot.moved.connect(partial(self.moved.emit, axis))
        stack_up(self, *self.plots, legend).setSpacing(2)

    def show_profiles(self, adjusted: AdjustedRegistration) -> None:
        """Show the profiles of a registration, and its shift."""
        for plot in self.plots:
            plot.show_profiles(adjusted)
