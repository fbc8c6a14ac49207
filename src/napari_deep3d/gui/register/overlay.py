"""Wide-field and confocal drawn on each other, before and after registration, and back to the view as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from napari.layers import Image

from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.types import DoubleArray
from napari_deep3d.gui.register.resampled_view import ResampledView, square_edges
from napari_deep3d.gui.shared.geometry import LayerPair, PlacedStack
from napari_deep3d.gui.shared.layers import TEMPORARY, contrast_limits, place
from napari_deep3d.gui.shared.view_state import Before, Orientation, cut

Style = Literal["colours", "squares"]
WIDEFIELD_COLOUR, CONFOCAL_COLOUR = "green", "magenta"
LOOKS = ("colormap", "blending", "affine")


@dataclass(frozen=True)
class Look:
    """How the overlay is seen: section, style, and whether as the layers lay before registration."""

    orientation: Orientation = "x-z"
    style: Style = "colours"
    is_before: bool = False


class Overlay:
    """Draws a pair green on magenta, or as a checkerboard, and puts everything back.

    A shift is shown by the confocal layer's affine: nothing is computed. What napari cannot draw, which is a
    checkerboard and a turned stack, is shown by temporary layers whose planes are resampled when they are looked at.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._before: Before | None = None
        self._pair: LayerPair | None = None
        self._transform, self._present = Transform.shift((0, 0, 0)), Transform.shift((0, 0, 0))
        self._look = Look()
        self._seen: dict[str, tuple[Image, ResampledView]] = {}

    @property
    def is_active(self) -> bool:
        """Whether the overlay is on."""
        return self._before is not None

    def show(self, pair: LayerPair, transform: Transform, look: Look) -> None:
        """Show a pair as a transform puts it."""
        is_new = self._before is None
        if is_new:
            self._enter(pair)
        elif self._pair is not pair:  # perhaps another channel or time point: other voxels
            self._drop_seen()
        orientation, self._look, self._pair = self._look.orientation, look, pair
        if is_new or orientation != look.orientation:
            cut(self._viewer, pair.widefield.axes, pair.widefield.layer.ndim, look.orientation)
            self._viewer.fit_to_view(layers=[pair.widefield.layer])
        self._transform = transform
        self._refresh(pair)

    def leave(self) -> None:
        """Put the viewer back as it was before the first :meth:`show`."""
        before, self._before, self._pair = self._before, None, None
        if before is not None:
            self._viewer.dims.events.ndisplay.disconnect(self._on_ndisplay)
            self._drop_seen()
            before.restore()

    def _enter(self, pair: LayerPair) -> None:
        before = self._before = Before(self._viewer)
        self._present = pair.present_transform()
        for layer in self._viewer.layers:
            before.note(layer, LOOKS if layer in (pair.confocal.layer, pair.widefield.layer) else ())
            layer.visible = False
        for stack, colour in ((pair.widefield, WIDEFIELD_COLOUR), (pair.confocal, CONFOCAL_COLOUR)):
            stack.layer.colormap, stack.layer.blending = colour, "additive"
            stack.layer.contrast_limits = contrast_limits(stack.volume.data)
        bar = self._viewer.canvas.overlays.scale_bar
        bar.visible, bar.gridded = True, False
        self._viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    def _on_ndisplay(self, _event: Any = None) -> None:
        if self._pair is not None:
            self._refresh(self._pair)

    def _refresh(self, pair: LayerPair) -> None:
        look, confocal, widefield = self._look, pair.confocal.layer, pair.widefield.layer
        is_flat = self._viewer.dims.ndisplay == 2
        squares = look.style == "squares" and is_flat
        turned = is_flat and not look.is_before and not self._transform.is_shift
        if look.style == "colours" and self._transform.is_shift:
            self._drop_seen()
        confocal.affine = self._affine(pair, as_it_was=look.is_before or turned)
        self._show_seen("wide-field squares", pair, squares, pair.widefield, np.eye(4), squares)
        self._show_seen("confocal", pair, squares or turned, pair.confocal, self._to_confocal(pair), squares)
        widefield.visible, confocal.visible = not squares, not (squares or turned)

    def _affine(self, pair: LayerPair, as_it_was: bool) -> DoubleArray:
        if as_it_was and self._before is not None:
            return np.asarray(self._before.note(pair.confocal.layer).looks["affine"].affine_matrix)
        return pair.overlay_affine(self._transform)

    def _to_confocal(self, pair: LayerPair) -> DoubleArray:
        """4 x 4, from indices of the wide-field stack to those of the confocal one."""
        transform = self._present if self._look.is_before else self._transform
        spacings = pair.confocal.volume.require_spacing_um(), pair.widefield.volume.require_spacing_um()
        return np.asarray(np.linalg.inv(transform.index_matrix(*spacings)))

    # Temporary layers: made when they are first needed

    def _show_seen(
        self, name: str, pair: LayerPair, is_shown: bool, stack: PlacedStack, matrix: DoubleArray, squares: bool
    ) -> None:
        layer, seen = self._seen.get(name, (None, None))
        if layer is not None and layer not in self._viewer.layers:  # the user removed it
            layer, seen = None, None
        if not is_shown:
            if layer is not None:
                layer.visible = False
            return
        if layer is None or seen is None:
            layer, seen = self._seen[name] = self._make_seen(pair, stack)
        field = pair.widefield.volume
        edges = square_edges(field.shape, field.require_spacing_um()) if squares else None
        if not layer.visible or seen.squares != edges or not np.array_equal(seen.matrix, matrix):
            seen.matrix, seen.squares, seen.is_odd = matrix, edges, stack is pair.confocal
            layer.visible = True
            layer.refresh(extent=False)

    def _make_seen(self, pair: LayerPair, stack: PlacedStack) -> tuple[Image, ResampledView]:
        """Make a temporary layer on the wide-field stack's voxels."""
        field = pair.widefield
        shape, properties = place(field.layer, field.axes, field.index)
        first, limits = field.axes.zyx[0], stack.layer.contrast_limits
        z, y, x = (axis - first for axis in field.axes.zyx)
        seen = ResampledView(stack.volume.data, np.eye(4), shape, (z, y, x), limits[0])
        selected = set(self._viewer.layers.selection)
        layer = self._viewer.add_image(
            seen,
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
        return layer, seen

    def _drop_seen(self) -> None:
        for layer, _ in self._seen.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._seen = {}
