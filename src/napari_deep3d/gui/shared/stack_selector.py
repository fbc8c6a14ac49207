"""Which stack to work on: the layer, its further axes, and its voxel size where that is missing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.contributions import thick_pair
from napari_deep3d.core import InputError, Spacing, doubt_spacing, format_spacing
from napari_deep3d.gui.shared.geometry import PlacedStack
from napari_deep3d.gui.shared.layers import (
    channel_axis,
    full_data,
    image_layers,
    is_likely_input,
    is_result,
    list_events,
)
from napari_deep3d.gui.shared.number_field import CountField, NumberField
from napari_deep3d.gui.shared.stack_selection import StackSelection
from napari_deep3d.gui.shared.widgets import AMBER, RED, Choice, Line, add_row, format_facts, make_form, stack_up

if TYPE_CHECKING:
    from napari import Viewer

PUT_Z_FIRST = "Put z first"
Z_FIRST_TIP = (
    "Bring the layer's axes into the order z, y, x; the voxels stay as they are, and the voxel size goes with the axes"
)
Z_HINT = "The last axis is much shorter than the others. If it holds the planes, put z first."
WHY = "The model needs it to tell blur from structure."
Guess = Callable[[list[Image]], Image | None]
"""Tells which of the image layers is likely meant."""


class EmptyState(QWidget):
    """What a panel says while there is no stack: an invitation to open one, and a button that loads the sample."""

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


class StackPart(QWidget):
    """The choice of one stack: its layer, a line of facts, and its voxel size where that is missing.

    Parameters
    ----------
    viewer : napari.Viewer
        Its layers are offered.
    choice : StackSelection
        Where the choice is kept.
    label, tip : str
        What the layer is called in the form, and its tool tip.
    guess : callable, optional
        Chooses a layer while the user has not; by default the newest one that was opened or selected.
    why, button : str
        What needs the voxel size, and the button of the panel that writes it to the layer too.
    """

    def __init__(
        self,
        viewer: Viewer,
        choice: StackSelection,
        label: str = "Stack",
        tip: str = "The wide-field stack to work on",
        guess: Guess | None = None,
        why: str = WHY,
        button: str = "Predict confocal",
    ) -> None:
        super().__init__()
        self._viewer, self.choice = viewer, choice
        self._shown: Image | None = None
        self.chooser = StackSelector(viewer, choice, label, tip, guess)
        self.facts, self.doubt, self.problem = Line(), Line(AMBER), Line(RED)
        self.voxel_size = VoxelSize(choice, why, button)
        self.voxel_size.apply_requested.connect(self.apply_spacing)
        self.z_first_button = QPushButton(PUT_Z_FIRST)
        self.z_first_button.setToolTip(Z_FIRST_TIP)
        self.z_first_button.clicked.connect(self.put_z_first)
        self.z_hint = Line(AMBER)
        lines = (self.facts, self.doubt, self.problem, self.z_hint)
        stack_up(self, self.chooser, *lines, self.z_first_button, self.voxel_size)
        choice.changed.connect(self.refresh)
        self.refresh()

    def stack(self) -> PlacedStack | None:
        """Return the chosen stack, or None while there is none with a voxel size."""
        choice = self.choice
        if choice.layer is None:
            return None
        try:
            volume = choice.volume()
            is_known = volume.spacing_um is not None
            return PlacedStack(choice.layer, choice.axes(), dict(choice.index), volume) if is_known else None
        except InputError:  # shown already
            return None

    def refresh(self) -> None:
        """Show what follows from the choice."""
        if self.choice.layer != self._shown:
            self._shown = self.choice.layer
            self.voxel_size.clear()
        facts, doubt, problem, needs_spacing = "", "", "", False
        if self.choice.layer is not None:
            try:
                volume, needs_spacing = self.choice.volume(), self.choice.needs_spacing()
                facts = format_facts(volume)
                doubt = "" if volume.spacing_um is None else doubt_spacing(volume.spacing_um)
            except InputError as error:
                problem = str(error)
        self.facts.show_text(facts)
        self.doubt.show_text(doubt)
        self.problem.show_text(problem)
        is_misplaced = self._is_z_misplaced()
        self.z_hint.show_text(Z_HINT if is_misplaced and PUT_Z_FIRST not in problem else "")
        self.z_first_button.setVisible(is_misplaced)
        self.voxel_size.setVisible(needs_spacing)
        self.voxel_size.refresh()

    def _is_z_misplaced(self) -> bool:
        """Whether Z seems to lie after Y or X; other axes between them do no harm."""
        order = self.choice.order_with_z_first()
        return order is not None and not order[-3] < order[-2] < order[-1]

    def join_axes(self) -> bool:
        """Put other axes that lie between Z, Y and X, as in Fiji's hyperstacks, before them; tell if there were any."""
        return not self._is_z_misplaced() and self.put_z_first()

    def put_z_first(self) -> bool:
        """Bring the layer's axes into the order z, y, x, and stay at the same place; tell if anything was to do."""
        dims, order = self._viewer.dims, self.choice.order_with_z_first()
        point = dims.point
        if order is None or not self.choice.put_z_first(self._viewer.layers):
            return False
        first = dims.ndim - len(order)
        dims.point = (*point[:first], *(point[first + axis] for axis in order))
        self._viewer.fit_to_view()
        return True

    def channel_axis(self) -> int | None:
        """Position of the axis along which the layer's channels lie, or None if it has none."""
        try:
            return None if self.choice.layer is None else channel_axis(self.choice.layer, self.choice.axes())
        except InputError:
            return None

    def apply_spacing(self) -> None:
        """Write the voxel size to the layer if it has none, and stay at the same plane."""
        dims = self._viewer.dims
        steps = dims.current_step
        if self.choice.layer is not None and self.choice.apply_spacing(self._viewer.layers):
            dims.current_step = steps  # the sliders count in um now
            self._viewer.fit_to_view()

    def disconnect_viewer(self) -> None:
        """Forget the viewer and the choice."""
        self.choice.changed.disconnect(self.refresh)
        self.chooser.disconnect_viewer()


