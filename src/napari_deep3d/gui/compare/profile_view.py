"""The profiles of all stacks along one line, with width and contrast of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget
from superqt.utils import QSignalThrottler

from napari_deep3d.core import InputError, Vector, zyx
from napari_deep3d.core.evaluation.profile import Profile
from napari_deep3d.gui.compare.roles import colours_of
from napari_deep3d.gui.compare.sections import Bounds
from napari_deep3d.gui.compare.stacks import ComparedStack
from napari_deep3d.gui.shared import Choice, Failed, LatestResult, Line, NumberField, Plot, legend_entry, stack_up
from napari_deep3d.gui.shared.curves import DASHED, DOTTED, SOLID

HEIGHT = 140
FIELD_WIDTH = 118
TELL_MS = 120
"""Time between two sets of numbers while the mouse moves."""
DRAWN = "line"
LINES = {
    "along z": 0,
    "along y": 1,
    "along x": 2,
    "drawn line": DRAWN,
}
STYLES = (
    (Qt.PenStyle.SolidLine, SOLID),
    (Qt.PenStyle.DashLine, DASHED),
    (Qt.PenStyle.DotLine, DOTTED),
)
TIP = (
    "FWHM is the full width at half maximum of the highest peak: half way down to the lowest point of the profile. "
    "Contrast is (highest - lowest) / (highest + lowest). Both are read from this one line, as estimates; "
    "the offset of a camera lowers the contrast."
)
WIDTH_TIP = "Intensities are averaged across the line over this width; 0 takes the line itself"
DRAW_FIRST = "Choose Profile line above the pictures and draw one."


class ProfileView(QWidget):
    """The choice of the line and its width, the plot, and the table below."""

    line_chosen = Signal()
    """Another kind of line, or width."""

    def __init__(self) -> None:
        super().__init__()
        self.profiles: dict[str, Profile] = {}
        self.line = Choice("Along which line the stacks are read: through the crosshair, or one that was drawn")
        self.line.fill(list(LINES.items()), 0)
        self.width_um = NumberField(0.0, 100.0, unit="um", decimals=2)
        self.width_um.setToolTip(WIDTH_TIP)
        self.width_um.setMinimumWidth(FIELD_WIDTH)
        self.line.currentIndexChanged.connect(self.line_chosen)
        self.width_um.valueChanged.connect(self.line_chosen)
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(QLabel("width"))
        row.addWidget(self.width_um)
        self.plot = Plot("along the line (um)", HEIGHT)
        self.plot.label_axis("left", "dark 0, bright 1")
        self.plot.setToolTip(TIP)
        self.curves: list[Any] = []
        self._looks: list[tuple[str, str]] = []  # title and colour of each curve
        self._length_um = 0.0
        self._telling = QSignalThrottler(parent=self)
        self._telling.setTimeout(TELL_MS)
        self._telling.triggered.connect(self._tell)
        self.table, self.problem = QLabel(), Line()
        self.table.setToolTip(TIP)
        self.table.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._later = LatestResult("Deep3D reads profiles", 10, self)
        self._later.ended.connect(self._on_read)
        self._stacks: list[ComparedStack] = []
        layout = stack_up(self, row, self.plot, self.table, self.problem)
        layout.setSpacing(4)
        layout.addStretch()

    def ends_um(
        self, bounds: Bounds, point_um: Vector, drawn_um: tuple[Vector, Vector] | None
    ) -> tuple[Vector, Vector] | None:
        """The line that is chosen: through all of the stacks at the crosshair, or as it was drawn; None if none is."""
        axis = self.line.currentData()
        if axis == DRAWN:
            return drawn_um if drawn_um is not None and drawn_um[0] != drawn_um[1] else None
        ends = []
        for edge in (bounds.low_um, bounds.high_um):
            end = list(point_um)
            end[axis] = edge[axis]
            ends.append(zyx(end))
        return ends[0], ends[1]

    def read(
        self, stacks: Sequence[ComparedStack], ends_um: tuple[Vector, Vector] | None, normal: int | None = None
    ) -> None:
        """Read and show the profiles along a line; at once where the voxels are at hand, else from a worker.

        ``normal`` is the axis across which the line was drawn: the width then lies in that section.
        """
        self._stacks = list(stacks)
        if ends_um is None:
            self._show({}, DRAW_FIRST if self.line.currentData() == DRAWN else "")
            return
        chosen, width = list(stacks), float(self.width_um.value())
        if all(stack.is_at_hand for stack in stacks):
            try:
                self._show(read_profiles(chosen, ends_um, width, normal))
            except InputError as error:
                self._show({}, str(error))
            return
        key = (tuple(id(stack) for stack in stacks), ends_um, width, normal)
        self._later.ask(key, lambda: read_profiles(chosen, ends_um, width, normal))

    def shut_down(self) -> None:
        """Drop what is being read, and show nothing."""
        self._later.shut_down()
        self._stacks = []
        self._show({})

    def _on_read(self, end: Any) -> None:
        if isinstance(end, Failed):
            self._show({}, end.sentence("Reading the profiles"))
        elif isinstance(end, dict):
            self._show(end)

    def _show(self, profiles: Mapping[str, Profile], problem: str = "") -> None:
        """Draw the curves at once, and tell the numbers as often as they can be read: texts cost more than curves."""
        self.profiles = dict(profiles)
        if problem != self.problem.text():
            self.problem.show_text(problem)
        self._set_up_curves(list(self.profiles))
        for curve, stack, profile in zip(self.curves, self._stacks, profiles.values(), strict=False):
            curve.setData(profile.distance_um, stack.shares(profile.values))
        length_um = max((float(profile.distance_um[-1]) for profile in profiles.values()), default=self._length_um)
        if length_um != self._length_um:
            self._length_um = length_um
            self.plot.setXRange(0, length_um, padding=0.01)
        self._telling.throttle()

    def _set_up_curves(self, titles: list[str]) -> None:
        """Give each stack a curve in its colour, where the stacks are others than before."""
        looks = list(zip(titles, colours_of(self._stacks), strict=False))
        if looks == self._looks:
            return
        self._looks = looks
        while len(self.curves) < len(looks):
            self.curves.append(self.plot.plot())
        for curve in self.curves[len(looks) :]:
            curve.setData([], [])
        for number, (_, colour) in enumerate(looks):
            self.curves[number].setPen(pg.mkPen(colour, width=2, style=STYLES[number % len(STYLES)][0]))

    def _tell(self) -> None:
        """Fill the table."""
        rows = [
            f"<tr><td>{legend_entry(colour, STYLES[number % len(STYLES)][1], escape(title))}</td>"
            f"<td align='right'>&nbsp; {_number(self.profiles[title].fwhm_um, '.2f')}</td>"
            f"<td align='right'>&nbsp; {_number(self.profiles[title].contrast, '.2f')}</td></tr>"
            for number, (title, colour) in enumerate(self._looks)
        ]
        unit = "um" if all(stack.has_um for stack in self._stacks) else "voxels"
        head = f"<tr><td></td><td>&nbsp; FWHM ({unit})</td><td>&nbsp; contrast</td></tr>"
        self.table.setText(f"<table cellspacing='0'>{head}{''.join(rows)}</table>" if rows else "")


def read_profiles(
    stacks: Sequence[ComparedStack], ends_um: tuple[Vector, Vector], width_um: float, normal: int | None
) -> dict[str, Profile]:
    """The profile of each stack, by its title."""
    start, end = np.array(ends_um[0]), np.array(ends_um[1])
    if normal is not None and start[normal] != end[normal]:
        normal = None
    return {stack.title: stack.profile(ends_um[0], ends_um[1], width_um, normal) for stack in stacks}


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"
