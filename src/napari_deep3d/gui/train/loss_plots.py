"""Live curves of a training: what it gets wrong while it learns, and on the test pairs."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtGui import QPen
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget
from superqt.utils import qthrottled

from napari_deep3d.core import Metrics
from napari_deep3d.gui.shared import Plot, curves, legend_entry, stack_up

REDRAW_MS = 100
HEIGHT, LEFT_AXIS_WIDTH, TOP_MARGIN = 118, 38, 6
"""Pixels; the margin is for the upper half of the topmost number."""
SYMBOL_SIZE = 6
FAR = 4.0
"""Times the largest error of the model."""
MIN_STEPS = 10
"""Along the axis, from the first step on: fewer would have fractions of steps between them."""


class CurveLook(NamedTuple):
    """What a curve is called in the legend, and how it is drawn."""

    text: str
    colour: str
    width: float = 1.5
    style: Qt.PenStyle = Qt.PenStyle.SolidLine

    def pen(self) -> QPen:
        """What it is drawn with."""
        pen: QPen = pg.mkPen(self.colour, width=self.width, style=self.style)
        return pen

    def entry(self, text: str = "") -> str:
        """Its entry in the legend, as HTML."""
        return legend_entry(self.colour, MARKS[self.style], text or self.text)


MARKS = {
    Qt.PenStyle.SolidLine: curves.SOLID,
    Qt.PenStyle.DashLine: curves.DASHED,
    Qt.PenStyle.DotLine: curves.DOTTED,
    Qt.PenStyle.DashDotLine: curves.DASH_DOTTED,
}
LEARNING = {
    "loss": CurveLook("sum", curves.BLUE, 2.5),
    "l1": CurveLook("difference", curves.ORANGE),
    "l2": CurveLook("squares", curves.ORANGE, style=Qt.PenStyle.DotLine),
    "correlation": CurveLook("likeness", curves.ORANGE, style=Qt.PenStyle.DashLine),
    "gan": CurveLook("realism", curves.PURPLE, style=Qt.PenStyle.DashDotLine),
    "vgg": CurveLook("texture", curves.GREEN, 2, Qt.PenStyle.DotLine),
    "cycle": CurveLook("there and back", curves.BLUE, style=Qt.PenStyle.DotLine),
    "blur": CurveLook("blur", curves.GREEN),
    "discriminator": CurveLook("critic", curves.GREY, style=Qt.PenStyle.DashLine),
}
"""The curves of the first plot, by the names of the metrics."""
TESTED_METRIC, TESTED = "validation_rmse", CurveLook("", curves.ORANGE, 2)
WIDEFIELD_METRIC, WIDEFIELD = "widefield_rmse", CurveLook("", curves.GREY, style=Qt.PenStyle.DashLine)
"""The curves of the second plot; the wide-field stacks have one error, before the first step."""
LEARNING_TIP = (
    "What the model gets wrong on the pairs it learns from: difference (L1), realism (GAN) and texture (VGG) add up to "
    "their sum, the thick curve. Sum and difference should go down, fast at first, then slowly; they stay rough. "
    "Realism and the critic (dashed) are opponents: if both stay level, all is well."
)
TESTED_TIP = (
    "Mean error (RMSE) on pairs that the model does not learn from, in parts of their brightness range; at step 0 that "
    "of the model it starts from. It should go down, and end below that and below the dashed line, the error of the "
    "wide-field stacks themselves. If it rises while the curves above still fall, the model learns its pairs by heart: "
    "stop, and add pairs. The best state is the one that is kept."
)


MARGIN_ABOVE = 1.15
"""The axis of errors ends so many times above the largest one."""


class LossPlots(QWidget):
    """Two plots; their items are made once and drawn anew at most ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._points: dict[str, tuple[list[int], list[float]]] = {}
        self.learning, self.tested = Plot("step", HEIGHT, left=_LogAxis("left")), Plot("step", HEIGHT)
        for plot in (self.learning, self.tested):
            plot.setDownsampling(auto=True, mode="peak")
            plot.getAxis("left").setWidth(LEFT_AXIS_WIDTH)
            plot.getPlotItem().layout.setContentsMargins(0, TOP_MARGIN, 0, 0)
        self.tested.setXLink(self.learning)
        self.curves = {}
        for name, look in LEARNING.items():
            self.curves[name] = self.learning.plot(pen=look.pen(), connect="finite", **_dots(look))
        self.learning.setLogMode(y=True)
        self.curves[WIDEFIELD_METRIC] = self.tested.plot(pen=WIDEFIELD.pen())
        self.curves[TESTED_METRIC] = self.tested.plot(pen=TESTED.pen(), symbol="o", **_dots(TESTED))
        self.legend, self.tested_legend = QLabel(), QLabel()
        for legend, plot, tip in (
            (self.legend, self.learning, LEARNING_TIP),
            (self.tested_legend, self.tested, TESTED_TIP),
        ):
            legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            legend.setWordWrap(True)
            legend.setToolTip(tip)
            plot.setToolTip(tip)
        stack_up(self, self.legend, self.learning, self.tested_legend, self.tested).setSpacing(2)
        self._redraw_soon = qthrottled(self.redraw, timeout=REDRAW_MS, leading=False, parent=self)
        self.clear()

    def add(self, metrics: Metrics) -> None:
        """Take note of a step's figures; the picture follows."""
        for name, value in metrics.values.items():
            if name in self.curves and np.isfinite(value):
                steps, values = self._points.setdefault(name, ([], []))
                steps.append(metrics.step)
                values.append(value)
        self._redraw_soon()

    def clear(self) -> None:
        """Forget all figures."""
        self._redraw_soon.cancel()
        self._points.clear()
        self.redraw()

    def redraw(self) -> None:
        """Show what there is."""
        last = max([MIN_STEPS, *(steps[-1] for steps, _ in self._points.values())])
        for name, curve in self.curves.items():
            steps, values = self._points.get(name, ([], []))
            if name == WIDEFIELD_METRIC and values:  # the same at each step
                steps, values = ([], []) if self._is_widefield_far() else ([0, last], [values[0], values[0]])
            shown = np.array(values, dtype=np.float64)
            if name in LEARNING:
                shown[shown <= 0] = np.nan  # the axis is logarithmic
                curve.setSymbol("o" if len(steps) == 1 else None)  # a line of one point is not seen
            curve.setData(np.array(steps, dtype=np.float64), shown)
        self.learning.setXRange(0, last, padding=0.02)
        self.tested.setYRange(0, self._largest_tested() or 1.0, padding=0)
        entries = [look.entry() for name, look in LEARNING.items() if name in self._points]
        self.legend.setText(" &nbsp; ".join(entries))
        self.tested_legend.setText(self._tested_text())
        has_tests = TESTED_METRIC in self._points or WIDEFIELD_METRIC in self._points
        self.tested.setVisible(has_tests)
        self.tested_legend.setVisible(has_tests)
        self.setVisible(bool(self._points))

    def _is_widefield_far(self) -> bool:
        """Whether the error of wide-field is so large that nothing could be seen of the curve beside it."""
        _, values = self._points.get(TESTED_METRIC, ([], []))
        return bool(values) and self._points[WIDEFIELD_METRIC][1][0] > FAR * max(values)

    def _largest_tested(self) -> float:
        """Upper end of the axis of errors, which begins at 0: a small change is to look small."""
        errors = [*self._points.get(TESTED_METRIC, ([], []))[1]]
        if WIDEFIELD_METRIC in self._points and not self._is_widefield_far():
            errors += self._points[WIDEFIELD_METRIC][1]
        return MARGIN_ABOVE * max(errors, default=0.0)

    def _tested_text(self) -> str:
        """The legend of the second plot, with the figures: before, now, and those of wide-field."""
        steps, values = self._points.get(TESTED_METRIC, ([], []))
        text = "RMSE on the test pairs"
        if values:
            before = f"before {values[0]:.3g}, " if steps[0] == 0 and len(steps) > 1 else ""
            text += f": {before}{'now' if steps[-1] else 'before'} {values[-1]:.3g}"
        entries = [legend_entry(TESTED.colour, curves.DOT, text)]
        if WIDEFIELD_METRIC in self._points:
            far = ", above the plot" if self._is_widefield_far() else ""
            error = self._points[WIDEFIELD_METRIC][1][0]
            entries.append(WIDEFIELD.entry(f"wide-field itself: {error:.3g}{far}"))
        return "<br>".join(entries)


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


def _dots(look: CurveLook) -> dict[str, Any]:
    return {"symbolBrush": look.colour, "symbolPen": None, "symbolSize": SYMBOL_SIZE}
