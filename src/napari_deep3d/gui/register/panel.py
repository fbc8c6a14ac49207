"""The panel that finds where a confocal stack lies in a wide-field stack, and makes an aligned pair of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QWidget

from napari_deep3d.core import InputError, Job, RegisterConfig, Stop, Volume
from napari_deep3d.core.registration import Registration, register_volumes
from napari_deep3d.gui.register.actions import ResultActions
from napari_deep3d.gui.register.adjustment import AdjustedRegistration
from napari_deep3d.gui.register.grid_frames import GridFrames
from napari_deep3d.gui.register.overlay import BEFORE_KEY, Overlay, OverlayControls
from napari_deep3d.gui.register.shift_readout import ShiftReadout
from napari_deep3d.gui.shared import (
    RED,
    Cancelled,
    Choice,
    ConfigForm,
    EmptyState,
    Failed,
    FormRow,
    LayerPair,
    Line,
    NumberField,
    PairSelector,
    RunButton,
    make_form,
    stack_up,
)

if TYPE_CHECKING:
    from napari import Viewer

Register = Callable[[Volume, Volume, RegisterConfig, Stop], Job[Registration]]
"""Makes the job of a registration; takes what :func:`register_volumes` takes."""
TRANSFORMS = [
    ("shift only", "shift"),
    ("shift, rotation and magnification", "similarity"),
    ("all linear changes", "affine"),
]
METHODS = FormRow(
    "Method",
    "Leave it at PSF; the others are for comparison (cross-correlation)",
    choices=[
        ("blur between the stacks (PSF)", "psf"),
        ("match of the fine structure", "cross-correlation"),
        ("match of the stacks as they are", "plain-cross-correlation"),
    ],
)
ESTIMATE_TIP = "Find where the confocal stack lies in the wide-field stack; nothing is changed before Apply"
NO_LIMIT_UM = 10_000.0
"""As far as a config allows: no limit along an axis where another one has one."""


class RegisterPanel(QWidget):
    """Choose two stacks, estimate the shift, look at it, move it, apply it.

    Parameters
    ----------
    viewer : Viewer
    register : callable
        What the panel calls to register two stacks.
    """

    overlay_entered = Signal()  # the overlay is about to be shown; other views should leave first
    result_shown = Signal(object)  # the last widget of a new registration: it should come into view
    pair_added = Signal(object)  # a LoadedPair that is to be trained on

    def __init__(self, viewer: Viewer, *, register: Register = register_volumes) -> None:
        super().__init__()
        self._viewer, self._register = viewer, register
        self._pair: LayerPair | None = None
        self._adjusted: AdjustedRegistration | None = None
        self._users_key: object = None
        self.overlay = Overlay(viewer)
        self.empty, self.hint, self.message = EmptyState(viewer), Line(), Line()
        self.chooser, self.options = PairSelector(viewer), RegisterOptions()
        self.estimate = RunButton("Estimate shift", ESTIMATE_TIP)
        self.estimate.asked.connect(self._on_estimate)
        self.readout, self.controls = ShiftReadout(), OverlayControls()
        self.readout.adjusted.connect(self._on_adjusted)
        self.controls.look_changed.connect(self._on_look)
        self.controls.toggled.connect(self._on_toggle)
        self.result_actions = ResultActions(viewer)
        self.result_actions.loaded.connect(self._show_result)
        self.result_actions.applied.connect(self._on_applied)
        self.result_actions.busy_changed.connect(self._refresh_buttons)
        self.result_actions.pair_added.connect(self.pair_added)
        self.grid_frames = GridFrames()
        self.grid_frames.pair_added.connect(self.pair_added)
        key = QShortcut(QKeySequence(BEFORE_KEY), self)
        key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        key.activated.connect(self._flip)
        self._choices, self._result = QWidget(), QWidget()
        stack_up(self._choices, self.chooser, self.hint, self.options, self.estimate, self.message)
        stack_up(self._result, self.readout, self.controls)
        stack_up(self, self.empty, self._choices, self._result, self.result_actions, self.grid_frames, is_panel=True)
        self.chooser.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what follows from the choices."""
        old, pair = self._pair, self.chooser.pair()
        if pair is None or old is None or _grids(pair) != _grids(old):  # the registration belongs to other stacks
            self._adjusted = None
            self._clear_messages()
            self.leave_overlay()
            self._pair = pair
        elif (pair.confocal.index, pair.widefield.index) != (old.confocal.index, old.widefield.index):
            self._pair = LayerPair(old.confocal.at_index_of(pair.confocal), old.widefield.at_index_of(pair.widefield))
            if self.overlay.is_active:
                self._show_overlay()
        is_empty = self.chooser.layers() == (None, None)
        self.empty.setVisible(is_empty)
        self._choices.setVisible(not is_empty)
        self.result_actions.setVisible(not is_empty)
        self.hint.show_text(self.chooser.hint())
        self._refresh_buttons()

    def leave_overlay(self, keeps_section: bool = False) -> None:
        """Put the view back as it was; the registration stays."""
        if self.overlay.is_active:
            self._viewer.bind_key(BEFORE_KEY, self._users_key, overwrite=True)
            self.overlay.leave(keeps_section)
            self._refresh_buttons()

    def under_way(self) -> str:
        """What runs, and what is kept of it if it is stopped; empty if nothing does."""
        is_busy = self.estimate.is_running or self.result_actions.is_aligning
        if self.grid_frames.button.is_running:
            return "A pair is being made of grid frames; nothing of it is kept."
        return "A registration is under way; nothing of it is kept." if is_busy else ""

    def shut_down(self) -> None:
        """Stop what runs, put the view back and forget the viewer, since the dock goes."""
        self.chooser.changed.disconnect(self.refresh)
        self.chooser.disconnect_viewer()
        self.estimate.close_run()
        self.result_actions.shut_down()
        self.grid_frames.shut_down()
        self.leave_overlay()

    def _refresh_buttons(self) -> None:
        is_aligning = self.result_actions.is_aligning
        is_busy = self.estimate.is_running or is_aligning
        self._result.setVisible(self._adjusted is not None)
        self.chooser.setEnabled(not is_busy)
        self.options.setEnabled(not is_busy)
        self.estimate.allow(self._pair is not None and not is_aligning)
        self.controls.show_state(self.overlay.is_active)
        self.result_actions.show_state(self._pair, self._adjusted, self.estimate.is_running)

    def _clear_messages(self) -> None:
        self.message.show_text("")
        self.result_actions.clear_message()

    # The estimate

    def _on_estimate(self) -> None:
        self.chooser.apply_spacing()
        self.chooser.keep()
        pair = self._pair
        if pair is None:
            return
        try:
            config = self.options.config()
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        register = partial(self._register, pair.confocal.volume, pair.widefield.volume, config)
        self._clear_messages()
        name = f"Deep3D registers {pair.confocal.layer.name}"
        self.estimate.start(name, register, partial(self._on_estimated, pair))
        self._refresh_buttons()

    def _on_estimated(self, pair: LayerPair, end: Registration | Failed | Cancelled) -> None:
        if isinstance(end, Failed):
            self.message.show_text(end.sentence("The registration"), RED)
        elif isinstance(end, Cancelled):
            self.message.show_text("Stopped.", "")
        elif _grids(pair) != _grids(self._pair):
            self.message.show_text("The layers changed meanwhile. Choose them again and estimate.", RED)
        else:
            self._show_result(end)
        self._refresh_buttons()

    def _show_result(self, registration: Registration) -> None:
        if self._pair is None:
            return
        self._adjusted = AdjustedRegistration(registration, self._pair.widefield.volume.require_spacing_um())
        self.readout.show_registration(self._adjusted)
        self.controls.show_after()
        self._show_overlay()
        self.result_shown.emit(self.result_actions)

    # The overlay

    def _on_applied(self) -> None:
        self.leave_overlay(keeps_section=True)  # the aligned pair is seen where the overlay was

    def _show_overlay(self) -> None:
        if self._pair is None or self._adjusted is None:
            return
        if not self.overlay.is_active:
            self.overlay_entered.emit()
            self._users_key = self._viewer.bind_key(BEFORE_KEY, self._flip, overwrite=True)
        self.overlay.show(self._pair, self._adjusted.registration.transform, self.controls.look())
        self._refresh_buttons()

    def _on_adjusted(self, adjusted: AdjustedRegistration) -> None:
        self._adjusted = adjusted
        self.controls.show_after()  # who moves the shift wants to see it
        self._on_look()
        self._refresh_buttons()

    def _on_look(self) -> None:
        if self.overlay.is_active:
            self._show_overlay()

    def _on_toggle(self) -> None:
        if self.overlay.is_active:
            self.leave_overlay()
        else:
            self._show_overlay()

    def _flip(self, _viewer: object = None) -> None:
        if self.overlay.is_active:
            self.controls.flip()


