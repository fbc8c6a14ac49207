"""The buttons that save what a comparison shows; files are written in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QPushButton, QWidget

from napari_deep3d.core import Job, Stop
from napari_deep3d.core.evaluation.profile import Profile
from napari_deep3d.gui.compare.export import Scene, draw_scene, table_paths, write_tables
from napari_deep3d.gui.compare.measuring import Numbers
from napari_deep3d.gui.shared import RED, Failed, Line, Run, close_with, job_of, stack_up

PICTURES = {"PNG (*.png)": ".png", "SVG (*.svg)": ".svg"}
TABLES = {"CSV (*.csv)": ".csv"}


class ExportBar(QWidget):
    """*Picture...* and *Curves and table...*; the callables hand out what is on show."""

    def __init__(
        self, scene: Callable[[], Scene], tables: Callable[[], tuple[Mapping[str, Profile], Numbers | None]]
    ) -> None:
        super().__init__()
        self._scene, self._tables = scene, tables
        self._runs = set[Run]()
        close_with(self, self._runs)
        self.picture_button, self.table_button = QPushButton("Picture..."), QPushButton("Curves and table...")
        self.picture_button.setToolTip("Save the pictures as they stand, with scale bar, as PNG or SVG")
        self.table_button.setToolTip("Save profiles, widths, contrast, and what was measured, as CSV")
        self.picture_button.clicked.connect(self._on_picture)
        self.table_button.clicked.connect(self._on_table)
        self.message = Line()
        row = QHBoxLayout()
        row.addWidget(self.picture_button)
        row.addWidget(self.table_button)
        stack_up(self, row, self.message)

    def save_picture(self, path: Path) -> None:
        """Save the pictures in a worker."""
        scene = self._scene()
        self._start(path, lambda: [draw_scene(path, scene)])

    def save_tables(self, path: Path) -> None:
        """Save the curves and the table in a worker."""
        profiles, numbers = self._tables()
        self._start(path, lambda: write_tables(path, profiles, numbers))

    def close_runs(self) -> None:
        """Wait a little for what is being written."""
        for run in self._runs:
            run.close()
        self._runs.clear()

    def _start(self, path: Path, write: Callable[[], list[Path]]) -> None:
        def job(_stop: Stop) -> Job[list[Path]]:
            return job_of(write)

        run = Run(f"Deep3D saves {path.name}", job)
        run.ended.connect(partial(self._on_ended, run))
        self._runs.add(run)
        self.message.show_text(f"Saving {path.name}.", "")
        run.start()

    def _on_ended(self, run: Run, end: Any) -> None:
        self._runs.discard(run)
        if isinstance(end, Failed):
            self.message.show_text(end.sentence("Saving"), RED)
        elif isinstance(end, list):
            self.message.show_text(f"Saved {', '.join(path.name for path in end)} in {end[0].parent}.", "")

    def _on_picture(self) -> None:
        path = self._ask("Save the pictures", "comparison.png", PICTURES)
        if path is not None:
            self.save_picture(path)

    def _on_table(self) -> None:
        path = self._ask("Save curves and table", "comparison.csv", TABLES)
        if path is None:
            return
        there = [each.name for each in table_paths(path)[1:] if each.exists()]
        question = f"{' and '.join(there)} exists already. Replace?"
        if there and QMessageBox.question(self, "Save", question) != QMessageBox.StandardButton.Yes:
            return
        self.save_tables(path)

    def _ask(self, title: str, name: str, filters: Mapping[str, str]) -> Path | None:
        """The file that the user chose, with one of the endings; the dialog asks before it replaces one."""
        chosen, kind = QFileDialog.getSaveFileName(self, title, str(Path.home() / name), ";;".join(filters))
        if not chosen:
            return None
        path = Path(chosen)
        if path.suffix.lower() in filters.values():
            return path
        path = path.with_name(path.name + filters.get(kind, next(iter(filters.values()))))
        if path.exists():
            question = f"{path.name} exists already. Replace?"
            if QMessageBox.question(self, title, question) != QMessageBox.StandardButton.Yes:
                return None
        return path
