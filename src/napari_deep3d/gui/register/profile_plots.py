"""Three small plots of what tells the shift, along z, y and x, with a marker that can be dragged."""

from __future__ import annotations

from functools import partial

import pyqtgraph as pg
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_deep3d.core import Vector
from napari_deep3d.core.registration.result import Curve, Registration
from napari_deep3d.gui.shared import Plot, stack_up

HEIGHT, AXIS_HEIGHT = 98, 32
LABEL_OVERHANG = 5
"""Pixels by which pyqtgraph draws an axis label below its axis."""
PSF_COLOUR, FILTERED_COLOUR, PLAIN_COLOUR = "#ff9d2e", "#9a9a9a", "#7f868f"
MARKER_COLOUR = "#4fa3ff"
LEGEND = (
    f'<span style="color:{PSF_COLOUR}">&#9644; blur between the stacks (PSF)</span><br>'
    f'<span style="color:{FILTERED_COLOUR}">&#9644; match of fine detail</span> &nbsp; '
    f'<span style="color:{PLAIN_COLOUR}">- - plain match</span><br>'
    f'<span style="color:{MARKER_COLOUR}">&#10074; the shift: drag it, or click in a plot</span>'
)
LEGEND_TIP = (
    "The highest point of the orange curve is the shift. One sharp peak can be trusted; several, or a flat curve, "
    "cannot. Grey: cross-correlation of both stacks, without (solid) and with (dashed) their out-of-focus haze."
)


class ProfilePlot(Plot):
    """One plot; its items are made once.

    Attributes
    ----------
    moved
        Signal, with the shift in um to which the marker was dragged or that was clicked.
    """

    moved = Signal(float)

    def __init__(self, axis: str) -> None:
        super().__init__(f"shift along {axis} (um)", HEIGHT)
        self.hideAxis("left")
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

    def show_curves(self, psf: Curve, filtered: Curve, plain: Curve, shift_um: float) -> None:
        """Show curves, and the marker at a shift."""
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
    """The plots of a registration.

    Attributes
    ----------
    moved
        Signal, with the axis (0, 1, 2 for Z, Y, X) and the shift in um along it that the user chose.
    """

    moved = Signal(int, float)

    def __init__(self) -> None:
        super().__init__()
        self.plots = [ProfilePlot(axis) for axis in "zyx"]
        legend = QLabel(LEGEND)
        legend.setWordWrap(True)
        legend.setToolTip(LEGEND_TIP)
        for axis, plot in enumerate(self.plots):
            plot.setToolTip(LEGEND_TIP)
            plot.moved.connect(partial(self.moved.emit, axis))
        stack_up(self, *self.plots, legend).setSpacing(2)

    def show_profiles(self, estimate: Registration, shift_um: Vector) -> None:
        """Show the profiles through the estimated peak, and the markers at a shift.

        They stay where they are when the peak is moved: each profile is scaled to its own largest value, so one
        through a place beside the peak would make noise look like peaks.
        """
        maps = (estimate.psf, estimate.filtered_correlation, estimate.plain_correlation)
        for axis, plot in enumerate(self.plots):
            psf, filtered, plain = (values.profile(axis, estimate.shift_um) for values in maps)
            plot.show_curves(psf, filtered, plain, shift_um[axis])