class StackSelector(QWidget):
    """A form with the layer, and a row for each of channel, time and Z axis that the layer needs.

    Parameters are as of :class:`StackPart`.
    """

    def __init__(self, viewer: Viewer, choice: StackSelection, label: str, tip: str, guess: Guess | None) -> None:
        super().__init__()
        self._viewer, self._choice = viewer, choice
        self._guess = guess or self._guess_by_view
        self._follows, self._is_users = guess is None, False
        self._rows: list[QWidget] = []
        self._boxes: dict[int, CountField] = {}
        self._shown: tuple[Any, ...] = ()
        self.layer_choice = Choice(tip)
        self.layer_choice.currentIndexChanged.connect(self._on_layer_chosen)
        self.layer_choice.activated.connect(self._keep)
        self._form = make_form({label: self.layer_choice})
        stack_up(self, self._form)
        self._events, self._dims_event = list_events(viewer), viewer.dims.events.point
        self._selected_event = viewer.layers.selection.events.active
        self._selected_event.connect(self._follow_selection)
        for event in self._events:
            event.connect(self._on_layers_changed)
        self._dims_event.connect(self._follow_sliders)
        choice.changed.connect(self._show_choice)
        self._on_layers_changed()

    def disconnect_viewer(self) -> None:
        """Forget the viewer and the choice."""
        for event in self._events:
            event.disconnect(self._on_layers_changed)
        self._selected_event.disconnect(self._follow_selection)
        self._dims_event.disconnect(self._follow_sliders)
        self._choice.changed.disconnect(self._show_choice)

    def _on_layers_changed(self, event: Any = None) -> None:
        images = image_layers(self._viewer.layers)
        in_order = sorted(images, key=is_result)  # what jobs made comes last
        self.layer_choice.fill([(layer.name, layer) for layer in in_order], self._choice.layer)
        if self._choice.layer not in images:
            self._is_users = False
            self._choice.choose_layer(self._guess(images))
        elif not (event is not None and event.type == "inserted" and self._follow(event.value)):
            self._choice.changed.emit()

    def _keep(self, _index: int) -> None:
        """Stay with what the user chose in the box."""
        self._is_users = True

    def _follow_selection(self, event: Any) -> None:
        self._follow(event.value)

    def _follow(self, layer: Layer | None) -> bool:
        """Choose a layer that was opened or selected, unless the user chose in the box; tell if it was chosen."""
        if self._is_users or not self._follows or not self.isEnabled() or layer == self._choice.layer:
            return False
        layer = next((known for known in image_layers(self._viewer.layers) if known == layer), None)
        if layer is None or not is_likely_input(layer):
            return False
        self._choice.choose_layer(layer)
        return True

    def _guess_by_view(self, images: list[Image]) -> Image | None:
        """Return the active layer, else the newest, of those that may be meant; never one that a job made."""
        images = [layer for layer in images if not is_result(layer)]
        likely = [layer for layer in images if is_likely_input(layer)] or [layer for layer in images if layer.visible]
        active = self._viewer.layers.selection.active
        return active if active in likely else next(iter(reversed(likely or images)), None)

    def _on_layer_chosen(self, _index: int) -> None:
        self._choice.choose_layer(self.layer_choice.currentData())

    def _show_choice(self) -> None:
        """Show the layer that is chosen, and the rows that it needs if they are not there already."""
        layer = self._choice.layer
        self.layer_choice.choose(layer)
        try:
            axes = None if layer is None else self._choice.axes()
        except InputError:
            axes = None
        shown = (layer, axes)
        if shown == self._shown:
            return
        self._shown = shown

        # 1. Take the rows away; deleted later, since one of them may be telling of its change just now.
        for widget in self._rows:
            label = self._form.labelForField(widget)
            self._form.takeRow(widget)
            for part in (label, widget):
                if part is not None:
                    part.hide()
                    part.deleteLater()
        self._rows, self._boxes = [], {}
        if layer is None or axes is None:
            return

        # 2. A row for the Z axis where the layer does not say which it is.
        shape, rows = full_data(layer).shape, list[tuple[str, QWidget]]()
        if len(axes.z_choices) > 1:
            choice = Choice("The layer does not say which of its axes are the planes (z)")
            choice.fill([(f"axis {i + 1} ({shape[i]} planes)", i) for i in axes.z_choices], axes.zyx[0])
            choice.currentIndexChanged.connect(lambda _: self._choice.update(z_axis=choice.currentData(), index={}))
            rows.append(("Planes (z)", choice))

        # 3. A row for the index along each other axis.
        for axis, name in axes.others.items():
            tip = f"The {name} to work on, counted from 0; napari's slider goes with it"
            box = self._boxes[axis] = CountField(0, shape[axis] - 1, tip, f" / {shape[axis] - 1}")
            box.setValue(self._choice.index.get(axis, 0))
            box.valueChanged.connect(partial(self._move_slider, axis))
            rows.append((name.capitalize(), box))
        for text, widget in rows:
            add_row(self._form, text, widget)
        self._rows = [widget for _, widget in rows]
        self._follow_sliders()

    def _move_slider(self, axis: int, value: int) -> None:
        """Show what is chosen: the slider moves, and the choice follows it."""
        layer, dims = self._choice.layer, self._viewer.dims
        if layer is None:
            return
        position = np.asarray(layer.world_to_data(dims.point[-layer.ndim :]))
        position[axis] = value
        dims.set_point(axis + dims.ndim - layer.ndim, float(layer.data_to_world(position)[axis]))

    def _follow_sliders(self, _event: object = None) -> None:
        """Choose the channel and time point that are seen."""
        layer = self._choice.layer
        if layer is None or not self._boxes:
            return
        position = np.asarray(layer.world_to_data(self._viewer.dims.point[-layer.ndim :]))
        nearest = {axis: round(float(position[axis])) for axis in self._boxes}
        index = {axis: min(max(nearest[axis], 0), box.maximum()) for axis, box in self._boxes.items()}
        for axis, box in self._boxes.items():
            with signals_blocked(box):
                box.setValue(index[axis])
        if index != self._choice.index:
            self._choice.update(index=index)


