"""Looks at a training's test region: the newest picture, or an earlier one by the slider."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import Preview
from napari_deep3d.gui.shared import Choice, stack_up
from napari_deep3d.gui.train.preview import PreviewView

if TYPE_CHECKING:
    from napari import Viewer

MAX_PICTURES = 60
"""Pictures that are kept in memory."""
SHOW, HIDE, CLOSE = "Show preview", "Hide preview", "Close preview"
SECTIONS = [("x-z (depth)", "x-z"), ("x-y", "x-y")]


class PreviewPanel(QWidget):
    """A slider through the steps, the section, and a button that shows or hides the preview."""

    entered = Signal()  # the preview is about to be shown; other views should leave first

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.view = PreviewView(viewer)
        self.view.left.connect(self._on_left)
        self._pictures: list[Preview] = []
        self._run: Path | None = None
        self._is_wanted = self._is_live = False
        self.step = QLabel()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Go back through the steps; at the right end it follows the training")
        self.slider.valueChanged.connect(self._on_slider)
        self.section = Choice("The section that is seen: x-z shows the depth")
        self.section.fill(SECTIONS, "x-z")
        self.section.currentIndexChanged.connect(self._show_picture)
        self.button = QPushButton(SHOW)
        self.button.clicked.connect(self._on_button)
        row = QHBoxLayout()
        row.addWidget(self.section)
        row.addWidget(self.button)
        stack_up(self, self.step, self.slider, row)
        self._refresh()

    @property
    def steps(self) -> list[int]:
        """The steps of which there is a picture."""
        return [picture.step for picture in self._pictures]

    def begin(self, run: Path, steps_done: int = 0) -> None:
        """Show the pictures of a run as they come; of those that there are, keep its own, up to ``steps_done``."""
        pictures = self._pictures if run == self._run else []
        self.drop()
        self._run, self._pictures = run, [picture for picture in pictures if picture.step <= steps_done]
        last = max(0, len(self._pictures) - 1)
        with signals_blocked(self.slider):
            self.slider.setRange(0, last)
            self.slider.setValue(last)
        self._is_wanted = self._is_live = True
        self._refresh()

    def end(self) -> None:
        """No more pictures come."""
        self._is_live = False
        self._refresh()

    def add(self, preview: Preview) -> None:
        """Take a new picture; it is shown unless the user went back or away."""
        follows = self.slider.value() >= len(self._pictures) - 1
        seen = self.steps[self.slider.value()] if self._pictures else preview.step
        if self._pictures and self._pictures[0].widefield.shape == preview.widefield.shape:
            first = self._pictures[0]  # the region stays: only the prediction takes memory
            preview = replace(preview, widefield=first.widefield, confocal=first.confocal)
        self._pictures = thinned([*self._pictures, preview])
        nearest = int(np.argmin([abs(step - seen) for step in self.steps]))
        with signals_blocked(self.slider):
            self.slider.setRange(0, len(self._pictures) - 1)
            self.slider.setValue(self.slider.maximum() if follows else nearest)
        if self.view.is_active or (self._is_wanted and self.isVisibleTo(self.window())):
            self._show()
        self._refresh()

    def leave(self) -> None:
        """Put the view back as it was; the pictures stay, to be shown again."""
        self._is_wanted = False
        self.view.leave()
        self._refresh()

    def drop(self) -> None:
        """Put the view back, and forget the pictures, so that their memory is free again."""
        self.leave()
        self._pictures = []
        self._refresh()

    def _show(self) -> None:
        if not self.view.is_active:
            self.entered.emit()
        self._is_wanted = True
        self._show_picture()

    def _show_picture(self, _index: int = 0) -> None:
        if self._pictures and (self._is_wanted or self.view.is_active):
            self.view.show(self._pictures[self.slider.value()], self.section.currentData())
        self._refresh()

    def _on_slider(self, _value: int) -> None:
        if self.view.is_active:
            self._show_picture()
        self._refresh()

    def _on_button(self) -> None:
        if not self.view.is_active:
            self._show()
        elif self._is_live:
            self.leave()
        else:
            self.drop()

    def _on_left(self) -> None:
        self._is_wanted = False
        self._refresh()

    def _refresh(self) -> None:
        self.setVisible(bool(self._pictures))
        if self._pictures:
            newest = " (newest)" if self.slider.value() == len(self._pictures) - 1 else ""
            step = self.steps[self.slider.value()]
            self.step.setText(f"Test region {f'at step {step}' if step else 'before the first step'}{newest}")
        self.slider.setEnabled(len(self._pictures) > 1)
        self.button.setText((HIDE if self._is_live else CLOSE) if self.view.is_active else SHOW)


def thinned(pictures: list[Preview]) -> list[Preview]:
    """The pictures, or, where they are too many, those without the ones that are least missed.

    The first and the newest stay always; what is left lies about evenly over the steps.
    """
    kept = list(pictures)
    while len(kept) > MAX_PICTURES:
        gaps = [after.step - before.step for before, after in zip(kept, kept[2:], strict=False)]
        kept.pop(1 + gaps.index(min(gaps)))
    return kept
