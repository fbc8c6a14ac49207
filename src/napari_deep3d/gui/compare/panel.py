"""The panel that shows stacks side by side."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QPushButton, QWidget

from napari_deep3d.core import InputError
from napari_deep3d.gui.compare.picture_titles import PictureTitles
from napari_deep3d.gui.compare.readout import Readout
from napari_deep3d.gui.compare.roles import indices_in_series, stack_shape, titles
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
MIN_SHARE = 0.1
"""Of a common range of values that each stack must take up: with less it would be nearly black, or flat."""
CONTRASTS = [("automatic for each", "each"), ("the same for all", "common"), ("as set in the layers", "layers")]
HINTS = (
    "Two stacks are needed: open a wide-field stack, then predict from it or open the confocal one.",
    "A second stack is needed: predict from this one, or open its confocal stack.",
    "Tick two or more stacks to see side by side.",
)
"""By the number of stacks; the last for all further ones."""
ENTER_TIP = "Show the ticked stacks next to each other, in one section, with one zoom and one slider"
LEAVE_TIP = "Put section, zoom, sliders, contrast and what is visible back as they were"
CONTRAST_TIP = "The same for all is for stacks with the same kind of values"


class ComparePanel(QWidget):
    """Tick layers, choose a section, see them side by side, go back."""

    entered = Signal()
    """The side by side view is about to be shown; other views should leave first."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.view = SideBySide(viewer, self.leave)
        self._titles, self.readout = PictureTitles(viewer), Readout(viewer)
        self._selected = set[Layer]()
        self._is_users = False  # the ticks, since the user set one
        self.hint, self.problem, self.place, self.note = Line(), Line(AMBER), Line(AMBER), Line()
        self.list = LayerChecklist("Tick two or more stacks; they are shown in this order")
        self.list.itemChanged.connect(self._on_tick)
        self.orientation = Choice("x-z and y-z show the depth: there wide-field is blurred most")
        self.orientation.fill([(name, name) for name in get_args(Orientation)], "x-z")
        self.contrast = Choice(CONTRAST_TIP)
        self.contrast.fill(CONTRASTS, "each")
        self.orientation.currentIndexChanged.connect(self._on_choice)
        self.contrast.currentIndexChanged.connect(self._on_contrast)
        self.enter_button, self.leave_button = QPushButton("Side by side"), QPushButton("Back to normal view")
        self.enter_button.setMinimumHeight(34)
        self.enter_button.clicked.connect(self.enter)
        self.enter_button.setToolTip(ENTER_TIP)
        self.leave_button.clicked.connect(self.leave)
        self.leave_button.setToolTip(LEAVE_TIP)
        form = make_form({"Section": self.orientation, "Contrast": self.contrast})
        lines = (self.note, self.problem, self.place)
        stack_up(
            self, self.hint, self.list, form, *lines, self.enter_button, self.leave_button, self.readout, is_panel=True
        )
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
            self.view.remember()
            self._selected = set(self._viewer.layers.selection)
            # with none selected, napari's status bar tells of all pictures instead of the selected layer
            self._viewer.layers.selection.clear()
            self._viewer.dims.events.current_step.connect(self._show_place)
        problem = ""
        try:
            if layers != self.readout.layers():
                self._go_to_results(layers)
            self._show(layers)
            in_pixels = [layer.name for layer in layers if any(str(unit) == "pixel" for unit in layer.units[-2:])]
            if 0 < len(in_pixels) < len(layers):
                problem = (
                    f"{', '.join(in_pixels)} has no voxel size, so it is not to scale beside the others. "
                    "Choose it in Predict and type its voxel size there: its file does not state it."
                )
        except InputError as error:
            problem = str(error)
        self.problem.show_text(problem)
        named = titles(layers)
        self._titles.show(named)
        self.readout.show_layers(named)
        self._show_place()
        self._refresh_buttons()

    def leave(self) -> None:
        """Put the viewer back as it was."""
        if self.view.is_active:
            viewer = self._viewer
            viewer.dims.events.current_step.disconnect(self._show_place)
            self._titles.show({})
            self.readout.show_layers({})
            self.view.leave()
            if not viewer.layers.selection:
                viewer.layers.selection.update(layer for layer in self._selected if layer in viewer.layers)
        self._selected = set()
        for line in (self.problem, self.place, self.note):
            line.show_text("")
        self._refresh_buttons()

    def shut_down(self) -> None:
        """Forget the viewer, since the dock goes; what was changed is put back."""
        for event in self._events:
            event.disconnect(self._on_layers_changed)
        self.leave()

    def _show(self, layers: list[Image]) -> None:
        """Show layers, with the same contrast only if that shows something of each."""
        orientation = self.orientation.currentData()
        self.view.show(layers, orientation, self.contrast.currentData())
        named, limits = titles(layers), self.view.limits
        reason = ""
        if limits:
            widths = {layer: high - low for layer, (low, high) in limits.items()}
            common = max(high for _, high in limits.values()) - min(low for low, _ in limits.values())
            least, most = min(widths, key=widths.__getitem__), max(widths, key=widths.__getitem__)
            if widths[least] < MIN_SHARE * common:
                spans = [f"{named[layer]} {limits[layer][0]:.3g} to {limits[layer][1]:.3g}" for layer in (least, most)]
                reason = f"The same contrast for all would hide some: {', '.join(spans)}."
        entry, model = self.contrast.findData("common"), self.contrast.model()
        if isinstance(model, QStandardItemModel) and (item := model.item(entry)) is not None:
            item.setEnabled(not reason)
            item.setToolTip(reason or CONTRAST_TIP)
        if not reason:
            self.note.show_text("")
        elif self.contrast.currentData() == "common":
            self.contrast.choose("each")
            self.view.show(layers, orientation, "each")
            self.note.show_text(f"{reason} Each has its own.")

    def _go_to_results(self, layers: list[Image]) -> None:
        """Go to the time point and channel of a result that is to be seen beside its series; the last one's."""
        dims = self._viewer.dims
        for result in layers:
            found = indices_in_series(result, layers)
            if found is not None:
                series, indices = found
                for axis, index in indices.items():
                    dims.set_current_step(axis + dims.ndim - series.ndim, index)

    def _show_place(self, _event: object = None) -> None:
        """Say which results are of another time point or channel than the one on show."""
        layers, dims = self.ticked(), self._viewer.dims
        named, said = titles(layers), []
        for result in layers:
            series, indices = indices_in_series(result, layers) or (result, {})
            for axis, index in indices.items():
                step = dims.current_step[axis + dims.ndim - series.ndim]
                if step != index:
                    name = find_axes(series).others[axis]
                    said.append(f"The {named[result]} is of {name} {index}, {named[series]} is seen at {name} {step}.")
        self.place.show_text("\n".join(said))

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
        self._is_users = self._is_users and len(ticked) > 1
        if images and not self._is_users and not self.view.is_active:  # what belongs to the newest: of the same size
            alike = [layer for layer in images if stack_shape(layer) == stack_shape(images[-1])]
            if len(alike) > 1:
                new = [layer for layer in alike if layer in new or not set(ticked) & set(alike)]
                ticked = [layer for layer in ticked if layer in alike]
        self.list.fill(images, [*ticked, *new[: max(0, MAX_TICKED - len(ticked))]])
        self._on_choice()

    def _on_tick(self, _item: object = None) -> None:
        self._is_users = True
        self._on_choice()

    def _on_contrast(self, _index: int) -> None:
        self.note.show_text("")
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
