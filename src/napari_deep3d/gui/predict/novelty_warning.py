"""The yellow line that says when the chosen stack is unlike what the chosen model knows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from napari_deep3d.core import Volume
from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.gui.predict.session import Request, Session
from napari_deep3d.gui.shared.latest import LatestResult
from napari_deep3d.gui.shared.widgets import AMBER, Line
from napari_deep3d.gui.shared.worker import Cancelled, Failed

DELAY_MS = 300
FindNovelty = Callable[[Volume, PredictConfig], Novelty | None]


class NoveltyWarning(Line):
    """Compares the stack with the model in a worker, a moment after the last change, and shows the answer.

    Parameters
    ----------
    find_novelty : callable
        Compares a stack with a model; called in the worker.
    """

    def __init__(self, find_novelty: FindNovelty) -> None:
        super().__init__(AMBER)
        self._find_novelty = find_novelty
        self._latest = LatestResult("Deep3D looks at a stack", DELAY_MS, self)
        self._latest.outdated.connect(lambda: self.show_text(""))
        self._latest.ended.connect(self._on_ended)

    def follow(self, session: Session, request: Request | None) -> None:
        """Compare anew if another stack or model is chosen; forget the answer about the last one at once."""
        if request is None:
            self._latest.forget()
            return
        # The volume itself is a new view of the layer each time.
        stack = (session.layer, session.z_axis, tuple(sorted(session.index.items())), request.volume.spacing_um)
        key = (*stack, request.config.spacing_um, request.config.model)
        self._latest.ask(key, partial(self._find_novelty, request.volume, request.config))

    def shut_down(self) -> None:
        """Drop what runs or waits to run, without an answer."""
        self._latest.shut_down()

    def _on_ended(self, end: Novelty | Failed | Cancelled | None) -> None:
        if isinstance(end, Novelty):  # what has gone wrong, the plan says
            self.show_text(end.notice)
