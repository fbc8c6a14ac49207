"""The panel that compares stacks: side by side, along a line, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QTabWidget, QWidget

from napari_deep3d.core import InputError, Vector, zyx
from napari_deep3d.core.evaluation.profile import Profile
from napari_deep3d.gui.compare.choices import CompareChoices
from napari_deep3d.gui.compare.cover import Cover
from napari_deep3d.gui.compare.export import Scene
from napari_deep3d.gui.compare.export_bar import ExportBar
from napari_deep3d.gui.compare.measuring import Alone, Numbers, differences
from napari_deep3d.gui.compare.numbers_view import NumbersView
from napari_deep3d.gui.compare.profile_view import DRAWN, ProfileView
from napari_deep3d.gui.compare.readout import Readout
from napari_deep3d.gui.compare.report import ReportRequest
from napari_deep3d.gui.compare.roles import PREDICTION, WIDEFIELD, indices_in_series, titles
from napari_deep3d.gui.compare.sections_view import SectionsView, read_sections
from napari_deep3d.gui.compare.series import SeriesSliders
from napari_deep3d.gui.compare.stacks import ComparedStack, compared_stacks
from napari_deep3d.gui.main_window import main_window
from napari_deep3d.gui.shared import (
    AMBER,
    METADATA_KEY,
    Failed,
    LatestResult,
    Line,
    find_axes,
    list_events,
    set_spacing_of_file,
    stack_up,
)
from napari_deep3d.io import um_per_unit

if TYPE_CHECKING:
    from napari import Viewer

HINTS = (
    "Two stacks are needed: open a wide-field stack, then predict from it or open the confocal one.",
    "A second stack is needed: predict from this one, or open its confocal stack.",
    "Tick two or more stacks to see side by side.",
)
"""By the number of stacks; the last for all further ones."""
ENTER_TIP = "Show the ticked stacks next to each other, with one crosshair and one zoom"
LEAVE_TIP = "Show napari's own view again; it is as it was"
LOOKS = ("contrast_limits", "colormap", "gamma", "data", "scale", "translate", "affine", "units")
"""Events of a layer after which its picture is another one."""
FILLED_MS = 500
"""How long a layer that is being filled, as by a prediction, must rest before it is measured again."""


class ComparePanel(QWidget):
    """Tick layers, choose a section, see them side by side, measure, go back."""

    entered = Signal()
    """The side by side view is about to be shown; other views should leave first."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._point_before: tuple[float, ...] = ()  # where napari's sliders stood
        self._followed: list[Image] = []
        self._limits = dict[tuple[Any, ...], tuple[float, float]]()
        self._stacks: list[ComparedStack] = []
        self._differences: list[ComparedStack] = []
        self._subtracted: object = None  # of which stacks the differences are
        self._in_pixels = self._not_subtracted = ""

        # 1. The parts.
        self.choices, self.series = CompareChoices(viewer), SeriesSliders(viewer)
        self.hint, self.problem, self.place = Line(), Line(AMBER), Line(AMBER)
        self.enter_button, self.leave_button = QPushButton("Side by side"), QPushButton("Back to normal view")
        self.view, self.readout, self.profile, self.numbers = SectionsView(), Readout(), ProfileView(), NumbersView()
        self._cover = Cover(self.view)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.profile, "Profile")
        self.tabs.addTab(self.numbers, "Numbers")
        self.export = ExportBar(self._scene, self._tables, self._report)
        self._subtracting = LatestResult("Deep3D subtracts stacks", parent=self)
        self._filling = QTimer(self)
        self._filling.setSingleShot(True)
        self._filling.setInterval(FILLED_MS)
        self._filling.timeout.connect(self._on_rest)

        # 2. What they tell each other.
        for button, act, tip in (
            (self.enter_button, self.enter, ENTER_TIP),
            (self.leave_button, self.leave, LEAVE_TIP),
        ):
            button.setMinimumHeight(34)
            button.clicked.connect(act)
            button.setToolTip(tip)
        self.choices.changed.connect(self._on_choice)
        self.choices.larger.toggled.connect(self._on_larger)
        self.profile.line_chosen.connect(self._read)
        self.view.point_moved.connect(self._read)
        self.view.line_moved.connect(self._on_line)
        self.view.hovered.connect(self._on_hover)
        self.view.left.connect(self.leave)
        self._subtracting.ended.connect(self._on_subtracted)
        self._events = list_events(viewer)
        for event in self._events:
            event.connect(self._on_layers_changed)

        # 3. Their places.
        buttons = QHBoxLayout()
        buttons.addWidget(self.enter_button)
        buttons.addWidget(self.leave_button)
        above = (self.hint, self.choices, self.problem, self.place, buttons, self.series)
        stack_up(self, *above, self.readout, self.tabs, self.export, is_panel=True).setSpacing(5)
        self._on_layers_changed()

    def ticked(self) -> list[Image]:
        """Return the ticked layers, in the order of napari's list from its bottom."""
        return self.choices.ticked()

    def compare(self, source: Image, result: Image) -> None:
        """Show a stack and its prediction side by side, with what lies on them, such as a confocal stack."""
        self.choices.tick(source, result)
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
            self._viewer.dims.events.current_step.connect(self._on_look)
            self._cover.show_in(main_window(self))
            self._cover.hide_lists(self.choices.larger.isChecked())
        self._follow(layers)
        if is_new or layers != [stack.layer for stack in self._stacks]:
            self._go_to_results(layers)
        self._show(layers, is_new)

    def leave(self) -> None:
        """Take the pictures away; napari's view below them is as it was."""
        if self.view.is_active:
            dims = self._viewer.dims
            dims.events.current_step.disconnect(self._on_look)
            self._follow([])
            self._filling.stop()
            self._subtracting.shut_down()
            self.view.clear()
            self._cover.take_away()
            self.series.show_layers([])
            self.profile.shut_down()
            self.numbers.shut_down()
            self.readout.show_values([], (0.0, 0.0, 0.0))
            if len(self._point_before) == dims.ndim:
                dims.point = self._point_before
        self._stacks, self._differences, self._limits = [], [], {}
        for line in (self.problem, self.place, self.choices.note):
            line.show_text("")
        self._refresh_buttons()

    def shut_down(self) -> None:
        """Forget the viewer, since the dock goes; what was changed is put back."""
        for event in self._events:
            event.disconnect(self._on_layers_changed)
        self.leave()
        self.export.close_runs()

    def _show(self, layers: list[Image], is_new: bool = False) -> None:
        """Show layers, in what they look like now."""
        try:
            self._stacks = self._make_stacks(layers)
        except InputError as error:  # its axes were named otherwise meanwhile
            self.problem.show_text(str(error))
            return
        in_pixels = [stack.layer.name for stack in self._stacks if not stack.has_um and stack.layer is not None]
        problem = ""
        if 0 < len(in_pixels) < len(layers):
            problem = (
                f"{', '.join(in_pixels)} has no voxel size, so it is not to scale beside the others. "
                "Choose it in Predict and type its voxel size there: its file does not state it."
            )
        self._in_pixels = problem
        if is_new:
            self.view.point_um = self._seen_point(layers[0])
        self._subtract()
        self._show_problem()
        self.view.show_stacks([*self._stacks, *self._differences], self.choices.orientation.currentData())
        self.series.show_layers(layers)
        self._show_place()
        self._read()
        self.numbers.show_stacks(self.choices.judged(self._stacks), self.choices.reference_of(self._stacks))
        self._refresh_buttons()

    def _make_stacks(self, layers: list[Image]) -> list[ComparedStack]:
        """The stacks of layers, with the contrast that is chosen; percentiles are found once for each stack."""
        steps = self._viewer.dims.current_step
        if self.choices.contrast.currentData() == "layers":
            return compared_stacks(layers, steps, {layer: tuple(layer.contrast_limits) for layer in layers})
        keys = {layer: (id(layer), id(layer.data), steps) for layer in layers}
        known = {layer: self._limits[key] for layer, key in keys.items() if key in self._limits}
        stacks = compared_stacks(layers, steps, known)
        self._limits = {keys[stack.layer]: stack.limits for stack in stacks if stack.layer is not None}
        return self.choices.with_contrast(stacks)

    def _seen_point(self, layer: Image) -> Vector:
        """The middle of what napari shows, and where its sliders stand, in um."""
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        seen = dict(zip(dims.displayed, camera.center[-dims.ndisplay :], strict=True))
        found = []
        for axis in find_axes(layer).zyx:
            place = axis + dims.ndim - layer.ndim
            found.append(float(seen.get(place, dims.point[place])) * (um_per_unit(layer.units[axis]) or 1.0))
        return zyx(found)

    def _subtract(self) -> None:
        """Ask for the difference maps, of the predictions if there are any; those of other stacks go."""
        reference, judged = self.choices.reference_of(self._stacks), self.choices.judged(self._stacks)
        chosen = [stack for stack in judged if stack.role == PREDICTION] or judged
        if reference is None or not chosen or not self.choices.difference.isChecked():
            self._subtracting.shut_down()
            self._differences, self._subtracted, self._not_subtracted = [], None, ""
            return
        stacks = tuple(stack.key for stack in [*chosen, reference])
        if stacks != self._subtracted:
            self._differences, self._subtracted, self._not_subtracted = [], stacks, ""
        self._subtracting.ask(stacks, partial(differences, chosen, reference))

    def _on_subtracted(self, end: Any) -> None:
        if isinstance(end, Failed):
            self._not_subtracted = end.sentence("The difference map")
            self._show_problem()
        elif isinstance(end, list) and self.view.is_active:
            self._differences = end
            self.view.show_stacks([*self._stacks, *end], self.choices.orientation.currentData())
            self._on_hover(None)

    def _show_problem(self) -> None:
        self.problem.show_text("\n".join(filter(None, (self._in_pixels, self._not_subtracted))))

    def _read(self) -> None:
        """Read values and profiles at the crosshair, or along the line."""
        view = self.view
        if not view.is_active:
            return
        self._on_hover(None)
        ends = self.profile.ends_um(view.bounds, view.point_um, view.line_um)
        is_drawn = self.profile.line.currentData() == DRAWN
        self.profile.read(self._stacks, ends, view.line_normal if is_drawn else None)

    def _on_line(self) -> None:
        if self.view.line_um is not None:
            self.profile.line.choose(DRAWN)
        self._read()

    def _on_hover(self, point_um: Vector | None) -> None:
        if self.view.is_active:
            self.readout.show_values(self.view.stacks, self.view.point_um if point_um is None else point_um)

    def _on_larger(self, is_on: bool) -> None:
        if self.view.is_active:
            self._cover.hide_lists(is_on)

    def _scene(self) -> Scene:
        view = self.view
        sections = read_sections(view.shown, view.placements, view.point_um)
        places = (view.bounds, view.point_um, view.line_um, view.seen_um())
        return Scene(view.shown, sections, view.placements, *places, view.columns)

    def _tables(self) -> tuple[Mapping[str, Profile], Numbers | Alone | None]:
        return self.profile.profiles, self.numbers.numbers

    def _report(self) -> ReportRequest | None:
        """What a report is made of; None with neither a prediction nor a reference."""
        reference, judged = self.choices.reference_of(self._stacks), self.choices.judged(self._stacks)
        predicted = [stack for stack in judged if stack.role == PREDICTION]
        if reference is not None:
            predicted = predicted or judged[:1]
        if not predicted:
            return None
        raw = next((stack for stack in judged if stack.role == WIDEFIELD and stack not in predicted), None)
        about = {}
        for stack in predicted:
            noted = {} if stack.layer is None else stack.layer.metadata.get(METADATA_KEY)
            about[stack.title] = noted if isinstance(noted, Mapping) else {}
        return ReportRequest(predicted, reference, raw, about)

    def _follow(self, layers: Sequence[Image]) -> None:
        """Notice when the look or place of a layer changes."""
        for layer in self._followed:
            layer.events.set_data.disconnect(self._on_filled)
            for name in LOOKS:
                getattr(layer.events, name).disconnect(self._on_look)
        self._followed = list(layers)
        for layer in layers:
            layer.events.set_data.connect(self._on_filled)
            for name in LOOKS:
                getattr(layer.events, name).connect(self._on_look)

    def _on_look(self, _event: object = None) -> None:
        """Show what a layer is now, or another time point or channel."""
        if self.view.is_active:
            self._show(self.ticked())

    def _on_filled(self, _event: object = None) -> None:
        """Show the voxels that a layer has now, and measure them once they rest."""
        if self.view.is_active:
            self.view.refresh()
            self._filling.start()

    def _on_rest(self) -> None:
        if self.view.is_active:
            self._limits = {}
            self.numbers.shut_down()
            self._subtracting.forget()
            self._subtracted = None
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

    def _on_layers_changed(self, _event: object = None) -> None:
        self.choices.take_layers(self.view.is_active)
        self._on_choice()

    def _on_choice(self) -> None:
        if self.view.is_active:
            if len(self.ticked()) < 2:
                self.leave()
            else:
                self.enter()
        self._refresh_buttons()

    def _refresh_buttons(self) -> None:
        count, is_active = len(self.ticked()), self.view.is_active
        self.hint.show_text("" if is_active else HINTS[min(self.choices.list.count(), 2)])
        self.enter_button.setEnabled(count >= 2 and not is_active)
        self.leave_button.setEnabled(is_active)
        self.choices.difference.setEnabled(self.choices.reference.currentData() is not None)
        self.export.allow_report(is_active and self._report() is not None)
        for widget in (self.tabs, self.export):
            widget.setVisible(is_active)
