"""The dock: one window part with a tab for each task, and the menu commands that open it there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import napari.viewer
from napari.layers import Image
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QTabWidget, QWidget

from napari_deep3d.gui.compare.panel import ComparePanel
from napari_deep3d.gui.predict.choices import Session
from napari_deep3d.gui.predict.panel import PredictPanel
from napari_deep3d.gui.register.panel import RegisterPanel
from napari_deep3d.gui.shared import stack_up
from napari_deep3d.gui.train.panel import TrainPanel

WIDTH = 380
MIN_WIDTH = 330
PanelName = Literal["Predict", "Register", "Train", "Compare"]


class Deep3DWidget(QWidget):
    """The dock "Deep3D": it owns the session and the panels, and stops what runs when it goes.

    napari hands in the viewer; ``predict``, ``register``, ``train`` and ``compare`` make the panels.
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
        # 1. The panels, each in a tab.
        self.session = Session()
        self.predict_panel = predict(viewer, self.session)
        self.register_panel = register(viewer)
        self.train_panel = train(viewer)
        self.compare_panel = compare(viewer)
        panels = (self.predict_panel, self.register_panel, self.train_panel, self.compare_panel)
        self.tabs = QTabWidget()
        areas = {name: PanelArea(panel) for name, panel in zip(get_args(PanelName), panels, strict=True)}
        for name, area in areas.items():
            self.tabs.addTab(area, name)
        stack_up(self, self.tabs)
        self.setMinimumWidth(MIN_WIDTH)
        self.setMaximumWidth(WIDTH)

        # 2. What one panel asks of another.
        self.register_panel.result_shown.connect(areas["Register"].bring_into_view)
        self.register_panel.pair_added.connect(self.train_panel.add_pair)
        self.train_panel.shown_below.connect(areas["Train"].bring_into_view)
        self.train_panel.model_added.connect(self.predict_panel.refresh_models)
        self.train_panel.predict_requested.connect(self._predict_with)
        self.predict_panel.compare_requested.connect(self._compare)

        # 3. Each of these puts back the view as it found it, so only one may be on.
        views = (
            (self.register_panel.overlay_entered, self.register_panel.leave_overlay),
            (self.train_panel.preview_entered, self.train_panel.leave_preview),
            (self.compare_panel.entered, self.compare_panel.leave),
        )
        for entered, own in views:
            for _, leave in views:
                if leave != own:
                    entered.connect(leave)

    def show_panel(self, name: PanelName) -> None:
        """Bring a panel to the front."""
        self.tabs.setCurrentIndex(get_args(PanelName).index(name))

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


def show_predict(viewer: napari.viewer.Viewer) -> None:
    """Open the dock at Predict."""
    _show(viewer, "Predict")


def show_register(viewer: napari.viewer.Viewer) -> None:
    """Open the dock at Register."""
    _show(viewer, "Register")


def show_train(viewer: napari.viewer.Viewer) -> None:
    """Open the dock at Train."""
    _show(viewer, "Train")


def show_compare(viewer: napari.viewer.Viewer) -> None:
    """Open the dock at Compare."""
    _show(viewer, "Compare")


def _show(viewer: napari.viewer.Viewer, panel: PanelName) -> None:
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    dock.raise_()
    widget.show_panel(panel)
