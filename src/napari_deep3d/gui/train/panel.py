"""The panel that trains a model on registered pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_deep3d.core.errors import InputError
from napari_deep3d.gui.shared.widgets import AMBER, RED, Line, stack_up
from napari_deep3d.gui.train.controls import TrainControls
from napari_deep3d.gui.train.loss_plots import LossPlots
from napari_deep3d.gui.train.options import TrainOptions
from napari_deep3d.gui.train.pair_adder import PairAdder
from napari_deep3d.gui.train.pair_list import PairList
from napari_deep3d.gui.train.plan import TrainingPlan
from napari_deep3d.gui.train.preview_panel import PreviewPanel
from napari_deep3d.gui.train.resume_bar import ResumeBar
from napari_deep3d.gui.train.run import TrainingRun, TrainOutcome, TrainRequest
from napari_deep3d.jobs.pairs import LoadedPair
from napari_deep3d.jobs.run_folder import RunInfo, read_metrics, read_run

EMPTY = (
    "A pair is one sample seen by both microscopes: its wide-field and its confocal stack, of the same size and lying "
    "voxel on voxel, as the Register tab makes them. From your pairs a model learns to show your wide-field stacks as "
    "your confocal would."
)
RESUME_TIP = "Go on with a training that was stopped, or that ended with napari"
STYLES = {"done": "", "stopped": "", "early": AMBER, "failed": RED}


class TrainPanel(QWidget):
    """List pairs, choose how, train, look, stop, go on.

    Attributes
    ----------
    preview_entered
        Signal: the preview is about to be shown; other views should leave first.
    model_added
        Signal: there is a new model on the list.
    predict_requested
        Signal, with the name of a model to predict with.
    shown_below
        Signal, with a widget that should come into view.
    """

    preview_entered = Signal()
    model_added = Signal()
    predict_requested = Signal(str)
    shown_below = Signal(object)

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._training: TrainingRun | None = None
        running = self._running = set[TrainingRun]()
        self.destroyed.connect(lambda: _close(running))  # holds no training, and so no stack, that has ended
        self._request: TrainRequest | None = None
        self._model = ""
        self._make_widgets()
        self._lay_out()
        self.refresh()

    def _make_widgets(self) -> None:
        self.resume_bar, self.empty, self.summary = ResumeBar(), Line(), Line()
        self.resume_bar.asked.connect(self._resume)
        self.empty.show_text(EMPTY)
        self.pairs, self.adder, self.options = PairList(), PairAdder(self._viewer), TrainOptions()
        self.adder.found.connect(self.pairs.add)
        self.adder.remove_button.clicked.connect(self.pairs.remove_selected)
        self.pairs.changed.connect(self.refresh)
        self.options.changed.connect(self.refresh)
        self.split_line, self.problem, self.message = Line(), Line(RED), Line()
        self.plan = TrainingPlan()
        self.plan.ended.connect(self._on_planned)
        self.controls, self.plots, self.preview = TrainControls(), LossPlots(), PreviewPanel(self._viewer)
        self.controls.start_asked.connect(self._on_start)
        self.controls.stop_asked.connect(self._on_stop)
        self.controls.pause_asked.connect(self._on_pause)
        self.preview.entered.connect(self.preview_entered)
        self.resume_button, self.predict_button = QPushButton("Resume a run..."), QPushButton("Predict with it")
        self.resume_button.setToolTip(RESUME_TIP)
        self.resume_button.clicked.connect(self._on_resume_file)
        self.predict_button.setToolTip("Go to Predict with this model chosen")
        self.predict_button.clicked.connect(self._on_predict)

    def _lay_out(self) -> None:
        self._choices, self._rest = QWidget(), QWidget()
        groups = {
            self._choices: (self.empty, self.pairs, self.adder, self.split_line, self.options),
            self._rest: (self.problem, self.plan),
            self: (
                *(self._choices, self._rest, self.summary, self.controls, self.message, self.predict_button),
                *(self.resume_bar, self.plots, self.preview, self.resume_button),
            ),
        }
        stack_up(self, groups)

    def add_pair(self, pair: LoadedPair) -> None:
        """Put a registered pair on the list."""
        self.adder.add_pair(pair)

    def refresh(self) -> None:
        """Show what follows from the choices."""
        members, is_running = self.pairs.members(), self._training is not None
        self.empty.setVisible(not members)
        self.pairs.setVisible(bool(members))
        self.adder.remove_button.setVisible(bool(members))
        self.options.setVisible(bool(members))
        self._choices.setVisible(not is_running)
        self._rest.setVisible(bool(members) and not is_running)
        self.summary.setVisible(is_running)
        self.resume_button.setVisible(not is_running)
        self.predict_button.setVisible(bool(self._model) and not is_running)
        self.controls.setVisible(bool(members) or is_running)
        self._request = None
        problem = ""
        if members and not is_running:
            try:
                self._request = self.options.request(tuple(members), self.pairs.held_out())
            except InputError as error:
                problem = str(error)
        self.problem.show_text(problem)
        self._show_split()
        self.plan.show_request(self._request)
        if not is_running:
            self.controls.show_idle(self._request is not None)

    def leave_preview(self) -> None:
        """Put the view back as it was; the training goes on."""
        self.preview.leave()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """List the models anew: one may have been imported meanwhile."""
        self.options.refresh()
        super().showEvent(event)

    def shut_down(self) -> None:
        """Stop what runs, wait until its state is written, and forget the viewer, since the dock goes."""
        self.adder.shut_down()
        self.plan.shut_down()
        _close(self._running)
        self.preview.drop()

    def _show_split(self) -> None:
        request, text = self._request, ""
        count = 0 if request is None else request.config.data.number_held_out(len(request.members))
        if request is not None and not request.config.data.held_out and count:
            which = "One pair, drawn at random, is" if count == 1 else f"{count} pairs, drawn at random, are"
            text = f"{which} kept for testing; tick 'Test only' to choose."
        self.split_line.show_text(text)

    def _on_planned(self, is_possible: bool) -> None:
        if self._training is None:
            self.controls.show_idle(is_possible and self._request is not None)

    # The training

    def _on_start(self) -> None:
        self.options.refresh()
        self.refresh()
        if self._request is not None:
            self._begin(replace(self._request, preview_every=self.plan.preview_every(self._request)))

    def _resume(self, run: RunInfo) -> None:
        every = max(1, run.iterations // 60)
        self._begin(TrainRequest(run.path, run.name, config=run.config, preview_every=every))
        for metrics in read_metrics(run.path, run.steps_done):
            self.plots.add(metrics)

    def _on_resume_file(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of a training", str(self.options.advanced.folder))
        if name:
            try:
                self._resume(read_run(name))
            except InputError as error:
                self.message.show_text(str(error), RED)

    def _begin(self, request: TrainRequest) -> None:
        if self._training is not None:
            return
        training = self._training = TrainingRun(request)
        training.progressed.connect(self.controls.show_progress)
        training.measured.connect(self.plots.add)
        training.previewed.connect(self.preview.add)
        training.noticed.connect(self._on_notice)
        training.ended.connect(self._on_ended)
        self._running.add(training)
        self._model = ""
        self.summary.show_text(_summary(request))
        self.message.show_text("", "")
        self.resume_bar.offer(None)
        self.options.advanced.collapse(animate=False)
        self.plots.clear()
        self.preview.begin()
        self.controls.show_begun()
        self.refresh()
        training.start()

    def _on_stop(self) -> None:
        if self._training is not None:
            self._training.stop()

    def _on_pause(self, is_on: bool) -> None:
        if self._training is not None:
            self._training.pause.turn(is_on)

    def _on_notice(self, notice: str) -> None:
        shown = self.message.text()
        if notice not in shown:
            self.message.show_text(f"{shown}\n{notice}".strip(), "")

    def _on_predict(self) -> None:
        self.preview.drop()  # the stack to predict from should be seen
        self.predict_requested.emit(self._model)

    def _on_ended(self, outcome: TrainOutcome) -> None:
        self._running.clear()
        self._training, self._model = None, outcome.model
        self.preview.end()
        self.message.show_text(outcome.text, STYLES[outcome.kind])
        self.resume_bar.offer_folder(outcome.resumable)
        self.options.name.setModified(False)  # the next model gets a name of its own
        self.options.refresh()
        self.refresh()
        if outcome.model:
            self.model_added.emit()
        self.shown_below.emit(self.preview if self.preview.steps else self.message)


def _close(running: set[TrainingRun]) -> None:
    for training in running:
        training.close()
    running.clear()


def _summary(request: TrainRequest) -> str:
    if request.resumes:
        return f"Going on with {request.name!r}."
    count = len(request.members)
    pairs = "1 pair" if count == 1 else f"{count} pairs"
    return f"Training {request.name!r} on {pairs}, from {request.start or 'scratch'}."
