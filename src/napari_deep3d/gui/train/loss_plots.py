"""Live curves of a training: what it gets wrong while it learns, and on the test pairs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget
from superqt.utils import qthrottled

from napari_deep3d.core import Metrics
from napari_deep3d.gui.shared import Plot, stack_up

REDRAW_MS = 100
HEIGHT, LEFT_AXIS_WIDTH = 118, 38


class CurveLook(NamedTuple):
    """What a curve is called in the legend, and how it is drawn."""

    text: str
    colour: str
    width: float = 1.5
    is_dashed: bool = False


LEARNING = {
    "loss": CurveLook("together", "#56b4e9", 2.5),
    "l1": CurveLook("difference", "#e69f00"),
    "gan": CurveLook("realism", "#cc79a7"),
    "vgg": CurveLook("texture", "#00a078"),
    "discriminator": CurveLook("its critic", "#9a9a9a", is_dashed=True),
}
"""The curves of the first plot, by the names of the metrics; their colours can be told apart by the colour-blind."""
TESTED_METRIC, TESTED = "validation_rmse", CurveLook("error on the test pairs (RMSE)", "#e66100", 2)
"""The curve of the second plot."""
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
        self.learning, self.tested = Plot("step", HEIGHT, left=_LogAxis("left")), Plot("step", HEIGHT)
        for plot in (self.learning, self.tested):
            plot.setDownsampling(auto=True, mode="peak")
            plot.getAxis("left").setWidth(LEFT_AXIS_WIDTH)
        self.tested.setXLink(self.learning)
        self.tested.setLimits(yMin=0)
        self.curves = {}
        for name, curve in LEARNING.items():
            style = Qt.PenStyle.DashLine if curve.is_dashed else Qt.PenStyle.SolidLine
            pen = pg.mkPen(curve.colour, width=curve.width, style=style)
            self.curves[name] = self.learning.plot(pen=pen, connect="finite")
        self.learning.setLogMode(y=True)
        pen, dots = pg.mkPen(TESTED.colour, width=TESTED.width), {"symbolBrush": TESTED.colour, "symbolPen": None}
        self.curves[TESTED_METRIC] = self.tested.plot(pen=pen, symbol="o", symbolSize=6, **dots)
        self.legend, self.tested_legend = QLabel(), QLabel(_entry(TESTED, "&#9679;"))
        for legend, plot, tip in (
            (self.legend, self.learning, LEARNING_TIP),
            (self.tested_legend, self.tested, TESTED_TIP),
        ):
            legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
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
        for name, curve in self.curves.items():
            steps, values = self._points.get(name, ([], []))
            shown = np.array(values, dtype=np.float64)
            if name in LEARNING:
                shown[shown <= 0] = np.nan  # the axis is logarithmic
            curve.setData(np.array(steps, dtype=np.float64), shown)
        present = [look for name, look in LEARNING.items() if name in self._points]
        entries = [_entry(look, "- -" if look.is_dashed else "&#9644;") for look in present]
        self.legend.setText("<br>".join(" &nbsp; ".join(entries[i : i + 3]) for i in range(0, len(entries), 3)))
        has_tests = TESTED_METRIC in self._points
        self.tested.setVisible(has_tests)
        self.tested_legend.setVisible(has_tests)
        self.setVisible(bool(self._points))


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


def _entry(curve: CurveLook, mark: str) -> str:
    """An entry of a legend, as HTML."""
    return f'<span style="color:{curve.colour}">{mark} {curve.text}</span>'
