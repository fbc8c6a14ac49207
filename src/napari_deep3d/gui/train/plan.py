"""What a training will do, told before it starts: on which device, how long, in how much memory."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_deep3d.gui.shared import (
    AMBER,
    RED,
    Cancelled,
    Failed,
    LatestResult,
    Line,
    format_estimate,
    format_memory,
    stack_up,
)
from napari_deep3d.gui.train.run import TrainRequest
from napari_deep3d.jobs.models.store import model_stamp
from napari_deep3d.jobs.train.plan import TrainPlan
from napari_deep3d.jobs.train.train import SCRATCH

MakePlan = Callable[..., TrainPlan]
"""Plans a training; takes what :func:`plan_training` takes."""
PREVIEW_SECONDS, MIN_PREVIEWS = 10.0, 20
UNPLANNED = 20
"""Steps between pictures while it is not known how long one takes."""


class TrainingPlan(QWidget):
    """The plan in a line, and what the user should know.

    It is made in a worker, since it asks torch for its devices, and importing torch takes seconds.
    """

    ended = Signal(bool)  # whether a training as requested is possible

    def __init__(self, make_plan: MakePlan) -> None:
        super().__init__()
        self._make_plan = make_plan
        self._plan: TrainPlan | None = None
        self.line, self.notices, self.problem = Line(), Line(AMBER), Line(RED)
        stack_up(self, self.line, self.notices, self.problem)
        self._latest = LatestResult("Deep3D plans a training", parent=self)
        self._latest.outdated.connect(self._clear)
        self._latest.started.connect(lambda: self.line.show_text("Working out how long it takes..."))
        self._latest.ended.connect(self._on_ended)

    def show_request(self, request: TrainRequest | None) -> None:
        """Plan what is requested now, unless that is done already."""
        if request is None:
            self._latest.forget()
            return
        facts, unpaired = [member.facts for member in request.members], request.unpaired
        config, start, minutes = request.config, request.start, request.minutes
        make_plan = self._make_plan
        stamp = model_stamp(start) if start and start != SCRATCH else None
        key = (tuple(facts), unpaired, config, start, minutes, stamp)

        def compute() -> TrainPlan:
            if unpaired is None:
                return make_plan(facts, config, start=start, minutes=minutes)
            widefield, confocal = unpaired.facts()
            model = "" if start == SCRATCH else start
            return make_plan(widefield, config, start=model, minutes=minutes, confocal=confocal)

        self._latest.ask(key, compute)

    def preview_every(self, request: TrainRequest) -> int:
        """Steps between pictures: one in some seconds, and at least twenty in all."""
        if self._plan is None:
            return max(1, min(UNPLANNED, request.config.optimizer.iterations // MIN_PREVIEWS))
        in_time = round(PREVIEW_SECONDS / max(self._plan.seconds_per_step, 1e-6))
        return max(1, min(in_time, self._plan.iterations // MIN_PREVIEWS))

    def shut_down(self) -> None:
        """Stop planning, since the dock goes."""
        self._latest.shut_down()

    def _clear(self) -> None:
        self._plan = None
        for line in (self.line, self.notices, self.problem):
            line.show_text("")

    def _on_ended(self, end: TrainPlan | Failed | Cancelled) -> None:
        self.line.show_text("")
        if isinstance(end, Failed):
            self.problem.show_text(end.sentence("The plan"))
        elif not isinstance(end, Cancelled):
            self._plan = end
            memory = format_memory(end.memory_bytes, end.free_bytes)
            time = f"{format_estimate(end.seconds)}, {memory}, about {end.iterations} steps"
            self.line.show_text(f"{end.device_label}, {time}")
            self.notices.show_text("\n".join(end.notices))
        self.ended.emit(not isinstance(end, Failed))