class VoxelSize(QWidget):
    """Fields for the voxel size in um, with the reason, and a button that writes it to the layer.

    Parameters are as of :class:`StackPart`.
    """

    apply_requested = Signal()
    """The chosen size is to be written to the layer now."""

    def __init__(self, choice: StackSelection, why: str, button: str) -> None:
        super().__init__()
        self._choice, self._why = choice, why
        self.reason = Line(AMBER)
        self.z_um, self.xy_um = (
            NumberField(0, 100, "um", decimals=4, at_low="?", tip=f"Voxel size in um: {tip} (0.2, 0,2, 200 nm)")
            for tip in ("distance between planes", "size of a pixel")
        )
        for field in (self.z_um, self.xy_um):
            field.valueChanged.connect(self._on_edited)
            field.refused.connect(self.reason.show_text)
        self.apply_button = QPushButton("Set voxel size")
        self.apply_button.setToolTip(f"Write the voxel size to the layer now; {button} does so too")
        self.apply_button.clicked.connect(self.apply_requested)
        form = make_form({"Voxel size z": self.z_um, "Voxel size x, y": self.xy_um})
        stack_up(self, self.reason, form, self.apply_button)

    def refresh(self) -> None:
        """Show what is known of the voxel size, and why it is asked for."""
        spacing_um, file = self._choice.spacing_um, self._choice.file
        self.apply_button.setEnabled(spacing_um is not None)
        if spacing_um is None:
            hint = "Enter it in um; the microscope's software shows it."
            self.reason.show_text(f"This layer has no voxel size. {self._why} {hint}")
            return
        size = format_spacing(spacing_um)
        if file is not None and file.spacing_um == spacing_um:
            reason = f"napari did not take over the voxel size; the file says {size}. {self._why}"
        else:
            reason = f"This layer is in pixels. {self._why} Check that {size} is right."
        self.reason.show_text(reason)
        for field, value_um in ((self.z_um, spacing_um[0]), (self.xy_um, spacing_um[2])):
            if abs(field.value() - value_um) > 0.5e-4:
                with signals_blocked(field):
                    field.setValue(value_um)

    def clear(self) -> None:
        """Empty the fields, as for another layer."""
        for field in (self.z_um, self.xy_um):
            with signals_blocked(field):
                field.setValue(0)

    def _on_edited(self, _value: float) -> None:
        z, xy = self.z_um.value(), self.xy_um.value()
        spacing_um: Spacing | None = (z, xy, xy) if z >= 0.001 and xy >= 0.001 else None
        self._choice.update(spacing_um=spacing_um)
