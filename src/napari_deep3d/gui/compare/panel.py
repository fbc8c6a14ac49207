"""The panel that shows stacks side by side."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget

from napari_deep3d.core import InputError
from napari_deep3d.gui.compare.side_by_side import SideBySide
from napari_deep3d.gui.shared import (
    AMBER,
    Choice,
    LayerChecklist,
    Line,
    Orientation,
    find_axes,
    full_data,
    image_layers,
    list_events,
    make_form,
    set_spacing_of_file,
    stack_up,
)

if TYPE_CHECKING:
    from napari import Viewer

MAX_TICKED = 4
CONTRASTS = [("automatic for each", "each"), ("the same for all", "common"), ("as set in the layers", "layers")]
HINTS = (
    "Two stacks are needed: open a wide-field stack, then predict from it or open the confocal one.",
    "A second stack is needed: predict from this one, or open its confocal stack.",
    "Tick two or more stacks to see side by side.",
)
"""By the number of stacks; the last for all further ones."""


class ComparePanel(QWidget):
    """Tick layers, choose a section, see them side by side, go back."""

    entered = Signal()
    """The side by side view is about to be shown; other views should leave first."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.view = SideBySide(viewer)
        self.hint, self.problem = Line(), Line(AMBER)
        self.list = LayerChecklist("Tick two or more stacks; they are shown in this order")
        self.list.itemChanged.connect(self._on_choice)
        self.orientation = Choice("x-z and y-z show the depth: there wide-field is blurred most")
        self.orientation.fill([(name, name) for name in get_args(Orientation)], "x-z")
        self.contrast = Choice("The same for all is for stacks with the same kind of values")
        self.contrast.fill(CONTRASTS, "each")
        for choice in (self.orientation, self.contrast):
            choice.currentIndexChanged.connect(self._on_choice)
        self.enter_button, self.leave_button = QPushButton("Side by side"), QPushButton("Back to normal view")
        self.enter_button.setMinimumHeight(34)
        self.enter_button.clicked.connect(self.enter)
        self.leave_button.clicked.connect(self.leave)
        form = make_form({"Section": self.orientation, "Contrast": self.contrast})
        parts = (self.hint, self.list, form, self.problem, self.enter_button, self.leave_button)
        stack_up(self, *parts, is_panel=True)
        self._events = list_events(viewer)
        for event in self._events:
            event.connect(self._on_layers_changed)
        self._on_layers_changed()

    def ticked(self) -> list[Image]:
        """Return the ticked layers, in the order of napari's list from its bottom."""
        return self.list.ticked()

    def compare(self, source: Image, result: Image) -> None:
        """Show a stack and its prediction side by side, with what lies on them, such as a confocal stack."""
        shape = full_data(result).shape
        alike = [layer for layer in self._images() if full_data(layer).shape == shape]
        chosen = [source, result, *(layer for layer in alike if layer not in (source, result))]
        self.list.fill(self._images(), chosen[:MAX_TICKED])
        self.enter()

    def enter(self) -> None:
        """Show the ticked layers side by side."""
        layers = self.ticked()
        if len(layers) < 2:
            return
        for layer in layers:
            set_spacing_of_file(layer, self._viewer.layers)
        if not self.view.is_active:
            self.entered.emit()
        problem = ""
        try:
            self.view.show(layers, self.orientation.currentData(), self.contrast.currentData())
            in_pixels = [layer.name for layer in layers if any(str(unit) == "pixel" for unit in layer.units[-2:])]
            if 0 < len(in_pixels) < len(layers):
                problem = (
                    f"{', '.join(in_pixels)} has no voxel size, so it is not to scale beside the others. "
                    "Choose it in Predict and type its voxel size there: its file does not state it."
                )
        except InputError as error:
            problem = str(error)
        self.problem.show_text(problem)
        self._refresh_buttons()

    def leave(self) -> None:
        """Put the viewer back as it was."""
        self.view.leave()
        self.problem.show_text("")
        self._refresh_buttons()

    def shut_down(self) -> None:
        """Forget the viewer, since the dock goes; what was changed is put back."""
        for event in self._events:
            event.disconnect(self._on_layers_changed)
        self.view.leave()

    def _images(self) -> list[Image]:
        stacks = []
        for layer in image_layers(self._viewer.layers):
            with suppress(InputError):
                find_axes(layer)
                stacks.append(layer)
        return stacks

    def _on_layers_changed(self, _event: object = None) -> None:
        images, known = self._images(), self.list.layers()
        ticked = [layer for layer in self.ticked() if layer in images]
        new = [layer for layer in images if layer not in known]
        self.list.fill(images, [*ticked, *new[: max(0, MAX_TICKED - len(ticked))]])
        self._on_choice()

    def _on_choice(self, _value: object = None) -> None:
        if self.view.is_active:
            if len(self.ticked()) < 2:
                self.leave()
            else:
                self.enter()
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        count = len(self.ticked())
        self.hint.show_text(HINTS[min(self.list.count(), 2)])
        self.enter_button.setEnabled(count >= 2 and not self.view.is_active)
        self.leave_button.setEnabled(self.view.is_active)
