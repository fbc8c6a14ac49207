"""The panel that trains a model on registered pairs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_deep3d.core import Event, InputError, Metrics, Notice, Preview
from napari_deep3d.gui.shared import AMBER, RED, Choice, Line, RunButton, make_form, stack_up
from napari_deep3d.gui.train.loss_plots import LossPlots
from napari_deep3d.gui.train.options import TrainOptions
from napari_deep3d.gui.train.pair_adder import PairAdder
from napari_deep3d.gui.train.pair_list import PairList
from napari_deep3d.gui.train.plan import MakePlan, TrainingPlan
from napari_deep3d.gui.train.preview_panel import PreviewPanel
from napari_deep3d.gui.train.run import AnyEnd, Train, TrainRequest, conclude, train_and_list
from napari_deep3d.gui.train.unpaired import UnpairedStacks
from napari_deep3d.jobs.train.plan import plan_training
from napari_deep3d.jobs.train.run_folder import RunInfo, list_unfinished, read_metrics, read_run
from napari_deep3d.jobs.train.train import train_model

if TYPE_CHECKING:
    from napari import Viewer

EMPTY = (
    "A pair is one sample seen by both microscopes: its wide-field and its confocal stack, of the same size and lying "
    "voxel on voxel, as the Register tab makes them. From your pairs a model learns to show your wide-field stacks as "
    "your confocal would."
)
START_TIP = "Train in the background; you can look at stacks, pause, and stop meanwhile, and nothing is lost"
STOP_TIP = "End now; the model as it stands is put on the list, and the training can be resumed"
PAUSE_TIP = "The computer is free for other work until you continue"
RESUME_TIP = "Go on with a training that was stopped, or that ended with napari"
SOURCE_TIP = (
    "Registered pairs show the same field to both microscopes. Without any, wide-field stacks and confocal stacks of "
    "different fields of the same kind of sample can be learned from: longer, and less surely"
)
PAIRED, UNPAIRED = "paired", "unpaired"
SAVING_SECONDS = 10.0
"""How long a closing window waits for a training to write its state."""
START_TIP = "Train a model on the listed pairs; it can be stopped at any time and resumed later"
STYLES = {"done": "", "stopped": "", "early": AMBER, "failed": RED}


class TrainPanel(QWidget):
    """List pairs, choose how, train, look, stop, go on.

    Parameters
    ----------
    viewer : Viewer
    train, plan : callable
        What the panel calls: makes the job of a training, plans one.
    """

    preview_entered = Signal()  # the preview is about to be shown; other views should leave first
    model_added = Signal()  # there is a new model on the list
    predict_requested = Signal(str)  # the name of a model to predict with
    shown_below = Signal(object)  # a widget that should come into view

    def __init__(self, viewer: Viewer, *, train: Train = train_model, plan: MakePlan = plan_training) -> None:
        super().__init__()
        self._train = train
        self._request: TrainRequest | None = None
        self._model = self._trains = ""
        self.resume_bar, self.empty, self.summary = ResumeBar(), Line(), Line()
        self.resume_bar.resume_requested.connect(self._resume)
        self.empty.show_text(EMPTY)
        self.source = Choice(SOURCE_TIP)
        self.source.fill([("registered pairs", PAIRED), ("different fields", UNPAIRED)], PAIRED)
        self.source.currentIndexChanged.connect(self.refresh)
        self.unpaired = UnpairedStacks()
        self.unpaired.changed.connect(self.refresh)
        self.pairs, self.adder, self.options = PairList(), PairAdder(viewer), TrainOptions()
        self.add_pair = self.adder.add_pair
        self.adder.found.connect(self.pairs.add)
        self.adder.removal_requested.connect(self.pairs.remove_selected)
        self.pairs.changed.connect(self.refresh)
        self.options.changed.connect(self.refresh)
        self.split_line, self.problem, self.message, self.warning = Line(), Line(RED), Line(), Line(AMBER)
        self.plan = TrainingPlan(plan)
        self.plan.ended.connect(self._on_planned)
        self.run_button = RunButton(
            "Start training",
            START_TIP,
            stop="Stop and keep",
            stop_tip=STOP_TIP,
            pause_tip=PAUSE_TIP,
            closing_seconds=SAVING_SECONDS,
        )
        self.run_button.asked.connect(self._on_start)
        self.plots, self.preview = LossPlots(), PreviewPanel(viewer)
        self.preview.entered.connect(self.preview_entered)
        self.resume_button, self.predict_button = QPushButton("Resume a run..."), QPushButton("Predict with it")
        self.resume_button.setToolTip(RESUME_TIP)
        self.resume_button.clicked.connect(self._on_resume_file)
        self.predict_button.setToolTip("Go to Predict with this model chosen")
        self.predict_button.clicked.connect(self._on_predict)
        self._choices, self._rest = QWidget(), QWidget()
        self._paired = QWidget()
        stack_up(self._paired, self.empty, self.pairs, self.adder, self.split_line)
        form = make_form({"Learn from": self.source})
        stack_up(self._choices, form, self._paired, self.unpaired, self.options)
        stack_up(self._rest, self.problem, self.plan)
        stack_up(
            self,
            *(self._choices, self._rest, self.summary, self.run_button),
            *(self.message, self.warning, self.predict_button),
            *(self.resume_bar, self.plots, self.preview, self.resume_button),
            is_panel=True,
        )
        self.refresh()

    def refresh(self, _index: int = 0) -> None:
        """Show what follows from the choices."""
        # 1. What is seen
        is_paired, folders = self.source.currentData() == PAIRED, self.unpaired.folders()
        members, is_running = self.pairs.members(), self.run_button.is_running
        has_stacks = bool(members) if is_paired else folders is not None
        self._paired.setVisible(is_paired)
        self.unpaired.setVisible(not is_paired)
        self.empty.setVisible(not members)
        self.pairs.setVisible(bool(members))
        self.adder.show_removal(bool(members))
        self.options.setVisible(has_stacks)
        self._choices.setVisible(not is_running)
        self._rest.setVisible(has_stacks and not is_running)
        self.summary.setVisible(is_running)
        self.resume_button.setVisible(not is_running)
        self.predict_button.setVisible(bool(self._model) and not is_running)
        self.run_button.setVisible(has_stacks or is_running)
        # 2. What is asked for, or why it cannot be
        self._request = None
        problem = ""
        if has_stacks and not is_running:
            try:
                if is_paired or folders is None:
                    self._request = self.options.request(tuple(members), self.pairs.held_out())
                else:
                    self._request = self.options.unpaired_request(folders)
            except InputError as error:
                problem = str(error)
        self.problem.show_text(problem)
        # 3. What will be kept for testing, and the plan
        request, split = self._request, ""
        count = 0 if request is None else request.config.data.number_held_out(len(request.members))
        if request is not None and not request.config.data.held_out and count:
            which = "One pair, drawn at random, is" if count == 1 else f"{count} pairs, drawn at random, are"
            split = f"{which} kept for testing; tick 'Test only' to choose."
        self.split_line.show_text(split)
        self.plan.show_request(self._request)
        self.run_button.allow(self._request is not None)

    def leave_preview(self) -> None:
        """Put the view back as it was; the training goes on."""
        self.preview.leave()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """List the models anew: one may have been imported meanwhile."""
        self.options.refresh()
        super().showEvent(event)

    def under_way(self) -> str:
        """What runs, and what is kept of it if it is stopped; empty if nothing does."""
        if not self.run_button.is_running:
            return ""
        return (
            f"The training of {self._trains!r} is under way; the step it has come to is kept, Resume goes on from it."
        )

    def shut_down(self) -> None:
        """Stop what runs, wait until its state is written, and forget the viewer, since the dock goes."""
        self.adder.shut_down()
        self.unpaired.shut_down()
        self.plan.shut_down()
        self.run_button.close_run()
        self.preview.drop()

    def _on_planned(self, is_possible: bool) -> None:
        self.run_button.allow(is_possible and self._request is not None)

    # The training

    def _on_start(self) -> None:
        self.options.refresh()
        self.refresh()
        if self._request is not None:
            self._begin(replace(self._request, preview_every=self.plan.preview_every(self._request)))

    def _resume(self, run: RunInfo) -> None:
        every = max(1, run.iterations // 60)
        self._begin(TrainRequest(run.path, run.name, config=run.config, preview_every=every), run.steps_done)
        for metrics in read_metrics(run.path, run.steps_done):
            self.plots.add(metrics)

    def _on_resume_file(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of a training", str(self.options.folder))
        if name:
            try:
                self._resume(read_run(name))
            except InputError as error:
                self.message.show_text(str(error), RED)

    def _begin(self, request: TrainRequest, steps_done: int = 0) -> None:
        if self.run_button.is_running:
            return
        self._model, self._trains = "", request.name
        self.summary.show_text(request.summary(steps_done))
        self.message.show_text("", "")
        self.warning.show_text("")
        self.resume_bar.offer(None)
        self.options.fold()
        self.plots.clear()
        self.preview.begin(request.run, steps_done)
        job = partial(train_and_list, request, self._train, self.run_button.paused)
        self.run_button.start(f"Deep3D trains {request.name}", job, partial(self._on_ended, request), self._on_event)
        self.refresh()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Metrics):
            self.plots.add(event)
        elif isinstance(event, Preview):
            self.preview.add(event)
        elif isinstance(event, Notice) and event.message not in self.message.text():
            self.message.show_text(f"{self.message.text()}\n{event.message}".strip(), "")

    def _on_predict(self) -> None:
        self.preview.drop()  # the stack to predict from should be seen
        self.predict_requested.emit(self._model)

    def _on_ended(self, request: TrainRequest, end: AnyEnd) -> None:
        outcome = conclude(request, end)
        self._model = outcome.model
        self.preview.end()
        self.message.show_text(outcome.text, STYLES[outcome.kind])
        self.warning.show_text(outcome.warning)
        self.resume_bar.offer_folder(outcome.resumable)
        self.options.propose_name()
        self.refresh()
        if outcome.model:
            self.model_added.emit()
        self.shown_below.emit(self.preview if self.preview.steps else self.message)


class ResumeBar(QWidget):
    """Offers to go on with a training that was begun earlier; hidden where there is none."""

    resume_requested = Signal(object)  # the RunInfo of the training to go on with

    def __init__(self) -> None:
        super().__init__()
        self._run: RunInfo | None = None
        self.line = Line(AMBER)
        self.resume, self.dismiss = QPushButton("Resume"), QPushButton("Dismiss")
        self.resume.setToolTip("Go on from there, with the same pairs and settings")
        self.dismiss.setToolTip("Hide this; the training stays on disk, and 'Resume a run...' finds it")
        self.resume.clicked.connect(self._on_resume)
        self.dismiss.clicked.connect(lambda: self.offer(None))
        row = QHBoxLayout()
        row.addWidget(self.resume)
        row.addWidget(self.dismiss)
        stack_up(self, self.line, row)
        self.offer(next(iter(list_unfinished()), None))

    def offer(self, run: RunInfo | None) -> None:
        """Offer a training, or none."""
        self._run = run
        text = "" if run is None else f"An unfinished training: {run.name}, step {run.steps_done} of {run.iterations}."
        self.line.show_text(text)
        self.line.setToolTip("" if run is None else str(run.path))
        self.setVisible(run is not None)

    def offer_folder(self, folder: Path | None) -> None:
        """Offer the training of a run folder, if it can go on."""
        run = None
        if folder is not None:
            with suppress(InputError):
                run = read_run(folder)
        self.offer(None if run is None or run.complete else run)

    def _on_resume(self) -> None:
        if self._run is not None:
            self.resume_requested.emit(self._run)
