"""The panel that predicts a confocal-like stack from a wide-field one."""

from __future__ import annotations

from functools import partial
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QProgressBar, QPushButton, QWidget

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Progress
from napari_deep3d.gui.predict.advanced import Advanced
from napari_deep3d.gui.predict.model_selector import ModelSelector
from napari_deep3d.gui.predict.novelty_warning import NoveltyWarning
from napari_deep3d.gui.predict.run import PredictionEnd, PredictionRun
from napari_deep3d.gui.predict.session import Request, Session
from napari_deep3d.gui.shared.empty_state import EmptyState
from napari_deep3d.gui.shared.stack_selection import apply_spacing
from napari_deep3d.gui.shared.stack_selector import StackSelector
from napari_deep3d.gui.shared.texts import format_facts, format_progress, format_seconds
from napari_deep3d.gui.shared.voxel_size import VoxelSize
from napari_deep3d.gui.shared.widgets import AMBER, RED, Line, stack_up
from napari_deep3d.gui.shared.worker import Cancelled, Failed, Run, job_of
from napari_deep3d.jobs.predict_plan import PredictionPlan, plan_prediction

PREDICT, STOP = "Predict confocal", "Stop"
PLAN_DELAY_MS = 150
STYLES = {"done": "", "stopped": AMBER, "failed": RED}


