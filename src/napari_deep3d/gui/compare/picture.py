"""One stack as it is drawn: its sections, the crosshair, the line of the profile, a title and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QRectF, Qt, Signal

from napari_deep3d.core import Vector
from napari_deep3d.gui.compare.roles import DIFFERENCE
from napari_deep3d.gui.compare.sections import BAR_SHARE, CROSS_COLOUR, LINE_COLOUR, Bounds, Placement, nice_length
from napari_deep3d.gui.compare.stacks import TABLE_SIZE, ComparedStack, Section

SHADE = pg.mkBrush(0, 0, 0, 150)
"""Behind texts."""
BAR_PIXELS = 8, 10
"""Distance of the scale bar from the left and from the lower edge."""
SCALE_PIXELS = 190, 8
"""Width, at most, and height of the colours of a difference."""
SCALE_SHARE = 0.45
"""Of the width of a picture, at most, for these colours: the rest is the scale bar's."""
END_PIXELS = 9
"""So close to an end of the line the mouse takes hold of it."""


class Picture(pg.ViewBox):
    """The sections of one stack; all pictures are linked, so that they show the same place as large."""

    pressed = Signal(object, float, float)
    """The left button went down: the picture, row and column on the screen in um."""
    dragged = Signal(object, float, float)
    """The mouse went on with the button held."""

    def __init__(self) -> None:
        super().__init__(lockAspect=True, invertY=True, enableMenu=False)
        self.moves_view = False
        """Whether the left button moves the view, as the middle one always does."""
        self.stack: ComparedStack | None = None
        self.images: list[Any] = []
        self.cross = pg.PlotCurveItem(pen=pg.mkPen(CROSS_COLOUR, width=1), connect="pairs")
        self.line = pg.PlotCurveItem(pen=pg.mkPen(LINE_COLOUR, width=2), connect="pairs")
        self.ends = pg.ScatterPlotItem(size=8, pen=pg.mkPen(LINE_COLOUR), brush=None)
        self.bar = pg.PlotCurveItem(pen=pg.mkPen("w", width=3))
        self.bar_edge = pg.PlotCurveItem(pen=pg.mkPen("k", width=7))
        self.bar_text = pg.TextItem(color="w", anchor=(0, 0.5), fill=SHADE)
        self.scale = pg.ImageItem(np.arange(TABLE_SIZE, dtype=np.float32)[None], axisOrder="row-major")
        self.scale_text = pg.TextItem(color="w", anchor=(1, 1), fill=SHADE)
        self.title = pg.TextItem(anchor=(0, 0), fill=SHADE)
        self.names: list[Any] = []
        lines = (self.cross, self.line, self.ends, self.bar_edge, self.bar, self.scale)
        for item in (*lines, self.bar_text, self.scale_text, self.title):
            item.setZValue(10)
            self.addItem(item, ignoreBounds=True)
        self.sigRangeChanged.connect(self._place_marks)
        self.sigResized.connect(self._place_marks)
        self._unit, self._mark = "um", ""
        self._sections: list[tuple[Section | None, Placement]] = []
        self._drawn: list[tuple[int, int]] = []

    def show_stack(self, stack: ComparedStack, colour: str, sections: int) -> None:
        """Draw another stack, in so many sections."""
        self._sections, self._drawn = [], []
        self.stack, self._unit = stack, "um" if stack.has_um else "voxels"
        is_difference = stack.role == DIFFERENCE
        self._mark = "" if is_difference else f'<span style="color:{colour}">&#9632;</span> '
        self._show_title()
        self.scale.setVisible(is_difference)
        self.scale_text.setVisible(is_difference)
        self.scale.setLookupTable(stack.colours)
        self.scale_text.setText(f"{stack.limits[0]:.2g} darker    brighter {stack.limits[1]:.2g}")
        for image in self.images[sections:]:
            self.removeItem(image)
        del self.images[sections:]
        while len(self.images) < sections:
            self.images.append(pg.ImageItem(axisOrder="row-major"))
            self.addItem(self.images[-1], ignoreBounds=True)
        for image in self.images:
            image.setLookupTable(stack.colours)
            image.setLevels(stack.limits)
        self._place_marks()

    def show_sections(self, sections: Sequence[Section | None], placements: Sequence[Placement]) -> None:
        """Draw the pixels of the sections."""
        was_empty, self._sections = not self._sections, list(zip(sections, placements, strict=True))
        if was_empty:
            self._show_title()
        self._draw()

    def _show_title(self) -> None:
        """Say what is drawn, or that it is still being read or worked out."""
        name = "" if self.stack is None else self.stack.title
        waiting = "" if self._sections else " (being read)"
        self.title.setHtml(f'{self._mark}<span style="color:#fff">{escape(name)}{waiting}</span>')

    def _draw(self) -> None:
        """Draw every n-th pixel where that is all that the screen can show: it costs n x n times less."""
        self._drawn = self._thinning()
        for image, (section, placement), (n, m) in zip(self.images, self._sections, self._drawn, strict=True):
            image.setVisible(section is not None)
            if section is not None:
                top, left, height, width = section.rectangle
                rows, columns = section.pixels.shape
                pixels = section.pixels[::n, ::m]
                size = width * m * pixels.shape[1] / columns, height * n * pixels.shape[0] / rows
                rectangle = QRectF(left + placement.shift[1], top + placement.shift[0], *size)
                image.setImage(pixels, autoLevels=False, rect=rectangle)

    def _thinning(self) -> list[tuple[int, int]]:
        """Pixels of each section, down and across, that fall on one of the screen."""
        across, down = self.viewPixelSize()
        found = []
        for section, _ in self._sections:
            if section is None:
                found.append((1, 1))
                continue
            _, _, height, width = section.rectangle
            rows, columns = section.pixels.shape
            found.append((max(1, int(down * rows / height)), max(1, int(across * columns / width))))
        return found

    def show_cross(self, point_um: Vector, placements: Sequence[Placement], bounds: Bounds) -> None:
        """Draw the crosshair, and say of each section which it is."""
        while len(self.names) < len(placements):
            self.names.append(pg.TextItem(color=CROSS_COLOUR, anchor=(1, 1), fill=SHADE))
            self.names[-1].setZValue(10)
            self.addItem(self.names[-1], ignoreBounds=True)
        for name in self.names[len(placements) :]:
            name.setVisible(False)
        x, y = list[float](), list[float]()
        for name, placement in zip(self.names, placements, strict=False):
            row, column = placement.to_screen(point_um)
            top, left, bottom, right = placement.frame(bounds)
            name.setVisible(True)
            name.setText(placement.name)
            name.setPos(right, bottom)
            x += [left, right, column, column]
            y += [row, row, top, bottom]
        self.cross.setData(np.array(x), np.array(y))

    def show_line(self, line_um: tuple[Vector, Vector] | None, placements: Sequence[Placement]) -> None:
        """Draw the line of the profile, as it is seen along the normal of each section; none takes it away."""
        ends = [] if line_um is None else [p.to_screen(end) for p in placements for end in line_um]
        x, y = np.array([end[1] for end in ends]), np.array([end[0] for end in ends])
        self.line.setData(x, y)
        self.ends.setData(x, y)

    def is_near(self, row: float, column: float, place: tuple[float, float]) -> bool:
        """Whether two places on the screen are so close that the mouse means the same."""
        height, width = self.viewPixelSize()[1], self.viewPixelSize()[0]
        return bool(np.hypot((row - place[0]) / height, (column - place[1]) / width) <= END_PIXELS)

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802
        """Answer at once, not only when the button goes up."""
        if event.button() == Qt.MouseButton.LeftButton and not self.moves_view:
            self._tell(self.pressed, event.pos())
        super().mousePressEvent(event)

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802
        """Hand on where the mouse goes, or move the view."""
        if event.button() != Qt.MouseButton.LeftButton or self.moves_view:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        self._tell(self.dragged, event.pos())

    def _tell(self, signal: Any, place: QPointF) -> None:
        there = self.mapToView(pg.Point(place))
        signal.emit(self, float(there.y()), float(there.x()))

    def _place_marks(self, *_about: object) -> None:
        """Keep title and scale bar in their corners, and draw the pixels as finely as the screen shows them."""
        if self._drawn != self._thinning():
            self._draw()
        (left, right), (top, bottom) = self.viewRange()
        across, down = self.viewPixelSize()
        self.title.setPos(left, top)
        length = nice_length(BAR_SHARE * (right - left))
        x, y = left + BAR_PIXELS[0] * across, bottom - BAR_PIXELS[1] * down
        for line in (self.bar_edge, self.bar):
            line.setData(np.array([x, x + length]), np.array([y, y]))
        self.bar_text.setText(f"{length:g} {self._unit}")
        self.bar_text.setPos(x + length, y)
        right -= BAR_PIXELS[0] * across
        width = min(SCALE_PIXELS[0] * across, SCALE_SHARE * (right - left))
        height = SCALE_PIXELS[1] * down
        self.scale.setRect(QRectF(right - width, y - height / 2, width, height))
        self.scale_text.setPos(right, y - height)
