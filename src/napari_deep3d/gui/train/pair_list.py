"""The list of pairs to train on, with a tick for those that are kept for testing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QKeySequence, QPixmap, QShortcut
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_deep3d.gui.shared.texts import format_size
from napari_deep3d.gui.shared.training_pairs import THUMBNAIL, Member
from napari_deep3d.jobs.models import unique_name

MEMBER_ROLE = Qt.ItemDataRole.UserRole
NAME, TEST = 0, 1
ROW_HEIGHT, MAX_ROWS = 52, 4
TIP = "The middle plane, wide-field and confocal; the size z x y x x, and the voxel size"
TEST_TIP = (
    "A ticked pair is not learned from: the model is tested on it, which tells how well it does on samples it has "
    "never seen"
)


class PairList(QWidget):
    """The pairs, one a row.

    Attributes
    ----------
    changed
        Signal: a pair came or went, or was ticked.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["", "Test only"])
        self.tree.headerItem().setToolTip(NAME, TIP)
        self.tree.headerItem().setToolTip(TEST, TEST_TIP)
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setIconSize(QSize(2 * THUMBNAIL + 2, THUMBNAIL))
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(TEST, QHeaderView.ResizeMode.ResizeToContents)
        for key in (QKeySequence.StandardKey.Delete, QKeySequence(Qt.Key.Key_Backspace)):
            shortcut = QShortcut(QKeySequence(key), self.tree)
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
            shortcut.activated.connect(self.remove_selected)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        self._fit()

    def members(self) -> list[Member]:
        """Return the pairs, in their order."""
        return [item.data(NAME, MEMBER_ROLE) for item in self._items()]

    def held_out(self) -> tuple[str, ...]:
        """Return the names of the pairs that are ticked."""
        return tuple(item.data(NAME, MEMBER_ROLE).name for item in self._items() if self.box(item).isChecked())

    def box(self, item: QTreeWidgetItem) -> QCheckBox:
        """Return the tick of a row."""
        return self.tree.itemWidget(item, TEST).findChild(QCheckBox)

    def add(self, members: Iterable[Member]) -> None:
        """Add pairs, each under a name of its own; files that are on the list already are left out."""
        for member in members:
            known = self.members()
            if not any(member.same_place(other) for other in known):
                self._add_row(member.renamed(unique_name(member.name, [other.name for other in known])))
        self._on_rows_changed()

    def remove_selected(self) -> None:
        """Take the selected pairs off the list; files and layers stay."""
        for item in self.tree.selectedItems():
            self.tree.takeTopLevelItem(self.tree.indexOfTopLevelItem(item))
        self._on_rows_changed()

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.tree.topLevelItem(i) for i in range(self.tree.topLevelItemCount())]

    def _add_row(self, member: Member) -> None:
        size = format_size(member.facts.shape, member.facts.spacing_um)
        item = QTreeWidgetItem(self.tree, [f"{member.name}\n{_short(member)}", ""])
        item.setData(NAME, MEMBER_ROLE, member)
        item.setIcon(NAME, QIcon(_pixmap(member.picture)))
        item.setToolTip(NAME, f"{member.name}\n{size}\n{member.folder or 'from layers'}")
        item.setToolTip(TEST, TEST_TIP)
        item.setSizeHint(NAME, QSize(0, ROW_HEIGHT))
        box = QCheckBox()
        box.setToolTip(TEST_TIP)
        box.toggled.connect(self.changed)
        cell = QWidget()
        row = QHBoxLayout(cell)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(box, alignment=Qt.AlignmentFlag.AlignCenter)
        self.tree.setItemWidget(item, TEST, cell)

    def _on_rows_changed(self) -> None:
        self._fit()
        self.changed.emit()

    def _fit(self) -> None:
        """Be as high as the rows, up to four."""
        count = self.tree.topLevelItemCount()
        self.tree.headerItem().setText(NAME, f"{'1 pair' if count == 1 else f'{count} pairs'}: wide-field | confocal")
        self.tree.setFixedHeight(self.tree.header().sizeHint().height() + ROW_HEIGHT * min(max(count, 1), MAX_ROWS) + 4)


def _short(member: Member) -> str:
    """Size and voxel size in two narrow lines."""
    size, _, spacing = format_size(member.facts.shape, member.facts.spacing_um).partition(", ")
    um = member.facts.spacing_um
    return f"{size}\nz {um[0]:.3g}, xy {um[2]:.3g} um" if um is not None and um[1] == um[2] else f"{size}\n{spacing}"


def _pixmap(picture: Any) -> QPixmap:
    rows, columns = picture.shape
    data = np.ascontiguousarray(picture)
    image = QImage(data.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
    return QPixmap.fromImage(image.copy())
