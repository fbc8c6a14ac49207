"""Where a stack lies in napari's world, and how a registration moves it there.

Positions are (Z, Y, X) in um. *In the stack* they count from the centre of its first voxel along its own axes, as in
:class:`Transform`; *in the world* they are what napari draws, after all transforms of the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from napari.layers import Image

from napari_deep3d.core import DoubleArray, InputError, Spacing, Volume
from napari_deep3d.core.registration import Transform
from napari_deep3d.gui.shared.layers import LayerAxes, layer_matrix, place
from napari_deep3d.io import um_per_unit


@dataclass(frozen=True, eq=False)
class PlacedStack:
    """A stack with its voxel size, the layer that it comes from, and the index along the layer's other axes."""

    layer: Image
    axes: LayerAxes
    index: Mapping[int, int]
    volume: Volume

    @property
    def grid(self) -> tuple[Any, ...]:
        """What a registration depends on besides the voxels: layer, axes, shape and voxel size."""
        return self.layer, self.axes.zyx, self.volume.shape, tuple(self.layer.scale), self.layer.units

    def at_index_of(self, other: PlacedStack) -> PlacedStack:
        """Combine the layer and voxel size of this stack with the index and voxels of another one.

        The voxel size cannot be read from the layer anew while an overlay stretches it.
        """
        volume = replace(other.volume, spacing_um=self.volume.spacing_um)
        return replace(self, index=other.index, volume=volume)

    def to_world_um(self) -> DoubleArray:
        """4 x 4, from positions in the stack to positions in the world, both (Z, Y, X) in um."""
        whole, zyx = layer_matrix(self.layer), list(self.axes.zyx)
        units = self._unit_um()
        chosen = np.array([0 if i in zyx else self.index.get(i, 0) for i in range(self.layer.ndim)])
        matrix = np.eye(4)
        matrix[:3, :3] = units[:, None] * whole[np.ix_(zyx, zyx)] / self.volume.require_spacing_um()
        matrix[:3, 3] = units * (whole[zyx, :-1] @ chosen + whole[zyx, -1])
        return matrix

    def world_axes(self) -> tuple[int, ...]:
        """Positions of Z, Y, X counted from the last axis, as napari lines layers up."""
        return tuple(axis - self.layer.ndim for axis in self.axes.zyx)

    def _unit_um(self) -> DoubleArray:
        """Um in one unit of the layer, along Z, Y, X."""
        sizes_um = [um_per_unit(self.layer.units[i]) for i in self.axes.zyx]
        if None in sizes_um:
            raise InputError(f"{self.layer.name} is in pixels; a voxel size in um is needed. Set its voxel size first.")
        return np.array(sizes_um, dtype=np.float64)

    def affine_for(self, to_world_um: DoubleArray) -> DoubleArray:
        """Affine of the layer, (ndim + 1) x (ndim + 1), with which :meth:`to_world_um` is this; other axes stay."""
        units, zyx = np.diag([*self._unit_um(), 1.0]), list(self.axes.zyx)
        full = np.array(self.layer.affine.affine_matrix)
        part = [*zyx, self.layer.ndim]
        wanted = (
            np.linalg.inv(units) @ to_world_um @ np.linalg.inv(self.to_world_um()) @ units @ full[np.ix_(part, part)]
        )
        full[zyx] = 0
        full[np.ix_(zyx, part)] = wanted[:3]
        return full


@dataclass(frozen=True, eq=False)
class LayerPair:
    """The two stacks of one sample.

    Raises
    ------
    InputError
        If napari cannot draw them on each other, since their Z, Y, X are different axes of its world.
    """

    confocal: PlacedStack
    widefield: PlacedStack

    def __post_init__(self) -> None:
        if self.confocal.world_axes() != self.widefield.world_axes():
            raise InputError(
                f"The planes of {self.confocal.layer.name} and {self.widefield.layer.name} lie along different axes of "
                "napari's. Split the channels of the one that has more axes."
            )

    def present_transform(self) -> Transform:
        """From positions in the confocal stack to those in the wide-field stack, as the layers lie now."""
        return Transform.from_array(np.linalg.inv(self.widefield.to_world_um()) @ self.confocal.to_world_um())

    def overlay_affine(self, transform: Transform) -> DoubleArray:
        """Affine for the confocal layer that puts its stack where a registration says, whatever the layers' places."""
        return self.confocal.affine_for(self.widefield.to_world_um() @ transform.matrix)


def place_part(stack: PlacedStack, origin_um: Spacing) -> tuple[list[int], dict[str, Any]]:
    """Where to put a layer that shows a part of a stack, voxel for voxel; its first voxel is at ``origin_um`` in it.

    Returns
    -------
    list of int
        Axes of the part's data to insert: the layer has one of length 1 for each other axis after Z.
    dict
        Properties of the new layer.
    """
    shape, properties = place(stack.layer, stack.axes, stack.index)
    first = stack.axes.zyx[0]
    kept = list(range(first, first + len(shape)))
    own = np.linalg.inv(stack.layer.affine.affine_matrix) @ layer_matrix(stack.layer)
    start = np.zeros(stack.layer.ndim)
    start[list(stack.axes.zyx)] = np.array(origin_um) / stack.volume.require_spacing_um()
    properties["translate"] = properties["translate"] + (own[:-1, :-1] @ start)[kept]
    return [i - first for i in kept if i not in stack.axes.zyx], properties
