"""The panel that compares stacks: side by side, along a line, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QTabWidget, QWidget

from napari_deep3d.core import InputError, Vector, zyx
from napari_deep3d.core.evaluation.profile import Profile
from napari_deep3d.gui.compare.cover import Cover
from napari_deep3d.gui.compare.export import Scene
from napari_deep3d.gui.compare.export_bar import ExportBar
from napari_deep3d.gui.compare.measuring import Numbers, differences
from napari_deep3d.gui.compare.numbers_view import NumbersView
from napari_deep3d.gui.compare.profile_view import DRAWN, ProfileView
from napari_deep3d.gui.compare.readout import Readout
from napari_deep3d.gui.compare.roles import CONFOCAL, ERROR, PREDICTION, indices_in_series, role, stack_shape, titles
from napari_deep3d.gui.compare.sections import View
from napari_deep3d.gui.compare.sections_view import SectionsView, read_sections
from napari_deep3d.gui.compare.series import SeriesSliders
from napari_deep3d.gui.compare.stacks import ComparedStack, compared_stacks, with_common_limits
from napari_deep3d.gui.shared import (
    AMBER,
    Choice,
    Failed,
    LatestResult,
    LayerChecklist,
    Line,
    find_axes,
    full_data,
    image_layers,
    list_events,
    make_form,
    set_spacing_of_file,
    stack_up,
)
from napari_deep3d.gui.main_window import main_window
from napari_deep3d.io import um_per_unit

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
ENTER_TIP = "Show the ticked stacks next to each other, with one crosshair and one zoom"
LEAVE_TIP = "Show napari's own view again; it is as it was"
CONTRAST_TIP = "The same for all is for stacks with the same kind of values"
SECTION_TIP = "x-z and y-z show the depth: there wide-field is blurred most"
REFERENCE_TIP = "What the others are measured against, and what is subtracted in the difference: a confocal stack"
DIFFERENCE_TIP = (
    "Beside the stacks, prediction minus reference, after the best scale and offset: "
    "brown where the prediction is brighter, blue where it is darker, white where they agree"
)
LARGER_TIP = "Hide napari's lists of layers as long as the stacks are side by side"
NO_REFERENCE = "none: judge by eye"
LOOKS = ("contrast_limits", "colormap", "gamma", "data", "set_data", "scale", "translate", "affine", "units")
"""Events of a layer after which its picture is another one."""


class ComparePanel(QWidget):
    """Tick layers, choose a section, see them side by side, measure, go back."""

    entered = Signal()
    """The side by side view is about to be shown; other views should leave first."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._is_users = False  # the ticks, since the user set one
        self._point_before: tuple[float, ...] = ()
        self._followed: list[Image] = []
        self._limits = dict[tuple[Any, ...], tuple[float, float]]()
        self._stacks: list[ComparedStack] = []
        self._differences: list[ComparedStack] = []
        self._subtracted: object = None  # of which stacks the differences are
        self.view = SectionsView()
        self._cover = Cover(self.view)

        # 1. What is compared, and how it is seen.
        self.hint, self.problem, self.place, self.note = Line(), Line(AMBER), Line(AMBER), Line()
        self.list = LayerChecklist("Tick two or more stacks; they are shown in this order", height=80)
        self.list.itemChanged.connect(self._on_tick)
        self.orientation = Choice(SECTION_TIP)
        self.orientation.fill([(name, name) for name in get_args(View)], "x-z")
        self.contrast = Choice(CONTRAST_TIP)
        self.contrast.fill(CONTRASTS, "each")
        self.reference = Choice(REFERENCE_TIP)
        self.orientation.currentIndexChanged.connect(self._on_choice)
        self.contrast.currentIndexChanged.connect(self._on_contrast)
        self.reference.currentIndexChanged.connect(self._on_choice)
        self.difference, self.larger = QCheckBox("Difference map"), QCheckBox("Larger pictures")
        self.difference.setToolTip(DIFFERENCE_TIP)
        self.larger.setToolTip(LARGER_TIP)
        self.larger.setChecked(True)
        self.difference.toggled.connect(self._on_choice)
        self.larger.toggled.connect(self._on_larger)
        self.series = SeriesSliders(viewer)
        self.enter_button, self.leave_button = QPushButton("Side by side"), QPushButton("Back to normal view")
        for button, act, tip in (
            (self.enter_button, self.enter, ENTER_TIP),
            (self.leave_button, self.leave, LEAVE_TIP),
        ):
            button.setMinimumHeight(34)
            button.clicked.connect(act)
            button.setToolTip(tip)

        # 2. What is read and measured.
        self.readout, self.profile, self.numbers = Readout(), ProfileView(), NumbersView()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.profile, "Profile")
        self.tabs.addTab(self.numbers, "Numbers")
        self.export = ExportBar(self._scene, self._tables)
        self.profile.line_chosen.connect(self._on_line_chosen)
        self.view.point_moved.connect(self._on_point)
        self.view.line_moved.connect(self._on_line)
        self.view.hovered.connect(self._on_hover)
        self.view.left.connect(self.leave)
        self._subtracting = LatestResult("Deep3D subtracts stacks", parent=self)
        self._subtracting.ended.connect(self._on_subtracted)

        # 3. Their places.
        form = make_form({"Section": self.orientation, "Contrast": self.contrast, "Reference": self.reference})
        ticks, buttons = QHBoxLayout(), QHBoxLayout()
        for row, widgets in ((ticks, (self.difference, self.larger)), (buttons, (self.enter_button, self.leave_button))):
            for widget in widgets:
                row.addWidget(widget)
        lines = (self.note, self.problem, self.place)
        above = (self.hint, self.list, form, ticks, *lines, buttons)
        stack_up(self, *above, self.series, self.readout, self.tabs, self.export, is_panel=True).setSpacing(5)
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
        self._fill_references()
        self.enter()

    def enter(self) -> None:
        """Show the ticked layers side by side."""
        layers = self.ticked()
        if len(layers) < 2:
            return
        for layer in layers:
            set_spacing_of_file(layer, self._viewer.layers)
        is_new = not self.view.is_active
        if is_new:
            self.entered.emit()
            self._point_before = tuple(self._viewer.dims.point)
            self._viewer.dims.events.current_step.connect(self._on_step)
            self._cover.show_in(main_window(self))
            self._cover.hide_lists(self.larger.isChecked())
        self._follow(layers)
        if is_new or layers != [stack.layer for stack in self._stacks]:
            self._go_to_results(layers)
        self._show(layers, is_new)

    def leave(self) -> None:
        """Take the pictures away; napari's view below them is as it was."""
        if self.view.is_active:
            dims = self._viewer.dims
            dims.events.current_step.disconnect(self._on_step)
            self._follow([])
            self._subtracting.shut_down()
            self.view.clear()
            self._cover.take_away()
            self.series.show_layers([])
            self.profile.shut_down()
            self.numbers.shut_down()
            self.readout.show_values([], (0.0, 0.0, 0.0))
            if len(self._point_before) == dims.ndim:
                dims.point = self._point_before
        self._stacks, self._differences = [], []
        for line in (self.problem, self.place, self.note):
            line.show_text("")
        self._refresh_buttons()

    def shut_down(self) -> None:
        """Forget the viewer, since the dock goes; what was changed is put back."""
        for event in self._events:
            event.disconnect(self._on_layers_changed)
        self.leave()
        self.export.close_runs()

    def _show(self, layers: list[Image], is_new: bool = False) -> None:
        """Show layers, with the same contrast only if that shows something of each."""
        problem = ""
        try:
            self._stacks = self._make_stacks(layers)
        except InputError as error:
            problem = str(error)
            self.problem.show_text(problem)
            return
        in_pixels = [stack.layer.name for stack in self._stacks if not stack.has_um and stack.layer is not None]
        if 0 < len(in_pixels) < len(layers):
            problem = (
                f"{', '.join(in_pixels)} has no voxel size, so it is not to scale beside the others. "
                "Choose it in Predict and type its voxel size there: its file does not state it."
            )
        self.problem.show_text(problem)
        if is_new:
            self.view.stacks = self._stacks
            self.view.point_um = self._seen_point(layers[0])
        self._subtract()
        self.view.show_stacks([*self._stacks, *self._differences], self.orientation.currentData())
        self.series.show_layers(layers)
        self._show_place()
        self._read()
        self._measure()
        self._refresh_buttons()

    def _make_stacks(self, layers: list[Image]) -> list[ComparedStack]:
        steps, contrast = self._viewer.dims.current_step, self.contrast.currentData()
        given = {}
        if contrast == "layers":
            given = {layer: tuple(layer.contrast_limits) for layer in layers}
        else:
            keys = {layer: (id(layer), id(layer.data), steps) for layer in layers}
            given = {layer: self._limits[key] for layer, key in keys.items() if key in self._limits}
        stacks = compared_stacks(layers, steps, given)
        if contrast == "layers":
            return stacks
        self._limits = {(id(stack.layer), id(stack.layer.data), steps): stack.limits for stack in stacks if stack.layer}
        widths = {stack: stack.limits[1] - stack.limits[0] for stack in stacks}
        common = with_common_limits(stacks)
        least, most = min(widths, key=widths.__getitem__), max(widths, key=widths.__getitem__)
        reason = ""
        if widths[least] < MIN_SHARE * (common[0].limits[1] - common[0].limits[0]):
            spans = [f"{stack.title} {stack.limits[0]:.3g} to {stack.limits[1]:.3g}" for stack in (least, most)]
            reason = f"The same contrast for all would hide some: {', '.join(spans)}."
        entry, model = self.contrast.findData("common"), self.contrast.model()
        if isinstance(model, QStandardItemModel) and (item := model.item(entry)) is not None:
            item.setEnabled(not reason)
            item.setToolTip(reason or CONTRAST_TIP)
        if reason and contrast == "common":
            self.contrast.choose("each")
            self.note.show_text(f"{reason} Each has its own.")
        return stacks if reason or contrast == "each" else common

    def _seen_point(self, layer: Image) -> Vector:
        """The middle of what napari shows, and where its sliders stand, in um."""
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        seen = dict(zip(dims.displayed, camera.center[-dims.ndisplay :], strict=True))
        found = []
        for axis in find_axes(layer).zyx:
            place = axis + dims.ndim - layer.ndim
            found.append(float(seen.get(place, dims.point[place])) * (um_per_unit(layer.units[axis]) or 1.0))
        return zyx(found)

    def _reference_stack(self) -> ComparedStack | None:
        layer = self.reference.currentData()
        return next((stack for stack in self._stacks if stack.layer is layer), None) if layer is not None else None

    def _judged(self, predictions_only: bool = False) -> list[ComparedStack]:
        """The stacks that are compared with the reference."""
        reference = self._reference_stack()
        others = [stack for stack in self._stacks if stack is not reference and stack.role != ERROR]
        predicted = [stack for stack in others if stack.role == PREDICTION]
        return predicted or others if predictions_only else others

    def _subtract(self) -> None:
        """Ask for the difference maps; those of other stacks go."""
        reference, chosen = self._reference_stack(), self._judged(predictions_only=True)
        if reference is None or not chosen or not self.difference.isChecked():
            self._subtracting.shut_down()
            self._differences = []
            return
        key = (tuple((id(stack.layer), id(stack.data)) for stack in [*chosen, reference]), self._viewer.dims.current_step)
        if key != self._subtracted:
            self._differences = []
        self._subtracted = key
        self._subtracting.ask(key, partial(differences, chosen, reference))

    def _on_subtracted(self, end: Any) -> None:
        if isinstance(end, Failed):
            self.problem.show_text(end.sentence("The difference map"))
        elif isinstance(end, list) and self.view.is_active:
            self._differences = end
            self.view.show_stacks([*self._stacks, *end], self.orientation.currentData())

    def _measure(self) -> None:
        reference = self._reference_stack()
        self.numbers.show_stacks(self._judged() if reference is not None else [], reference)

    def _read(self) -> None:
        """Read values and profiles at the crosshair, or along the line."""
        self.readout.show_values(self.view.stacks, self.view.point_um)
        ends = self.profile.ends_um(self.view.bounds, self.view.point_um, self.view.line_um)
        is_drawn = self.profile.line.currentData() == DRAWN
        self.profile.read(self._stacks, ends, self.view.line_normal if is_drawn else None)

    def _on_point(self) -> None:
        self._read()

    def _on_line(self) -> None:
        if self.view.line_um is not None:
            self.profile.line.choose(DRAWN)
        self._read()

    def _on_line_chosen(self) -> None:
        if self.view.is_active:
            self._read()

    def _on_hover(self, point_um: Vector | None) -> None:
        if self.view.is_active:
            self.readout.show_values(self.view.stacks, self.view.point_um if point_um is None else point_um)

    def _on_step(self, _event: object = None) -> None:
        """Show another time point or channel."""
        if self.view.is_active:
            self._show(self.ticked())

    def _on_larger(self, is_on: bool) -> None:
        if self.view.is_active:
            self._cover.hide_lists(is_on)

    def _scene(self) -> Scene:
        view = self.view
        sections = read_sections(view.stacks, view.placements, view.point_um)
        drawn = view.line_um
        return Scene(
            view.stacks, sections, view.placements, view.bounds, view.point_um, drawn, view.seen_um(), view.columns
        )

    def _tables(self) -> tuple[Mapping[str, Profile], Numbers | None]:
        return self.profile.profiles, self.numbers.numbers

    def _follow(self, layers: Sequence[Image]) -> None:
        """Notice when the look or place of a layer changes."""
        for layer in self._followed:
            for name in LOOKS:
                getattr(layer.events, name).disconnect(self._on_look)
        self._followed = list(layers)
        for layer in layers:
            for name in LOOKS:
                getattr(layer.events, name).connect(self._on_look)

    def _on_look(self, _event: object = None) -> None:
        if self.view.is_active:
            self._show(self.ticked())

    def _go_to_results(self, layers: list[Image]) -> None:
        """Go to the time point and channel of a result that is to be seen beside its series; the last one's."""
        dims = self._viewer.dims
        for result in layers:
            found = indices_in_series(result, layers)
            if found is not None:
                series, indices = found
                for axis, index in indices.items():
                    dims.set_current_step(axis + dims.ndim - series.ndim, index)

    def _show_place(self) -> None:
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

    def _fill_references(self) -> None:
        """Offer the ticked stacks as reference; by default the confocal one."""
        layers = self.ticked()
        named, chosen = titles(layers), self.reference.currentData()
        offered = [layer for layer in layers if role(layer) not in (PREDICTION, ERROR)]
        if chosen not in offered:
            chosen = next((layer for layer in offered if role(layer) == CONFOCAL), None)
        self.reference.fill([*((named[layer], layer) for layer in offered), (NO_REFERENCE, None)], chosen)

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
        self._fill_references()
        self._on_choice()

    def _on_tick(self, _item: object = None) -> None:
        self._is_users = True
        self._fill_references()
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
        count, is_active = len(self.ticked()), self.view.is_active
        self.hint.show_text("" if is_active else HINTS[min(self.list.count(), 2)])
        self.enter_button.setEnabled(count >= 2 and not is_active)
        self.leave_button.setEnabled(is_active)
        self.difference.setEnabled(self.reference.currentData() is not None)
        for widget in (self.tabs, self.export):
            widget.setVisible(is_active)
