"""Where a registration puts a layer; without a viewer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.volume import Volume
from napari_deep3d.gui.shared.geometry import LayerPair, PlacedStack, place_part
from napari_deep3d.gui.shared.layers import find_axes, pick, spacing_of
from tests.helpers.gui import PLACE, SPACING_UM

ZYX = ("z", "y", "x")
TURNED = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
MOVED = np.array([[1, 0, 0, 9.0], [0, 0.6, 0.8, -3], [0, -0.8, 0.6, 2], [0, 0, 0, 1]])


def placed(layer: Image, index: dict[int, int] | None = None) -> PlacedStack:
    axes = find_axes(layer)
    data = pick(layer, axes, index or {})
    return PlacedStack(layer, axes, index or {}, Volume(data, spacing_of(layer, axes)))


def image(shape: tuple[int, ...] = (8, 32, 40), **properties: Any) -> Image:
    return Image(np.zeros(shape, np.uint8), **(PLACE | properties))


def world_um(layer: Image, index: Any) -> Any:
    """World position of a voxel in um: napari draws layers of other units on one scale."""
    position = np.asarray(layer.data_to_world(index))
    return [float((value * unit).to("um").magnitude) for value, unit in zip(position, layer.units, strict=True)]


@pytest.mark.parametrize(
    "widefield",
    [
        {},
        {"scale": (0.7, 0.3, 0.3), "translate": (3, -2, 5)},
        {"affine": MOVED, "rotate": TURNED},
        {"scale": (700, 300, 300), "units": ("nm",) * 3, "translate": (500, 0, 0)},
    ],
)
@pytest.mark.parametrize(
    "confocal",
    [
        {},
        {"scale": (0.4, 0.1, 0.1), "translate": (-1, 4, 2)},
        {"affine": MOVED, "translate": (1, 2, 3)},
        {"rotate": TURNED},
    ],
)
def test_a_point_and_its_partner_meet(widefield: Any, confocal: Any) -> None:
    pair = LayerPair(placed(image(**confocal)), placed(image(**widefield)))
    transform = Transform.from_array(np.vstack([[1, 0.02, 0, 1.5], [0, 1.1, 0.1, -2], [0, -0.1, 1, 0.7], [0, 0, 0, 1]]))
    layer, bright = pair.confocal.layer, np.array([3, 10, 20])
    partner = (
        transform.apply(bright * pair.confocal.volume.require_spacing_um()) / pair.widefield.volume.require_spacing_um()
    )
    for _ in range(2):  # the second time from where the first one put it
        layer.affine = pair.overlay_affine(transform)
        assert world_um(layer, bright) == pytest.approx(world_um(pair.widefield.layer, partner))
    assert pair.present_transform().matrix == pytest.approx(transform.matrix)


def test_stacks_with_channels_move_along_their_own_axes() -> None:
    place = {"axis_labels": ("z", "c", "y", "x"), "units": ("um", "pixel", "um", "um"), "scale": (0.5, 1, 0.2, 0.2)}
    confocal = placed(image((8, 2, 32, 40), **place, translate=(0, 0, 1, 0)), {1: 1})
    pair = LayerPair(confocal, placed(image((8, 2, 32, 40), **place)))
    confocal.layer.affine = pair.overlay_affine(Transform.shift((1.0, 0.4, 0.2)))
    assert confocal.layer.data_to_world((2, 1, 10, 10)) == pytest.approx((2.0, 1, 2.4, 2.2))


def test_layers_that_cannot_be_drawn_on_each_other_are_refused() -> None:
    channels = placed(image((8, 2, 32, 40), axis_labels=("z", "c", "y", "x"), units="um", scale=(0.5, 1, 0.2, 0.2)))
    with pytest.raises(InputError, match="Split the channels"):
        LayerPair(channels, placed(image()))


def test_a_part_lies_where_it_was_cut() -> None:
    stack = placed(image(affine=MOVED, rotate=TURNED, translate=(1, 2, 3)))
    inserted, properties = place_part(stack, (1.0, 0.8, 0.4))
    part = Image(np.zeros((4, 20, 20)), **properties)
    assert inserted == []
    assert part.data_to_world((1, 1, 1)) == pytest.approx(stack.layer.data_to_world((3, 5, 3)))
    assert tuple(part.scale) == SPACING_UM


def test_a_part_keeps_axes_of_length_one_between() -> None:
    stack = placed(
        image((8, 2, 32, 40), axis_labels=("z", "c", "y", "x"), units="um", scale=(0.5, 1, 0.2, 0.2)), {1: 1}
    )
    inserted, properties = place_part(stack, (1.0, 0.8, 0.4))
    part = Image(np.expand_dims(np.zeros((4, 20, 20)), inserted), **properties)
    assert part.data_to_world((0, 0, 0, 0)) == pytest.approx(stack.layer.data_to_world((2, 1, 4, 2)))
