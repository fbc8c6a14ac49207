"""The panel that predicts a confocal-like stack from a wide-field one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QCheckBox, QPushButton, QWidget

from napari_deep3d.core import BoxWritten, Event, InputError, Notice, PredictConfig, TileDone, Volume
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.gui.predict.choices import HowToPredict, ListModels, ModelSelector, PredictAdvanced, Request, Session
from napari_deep3d.gui.predict.file_run import FilePredictionRun, PredictToFile
from napari_deep3d.gui.predict.folder import FolderPart, PredictFolder
from napari_deep3d.gui.predict.run import Predict, PredictionRun
from napari_deep3d.gui.predict.save import TOO_LARGE, SaveResult
from napari_deep3d.gui.shared import (
    AMBER,
    RED,
    Cancelled,
    EmptyState,
    Failed,
    LatestResult,
    Line,
    RunButton,
    StackPart,
    format_estimate,
    is_named_confocal,
    is_prediction,
    stack_up,
)
from napari_deep3d.jobs.models.store import list_models, model_stamp
from napari_deep3d.jobs.predict.file import predict_to_file
from napari_deep3d.jobs.predict.folder import predict_folder
from napari_deep3d.jobs.predict.network_input import novelty_of
from napari_deep3d.jobs.predict.plan import PredictionPlan, plan_prediction
from napari_deep3d.jobs.predict.predict import predict_volume
from napari_deep3d.jobs.predict.series import predict_volumes

if TYPE_CHECKING:
    from napari import Viewer

STYLES = {"done": "", "stopped": AMBER, "failed": RED}
PREDICT_TIP = "Make a confocal-like stack, in a new layer on the chosen one; the stack itself is not changed"
STOP_TIP = "Stop now; the finished part is kept"
FindNovelty = Callable[[Volume, PredictConfig], Novelty | None]


class PredictPanel(QWidget):
    """Choose a stack and a model, see what will happen, predict, stop.

    The choices are kept in ``session``; the callables plan a prediction, make its job, compare a stack with a model,
    list the models, and predict a folder.
    """

    compare_requested = Signal(object, object)
    """With the source layer and the result layer."""

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        *,
        plan: Callable[[Volume, PredictConfig], PredictionPlan] = plan_prediction,
        predict: Predict = predict_volume,
        predict_series: Predict = predict_volumes,
        predict_to_file: PredictToFile = predict_to_file,
        find_novelty: FindNovelty = novelty_of,
        models: ListModels = list_models,
        predict_folder: PredictFolder = predict_folder,
    ) -> None:
        super().__init__()
        self._viewer, self._session = viewer, session
        self._make_plan, self._predict, self._predict_series = plan, predict, predict_series
        self._predict_to_file = predict_to_file
        self._request: Request | None = None
        self._pair: tuple[Image, Image] | None = None
        self._predicted_from = ""
        self._shown_layer: Image | None = None
        self.empty = EmptyState(viewer)
        self.stack = StackPart(viewer, session)
        self.stack.facts.setToolTip("Planes x rows x columns, and the voxel size z x y x x")
        self.all_times = QCheckBox()
        self.all_times.setToolTip(
            "Each time point is predicted by itself, into one layer with a time axis; Stop keeps those that are ready"
        )
        self.all_times.toggled.connect(lambda on: session.update(all_times=on))
        self.model = ModelSelector(session, models)
        self.doubt = Line(AMBER)
        self.model_hint, self.plan_line, self.notices, self.message = Line(), Line(), Line(AMBER), Line()
        self.how = HowToPredict(session)
        self.novelty = NoveltyWarning(find_novelty)
        self.folder = FolderPart(session, predict_folder)
        self.folder.shown.connect(self.refresh)
        self.folder.window_.result_requested.connect(self._open)
        self.advanced = PredictAdvanced()
        self.advanced.changed.connect(lambda: session.update(advanced=self.advanced.values()))
        self.run_button = RunButton("Predict confocal", PREDICT_TIP, stop_tip=STOP_TIP)
        self.run_button.asked.connect(self._start)
        self.compare = QPushButton("Compare side by side")
        self.compare.setToolTip("Show the stack and its prediction next to each other, in x-z")
        self.compare.clicked.connect(self._on_compare)
        self.save = SaveResult()
        self._choices, self._rest = QWidget(), QWidget()
        stack_up(
            self._choices,
            *(self.stack, self.all_times, self.doubt, self.model, self.model_hint, self.how, self.advanced),
        )
        stack_up(
            self._rest,
            *(self.plan_line, self.novelty, self.notices, self.run_button, self.message, self.compare, self.save),
        )
        stack_up(self, self.empty, self._choices, self._rest, self.folder, is_panel=True)
        # The names by which scripts drive the panel.
        self.button, self.bar = self.run_button.button, self.run_button.bar
        self.uncertainty = self.how.uncertainty
        self.facts, self.problem, self.voxel_size = self.stack.facts, self.stack.problem, self.stack.voxel_size
        # In a worker, since it asks torch for its devices, and importing torch takes seconds.
        self._plan = LatestResult("Deep3D plans a prediction", parent=self)
        self._plan.outdated.connect(self._clear_plan)
        self._plan.started.connect(lambda: self.plan_line.show_text("Working out how long it takes..."))
        self._plan.ended.connect(self._on_planned)
        session.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what follows from the choices."""
        session, layer, request = self._session, self._session.layer, None
        self.empty.setVisible(layer is None)
        has_layers = self.stack.chooser.layer_choice.count() > 0
        self._choices.setVisible(has_layers or self.folder.is_open)  # a folder is predicted with them, too
        self.stack.setVisible(has_layers)
        self._rest.setVisible(layer is not None or self.run_button.is_running)
        self.doubt.show_text("" if layer is None else doubt_about(layer))
        if layer != self._shown_layer:
            self._shown_layer = layer
            self.message.show_text("")
        if layer is not None and not self.stack.problem.text():
            try:
                if session.spacing_um is not None or not session.needs_spacing():
                    request = session.request()
            except InputError as error:
                self.stack.problem.show_text(str(error))
        self._request = request
        times = session.times()
        self.all_times.setVisible(times is not None)
        self.all_times.setText("" if times is None else f"All {times[1]} time points")
        if request is None:
            self._plan.forget()
        else:
            stamp = model_stamp(request.config.model)
            key = (request.volume.shape, request.volume.spacing_um, request.config, request.stacks, stamp)
            self._plan.ask(key, partial(self._make_plan, request.volume, request.config))
        self.novelty.follow(session, request)
        self._refresh_buttons()

    def choose_model(self, model: str) -> None:
        """Predict with a model, by its name."""
        self._session.update(model=model)
        self.refresh_models()

    def refresh_models(self) -> None:
        """List the models that are there now, and plan anew if the chosen one is another by now."""
        self.model.refresh()
        self.refresh()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """List the models anew: one may have been trained meanwhile."""
        self.refresh_models()
        super().showEvent(event)

    def under_way(self, closes_window: bool = False) -> str:
        """What runs, and what is kept of it if the dock or the whole window is closed; empty if nothing runs."""
        others = self.folder.under_way()
        if not self.run_button.is_running:
            return others
        kept = "nothing of it is kept" if closes_window else "its finished part is kept as a layer"
        return f"A prediction from {self._predicted_from!r} is under way; {kept}. {others}".strip()

    def shut_down(self) -> None:
        """Stop what runs, keep the finished part, and forget the viewer, since the dock goes."""
        self.run_button.close_run()
        self.folder.shut_down()
        self.save.close_run()
        self._plan.shut_down()
        self.novelty.shut_down()
        self._session.changed.disconnect(self.refresh)
        self.stack.disconnect_viewer()

    def _refresh_buttons(self) -> None:
        is_running = self.run_button.is_running
        self._choices.setEnabled(not is_running)
        self.run_button.allow(self._request is not None)
        if self._pair is not None and not all(layer in self._viewer.layers for layer in self._pair):
            self._pair = None
            self.save.offer(None)
        self.compare.setEnabled(self._pair is not None and not is_running)

    # The plan

    def _clear_plan(self) -> None:
        for line in (self.plan_line, self.notices, self.model_hint):
            line.show_text("")

    def _on_planned(self, end: PredictionPlan | Failed | Cancelled) -> None:
        if isinstance(end, Failed):
            self._plan.forget()
            self._request = None
            self.stack.problem.show_text(end.message.removeprefix(self.stack.doubt.text()).strip())
            self._refresh_buttons()
        elif not isinstance(end, Cancelled):
            stacks = 1 if self._request is None else self._request.stacks
            series = f" for {stacks} time points" if stacks > 1 else ""
            plan = f"{end.device_label}, {format_estimate(end.seconds * stacks)}{series}"
            if self._request is not None and self._request.config.scheduler is not None:
                plan = f"On the workers of {self._request.config.scheduler}{series}; a file is asked for."
            elif self._request is not None and self._request.is_large:
                size = self._request.result_bytes / 1e9
                plan += f". The result ({size:.1f} GB) is too large for the memory: a file is asked for."
            self.plan_line.show_text(plan)
            self.plan_line.setToolTip(end.device_reason)
            self.model_hint.show_text(end.model.title)
            self.model_hint.setToolTip(end.model.description)
            for notice in end.notices:
                self._show_notice(notice)

    # The prediction

    def _start(self) -> None:
        self.stack.apply_spacing()
        was_moved = self.stack.join_axes()  # the result has the axes of one stack, and lies on its source so
        layer, request = self._session.layer, self._request
        if layer is None or request is None:
            return
        why = "The workers write the result" if request.config.scheduler else TOO_LARGE
        path = self.save.ask_for_file(layer, why) if request.needs_file else None
        if request.needs_file and path is None:
            return
        self._pair, self._predicted_from = None, layer.name
        self.save.offer(None)
        stack = (self._viewer, layer, self._session.axes(), dict(self._session.index), request)
        prediction: PredictionRun | FilePredictionRun
        if path is None:
            prediction = PredictionRun(*stack, self._predict, self._predict_series)
        else:
            prediction = FilePredictionRun(*stack, path, self._predict_to_file)
        self.message.show_text("")
        if was_moved:
            self._show_notice(f"The axes of {layer.name!r} are in the order {', '.join(layer.axis_labels)} now.")
        self.run_button.start(
            f"Deep3D predicts from {layer.name}",
            prediction.make_job,
            partial(self._on_ended, layer, prediction),
            partial(self._on_event, prediction),
        )
        self._refresh_buttons()

    def _on_event(self, prediction: PredictionRun | FilePredictionRun, event: Event) -> None:
        if isinstance(event, TileDone | BoxWritten):
            prediction.note(event)
            if not prediction.is_shown:  # who removes the layer does not want it
                self.run_button.stop()
        elif isinstance(event, Notice) and not prediction.is_series:  # of a series they come at its end, put together
            self._show_notice(event.message)

    def _show_notice(self, notice: str) -> None:
        shown = self.notices.text()
        if notice not in (*shown.splitlines(), self.novelty.text(), self.stack.doubt.text()):
            self.notices.show_text(f"{shown}\n{notice}".strip())

    def _on_ended(self, source: Image, prediction: PredictionRun | FilePredictionRun, end: Any) -> None:
        outcome = prediction.conclude(end)
        for notice in outcome.notices:
            self._show_notice(notice)
        self._pair = None if outcome.layer is None else (source, outcome.layer)
        if outcome.layer is not None:
            self.save.offer(source, prediction.to_save)
        layers = self._viewer.layers
        if outcome.layer is None and not layers.selection and source in layers:  # the empty result took it along
            layers.selection.active = source
        self.message.show_text(outcome.text, STYLES[outcome.kind])
        self._refresh_buttons()

    def _open(self, path: Path) -> None:
        self._viewer.open(str(path), plugin="napari-deep3d")

    def _on_compare(self) -> None:
        if self._pair is not None:
            self.compare_requested.emit(*self._pair)


