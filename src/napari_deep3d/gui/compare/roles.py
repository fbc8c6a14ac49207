"""What the layers of a comparison are, in a word, and of which time point and channel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from napari.layers import Image

from napari_deep3d.gui.shared import METADATA_KEY, curves, find_axes, full_data

WIDEFIELD, PREDICTION, CONFOCAL, ERROR = "wide-field", "prediction", "confocal", "error"
DIFFERENCE = "difference"
"""Of a map that the comparison made itself."""
WORDS = (
    (ERROR, r"uncertain|\berror\b"),
    (PREDICTION, r"confocal.?like|predict"),
    (CONFOCAL, r"confocal"),
    (WIDEFIELD, r"wide.?field|\bwf\b"),
)
"""What a layer is by its name, the surest first."""
COLOURS = {WIDEFIELD: curves.BLUE, PREDICTION: curves.ORANGE, CONFOCAL: curves.GREEN}
"""Of curves and titles."""
OTHER_COLOURS = (curves.PURPLE, curves.GREY, curves.BLUE, curves.ORANGE, curves.GREEN)
MAX_TITLE = 22
"""Characters of a title: four pictures side by side leave no room for more."""


class HasRole(Protocol):
    """What is drawn in the colour of its role."""

    @property
    def role(self) -> str:
        """One of the roles, or another word."""


def titles(layers: Sequence[Image]) -> dict[Image, str]:
    """Short titles of layers: their roles, numbered where several have one; the name where it tells none."""
    sources = {origin(layer).get("layer") for layer in layers}
    roles = {layer: role(layer) or (WIDEFIELD if layer.name in sources else "") for layer in layers}
    counts = {name: list(roles.values()).count(name) for name in roles.values()}
    found, number = dict[Image, str](), dict[str, int]()
    for layer, name in roles.items():
        number[name] = number.get(name, 0) + 1
        found[layer] = f"{name} {number[name]}" if counts[name] > 1 else name
        if not name:
            found[layer] = shortened(layer.name)
    return found


def role(layer: Image) -> str:
    """What a layer is, by the job that made it, else by its name; empty where neither tells."""
    about = layer.metadata.get(METADATA_KEY)
    is_predicted = isinstance(about, Mapping) and "model" in about
    name = layer.name.lower()
    for word, pattern in WORDS[:1] if is_predicted else WORDS:
        if re.search(pattern, name):
            return word
    return PREDICTION if is_predicted else ""


def shortened(name: str) -> str:
    """A name without its middle if it is long: names tend to differ at their ends."""
    if len(name) <= MAX_TITLE:
        return name
    head = (MAX_TITLE - 1) // 2
    return f"{name[:head]}…{name[head + 1 - MAX_TITLE :]}"


def origin(layer: Image) -> Mapping[str, Any]:
    """From what a result was made: the name of the layer, and the index along each of its other axes by its name."""
    about = layer.metadata.get(METADATA_KEY)
    made_from = about.get("input") if isinstance(about, Mapping) else None
    return made_from if isinstance(made_from, Mapping) else {}


def indices_in_series(result: Image, layers: Sequence[Image]) -> tuple[Image, dict[int, int]] | None:
    """Find the series that a result belongs to, and its index along axes of the series, such as {0: time point}.

    The series is the layer that the result was made from or, where that has another name by now, one of as many voxels
    with such axes. None if there is none, or the result is of all of it.
    """
    made_from = origin(result)
    for layer in sorted(layers, key=lambda layer: layer.name != made_from.get("layer")):
        axes = find_axes(layer)
        indices = {axis: made_from[name] for axis, name in axes.others.items() if isinstance(made_from.get(name), int)}
        if layer is not result and indices and stack_shape(layer) == stack_shape(result):
            return layer, indices
    return None


def stack_shape(layer: Image) -> tuple[int, ...]:
    """Voxels of a layer along Z, Y, X."""
    shape = full_data(layer).shape
    return tuple(int(shape[axis]) for axis in find_axes(layer).zyx)


def colours_of(stacks: Sequence[HasRole]) -> list[str]:
    """A colour for each stack of a comparison: by its role, of several with one role the next that is free."""
    found = list[str]()
    for stack in stacks:
        wanted = COLOURS.get(stack.role, "")
        if not wanted or wanted in found:
            wanted = next((one for one in OTHER_COLOURS if one not in found), curves.GREY)
        found.append(wanted)
    return found
