"""One stack as it is drawn: its sections, the crosshair, the line of the profile, a title and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, QRectF, Qt, Signal

from napari_deep3d.core import Vector
from napari_deep3d.gui.compare.sections import BAR_SHARE, CROSS_COLOUR, LINE_COLOUR, Bounds, Placement, nice_length
from napari_deep3d.gui.compare.stacks import ComparedStack, Section

BAR_PIXELS = 8, 14
"""Distance of the scale bar from the left and from the lower edge."""
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
        self.bar_text = pg.TextItem(color="w", anchor=(0, 1))
        self.title = pg.TextItem(anchor=(0, 0), fill=pg.mkBrush(0, 0, 0, 150))
        for item in (self.cross, self.line, self.ends, self.bar, self.bar_text, self.title):
            item.setZValue(10)
            self.addItem(item, ignoreBounds=True)
        self.sigRangeChanged.connect(self._place_marks)
        self.sigResized.connect(self._place_marks)
        self._unit = "um"

    def show_stack(self, stack: ComparedStack, colour: str, sections: int) -> None:
        """Draw another stack, in so many sections."""
        self.stack, self._unit = stack, "um" if stack.has_um else "voxels"
        self.title.setHtml(f'<span style="color:{colour}">&#9632;</span> <span style="color:#fff">{escape(stack.title)}')
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
        for image, section, placement in zip(self.images, sections, placements, strict=True):
            image.setVisible(section is not None)
            if section is not None:
                top, left, height, width = section.rectangle
                rectangle = QRectF(left + placement.shift[1], top + placement.shift[0], width, height)
                image.setImage(section.pixels, autoLevels=False, rect=rectangle)

    def show_cross(self, point_um: Vector, placements: Sequence[Placement], bounds: Bounds) -> None:
        """Draw the crosshair."""
        x, y = list[float](), list[float]()
        for placement in placements:
            row, column = placement.to_screen(point_um)
            top, left, bottom, right = placement.frame(bounds)
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
        """Keep title and scale bar in their corners."""
        (left, right), (top, bottom) = self.viewRange()
        across, down = self.viewPixelSize()
        self.title.setPos(left, top)
        length = nice_length(BAR_SHARE * (right - left))
        x, y = left + BAR_PIXELS[0] * across, bottom - BAR_PIXELS[1] * down
        self.bar.setData(np.array([x, x + length]), np.array([y, y]))
        self.bar_text.setText(f"{length:g} {self._unit}")
        self.bar_text.setPos(x - 4 * across, y)
