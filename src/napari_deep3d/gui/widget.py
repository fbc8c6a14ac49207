"""The dock: one window part with a tab for each task."""

from __future__ import annotations

from typing import Literal

import napari.viewer
from napari.layers import Image
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_deep3d.gui.compare.panel import ComparePanel
from napari_deep3d.gui.predict.panel import PredictPanel
from napari_deep3d.gui.predict.session import Session
from napari_deep3d.gui.register.panel import RegisterPanel
from napari_deep3d.gui.train.panel import TrainPanel

WIDTH = 380
MIN_WIDTH = 330
PanelName = Literal["Predict", "Register", "Train", "Compare"]


class Deep3DWidget(QWidget):
    """The dock "Deep3D": it owns the session and the panels, and stops what runs when it goes.

    Parameters
    ----------
    viewer
        The napari viewer; napari hands it in.
    """

    _was_docked = False

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.session = Session()
        self.predict_panel = PredictPanel(viewer, self.session)
        self.register_panel = RegisterPanel(viewer)
        self.train_panel = TrainPanel(viewer)
        self.compare_panel = ComparePanel(viewer)
        self._connect_panels()
        self.tabs = QTabWidget()
        self.tabs.addTab(_scrolled(self.predict_panel), "Predict")
        register, train = _scrolled(self.register_panel), _scrolled(self.train_panel)
        # queued: the panel must have grown first
        self.register_panel.result_shown.connect(register.ensureWidgetVisible, Qt.ConnectionType.QueuedConnection)
        self.train_panel.shown_below.connect(train.ensureWidgetVisible, Qt.ConnectionType.QueuedConnection)
        self.tabs.addTab(register, "Register")
        self.tabs.addTab(train, "Train")
        self.tabs.addTab(_scrolled(self.compare_panel), "Compare")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)
        self.setMinimumWidth(MIN_WIDTH)
        self.setMaximumWidth(WIDTH)

    def _connect_panels(self) -> None:
        predict, register, train, compare = (
            self.predict_panel,
            self.register_panel,
            self.train_panel,
            self.compare_panel,
        )
        predict.compare_requested.connect(self._compare)
        register.pair_added.connect(train.add_pair)
        train.model_added.connect(predict.model.refresh)
        train.predict_requested.connect(self._predict_with)
        # each of these puts back the view as it found it, so only one may be on
        views = (
            (register.overlay_entered, register.leave_overlay),
            (train.preview_entered, train.leave_preview),
            (compare.entered, compare.leave),
        )
        for entered, own in views:
            for _, leave in views:
                if leave != own:
                    entered.connect(leave)

    def show_panel(self, name: PanelName) -> None:
        """Bring a panel to the front."""
        names = [self.tabs.tabText(i) for i in range(self.tabs.count())]
        self.tabs.setCurrentIndex(names.index(name))

    def event(self, event: QEvent) -> bool:
        """Shut down once napari takes the widget out of its dock; nothing else tells that it was closed."""
        if event.type() == QEvent.Type.ParentChange:
            if self._was_docked and self.parent() is None:
                self.shut_down()
            self._was_docked = self.parent() is not None
        return bool(super().event(event))

    def shut_down(self) -> None:
        """Stop what runs and put the view back."""
        self.predict_panel.shut_down()
        self.register_panel.shut_down()
        self.train_panel.shut_down()
        self.compare_panel.shut_down()

    def _compare(self, source: Image, result: Image) -> None:
        self.show_panel("Compare")
        self.compare_panel.compare(source, result)

    def _predict_with(self, model: str) -> None:
        self.session.update(model=model)
        self.predict_panel.model.refresh()
        self.show_panel("Predict")


def _scrolled(panel: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel)
    return area
