"""What all stacks hold at one place."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from qtpy.QtWidgets import QLabel, QSizePolicy
from superqt.utils import QSignalThrottler

from napari_deep3d.core import Vector
from napari_deep3d.gui.compare.profile_view import TELL_MS
from napari_deep3d.gui.compare.roles import DIFFERENCE
from napari_deep3d.gui.compare.sections import AXES
from napari_deep3d.gui.compare.stacks import ComparedStack

TIP = (
    "What each stack holds at the place under the mouse, else at the crosshair; beside it, where that lies "
    "between the darkest (0) and the brightest (1) that its picture shows"
)
NOTHING = "-"


class Readout(QLabel):
    """A table: title, value, and the value between the limits of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Sequence[ComparedStack], Vector] = ((), (0.0, 0.0, 0.0))
        self._telling = QSignalThrottler(parent=self)
        self._telling.setTimeout(TELL_MS)
        self._telling.triggered.connect(self._tell)
        self.setToolTip(TIP)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.hide()

    def show_values(self, stacks: Sequence[ComparedStack], point_um: Vector) -> None:
        """Show what stacks hold at a point; none hides the table."""
        if self.isHidden() == bool(stacks):
            self.setVisible(bool(stacks))
        self._shown = stacks, point_um
        self._telling.throttle()

    def _tell(self) -> None:
        """Write it, no more often than it can be read."""
        stacks, point_um = self._shown
        rows = []
        for stack in stacks:
            value, share = stack.value_at(point_um), NOTHING
            text = NOTHING
            if value is not None:
                text = f"{value:.0f}" if np.issubdtype(stack.data.dtype, np.integer) else f"{value:.4g}"
                share = NOTHING if stack.role == DIFFERENCE else f"{float(stack.shares(np.array(value))):.2f}"
            rows.append(
                f"<tr><td>{escape(stack.title)}</td><td align='right'>&nbsp;&nbsp;<b>{text}</b></td>"
                f"<td align='right'>&nbsp;&nbsp;{share}</td></tr>"
            )
        unit = "um" if all(stack.has_um for stack in stacks) else "voxels"
        place = ", ".join(f"{name} {value:.2f}" for name, value in zip(AXES, point_um, strict=True))
        self.setText(f"{place} {unit}<table cellspacing='0'>{''.join(rows)}</table>")
