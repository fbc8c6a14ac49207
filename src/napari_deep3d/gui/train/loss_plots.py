"""Live curves of a training: what it gets wrong while it learns, and on the test pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_deep3d.core.events import Metrics

REDRAW_MS = 100
HEIGHT = 118
AXIS_COLOUR = "#9a9a9a"
LEARNING: dict[str, tuple[str, str, float]] = {
    "loss": ("together", "#56b4e9", 2.5),
    "l1": ("difference", "#e69f00", 1.5),
    "gan": ("realism", "#cc79a7", 1.5),
    "vgg": ("texture", "#00a078", 1.5),
    "discriminator": ("its critic", "#9a9a9a", 1.5),
}
"""What the curves of the first plot mean, their colours (told apart by the colour-blind) and widths."""
TESTED = ("validation_rmse", "error on the test pairs (RMSE)", "#e66100")
LEARNING_TIP = (
    "What the model gets wrong on the pairs it learns from: difference (L1), realism (GAN) and texture (VGG) add up to "
    "the blue curve. Blue and orange should go down, fast at first, then slowly; they stay rough. Realism and the "
    "critic (dashed) are opponents: if both stay level, all is well."
)
TESTED_TIP = (
    "Mean error on pairs that the model does not learn from, in parts of their brightness range. It should go down. "
    "If it rises while the curves above still fall, the model learns its pairs by heart: stop, and add pairs. The best "
    "state is the one that is kept."
)


class LossPlots(QWidget):
    """Two plots; their items are made once and drawn anew at most ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._points: dict[str, tuple[list[int], list[float]]] = {}
        self.learning, self.tested = _plot(left=_LogAxis("left")), _plot()
        self.tested.setXLink(self.learning)
        self.tested.setLimits(yMin=0)
        self.curves = {name: self.learning.plot(pen=_pen(name), connect="finite") for name in LEARNING}
        self.learning.setLogMode(y=True)
        name, _, colour = TESTED
        self.curves[name] = self.tested.plot(
            pen=pg.mkPen(colour, width=2), symbol="o", symbolSize=6, symbolBrush=colour, symbolPen=None
        )
        self.legend, self.tested_legend = _label(), _label()
        self.tested_legend.setText(_entry(colour, "&#9679;", TESTED[1]))
        for widget, tip in (
            *((w, LEARNING_TIP) for w in (self.learning, self.legend)),
            *((w, TESTED_TIP) for w in (self.tested, self.tested_legend)),
        ):
            widget.setToolTip(tip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for widget in (self.legend, self.learning, self.tested_legend, self.tested):
            layout.addWidget(widget)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REDRAW_MS)
        self._timer.timeout.connect(self.redraw)
        self.clear()

    def add(self, metrics: Metrics) -> None:
        """Take note of a step's figures; the picture follows."""
        for name, value in metrics.values.items():
            if name in self.curves and np.isfinite(value):
                steps, values = self._points.setdefault(name, ([], []))
                steps.append(metrics.step)
                values.append(value)
        if not self._timer.isActive():
            self._timer.start()

    def clear(self) -> None:
        """Forget all figures."""
        self._timer.stop()
        self._points.clear()
        self.redraw()

    def redraw(self) -> None:
        """Show what there is."""
        for name, curve in self.curves.items():
            steps, values = self._points.get(name, ([], []))
            shown = np.array(values, dtype=np.float64)
            if name in LEARNING:
                shown[shown <= 0] = np.nan  # the axis is logarithmic
            curve.setData(np.array(steps, dtype=np.float64), shown)
        present = [name for name in LEARNING if name in self._points]
        entries = [_entry(LEARNING[name][1], _mark(name), LEARNING[name][0]) for name in present]
        self.legend.setText("<br>".join(" &nbsp; ".join(entries[i : i + 3]) for i in range(0, len(entries), 3)))
        has_tests = TESTED[0] in self._points
        self.tested.setVisible(has_tests)
        self.tested_legend.setVisible(has_tests)
        self.setVisible(bool(self._points))


def _plot(**axes: pg.AxisItem) -> pg.PlotWidget:
    plot = _Plot(background=None, axisItems=axes)
    plot.setFixedHeight(HEIGHT)
    plot.setMinimumWidth(100)
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(x=False, y=False)
    plot.hideButtons()
    plot.setDownsampling(auto=True, mode="peak")
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(AXIS_COLOUR)
        axis.setTextPen(AXIS_COLOUR)
        axis.setStyle(tickTextOffset=2, tickLength=-4)
    plot.getAxis("left").setWidth(38)
    plot.setLabel("bottom", "step", **{"color": AXIS_COLOUR, "font-size": "8pt"})
    return plot


class _Plot(pg.PlotWidget):
    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        """Scroll the panel, not the plot."""
        event.ignore()


class _LogAxis(pg.AxisItem):
    """Few ticks, so that they can be read; positions are powers of ten."""

    def tickValues(self, low: float, high: float, _size: float) -> list[tuple[float, list[float]]]:  # noqa: N802
        """Decades, and 2 and 5 between where few decades are seen."""
        marks = (1,) if high - low > 2 else (1, 2, 5) if high - low < 1 else (1, 3)
        places = [power + math.log10(mark) for power in range(math.floor(low), math.ceil(high)) for mark in marks]
        return [(1.0, [place for place in places if low <= place <= high])]

    def tickStrings(self, values: list[float], _scale: float, _spacing: float) -> list[str]:  # noqa: N802
        """Return the numbers."""
        return [f"{10**value:.2g}" for value in values]


def _pen(name: str) -> Any:
    _, colour, width = LEARNING[name]
    style = Qt.PenStyle.DashLine if name == "discriminator" else Qt.PenStyle.SolidLine
    return pg.mkPen(colour, width=width, style=style)


def _mark(name: str) -> str:
    return "- -" if name == "discriminator" else "&#9644;"


def _entry(colour: str, mark: str, text: str) -> str:
    return f'<span style="color:{colour}">{mark} {text}</span>'


def _label() -> QLabel:
    label = QLabel()
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label
