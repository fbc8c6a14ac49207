"""The pictures of all ticked stacks, linked: one zoom, one crosshair, one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import pyqtgraph as pg
from qtpy.QtCore import QRectF, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication, QWidget

from napari_deep3d.core import Vector
from napari_deep3d.gui.compare.picture import Picture
from napari_deep3d.gui.compare.roles import DIFFERENCE, colours_of
from napari_deep3d.gui.compare.sections import Bounds, Placement, View, extent, lay_out, section_at
from napari_deep3d.gui.compare.stacks import ComparedStack, Section
from napari_deep3d.gui.compare.view_tools import SectionSlider, ViewTools
from napari_deep3d.gui.shared import LatestResult, stack_up

MARGIN = 0.02
REST_MS = 40
"""How long the mouse must rest before what takes longer is drawn."""


class SectionsView(QWidget):
    """Pictures side by side, with what the mouse does above and a slider below.

    Attributes
    ----------
    stacks : list of ComparedStack
    point_um : tuple of float
        Where the crosshair is.
    line_um : pair of tuple of float, or None
        The ends of the line that was drawn.
    line_normal : int or None
        The axis (0, 1, 2 for Z, Y, X) across which it was drawn; None once its ends were moved in different sections.
    """

    point_moved = Signal()
    line_moved = Signal()
    hovered = Signal(object)
    """The point in space under the mouse, or None."""
    left = Signal()
    """The user wants the normal view back."""

    def __init__(self) -> None:
        super().__init__()
        self.stacks: list[ComparedStack] = []
        self.point_um: Vector = (0.0, 0.0, 0.0)
        self.line_um: tuple[Vector, Vector] | None = None
        self.line_normal: int | None = None
        self._view: View = "x-z"
        self._bounds = Bounds((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        self._placements: tuple[Placement, ...] = ()
        self._held: tuple[Placement, int] | None = None  # where the mouse went down, and which end of the line it has
        self._due = set[str]()  # what is to be drawn soon
        self._columns, self._is_fitted = 1, True
        self._single: int | None = None  # which stack is on show, where it is one at a time
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.setInterval(REST_MS)
        self._resting.timeout.connect(self._read_rest)
        self._later = LatestResult("Deep3D reads sections", 0, self)
        self._later.ended.connect(self._on_read)

        self.tools, self.slider = ViewTools(), SectionSlider()
        self.tools.chosen.connect(self._on_tool)
        self.tools.fit.connect(self.fit)
        self.tools.left.connect(self.left)
        self.tools.single.connect(self._on_single)
        self.tools.next.connect(self._on_next)
        self.slider.moved.connect(self.set_point)
        self.graphics = pg.GraphicsView(background="k")
        self._layout = pg.GraphicsLayout(border=None)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self.graphics.setCentralItem(self._layout)
        self.graphics.scene().sigMouseMoved.connect(self._on_hover)
        self.pictures: list[Picture] = []

        layout = stack_up(self, self.tools, self.graphics, self.slider)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setStretch(1, 1)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)

    @property
    def is_active(self) -> bool:
        """Whether stacks are shown."""
        return bool(self.stacks)

    @property
    def shown(self) -> list[ComparedStack]:
        """The stacks that have a picture now: all, or one at a time."""
        return self.stacks if self._single is None else [self.stacks[self._single % len(self.stacks)]]

    @property
    def columns(self) -> int:
        """Pictures in a row."""
        return self._columns

    @property
    def view(self) -> View:
        """Which sections are shown."""
        return self._view

    @property
    def bounds(self) -> Bounds:
        """The box that holds all stacks."""
        return self._bounds

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The sections on the screen."""
        return self._placements

    def show_stacks(self, stacks: Sequence[ComparedStack], view: View, *, is_new: bool = False) -> None:
        """Show these stacks in these sections; zoom and place stay where these do, unless it ``is_new``."""
        self.stacks = list(stacks)
        is_new = is_new or (view, len(self.shown)) != (self._view, len(self.pictures))
        self._view = view
        bounds = Bounds.around([stack.bounds for stack in stacks])
        is_new, self._bounds = is_new or bounds != self._bounds, bounds
        self._placements = lay_out(view, bounds)
        self.point_um = bounds.nearest(self.point_um)
        if is_new:
            self._arrange()
        colours = dict(zip(stacks, colours_of(stacks), strict=True))
        for picture, stack in zip(self.pictures, self.shown, strict=True):
            picture.show_stack(stack, colours[stack], len(self._placements))
        axis = self._placements[0].normal if len(self._placements) == 1 else None
        step_um = min(stack.spacing_um[axis or 0] for stack in stacks)
        self.slider.set_up(bounds, axis, step_um, "um" if all(stack.has_um for stack in stacks) else "voxels")
        if is_new:
            self.fit()
        self.refresh()

    def clear(self) -> None:
        """Show nothing, and let go of the stacks."""
        self._resting.stop()
        self._later.shut_down()
        self.stacks, self.line_um = [], None
        self._arrange()

    def fit(self) -> None:
        """Show the stacks whole."""
        if self.pictures:
            top, left, bottom, right = extent(self._placements, self._bounds)
            self.pictures[0].setRange(QRectF(left, top, right - left, bottom - top), padding=MARGIN)
            self._is_fitted = True

    def set_point(self, point_um: Vector) -> None:
        """Put the crosshair at a point, or at the nearest one that a stack shows; the pictures follow at once."""
        self.point_um = self._bounds.nearest(point_um)
        self._refresh_soon("point")

    def set_line(self, line_um: tuple[Vector, Vector] | None, normal: int | None = None) -> None:
        """Draw a line between two points, or none."""
        self.line_um, self.line_normal = line_um, normal
        self._refresh_soon("line")

    def seen_um(self) -> tuple[float, float, float, float]:
        """First row, first column, last row, last column on the screen that a picture shows."""
        (left, right), (top, bottom) = self.pictures[0].viewRange()
        return top, left, bottom, right

    def refresh(self) -> None:
        """Draw everything at the crosshair."""
        for picture in self.pictures:
            picture.show_cross(self.point_um, self._placements, self._bounds)
            picture.show_line(self.line_um, self._placements)
        self.slider.show_point(self.point_um)
        self._draw([stack for stack in self.shown if stack.is_at_hand and stack.role != DIFFERENCE])
        self._resting.start()

    def _read_rest(self) -> None:
        """Draw what costs more than the mouse should wait for: differences, and stacks on disk from a worker."""
        self._draw([stack for stack in self.shown if stack.is_at_hand and stack.role == DIFFERENCE])
        far = [stack for stack in self.shown if not stack.is_at_hand]
        if far:
            placements, point = self._placements, self.point_um
            key = (tuple(id(stack) for stack in far), placements, point)
            self._later.ask(
                key, lambda: (placements, dict(zip(far, read_sections(far, placements, point), strict=True)))
            )

    def _refresh_soon(self, *kinds: str) -> None:
        """Draw, and tell of it, once for all moves of the mouse that wait by now: the window is painted once then."""
        if not self._due:
            QTimer.singleShot(0, self._refresh_due)
        self._due.update(kinds)

    def _refresh_due(self) -> None:
        due, self._due = self._due, set()
        if not self.stacks:
            return
        if "point" in due:
            self.refresh()
            self.point_moved.emit()
        if "line" in due:
            for picture in self.pictures:
                picture.show_line(self.line_um, self._placements)
            self.line_moved.emit()

    def _on_read(self, end: object) -> None:
        """Show what was read, unless other sections are on show meanwhile: they are being read, or will be."""
        if isinstance(end, tuple):
            placements, sections = end
            if placements == self._placements:
                self._show_sections(sections)

    def _draw(self, stacks: Sequence[ComparedStack]) -> None:
        sections = read_sections(stacks, self._placements, self.point_um)
        self._show_sections(dict(zip(stacks, sections, strict=True)))

    def _show_sections(self, sections: Mapping[ComparedStack, Sequence[Section | None]]) -> None:
        for picture in self.pictures:
            if picture.stack is not None and picture.stack in sections:
                picture.show_sections(sections[picture.stack], self._placements)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Use the room that there is; what was zoomed by hand stays."""
        super().resizeEvent(event)
        if self.stacks and self._is_fitted:
            QTimer.singleShot(0, self._fill_room)

    def _fill_room(self) -> None:
        if self.stacks:
            if self._best_columns() != self._columns:
                self.show_stacks(self.stacks, self._view, is_new=True)
            self.fit()

    def _best_columns(self) -> int:
        """How many pictures in a row let all be as large as they can be."""
        count = len(self.shown)
        top, left, bottom, right = extent(self._placements, self._bounds)
        height, width = self.graphics.height(), self.graphics.width()

        def zoom(rows: int) -> float:
            return float(min(height / rows / (bottom - top), width / ceil(count / rows) / (right - left)))

        return ceil(count / max(range(1, count + 1), key=zoom))

    def _arrange(self) -> None:
        """Make the pictures, in rows and columns."""
        self._layout.clear()
        self.pictures = []
        if not self.stacks:
            return
        count = len(self.shown)
        columns = self._columns = self._best_columns()
        for number in range(count):
            picture = Picture()
            picture.moves_view = self.tools.tool == "move"
            picture.pressed.connect(self._on_pressed)
            picture.dragged.connect(self._on_dragged)
            picture.sigRangeChangedManually.connect(self._on_zoomed)
            self._layout.addItem(picture, number // columns, number % columns)
            if self.pictures:
                picture.setXLink(self.pictures[0])
                picture.setYLink(self.pictures[0])
            self.pictures.append(picture)

    def _on_single(self, is_on: bool) -> None:
        """Show all stacks, or only the first."""
        self._single = 0 if is_on else None
        if self.stacks:
            self.show_stacks(self.stacks, self._view)

    def _on_next(self) -> None:
        """Put the next stack in the place of the one on show."""
        if self._single is not None and self.stacks:
            self._single = (self._single + 1) % len(self.stacks)
            self.show_stacks(self.stacks, self._view)

    def _on_zoomed(self, _axes: object = None) -> None:
        self._is_fitted = False

    def _on_tool(self) -> None:
        for picture in self.pictures:
            picture.moves_view = self.tools.tool == "move"

    def _on_pressed(self, picture: Picture, row: float, column: float) -> None:
        section = section_at(self._placements, self._bounds, row, column)
        if self.tools.tool != "line":
            self._held = section, -1
            self.set_point(section.to_point(row, column, self.point_um))
            return
        for end, place in enumerate(self.line_um or ()):
            if picture.is_near(row, column, section.to_screen(place)):
                self._held = section, end
                return
        start = section.to_point(row, column, self.point_um)
        self._held, self.line_um, self.line_normal = (section, 1), (start, start), section.normal

    def _on_dragged(self, _picture: Picture, row: float, column: float) -> None:
        if self._held is None:
            return
        section, end = self._held
        if end < 0:
            self.set_point(section.to_point(row, column, self.point_um))
        elif self.line_um is not None:
            ends = list(self.line_um)
            ends[end] = self._bounds.nearest(section.to_point(row, column, ends[end]))
            level = ends[0][section.normal] == ends[1][section.normal]
            self.set_line((ends[0], ends[1]), section.normal if level else None)

    def _on_hover(self, place: Any) -> None:
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            return
        for picture in self.pictures:
            if picture.sceneBoundingRect().contains(place):
                there = picture.mapSceneToView(place)
                row, column = float(there.y()), float(there.x())
                section = section_at(self._placements, self._bounds, row, column)
                self.hovered.emit(section.to_point(row, column, self.point_um))
                return
        self.hovered.emit(None)

    def leaveEvent(self, event: Any) -> None:  # noqa: N802
        """Nothing is under the mouse any more."""
        self.hovered.emit(None)
        super().leaveEvent(event)


def read_sections(
    stacks: Sequence[ComparedStack], placements: Sequence[Placement], point_um: Vector
) -> list[list[Section | None]]:
    """The sections of each stack through a point."""
    return [[stack.section(placement, point_um) for placement in placements] for stack in stacks]
