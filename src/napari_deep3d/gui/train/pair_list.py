"""The list of pairs to train on, with a tick for those that are kept for testing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QKeySequence, QPixmap, QShortcut
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_deep3d.gui.shared import THUMBNAIL, Member, format_size, stack_up
from napari_deep3d.jobs.models.store import unique_name

NAME, TEST = 0, 1
ROW_HEIGHT, MAX_ROWS = 52, 4
TIP = "The middle plane, wide-field and confocal; the size z x y x x, and the voxel size"
TEST_TIP = (
    "A ticked pair is not learned from: the model is tested on it, which tells how well it does on samples it has "
    "never seen"
)


class PairRow(NamedTuple):
    """A row of the list: the pair, its place in the tree, and the tick that keeps it for testing."""

    member: Member
    item: QTreeWidgetItem
    test_only: QCheckBox


class PairList(QWidget):
    """The pairs, one a row."""

    changed = Signal()  # a pair came or went, or was ticked

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[PairRow] = []
        self._header_item = QTreeWidgetItem(["", "Test only"])
        self._header_item.setToolTip(NAME, TIP)
        self._header_item.setToolTip(TEST, TEST_TIP)
        self.tree = QTreeWidget()
        self.tree.setHeaderItem(self._header_item)
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setIconSize(QSize(2 * THUMBNAIL + 2, THUMBNAIL))
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.tree.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(TEST, QHeaderView.ResizeMode.ResizeToContents)
        self._header = header
        for key in (QKeySequence.StandardKey.Delete, QKeySequence(Qt.Key.Key_Backspace)):
            shortcut = QShortcut(QKeySequence(key), self.tree)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(self.remove_selected)
        stack_up(self, self.tree)
        self._show_count()

    def members(self) -> list[Member]:
        """Return the pairs, in their order."""
        return [row.member for row in self.rows]

    def held_out(self) -> tuple[str, ...]:
        """Return the names of the pairs that are ticked."""
        return tuple(row.member.name for row in self.rows if row.test_only.isChecked())

    def ticks(self) -> list[tuple[Member, bool]]:
        """Return the pairs and whether each is ticked, for :meth:`restore`."""
        return [(row.member, row.test_only.isChecked()) for row in self.rows]

    def restore(self, ticks: Sequence[tuple[Member, bool]]) -> None:
        """List the pairs of an earlier list, with its ticks."""
        ticked = {member.name for member, is_ticked in ticks if is_ticked}
        self.add(member for member, _ in ticks)
        for row in self.rows:
            row.test_only.setChecked(row.member.name in ticked)

    def add(self, members: Iterable[Member]) -> None:
        """Add pairs, each under a name of its own; files that are on the list already are left out."""
        for member in members:
            known = self.members()
            if not any(member.same_place(other) for other in known):
                self.rows.append(self._make_row(member.renamed(unique_name(member.name, [m.name for m in known]))))
        self._show_count()
        self.changed.emit()

    def remove_selected(self) -> None:
        """Take the selected pairs off the list; files and layers stay."""
        removed = [row.item for row in self.rows if row.item.isSelected()]
        self.rows = [row for row in self.rows if not row.item.isSelected()]
        for item in removed:
            self.tree.takeTopLevelItem(self.tree.indexOfTopLevelItem(item))
        self._show_count()
        self.changed.emit()

    def _make_row(self, member: Member) -> PairRow:
        spacing_um = member.facts.spacing_um
        facts = format_size(member.facts.shape, spacing_um)
        size, _, voxels = facts.partition(", ")
        if spacing_um is not None and spacing_um[1] == spacing_um[2]:
            voxels = f"z {spacing_um[0]:.3g}, xy {spacing_um[2]:.3g} um"
        item = QTreeWidgetItem(self.tree, [f"{member.name}\n{size}\n{voxels}", ""])
        (rows, columns), grey = member.picture.shape, member.picture.tobytes()  # QImage needs them until the copy
        image = QImage(grey, columns, rows, columns, QImage.Format.Format_Grayscale8).copy()
        item.setIcon(NAME, QIcon(QPixmap.fromImage(image)))
        item.setToolTip(NAME, f"{member.name}\n{facts}\n{member.folder or 'from layers'}")
        item.setToolTip(TEST, TEST_TIP)
        item.setSizeHint(NAME, QSize(0, ROW_HEIGHT))
        test_only = QCheckBox()
        test_only.setToolTip(TEST_TIP)
        test_only.toggled.connect(self.changed)
        cell = QWidget()
        row = QHBoxLayout(cell)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(test_only, alignment=Qt.AlignmentFlag.AlignCenter)
        self.tree.setItemWidget(item, TEST, cell)
        return PairRow(member, item, test_only)

    def _show_count(self) -> None:
        """Say how many pairs there are, and be as high as the rows, up to four."""
        count = len(self.rows)
        self._header_item.setText(NAME, f"{'1 pair' if count == 1 else f'{count} pairs'}: wide-field | confocal")
        self.tree.setFixedHeight(self._header.sizeHint().height() + ROW_HEIGHT * min(max(count, 1), MAX_ROWS) + 4)
