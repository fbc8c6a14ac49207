"""Wide-field and confocal drawn on each other, before and after registration, and back to the view as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import DoubleArray, zyx
from napari_deep3d.core.registration import Transform
from napari_deep3d.gui.register.resampled_view import ResampledView, square_edges
from napari_deep3d.gui.shared import (
    TEMPORARY,
    Before,
    Choice,
    LayerPair,
    Orientation,
    PlacedStack,
    contrast_limits,
    cut,
    make_form,
    place,
    stack_up,
)

if TYPE_CHECKING:
    from napari import Viewer

OverlayStyle = Literal["colours", "detail", "checkerboard"]
STYLES = [("green / magenta", "colours"), ("fine detail, no haze", "detail"), ("checkerboard", "checkerboard")]
WIDEFIELD_COLOUR, CONFOCAL_COLOUR = "green", "magenta"
CHANGED = ("colormap", "blending", "affine")
"""Attributes of the pair's layers that the overlay changes."""
BEFORE_KEY = "B"
STYLE_TIP = (
    "Wide-field green on confocal magenta: white where both are. Fine detail shows what the estimate compares, without "
    "the out-of-focus haze. In a checkerboard edges go on from square to square"
)
TOGGLE_TIP = "Show both stacks on each other in this window, or put the view back as it was"
SHOW, LEAVE = "Show overlay", "Back to normal view"


@dataclass(frozen=True)
class OverlayLook:
    """How the overlay is seen: section, style, and whether as the layers lay before registration."""

    orientation: Orientation = "x-z"
    style: OverlayStyle = "colours"
    is_before: bool = False


class Overlay:
    """Draws a pair green on magenta, or as a checkerboard, and puts everything back.

    A shift is shown by the confocal layer's affine: nothing is computed. What napari cannot draw, which is fine detail,
    a checkerboard and a turned stack, is shown by temporary layers whose planes are resampled when they are looked at.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._before: Before | None = None
        self._pair: LayerPair | None = None
        self._transform, self._present = Transform.shift((0, 0, 0)), Transform.shift((0, 0, 0))
        self._look = OverlayLook()
        self._resampled: dict[Image, tuple[Image, ResampledView]] = {}

    @property
    def is_active(self) -> bool:
        """Whether the overlay is on."""
        return self._before is not None

    def show(self, pair: LayerPair, transform: Transform, look: OverlayLook) -> None:
        """Show a pair as a transform puts it."""
        viewer, is_new = self._viewer, self._before is None
        if is_new:
            before = self._before = Before(viewer)
            self._present = pair.present_transform()
            for layer in viewer.layers:
                before.note(layer, CHANGED if layer in (pair.confocal.layer, pair.widefield.layer) else ())
                layer.visible = False
            for stack, colour in ((pair.widefield, WIDEFIELD_COLOUR), (pair.confocal, CONFOCAL_COLOUR)):
                stack.layer.colormap, stack.layer.blending = colour, "additive"
                stack.layer.contrast_limits = contrast_limits(stack.volume.data)
            bar = viewer.canvas.overlays.scale_bar
            bar.visible, bar.gridded = True, False
            viewer.dims.events.ndisplay.connect(self._refresh)
        elif self._pair is not pair:  # perhaps another channel or time point: other voxels
            self._remove_resampled()
        orientation, self._look, self._pair = self._look.orientation, look, pair
        if is_new or orientation != look.orientation:
            field = pair.widefield
            cut(viewer, field.axes, field.layer.ndim, look.orientation, keeps_point=not is_new)
            viewer.fit_to_view(layers=[pair.widefield.layer])
        self._transform = transform
        self._refresh()

    def leave(self, keeps_section: bool = False) -> None:
        """Put the viewer back as it was before the first :meth:`show`, all of it or all but section and zoom."""
        before, self._before, self._pair = self._before, None, None
        if before is not None:
            self._viewer.dims.events.ndisplay.disconnect(self._refresh)
            self._remove_resampled()
            before.restore(keeps_section)

    def _refresh(self, _event: object = None) -> None:
        if self._pair is None or self._before is None:
            return
        # 1. What napari cannot draw, so that it is resampled
        pair, look, is_2d = self._pair, self._look, self._viewer.dims.ndisplay == 2
        style = look.style if is_2d else "colours"
        is_drawn = style == "colours"  # by napari
        is_turned = is_2d and not look.is_before and not self._transform.is_shift
        resamples_confocal = not is_drawn or is_turned
        if look.style == "colours" and self._transform.is_shift:
            self._remove_resampled()
        # 2. The confocal layer itself: moved, or where it was
        confocal, widefield = pair.confocal.layer, pair.widefield.layer
        if look.is_before or is_turned:
            confocal.affine = np.asarray(self._before.note(confocal).looks["affine"].affine_matrix)
        else:
            confocal.affine = pair.overlay_affine(self._transform)
        # 3. The temporary layers, and which of all are seen
        transform = self._present if look.is_before else self._transform
        spacings_um = pair.confocal.volume.require_spacing_um(), pair.widefield.volume.require_spacing_um()
        to_confocal = np.asarray(np.linalg.inv(transform.index_matrix(*spacings_um)))
        self._show_resampled(pair, pair.widefield, np.eye(4), not is_drawn, style)
        self._show_resampled(pair, pair.confocal, to_confocal, resamples_confocal, style)
        widefield.visible, confocal.visible = is_drawn, not resamples_confocal

    def _show_resampled(
        self, pair: LayerPair, stack: PlacedStack, matrix: DoubleArray, is_shown: bool, style: OverlayStyle
    ) -> None:
        """Show or hide the temporary layer that shows a stack on the wide-field stack's voxels."""
        layer, view = self._resampled.get(stack.layer, (None, None))
        if layer is not None and layer not in self._viewer.layers:  # the user removed it
            layer, view = None, None
        if not is_shown:
            if layer is not None:
                layer.visible = False
            return
        field = pair.widefield
        if layer is None or view is None:
            shape, properties = place(field.layer, field.axes, field.index)
            first, limits = field.axes.zyx[0], stack.layer.contrast_limits
            view = ResampledView(stack.volume.data, shape, zyx(axis - first for axis in field.axes.zyx), limits[0])
            selected = set(self._viewer.layers.selection)
            layer = self._viewer.add_image(
                view,
                name=f"{stack.layer.name} (overlay)",
                contrast_limits=limits,
                colormap=stack.layer.colormap,
                blending="additive",
                metadata={TEMPORARY: True},
                rgb=False,
                multiscale=False,
                visible=False,
                **properties,
            )
            self._viewer.layers.selection = selected
            self._resampled[stack.layer] = layer, view
        is_detail, was_detail = style == "detail", view.is_detail
        edges = None
        if style == "checkerboard":
            edges = square_edges(field.volume.shape, field.volume.require_spacing_um())
        if view.change(matrix, edges, stack is pair.confocal, is_detail) or not layer.visible:
            if is_detail != was_detail:
                layer.contrast_limits = (0.0, view.detail_limit()) if is_detail else stack.layer.contrast_limits
            layer.visible = True
            layer.refresh(extent=False)

    def _remove_resampled(self) -> None:
        for layer, _ in self._resampled.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._resampled = {}


