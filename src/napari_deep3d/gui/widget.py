"""The dock: one window part with a tab for each task, and the menu commands that open it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, get_args

import napari.viewer
from napari.layers import Image
from qtpy.QtCore import QChildEvent, QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QDialog, QDockWidget, QFrame, QMessageBox, QPushButton, QScrollArea, QTabWidget, QWidget

from napari_deep3d.gui.compare.panel import ComparePanel
from napari_deep3d.gui.main_window import Companion, main_window
from napari_deep3d.gui.predict.choices import Session
from napari_deep3d.gui.predict.panel import PredictPanel
from napari_deep3d.gui.register.panel import RegisterPanel
from napari_deep3d.gui.shared import AMBER, Line, PreferenceFollower, stack_up
from napari_deep3d.gui.train.panel import TrainPanel

WIDTH = 380
MIN_WIDTH = 330
LISTING_MS = 500
"""From the last letter of a folder typed into napari's preferences until its models are listed."""
CLOSE_BUTTON = "QTitleBarCloseButton"
"""Name that napari's style sheets give the x of a dock."""
CLOSE_QUESTION = "ConfirmCloseDialog"
"""Class of the question that napari asks before it closes."""
PanelName = Literal["Predict", "Register", "Train", "Compare"]


class Deep3DWidget(QWidget):
    """The dock "Deep3D": it owns the session and the panels, and stops what runs when it goes.

    napari hands in the viewer; ``predict``, ``register``, ``train`` and ``compare`` make the panels.
    """

    _was_docked = False
    _companion: Companion | None = None
    _close_button: QPushButton | None = None

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
        self._viewer = viewer
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

        # 4. What napari's preferences say, now and whenever they are changed; a folder is typed letter by letter.
        self._listing = QTimer(self)
        self._listing.setSingleShot(True)
        self._listing.setInterval(LISTING_MS)
        self._listing.timeout.connect(self._list_models)
        self._preferences = PreferenceFollower(self._prefer)

    def show_panel(self, name: PanelName) -> None:
        """Bring a panel to the front."""
        self.tabs.setCurrentIndex(get_args(PanelName).index(name))

    def event(self, event: QEvent | None) -> bool:
        """Shut down once napari takes the widget out of its dock; nothing else tells that it was closed.

        It is deleted then, here in the window's thread: Python may collect what is left of it in a worker.
        """
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self._was_docked and self.parent() is None:
                self.shut_down()
                self.deleteLater()
            elif self.parent() is not None:
                QTimer.singleShot(0, self._settle_in)  # the dock is put into the window after the widget into the dock
            self._was_docked = self.parent() is not None
        return super().event(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Ask before the dock is closed while a job runs, and say what is under way in napari's own question."""
        if event is None:
            return False
        kind, button = event.type(), self._close_button
        if watched is button and kind in (QEvent.Type.MouseButtonRelease, QEvent.Type.KeyRelease):
            if button is None or not self.under_way():
                return False
            button.setDown(False)
            self._ask_to_close(button)
            return True
        if kind == QEvent.Type.ChildPolished and isinstance(event, QChildEvent):
            child = event.child()
            if isinstance(child, QDialog) and type(child).__name__ == CLOSE_QUESTION and self.under_way():
                self._explain(child)
        return False

    def under_way(self, closes_window: bool = False) -> str:
        """What runs, and what is kept of it if the dock or the whole window is closed; empty if nothing runs."""
        predict, others = self.predict_panel.under_way(closes_window), (self.register_panel, self.train_panel)
        return " ".join(filter(None, (predict, *(panel.under_way() for panel in others))))

    def shut_down(self) -> None:
        """Stop what runs, keep what is finished, and put the view back."""
        if self._companion is not None:
            self._companion.pairs = self.train_panel.pairs.ticks()
        self.predict_panel.shut_down()
        self.register_panel.shut_down()
        self.train_panel.shut_down()
        self.compare_panel.shut_down()
        self._preferences.shut_down()

    def _settle_in(self) -> None:
        """Get to know the window, once the dock is in it."""
        window = main_window(self)
        if window is None or self._companion is not None:
            return
        self._companion = Companion.of(self._viewer, self)
        if self._companion is not None:
            self.train_panel.pairs.restore(self._companion.pairs)
        window.installEventFilter(self)
        dock: QObject | None = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        if dock is not None:
            dock.topLevelChanged.connect(self._watch_close_button)  # napari makes a new title bar then
            self._watch_close_button()

    def _watch_close_button(self, _is_floating: bool = False) -> None:
        dock: QObject | None = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        bar = None if dock is None else dock.titleBarWidget()
        self._close_button = None if bar is None else bar.findChild(QPushButton, CLOSE_BUTTON)
        if self._close_button is not None:
            self._close_button.installEventFilter(self)

    def _ask_to_close(self, button: QPushButton) -> None:
        """Ask, without waiting for the answer: the job goes on meanwhile."""
        text = f"{self.under_way()} Close Deep3D and stop it?"
        question = QMessageBox(QMessageBox.Icon.Question, "Close Deep3D?", text, parent=self)
        close = question.addButton("Stop and close", QMessageBox.ButtonRole.AcceptRole)
        question.addButton("Keep it open", QMessageBox.ButtonRole.RejectRole)
        assert close is not None
        close.clicked.connect(partial(QTimer.singleShot, 0, button.click))
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.open()

    def _explain(self, question: QDialog) -> None:
        layout = question.layout()
        if layout is not None:
            line = Line(AMBER)
            line.setMinimumWidth(MIN_WIDTH)
            line.show_text(self.under_way(closes_window=True))
            layout.addWidget(line)

    def _prefer(self, values: Mapping[str, Any]) -> None:
        self.predict_panel.advanced.prefer(values)
        self.train_panel.options.advanced.prefer(values)
        if "models_folder" in values:
            self._listing.start()

    def _list_models(self) -> None:
        self.predict_panel.refresh_models()
        self.train_panel.options.refresh()

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
