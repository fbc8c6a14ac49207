"""The table of a batch: a row for each stack, filled in while it runs."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QBrush, QColor, QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_deep3d.core import BatchRow
from napari_deep3d.gui.shared import format_seconds

TITLES = ("File", "Image", "State", "Reason, or what to know", "Time")
FILE, IMAGE, STATE, REASON, TIME = range(len(TITLES))
WIDTHS = {FILE: 190, IMAGE: 170, STATE: 78, TIME: 76}
COLOURS = {"failed": ("#c62828", "#ffffff"), "outdated": ("#ffd54f", "#1f1f1f"), "running": ("#1565c0", "#ffffff")}
"""Ground and letters of the states to look at; the word says it, too."""
MAX_LINES = 4


class BatchModel(QAbstractTableModel):
    """The rows of a batch for Qt."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[BatchRow] = []

    def put(self, row: BatchRow) -> None:
        """Show a row as it is now, at its place."""
        if row.number < len(self.rows):
            self.rows[row.number] = row
            self.dataChanged.emit(self.index(row.number, 0), self.index(row.number, len(TITLES) - 1))
            return
        self.beginInsertRows(QModelIndex(), len(self.rows), len(self.rows))
        self.rows.append(row)
        self.endInsertRows()

    def clear(self) -> None:
        """Take all rows away."""
        self.beginResetModel()
        self.rows.clear()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Number of rows."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Number of columns."""
        return 0 if parent is not None and parent.isValid() else len(TITLES)

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        """Titles of the columns, and numbers of the rows."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return TITLES[section] if orientation == Qt.Orientation.Horizontal else section + 1

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell shows, and how."""
        row, column = self.rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._text(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column == TIME:
            return Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        if column == STATE and row.state in COLOURS:
            ground, letters = COLOURS[row.state]
            if role == Qt.ItemDataRole.BackgroundRole:
                return QBrush(QColor(ground))
            if role == Qt.ItemDataRole.ForegroundRole:
                return QBrush(QColor(letters))
        return None

    def _text(self, row: BatchRow, column: int) -> str:
        time = "" if row.seconds is None else "< 1 s" if row.seconds < 1 else format_seconds(row.seconds)
        return (row.file, row.image, row.state, row.reason, time)[column]


class BatchTable(QTableView):
    """The table; its rows grow with their reason, up to some lines, and the tool tip has all of it."""

    opened = Signal(object)
    """The row that was double-clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.batch = BatchModel()
        self.setModel(self.batch)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWordWrap(True)
        header, numbers = self.horizontalHeader(), self.verticalHeader()
        assert header is not None
        assert numbers is not None
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(REASON, QHeaderView.ResizeMode.Stretch)
        for column, width in WIDTHS.items():
            self.setColumnWidth(column, width)
        self._line = self.fontMetrics().height()
        numbers.setDefaultSectionSize(self._line + 8)
        numbers.setMaximumSectionSize(MAX_LINES * self._line + 8)
        self.setColumnHidden(IMAGE, True)
        self.doubleClicked.connect(lambda index: self.opened.emit(self.batch.rows[index.row()]))

    def put(self, row: BatchRow) -> None:
        """Show a row as it is now; the one that runs is brought into view, unless another one is selected."""
        self.batch.put(row)
        if row.image:
            self.setColumnHidden(IMAGE, False)
        if row.reason:
            self.resizeRowToContents(row.number)
        selection = self.selectionModel()
        if row.state == "running" and (selection is None or not selection.hasSelection()):
            self.scrollTo(self.batch.index(row.number, 0))

    def clear(self) -> None:
        """Take all rows away."""
        self.batch.clear()
        self.setColumnHidden(IMAGE, True)

    def selected(self) -> BatchRow | None:
        """The row that is selected."""
        selection = self.selectionModel()
        chosen = [] if selection is None else selection.selectedRows()
        return self.batch.rows[chosen[0].row()] if chosen else None

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Fit the rows that tell a reason to the width."""
        super().resizeEvent(event)
        for row in self.batch.rows:
            if row.reason:
                self.resizeRowToContents(row.number)
