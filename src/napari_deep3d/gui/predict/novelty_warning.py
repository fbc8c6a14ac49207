"""The yellow line that says when the chosen stack is unlike what the chosen model knows."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QTimer

from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.gui.predict.session import Request, Session
from napari_deep3d.gui.shared.widgets import AMBER, Line
from napari_deep3d.gui.shared.worker import Cancelled, Failed, Run, job_of
from napari_deep3d.jobs.novelty import novelty_of

DELAY_MS = 300


class NoveltyWarning(Line):
    """Compares the stack with the model in a worker, a moment after the last change, and shows the answer."""

    def __init__(self) -> None:
        super().__init__(AMBER)
        self._request: Request | None = None
        self._key: tuple[Any, ...] | None = None
        self._run: Run | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._start)

    def follow(self, session: Session, request: Request | None) -> None:
        """Compare anew if another stack or model is chosen; forget the answer about the last one at once."""
        key = None if request is None else _key(session, request)
        if key == self._key:
            return
        self.shut_down()
        self._key, self._request = key, request
        self.show_text("")
        if request is not None:
            self._timer.start()

    def shut_down(self) -> None:
        """Drop what runs or waits to run, without an answer."""
        self._timer.stop()
        self._key = None
        if self._run is not None:
            self._run.close(0)
            self._run = None

    def _start(self) -> None:
        if self._request is None:
            return
        compare = partial(novelty_of, self._request.volume, self._request.config)
        self._run = Run("Deep3D looks at a stack", lambda _stop: job_of(compare))
        self._run.ended.connect(self._on_ended)
        self._run.start()

    def _on_ended(self, end: Novelty | Failed | Cancelled | None) -> None:
        self._run = None
        if isinstance(end, Novelty):  # what has gone wrong, the plan says
            self.show_text(end.notice)


def _key(session: Session, request: Request) -> tuple[Any, ...]:
    """What the answer depends on; the volume itself is a new view of the layer each time."""
    index = tuple(sorted(session.index.items()))
    config = request.config
    return session.layer, session.z_axis, index, request.volume.spacing_um, config.spacing_um, config.model
