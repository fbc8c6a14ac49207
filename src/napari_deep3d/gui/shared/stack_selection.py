"""Which stack is meant: a layer, its Z axis, and an index along its other axes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from napari.layers import Image, Layer
from psygnal import Signal

from napari_deep3d.core import InputError, Spacing, Volume, zyx
from napari_deep3d.gui.shared.layers import (
    FileFacts,
    LayerAxes,
    file_facts,
    find_axes,
    index_in_name,
    order_with_z_first,
    pick,
    put_in_order,
    set_spacing,
    spacing_of,
)


class StackSelection:
    """The choice of one stack; ``changed`` is emitted after every change.

    Attributes
    ----------
    layer : Image or None
        The image layer to work on.
    file : FileFacts or None
        What its file says.
    z_axis : int or None
        Position of its Z axis where the user chose it.
    index : dict of int to int
        Index along each axis that is not Z, Y or X, such as channel and time, by position of the axis.
    spacing_um : (float, float, float) or None
        Voxel size Z, Y, X that the user or the file gave for a layer in pixels.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.layer: Image | None = None
        self.file: FileFacts | None = None
        self.z_axis: int | None = None
        self.index: dict[int, int] = {}
        self.spacing_um: Spacing | None = None

    def choose_layer(self, layer: Image | None) -> None:
        """Work on another layer; voxel size from its file, else its scale where that has no unit."""
        self.layer = layer
        self.file = None if layer is None else file_facts(layer)
        self.z_axis, self.index, self.spacing_um = None, {}, None
        if layer is not None:
            with suppress(InputError):  # no stack: the panel says so
                axes = self.axes()
                scale = zyx(abs(float(layer.scale[axis])) for axis in axes.zyx)
                if self.file is not None and self.file.shape[-3:] == pick(layer, axes, {}).shape:
                    self.spacing_um = self.file.spacing_um
                elif scale != (1.0, 1.0, 1.0):
                    self.spacing_um = scale
        self.changed.emit()

    def update(self, **choices: Any) -> None:
        """Set attributes by name, then tell of it once."""
        for name, value in choices.items():
            setattr(self, name, value)
        self.changed.emit()

    def axes(self) -> LayerAxes:
        """Return the axes of the chosen layer, or raise InputError if it is no stack."""
        return find_axes(self._chosen(), self.z_axis, self.file)

    def order_with_z_first(self) -> tuple[int, ...] | None:
        """Return the order of the layer's axes in which Z, Y, X are the last, or None if they are."""
        return None if self.layer is None else order_with_z_first(self.layer, self.z_axis, self.file)

    def put_z_first(self, layers: Iterable[Layer]) -> bool:
        """Put the layer's Z before Y and X, and all other axes before it; tell if anything was to do.

        So it is with those of ``layers`` that lie on it.
        """
        order = self.order_with_z_first()
        if order is None:
            return False
        put_in_order(self._chosen(), order, layers)
        self.z_axis = None  # it has a label now
        self.index = {order.index(axis): index for axis, index in self.index.items()}
        self.changed.emit()
        return True

    def needs_spacing(self) -> bool:
        """Whether the layer is in pixels, so that its voxel size must come from the user or the file."""
        return spacing_of(self._chosen(), self.axes()) is None

    def volume(self) -> Volume:
        """Return the chosen stack, or raise InputError if it cannot be worked on."""
        layer, axes = self._chosen(), self.axes()
        spacing_um = spacing_of(layer, axes) or self.spacing_um
        name = (layer.name or "This layer") + index_in_name(axes, self.index)
        return Volume(pick(layer, axes, self.index), spacing_um, name=name)

    def apply_spacing(self, layers: Iterable[Layer]) -> bool:
        """Write the voxel size to a layer in pixels, and to those of ``layers`` that lie on it; tell if it was."""
        if self.spacing_um is None or not self.needs_spacing():
            return False
        set_spacing(self._chosen(), self.axes(), self.spacing_um, layers)
        self.changed.emit()
        return True

    def _chosen(self) -> Image:
        if self.layer is None:
            raise LookupError("no layer is chosen")
        return self.layer