def doubt_about(layer: Image) -> str:
    """Say why a layer is hardly a wide-field stack; empty if nothing says so."""
    if is_prediction(layer):
        return "This is already a prediction. Choose the wide-field stack instead."
    if is_named_confocal(layer):
        return "By its name this is a confocal stack. The model expects a wide-field stack."
    return ""


class NoveltyWarning(Line):
    """The yellow line that says when the chosen stack is unlike what the chosen model knows.

    ``find_novelty`` compares them, in a worker, a moment after the last change.
    """

    def __init__(self, find_novelty: FindNovelty) -> None:
        super().__init__(AMBER)
        self._find_novelty = find_novelty
        self._latest = LatestResult("Deep3D looks at a stack", delay_ms=300, parent=self)
        self._latest.outdated.connect(lambda: self.show_text(""))
        self._latest.ended.connect(self._on_compared)

    def follow(self, session: Session, request: Request | None) -> None:
        """Compare anew if another stack or model is chosen; forget the answer about the last one at once."""
        if request is None:
            self._latest.forget()
            return
        # The volume itself is a new view of the layer each time.
        stack = (session.layer, session.z_axis, tuple(sorted(session.index.items())), request.volume.spacing_um)
        key = (*stack, request.config.spacing_um, request.config.model, model_stamp(request.config.model))
        self._latest.ask(key, partial(self._find_novelty, request.volume, request.config))

    def shut_down(self) -> None:
        """Drop what runs or waits to run, without an answer."""
        self._latest.shut_down()

    def _on_compared(self, end: Novelty | Failed | Cancelled | None) -> None:
        if isinstance(end, Novelty):  # what has gone wrong, the plan says
            self.show_text(end.notice)
