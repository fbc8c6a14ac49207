"""What a training will do, told before it starts: on which device, how long, in how much memory."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_deep3d.gui.shared.texts import format_memory, format_seconds
from napari_deep3d.gui.shared.widgets import AMBER, RED, Line
from napari_deep3d.gui.shared.worker import Cancelled, Failed, Run, job_of
from napari_deep3d.gui.train.run import TrainRequest
from napari_deep3d.jobs.train_plan import TrainPlan, plan_training

DELAY_MS = 150
PREVIEW_SECONDS, MIN_PREVIEWS = 10.0, 20
UNPLANNED = 20
"""Steps between pictures while it is not known how long one takes."""


class TrainingPlan(QWidget):
    """The plan in a line, and what the user should know.

    It is made in a worker, since it asks torch for its devices, and importing torch takes seconds.

    Attributes
    ----------
    ended
        Signal, with whether a training as requested is possible.
    """

    ended = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None
        self._plan: TrainPlan | None = None
        self._request: TrainRequest | None = None
        self._planned: tuple[Any, ...] | None = None
        self.line, self.notices, self.problem = Line(), Line(AMBER), Line(RED)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for line in (self.line, self.notices, self.problem):
            layout.addWidget(line)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._start)

    def show_request(self, request: TrainRequest | None) -> None:
        """Plan what is requested now, unless that is done already."""
        key = None if request is None else _key(request)
        self._request = request
        if key is None or key != self._planned:
            self._forget()
            if key is not None:
                self._timer.start()

    def preview_every(self, request: TrainRequest) -> int:
        """Steps between pictures: one in some seconds, and at least twenty in all."""
        if self._plan is None:
            return max(1, min(UNPLANNED, request.config.optimizer.iterations // MIN_PREVIEWS))
        in_time = round(PREVIEW_SECONDS / max(self._plan.seconds_per_step, 1e-6))
        return max(1, min(in_time, self._plan.iterations // MIN_PREVIEWS))

    def shut_down(self) -> None:
        """Stop planning, since the dock goes."""
        self._forget()

    def _forget(self) -> None:
        self._timer.stop()
        self._planned, self._plan = None, None
        if self._run is not None:
            self._run.close(0)
            self._run = None
        for line in (self.line, self.notices, self.problem):
            line.show_text("")

    def _start(self) -> None:
        request = self._request
        if request is None:
            return
        self._planned = _key(request)
        self.line.show_text("Working out how long it takes...")
        self._run = Run("Deep3D plans a training", lambda _stop: job_of(lambda: _make(request)))
        self._run.ended.connect(self._on_ended)
        self._run.start()

    def _on_ended(self, end: TrainPlan | Failed | Cancelled) -> None:
        self._run = None
        self.line.show_text("")
        if isinstance(end, Failed):
            self.problem.show_text(end.sentence("The plan"))
        elif not isinstance(end, Cancelled):
            self._plan = end
            memory = format_memory(end.memory_bytes, end.free_bytes)
            time = f"about {format_seconds(end.seconds)}, {memory}, about {end.iterations} steps"
            self.line.show_text(f"{end.device_label}, {time}")
            self.notices.show_text("\n".join(end.notices))
        self.ended.emit(not isinstance(end, Failed))


def _make(request: TrainRequest) -> TrainPlan:
    facts = [member.facts for member in request.members]
    return plan_training(facts, request.config, start=request.start, minutes=request.minutes)


def _key(request: TrainRequest) -> tuple[Any, ...]:
    return tuple(member.facts for member in request.members), request.config, request.start, request.minutes
