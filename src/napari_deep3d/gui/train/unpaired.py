"""Two lists of stacks to train on that are no pairs: those of a wide-field folder, and those of a confocal folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QFileDialog, QListWidget, QListWidgetItem, QPushButton, QWidget

from napari_deep3d.gui.shared import RED, Cancelled, Failed, LatestResult, Line, format_size, stack_up
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairFacts
from napari_deep3d.jobs.train.unpaired import UnpairedFolders, stack_facts

TEXTS = {WIDEFIELD: "Wide-field", CONFOCAL: "Confocal"}
TIPS = {
    WIDEFIELD: "A folder of wide-field stacks of your kind of sample: the more fields, the better",
    CONFOCAL: "A folder of confocal stacks of the same kind of sample; other fields, other days, other slides will do",
}
MAX_ROWS = 4
HINT = (
    "No field needs to be seen by both microscopes: the model learns what confocal stacks look like, and how the "
    "wide-field microscope blurs them. An experiment: where it was measured it gained nothing, and pairs did."
)


class UnpairedStacks(QWidget):
    """The two folders, and what is in them."""

    changed = Signal()  # another folder was chosen, or has been read

    def __init__(self) -> None:
        super().__init__()
        self.hint = Line()
        self.hint.show_text(HINT)
        self.widefield, self.confocal = StackFolder(WIDEFIELD), StackFolder(CONFOCAL)
        for folder in (self.widefield, self.confocal):
            folder.changed.connect(self.changed)
        stack_up(self, self.hint, self.widefield, self.confocal)

    def folders(self) -> UnpairedFolders | None:
        """Return both folders, or None until both are chosen and read."""
        widefield, confocal = self.widefield, self.confocal
        if widefield.path is None or confocal.path is None or not widefield.facts or not confocal.facts:
            return None
        return UnpairedFolders(widefield.path, confocal.path)

    def shut_down(self) -> None:
        """Stop reading, since the dock goes."""
        for folder in (self.widefield, self.confocal):
            folder.reading.shut_down()


class StackFolder(QWidget):
    """A button that chooses a folder, and the list of its stacks; they are looked at in a worker."""

    changed = Signal()

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind
        self.path: Path | None = None
        self.facts: Sequence[PairFacts] = ()
        self.button = QPushButton(f"{TEXTS[kind]} folder...")
        self.button.setToolTip(TIPS[kind])
        self.button.clicked.connect(self._on_button)
        self.count, self.problem = Line(), Line(RED)
        self.stacks = QListWidget()
        self.stacks.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.stacks.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.reading = LatestResult(f"Deep3D looks at {kind} stacks", parent=self)
        self.reading.ended.connect(self._on_read)
        stack_up(self, self.button, self.count, self.stacks, self.problem)
        self._show()

    def choose(self, path: Path) -> None:
        """Take the stacks of a folder."""
        self.path, self.facts = path, ()
        self.reading.forget()
        self._show()
        self.count.show_text(f"Looking at the stacks in {path.name}...")
        self.reading.ask(path, partial(stack_facts, path, self._kind))
        self.changed.emit()

    def _on_button(self) -> None:
        name = QFileDialog.getExistingDirectory(self, f"Folder of {self._kind} stacks", str(self.path or ""))
        if name:
            self.choose(Path(name))

    def _on_read(self, end: list[PairFacts] | Failed | Cancelled) -> None:
        self.facts = () if isinstance(end, Failed | Cancelled) else end
        self._show(end.sentence("Reading the stacks") if isinstance(end, Failed) else "")
        self.changed.emit()

    def _show(self, problem: str = "") -> None:
        """List the stacks, four of them without scrolling."""
        self.problem.show_text(problem)
        number = len(self.facts)
        folder = "" if self.path is None else self.path.name
        self.count.show_text(f"{'1 stack' if number == 1 else f'{number} stacks'} in {folder}" if number else "")
        self.count.setToolTip(str(self.path or ""))
        self.stacks.clear()
        for each in self.facts:
            item = QListWidgetItem(f"{each.name}, {' x '.join(map(str, each.shape))}", self.stacks)
            item.setToolTip(f"{each.name}\n{format_size(each.shape, each.spacing_um)}")
        self.stacks.setVisible(bool(number))
        self.stacks.setFixedHeight(min(number, MAX_ROWS) * max(self.stacks.sizeHintForRow(0), 1) + 6)
