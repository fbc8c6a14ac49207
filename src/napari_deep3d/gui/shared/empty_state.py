"""What a panel says while there is no stack to work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QPushButton, QWidget

from napari_deep3d.contributions import thick_pair
from napari_deep3d.core import InputError
from napari_deep3d.gui.shared.widgets import RED, Line, stack_up

if TYPE_CHECKING:
    from napari import Viewer


class EmptyState(QWidget):
    """An invitation to open a stack, and a button that loads the sample."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        invitation = Line()
        invitation.show_text("Open a wide-field stack (File > Open, or drop it on the window), or try the sample.")
        self.sample_button = QPushButton("Open the sample")
        self.sample_button.setToolTip("A simulated thick sample, as wide-field and as confocal stack")
        self.sample_button.clicked.connect(self._open_sample)
        self.problem = Line(RED)
        stack_up(self, invitation, self.sample_button, self.problem)

    def _open_sample(self) -> None:
        try:
            layers = thick_pair()
        except InputError as error:
            self.problem.show_text(str(error))
            return
        self.problem.show_text("")
        for data, properties, _kind in layers:
            self._viewer.add_image(data, **properties)
