"""The buttons that save what a comparison shows; files are written in a worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QPushButton, QWidget

from napari_deep3d.core import Job, Stop
from napari_deep3d.core.evaluation.profile import Profile
from napari_deep3d.gui.compare.export import Scene, draw_scene, table_paths, write_tables
from napari_deep3d.gui.compare.measuring import Alone, Numbers
from napari_deep3d.gui.compare.report import ReportRequest, report_paths, write_reports
from napari_deep3d.gui.shared import AMBER, RED, Cancelled, Failed, Line, Run, RunButton, close_with, job_of, stack_up
from napari_deep3d.gui.shared.run_button import BUTTON_HEIGHT

PICTURES = {"PNG (*.png)": ".png", "SVG (*.svg)": ".svg"}
TABLES = {"CSV (*.csv)": ".csv"}
REPORTS = {"HTML (*.html)": ".html"}
REPORT_TIP = (
    "Measure the prediction against the reference, or by itself, in all ways that there are, and write a report: "
    "one HTML file with figures and tables, as the command evaluate does"
)
NO_REPORT_TIP = "A report needs a prediction or, of other stacks, a reference: tick one"


class ExportBar(QWidget):
    """*Picture...*, *Tables...* and *Report...*; the callables hand out what is on show."""

    def __init__(
        self,
        scene: Callable[[], Scene],
        tables: Callable[[], tuple[Mapping[str, Profile], Numbers | Alone | None]],
        report: Callable[[], ReportRequest | None],
    ) -> None:
        super().__init__()
        self._scene, self._tables, self._report = scene, tables, report
        self._runs = set[Run]()
        close_with(self, self._runs)
        self.picture_button, self.table_button = QPushButton("Picture..."), QPushButton("Tables...")
        self.picture_button.setToolTip("Save the pictures as they stand, with scale bar, as PNG or SVG")
        self.table_button.setToolTip("Save profiles, widths, contrast, and what was measured, as CSV")
        self.picture_button.clicked.connect(self._on_picture)
        self.table_button.clicked.connect(self._on_table)
        self.report_button = RunButton("Report...", REPORT_TIP, stop_tip="Stop; nothing is written")
        self.report_button.asked.connect(self._on_report)
        self.message = Line()
        row = QHBoxLayout()
        row.addWidget(self.picture_button)
        row.addWidget(self.table_button)
        row.addWidget(self.report_button)
        for button in (self.picture_button, self.table_button):
            button.setMinimumHeight(BUTTON_HEIGHT)
            row.setAlignment(button, Qt.AlignmentFlag.AlignTop)
        stack_up(self, row, self.message)

    def save_picture(self, path: Path) -> None:
        """Save the pictures in a worker."""
        scene = self._scene()
        self._start(path, lambda: [draw_scene(path, scene)])

    def save_tables(self, path: Path) -> None:
        """Save the curves and the table in a worker."""
        profiles, numbers = self._tables()
        self._start(path, lambda: write_tables(path, profiles, numbers))

    def save_report(self, path: Path) -> None:
        """Evaluate and write the report in a worker."""
        request = self._report()
        if request is not None:
            self.message.show_text("", "")
            self.report_button.start(f"Deep3D writes {path.name}", partial(write_reports, path, request), self._tell)

    def allow_report(self, is_allowed: bool) -> None:
        """Offer the report, or say what it needs."""
        self.report_button.allow(is_allowed)
        if not self.report_button.is_running:
            self.report_button.button.setToolTip(REPORT_TIP if is_allowed else NO_REPORT_TIP)

    def close_runs(self) -> None:
        """Wait a little for what is being written."""
        self.report_button.close_run()
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
        self._tell(end)

    def _tell(self, end: Any) -> None:
        if isinstance(end, Cancelled):
            self.message.show_text("Stopped; nothing was written.", AMBER)
        elif isinstance(end, Failed):
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
        if self._may_replace(table_paths(path)[1:]):
            self.save_tables(path)

    def _on_report(self) -> None:
        request = self._report()
        path = None if request is None else self._ask("Export report", "comparison.html", REPORTS)
        if request is None or path is None:
            return
        names = report_paths(path, [prediction.title for prediction in request.predictions])
        if self._may_replace([each for each in names if each != path]):
            self.save_report(path)

    def _may_replace(self, paths: Sequence[Path]) -> bool:
        """Ask about files besides the one that the dialog has asked about."""
        there = [each.name for each in paths if each.exists()]
        question = f"{' and '.join(there)} exists already. Replace?"
        return not there or QMessageBox.question(self, "Save", question) == QMessageBox.StandardButton.Yes

    def _ask(self, title: str, name: str, filters: Mapping[str, str]) -> Path | None:
        """The file that the user chose, with one of the endings; the dialog asks before it replaces one."""
        chosen, kind = QFileDialog.getSaveFileName(self, title, str(Path.home() / name), ";;".join(filters))
        if not chosen:
            return None
        path = Path(chosen)
        if path.suffix.lower() in filters.values():
            return path
        path = path.with_name(path.name + filters.get(kind, next(iter(filters.values()))))
        return path if self._may_replace([path]) else None