def _grids(pair: LayerPair | None) -> object:
    """What a registration of the pair depends on besides the voxels."""
    return None if pair is None else (pair.confocal.grid, pair.widefield.grid)


class RegisterOptions(QWidget):
    """How to register: what may differ between the stacks; folded: the method, and how far to look."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = Choice("Shift only is right for two microscopes on one stand; rotation needs large stacks")
        self.transform.fill(TRANSFORMS, "shift")
        self.max_shift_z, self.max_shift_xy = _max_shift_field("z"), _max_shift_field("x, y")
        limits = {"Shift z up to": self.max_shift_z, "Shift x, y up to": self.max_shift_xy}
        self.advanced = ConfigForm(RegisterConfig.model_fields, {"method": METHODS}, limits)
        stack_up(self, make_form({"Allow for": self.transform}), self.advanced)

    def config(self) -> RegisterConfig:
        """Return the choices as a checked config."""
        z_um, xy_um = self.max_shift_z.value() or NO_LIMIT_UM, self.max_shift_xy.value() or NO_LIMIT_UM
        is_limited = min(z_um, xy_um) < NO_LIMIT_UM
        return RegisterConfig.checked(
            transform=self.transform.currentData(),
            max_shift_um=(z_um, xy_um, xy_um) if is_limited else None,
            **self.advanced.values(),
        )


def _max_shift_field(axis: str) -> NumberField:
    tip = f"Set it along {axis} if you know how far the stacks can be apart, and the estimate is wrong"
    field = NumberField(0, 1000, "um", decimals=1, at_low="no limit", tip=tip)
    field.setMinimumWidth(90)
    return field
