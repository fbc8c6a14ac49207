"""The dock: one window part with a tab for each task."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import napari.viewer
from napari.layers import Image
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QTabWidget, QWidget

from napari_deep3d.gui.compare.panel import ComparePanel
from napari_deep3d.gui.predict.panel import PredictPanel
from napari_deep3d.gui.predict.session import Session
from napari_deep3d.gui.register.panel import RegisterPanel
from napari_deep3d.gui.shared.widgets import stack_up
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
    predict, register, train, compare : callable
        Make the panels.
    """

    _was_docked = False

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        *,
        predict: Callable[[napari.viewer.Viewer, Session], PredictPanel] = PredictPanel,
        register: Callable[[napari.viewer.Viewer], RegisterPanel] = RegisterPanel,
        train: Callable[[napari.viewer.Viewer], TrainPanel] = TrainPanel,
        compare: Callable[[napari.viewer.Viewer], ComparePanel] = ComparePanel,
    ) -> None:
        super().__init__()
        self.session = Session()
        self.predict_panel = predict(viewer, self.session)
        self.register_panel = register(viewer)
        self.train_panel = train(viewer)
        self.compare_panel = compare(viewer)
        self.tabs = QTabWidget()
        areas = {
            "Predict": PanelArea(self.predict_panel),
            "Register": PanelArea(self.register_panel),
            "Train": PanelArea(self.train_panel),
            "Compare": PanelArea(self.compare_panel),
        }
        for name, area in areas.items():
            self.tabs.addTab(area, name)
        self.register_panel.result_shown.connect(areas["Register"].bring_into_view)
        self.train_panel.shown_below.connect(areas["Train"].bring_into_view)
        self._connect_panels()
        stack_up(self, self.tabs)
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
        train.model_added.connect(predict.refresh_models)
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

    def event(self, event: QEvent | None) -> bool:
        """Shut down once napari takes the widget out of its dock; nothing else tells that it was closed."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self._was_docked and self.parent() is None:
                self.shut_down()
            self._was_docked = self.parent() is not None
        return super().event(event)

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
        self.predict_panel.choose_model(model)
        self.show_panel("Predict")


class PanelArea(QScrollArea):
    """Holds a panel, and scrolls it up and down if it is higher than the dock."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(panel)

    def bring_into_view(self, widget: QWidget) -> None:
        """Scroll to a part of the panel, once the panel has grown to hold it."""
        QTimer.singleShot(0, partial(self.ensureWidgetVisible, widget))