class PredictPanel(QWidget):
    """Choose a stack and a model, see what will happen, predict, stop.

    Attributes
    ----------
    compare_requested
        Signal, with the source layer and the result layer.
    """

    compare_requested = Signal(object, object)

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__()
        self._viewer, self._session = viewer, session
        self._prediction: PredictionRun | None = None
        self._planner: Run | None = None
        self._request: Request | None = None
        self._planned: tuple[Any, ...] | None = None
        self._pair: tuple[Image, Image] | None = None
        self._shown_layer: Image | None = None
        self._make_widgets()
        self._lay_out()
        self._plan_timer = QTimer(self)
        self._plan_timer.setSingleShot(True)
        self._plan_timer.setInterval(PLAN_DELAY_MS)
        self._plan_timer.timeout.connect(self._start_plan)
        session.changed.connect(self.refresh)
        self.refresh()

    def _make_widgets(self) -> None:
        self.empty = EmptyState(self._viewer)
        self.stack = StackSelector(self._viewer, self._session)
        self.facts, self.problem = Line(), Line(RED)
        self.facts.setToolTip("Planes x rows x columns, and the voxel size z x y x x")
        self.voxel_size = VoxelSize(self._session)
        self.voxel_size.apply_requested.connect(self._apply_spacing)
        self.model = ModelSelector(self._session)
        self.model_hint, self.plan_line, self.notices, self.message = Line(), Line(), Line(AMBER), Line()
        self.uncertainty = QCheckBox("Also show how far to trust it")
        self.uncertainty.setToolTip(
            "A second layer with the error to expect in each voxel, 0 to about 1 as the result. "
            "The stack is predicted four times for it, so it takes four times as long."
        )
        self.uncertainty.toggled.connect(lambda on: self._session.update(uncertainty=on))
        self.novelty = NoveltyWarning()
        self.advanced = Advanced(self._session)
        self.button = QPushButton(PREDICT)
        self.button.setMinimumHeight(34)
        self.button.clicked.connect(self._on_button)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.hide()
        self.compare = QPushButton("Compare side by side")
        self.compare.setToolTip("Show the stack and its prediction next to each other, in x-z")
        self.compare.clicked.connect(self._on_compare)

    def _lay_out(self) -> None:
        self._choices, self._rest = QWidget(), QWidget()
        groups = {
            self._choices: (
                *(self.stack, self.facts, self.problem, self.voxel_size, self.model, self.model_hint),
                self.uncertainty,
                self.advanced,
            ),
            self._rest: (
                self.plan_line,
                self.novelty,
                self.notices,
                self.button,
                self.bar,
                self.message,
                self.compare,
            ),
            self: (self.empty, self._choices, self._rest),
        }
        stack_up(self, groups)

    def refresh(self) -> None:
        """Show what follows from the choices."""
        layer = self._session.layer
        self.empty.setVisible(layer is None)
        self._choices.setVisible(layer is not None)
        self._rest.setVisible(layer is not None)
        self._request = None
        if layer != self._shown_layer:
            self._shown_layer = layer
            self.message.show_text("")
            self.voxel_size.clear()
        if layer is not None:
            self._show_stack()
        if self._request is None:
            self._forget_plan()
        elif self._planned != self._plan_key(self._request):
            self._forget_plan()
            self._plan_timer.start()
        self.novelty.follow(self._session, self._request)
        self._refresh_buttons()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """List the models anew: one may have been trained meanwhile."""
        self.model.refresh()
        super().showEvent(event)

    def shut_down(self) -> None:
        """Stop what runs and forget the viewer, since the dock goes."""
        self._plan_timer.stop()
        if self._prediction is not None:
            self._prediction.close()
        if self._planner is not None:
            self._planner.close(0)
        self.novelty.shut_down()
        self._session.changed.disconnect(self.refresh)
        self.stack.disconnect_viewer()

    def _show_stack(self) -> None:
        needs_spacing = False
        facts, problem = "", ""
        try:
            facts = format_facts(self._session.volume())
            needs_spacing = self._session.needs_spacing()
            if not (needs_spacing and self._session.spacing_um is None):
                self._request = self._session.request()
        except InputError as error:
            problem = str(error)
        self.facts.show_text(facts)
        self.problem.show_text(problem)
        self.voxel_size.setVisible(needs_spacing)
        self.voxel_size.refresh()

    def _refresh_buttons(self) -> None:
        running = self._prediction is not None
        self._choices.setEnabled(not running)
        self.button.setText(STOP if running else PREDICT)
        self.button.setEnabled(running or self._request is not None)
        self.bar.setVisible(running)
        if self._pair is not None and not all(layer in self._viewer.layers for layer in self._pair):
            self._pair = None
        self.compare.setEnabled(self._pair is not None and not running)

    # The plan: made in a worker, since it asks torch for its devices, and importing torch takes seconds

    @staticmethod
    def _plan_key(request: Request) -> tuple[Any, ...]:
        return request.volume.shape, request.volume.spacing_um, request.config

    def _forget_plan(self) -> None:
        self._planned = None
        if self._planner is not None:
            self._planner.close(0)
            self._planner = None
        for line in (self.plan_line, self.notices, self.model_hint):
            line.show_text("")

    def _start_plan(self) -> None:
        if self._request is None:
            return
        self._planned = self._plan_key(self._request)
        self.plan_line.show_text("Working out how long it takes...")
        plan = partial(plan_prediction, self._request.volume, self._request.config)
        self._planner = Run("Deep3D plans a prediction", lambda _stop: job_of(plan))
        self._planner.ended.connect(self._on_planned)
        self._planner.start()

    def _on_planned(self, end: PredictionPlan | Failed | Cancelled) -> None:
        self._planner = None
        if isinstance(end, Failed):
            self._forget_plan()
            self._request = None
            self.problem.show_text(end.message)
            self._refresh_buttons()
        elif not isinstance(end, Cancelled):
            self.plan_line.show_text(f"{end.device_label}, about {format_seconds(end.seconds)}")
            self.model_hint.show_text(end.model.title)
            self.model_hint.setToolTip(end.model.description)
            for notice in end.notices:
                self._on_notice(notice)

    # The prediction

    def _on_button(self) -> None:
        if self._prediction is None:
            self._start()
        else:
            self._prediction.stop()
            self.button.setText("Stopping...")
            self.button.setEnabled(False)

    def _start(self) -> None:
        self._apply_spacing()
        layer = self._session.layer
        if layer is None or self._request is None:
            return
        self._pair = None
        index = dict(self._session.index)
        self._prediction = PredictionRun(self._viewer, layer, self._session.axes(), index, self._request)
        self._prediction.progressed.connect(self._on_progress)
        self._prediction.noticed.connect(self._on_notice)
        self._prediction.ended.connect(partial(self._on_ended, layer))
        self.destroyed.connect(self._prediction.close)
        self.message.show_text("")
        self.bar.setValue(0)
        self.bar.setFormat("starting")
        self._refresh_buttons()
        self._prediction.start()

    def _apply_spacing(self) -> None:
        apply_spacing(self._viewer, self._session)

    def _on_progress(self, progress: Progress) -> None:
        self.bar.setValue(round(1000 * progress.fraction))
        self.bar.setFormat(format_progress(progress))
        self.bar.setToolTip(progress.message)

    def _on_notice(self, notice: str) -> None:
        shown = self.notices.text()
        if notice not in (*shown.splitlines(), self.novelty.text()):
            self.notices.show_text(f"{shown}\n{notice}".strip())

    def _on_ended(self, source: Image, outcome: PredictionEnd) -> None:
        self._prediction = None
        self._pair = None if outcome.layer is None else (source, outcome.layer)
        self.message.show_text(outcome.text, STYLES[outcome.kind])
        self._refresh_buttons()

    def _on_compare(self) -> None:
        if self._pair is not None:
            self.compare_requested.emit(*self._pair)
