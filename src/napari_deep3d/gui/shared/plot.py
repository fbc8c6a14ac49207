"""A small plot as it stands in a panel."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg

from napari_deep3d.gui.shared.widgets import let_wheel_scroll_panel

AXIS_COLOUR = "#9a9a9a"
"""Can be read on napari's dark and on its light theme."""
MIN_WIDTH = 100


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

    def __init__(self, label: str, height: int, **axes: Any) -> None:
        super().__init__(background=None, axisItems=axes)
        self.setFixedHeight(height)
        self.setMinimumWidth(MIN_WIDTH)
        self.setMenuEnabled(False)
        self.setMouseEnabled(x=False, y=False)
        self.hideButtons()
        let_wheel_scroll_panel(self.viewport())
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(AXIS_COLOUR)
            axis.setTextPen(AXIS_COLOUR)
            axis.setStyle(tickTextOffset=2, tickLength=-4)
        self.setLabel("bottom", label, **{"color": AXIS_COLOUR, "font-size": "8pt"})
