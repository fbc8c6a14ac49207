"""How close the stacks are to the confocal one: a table, and curves by depth, worked out beside the window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel, QProgressBar, QSizePolicy, QWidget

from napari_deep3d.core import Event, Progress
from napari_deep3d.gui.compare.measuring import Alone, Numbers, measure, measure_alone
from napari_deep3d.gui.compare.profile_view import STYLES
from napari_deep3d.gui.compare.roles import colours_of
from napari_deep3d.gui.compare.stacks import ComparedStack
from napari_deep3d.gui.shared import Choice, Failed, Line, Plot, Run, close_with, stack_up

HEIGHT = 124
REST_MS = 300
"""How long the choices must rest before the work begins."""
CURVES = {"rmse_fit": "RMSE", "ssim_fit": "SSIM"}
COLUMNS = ("RMSE", "SSIM", "x-y", "z")
NO_REFERENCE = "No confocal stack is ticked: what the stacks say by themselves. It does not say whether it is true."
TIP = (
    "RMSE: root of the mean squared difference, as a share of the reference's range of intensities (its 0.1st to "
    "99.9th percentile); smaller is closer. SSIM: structural similarity, windows of 7 voxels; 1 is equal. Each stack "
    "is brought to the reference's brightness by least squares first. Better values are bold. They are estimates for "
    "this one sample: they say how alike the stacks are, not whether a structure is real. Resolution: of each stack by "
    "itself, the smallest period that stands out from noise (decorrelation analysis); smaller is finer, true or not."
)
ALONE_TIP = (
    "Resolution: the smallest period that stands out from noise, by decorrelation analysis; smaller is finer. Contrast "
    "to noise: structures above their background, in its standard deviations. A network that draws fine structure "
    "scores well here, true or not: judge by eye, in x-z, beside the wide-field stack."
)


class NumbersView(QWidget):
    """The table, the curves, and how far the work is."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: Numbers | Alone | None = None
        self.about, self.table, self.bar = Line(), QLabel(), QProgressBar()
        self.table.setToolTip(TIP)
        self.table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.bar.setRange(0, 100)
        self.bar.setFormat("measuring, %p %")
        self.kind = Choice("What is drawn against the depth")
        self.kind.fill([(f"{name} by depth", field) for field, name in CURVES.items()], "rmse_fit")
        self.kind.currentIndexChanged.connect(self._draw)
        self.plot = Plot("z (um)", HEIGHT)
        self.plot.setToolTip(TIP)
        self.curves: list[Any] = []
        self._stacks: list[ComparedStack] = []
        self._reference: ComparedStack | None = None
        self._key: object = None
        self._runs = set[Run]()
        close_with(self, self._runs)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._start)
        layout = stack_up(self, self.about, self.bar, self.table, self.kind, self.plot)
        layout.setSpacing(4)
        layout.addStretch()
        self._show()

    @property
    def is_busy(self) -> bool:
        """Whether it is being measured."""
        return self._rest.isActive() or bool(self._runs)

    def show_stacks(self, stacks: Sequence[ComparedStack], reference: ComparedStack | None) -> None:
        """Measure these stacks against a reference or, without one, by themselves, unless that is done or under way."""
        key = tuple(stack.key for stack in [*stacks, reference] if stack is not None)
        if key == self._key and (reference is None) == (self._reference is None):
            return
        self._drop()
        self._key, self._stacks, self._reference, self.numbers = key, list(stacks), reference, None
        if stacks:
            self._rest.start()
        self._show()

    def shut_down(self) -> None:
        """Stop what runs and show nothing."""
        self._drop()
        self._key, self._stacks, self._reference, self.numbers = None, [], None, None
        self._show()

    def _drop(self) -> None:
        self._rest.stop()
        for run in self._runs:
            run.close(0)
        self._runs.clear()

    def _start(self) -> None:
        if self._reference is None:
            run = Run("Deep3D measures stacks", partial(measure_alone, self._stacks))
        else:
            run = Run("Deep3D measures stacks", partial(measure, self._stacks, self._reference))
        run.happened.connect(self._on_event)
        run.ended.connect(self._on_ended)
        self._runs.add(run)
        self.bar.setValue(0)
        self._show()
        run.start()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Progress):
            self.bar.setValue(round(100 * event.fraction))

    def _on_ended(self, end: Any) -> None:
        self._runs.clear()
        self.numbers = end if isinstance(end, Numbers | Alone) else None
        self._show(end.sentence("Measuring") if isinstance(end, Failed) else "")

    def _show(self, problem: str = "") -> None:
        numbers = self.numbers
        self.bar.setVisible(self.is_busy)
        self.table.setVisible(numbers is not None)
        for widget in (self.kind, self.plot):
            widget.setVisible(isinstance(numbers, Numbers))
        self.table.setToolTip(ALONE_TIP if self._reference is None else TIP)
        if numbers is None:
            self.about.show_text(problem or (f"Measuring against {self._reference.title}." if self._reference else ""))
        elif isinstance(numbers, Alone):
            self.about.show_text(NO_REFERENCE)
            self._show_alone(numbers)
        else:
            self._show_numbers(numbers)

    def _show_alone(self, alone: Alone) -> None:
        names = list(next(iter(alone.figures.values()), {}))
        titles = "".join(f"<td align='right'>&nbsp;&nbsp; {escape(title)}</td>" for title in alone.figures)
        rows = "".join(
            f"<tr><td>{name}</td>{''.join(_cell(each[name]) for each in alone.figures.values())}</tr>" for name in names
        )
        self.table.setText(f"<table cellspacing='0'><tr><td></td>{titles}</tr>{rows}</table>")

    def _show_numbers(self, numbers: Numbers) -> None:
        part = "" if numbers.share > 0.995 else f", on {numbers.share:.0%} of its voxels"
        about = f"Against {numbers.reference}, after the best scale and offset{part}. Estimates."
        self.about.show_text(f"{about} x-y, z: resolution, um.")
        scores = [measured.agreement.score for measured in numbers.measured]
        best = (min((s.rmse_fit for s in scores), default=0), max((s.ssim_fit for s in scores), default=0))
        rows = [
            (measured.title, f"{_cell(score.rmse_fit, best[0])}{_cell(score.ssim_fit, best[1])}")
            for measured, score in zip(numbers.measured, scores, strict=True)
        ]
        rows.append((numbers.reference, 2 * _cell(float("nan"))))
        head = "".join(f"<td align='right'>&nbsp;&nbsp; {name}</td>" for name in COLUMNS)
        body = "".join(f"<tr><td>{escape(title)}</td>{told}{_resolution(numbers, title)}</tr>" for title, told in rows)
        self.table.setText(f"<table cellspacing='0'><tr><td></td>{head}</tr>{body}</table>")
        self._draw()

    def _draw(self, _index: int = 0) -> None:
        if not isinstance(self.numbers, Numbers):
            return
        field = self.kind.currentData()
        self.plot.label_axis("left", CURVES[field])
        colours = colours_of(self._stacks)
        while len(self.curves) < len(self.numbers.measured):
            self.curves.append(self.plot.plot())
        for curve in self.curves[len(self.numbers.measured) :]:
            curve.setData([], [])
        for number, measured in enumerate(self.numbers.measured):
            values = getattr(measured.agreement.by_plane, field)
            kept = np.isfinite(values)
            pen = pg.mkPen(colours[number], width=2, style=STYLES[number % len(STYLES)][0])
            self.curves[number].setPen(pen)
            self.curves[number].setData(measured.depth_um[kept], values[kept])


def _resolution(numbers: Numbers, title: str) -> str:
    """The cells of a stack's resolution in x-y and z, in um."""
    figures = list(numbers.alone.figures.get(title, {}).values())[:2]
    return "".join(f"<td align='right'>&nbsp;&nbsp; {f'{um:.2f}' if np.isfinite(um) else '-'}</td>" for um in figures)


def _cell(value: float, best: float | None = None) -> str:
    text = f"{value:.3f}" if np.isfinite(value) else "-"
    return f"<td align='right'>&nbsp;&nbsp; {f'<b>{text}</b>' if value == best else text}</td>"