class OverlayControls(QWidget):
    """Two choices and two buttons."""

    look_changed = Signal()  # another look was chosen
    toggled = Signal()  # the overlay is to be shown, or left

    def __init__(self) -> None:
        super().__init__()
        self.orientation = Choice("x-z shows the depth, where the stacks differ most")
        self.orientation.fill([(name, name) for name in ("x-z", "x-y", "y-z")], "x-z")
        self.orientation.currentIndexChanged.connect(self._on_look)
        self.overlay_style = Choice(STYLE_TIP)
        self.overlay_style.fill(STYLES, "colours")
        self.overlay_style.currentIndexChanged.connect(self._on_look)
        self.before = QPushButton(f"Before ({BEFORE_KEY})")
        self.before.setCheckable(True)
        self.before.setToolTip(f"Flip between the stacks as they were and as they are registered (key {BEFORE_KEY})")
        self.before.toggled.connect(self._on_look)
        self.toggle_button = QPushButton(SHOW)
        self.toggle_button.setToolTip(TOGGLE_TIP)
        self.toggle_button.clicked.connect(self.toggled)
        row = QHBoxLayout()
        row.addWidget(self.before)
        row.addWidget(self.toggle_button)
        stack_up(self, make_form({"View": self.orientation, "Overlay": self.overlay_style}), row)

    def look(self) -> OverlayLook:
        """Return what is chosen."""
        return OverlayLook(self.orientation.currentData(), self.overlay_style.currentData(), self.before.isChecked())

    def flip(self) -> None:
        """Flip between before and after."""
        self.before.toggle()

    def show_state(self, is_active: bool) -> None:
        """Fit the buttons to whether the overlay is on."""
        self.toggle_button.setText(LEAVE if is_active else SHOW)
        self.before.setEnabled(is_active)

    def show_after(self) -> None:
        """Choose the stacks as they are registered, without emitting :attr:`look_changed`."""
        with signals_blocked(self.before):
            self.before.setChecked(False)

    def _on_look(self, _value: object = None) -> None:
        self.look_changed.emit()
