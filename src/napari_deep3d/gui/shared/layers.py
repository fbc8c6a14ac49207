"""From a napari layer to a stack, and from a stack's result back to a layer in the same place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import dask.array
import numpy as np
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_deep3d.core import MIN_PLANES, DoubleArray, InputError, LazyStack, Spacing, Stack, zyx
from napari_deep3d.io import AXIS_NAMES, METADATA_KEY, open_stack, um_per_unit

if TYPE_CHECKING:
    from napari import Viewer

WORDS = {"t": "time point", "c": "channel"}

TEMPORARY = "napari-deep3d temporary"
"""Key in the metadata of a layer that a view made and takes away: no choice lists it."""

PREDICTION_KEY = "model"
"""Key in what a job noted of its layer by which a prediction is known from an aligned stack."""

NOTED_OF_PAIRS = {"simulated", "registration"}
"""What the files of a pair that was simulated or registered say of themselves."""

MAX_CHANNELS = 8
"""An axis without a name that is longer holds no channels."""


@dataclass(frozen=True)
class FileFacts:
    """What the file behind a layer says: napari's own reader drops voxel size and axis names."""

    shape: tuple[int, ...]
    """Sizes along (T, C, Z, Y, X)."""
    spacing_um: Spacing | None


_FACTS: WeakKeyDictionary[Layer, FileFacts | None] = WeakKeyDictionary()
"""By layer, not by file: a file that was corrected and opened again is another layer."""


def file_facts(layer: Layer) -> FileFacts | None:
    """Read what the file of a layer says of it, or None if there is none or it is another by now."""
    if layer not in _FACTS:
        _FACTS[layer] = _read_facts(layer)
    facts = _FACTS[layer]
    return facts if facts is not None and tuple(layer.data.shape[-2:]) == facts.shape[-2:] else None


def _read_facts(layer: Layer) -> FileFacts | None:
    path = layer.source.path
    if path is None or not Path(path).exists():
        return None
    try:
        stack = open_stack(path)
    except (InputError, OSError):  # another plugin's kind of file, or one of several images
        return None
    return FileFacts(tuple(stack.data.shape), stack.spacing_um)


@dataclass(frozen=True)
class LayerAxes:
    """Which axes of a layer's data are Z, Y and X."""

    zyx: tuple[int, int, int]
    """Positions of Z, Y, X, rising."""
    others: Mapping[int, str]
    """Position and name of each other axis longer than one: an index along it must be chosen."""
    z_choices: tuple[int, ...]
    """Positions that Z may have: more than one where the layer does not say which it is."""


def image_layers(layers: Iterable[Layer]) -> list[Image]:
    """Return the image layers that are the user's own, in their order."""
    return [layer for layer in layers if isinstance(layer, Image) and TEMPORARY not in layer.metadata]


def is_prediction(layer: Layer) -> bool:
    """Whether a layer is the result of a prediction, or its uncertainty."""
    noted = layer.metadata.get(METADATA_KEY)
    return isinstance(noted, Mapping) and PREDICTION_KEY in noted


def is_result(layer: Layer) -> bool:
    """Whether a job made a layer out of others.

    A stack that was saved and opened again is none, nor is one of a pair that was simulated or registered into files.
    """
    noted = layer.metadata.get(METADATA_KEY)
    return bool(noted) and not (isinstance(noted, Mapping) and noted.keys() <= NOTED_OF_PAIRS)


def is_named_confocal(layer: Layer) -> bool:
    """Whether a layer's name says that it is a confocal stack."""
    name = layer.name.lower().replace("confocal-like", "")
    return "confocal" in name and "wide" not in name


def is_likely_input(layer: Layer) -> bool:
    """Whether a layer may be chosen without being asked for: it is seen, and neither made by a job nor confocal."""
    return layer.visible and not is_result(layer) and not is_named_confocal(layer)


def list_events(viewer: Viewer) -> list[Any]:
    """Events after which a list of the viewer's layers must be made anew."""
    events = viewer.layers.events
    return [events.inserted, events.removed, events.reordered, events.renamed]


def full_data(layer: Image) -> Any:
    """Return the voxels of an image layer at full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def find_axes(layer: Image, z: int | None = None, file: FileFacts | None = None) -> LayerAxes:
    """Tell the axes of an image layer by its labels, else by its file, else by the convention (..., Z, Y, X).

    ``z`` is the position of the Z axis where the user chose it.

    Raises
    ------
    InputError
        If the layer is a colour picture, has no planes, or labels other than Z, Y, X.
    """
    shape, name = tuple(full_data(layer).shape), layer.name or "This layer"
    labels = axis_names(layer)

    # 1. What is no stack.
    if layer.rgb:
        raise InputError(
            f"{name} is a colour (RGB) picture; grey values of one channel are needed. "
            "Split it by right click > Split RGB, and choose one of the parts."
        )
    if len(shape) < 3:
        raise InputError(
            f"{name} has one plane; a z-stack is needed. Load all planes as one layer (File > Open Files as Stack...)."
        )
    if len(shape) == 3 and "z" not in labels and labels[0] in WORDS:
        raise InputError(
            f"{name} has {shape[0]} {WORDS[labels[0]]}s of one plane each; a z-stack is needed. "
            "If these are planes, name that axis z in the layer's axis labels."
        )

    # 2. Which axes are meant, and whether in that order.
    (z, y, x), choices = _guess_zyx(layer, labels, z, file)
    if not z < y < x:
        raise InputError(
            f"{name} has its axes in the order {', '.join(layer.axis_labels)}; z, y, x is needed. "
            "Press 'Put z first', or load it with the axes in that order."
        )

    # 3. An index is chosen along each other axis that is longer than one.
    rest = [i for i in range(len(labels)) if i not in (z, y, x)]
    others = {i: _axis_name(i, labels, shape, file) for i in rest if shape[i] > 1}
    return LayerAxes((z, y, x), others, choices)


def _guess_zyx(
    layer: Image, labels: list[str], z: int | None, file: FileFacts | None
) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """Positions of Z, Y and X, in any order, and those that Z may have."""
    shape = tuple(full_data(layer).shape)
    # 1. Y and X by their labels, else the last two; an axis of one voxel is neither, unless there are no others.
    long = [i for i in range(len(shape)) if shape[i] > 1]
    y, x = (long if len(long) >= 3 else list(range(len(shape))))[-2:]
    if {"y", "x"} <= set(labels):
        y, x = labels.index("y"), labels.index("x")

    # 2. Z by its label, else the one of the file's number of planes, else the last that is long enough.
    rest = [i for i in range(len(labels)) if i not in (y, x)]
    named = [i for i in rest if labels[i] == "z"][:1]
    choices = tuple(named or [i for i in rest if labels[i] not in WORDS] or rest)
    if file is not None:
        fitting = tuple(i for i in choices if shape[i] == file.shape[2])
        choices = fitting if len(fitting) == 1 else choices
    if z not in choices:
        z = ([i for i in choices if shape[i] >= MIN_PLANES] or choices)[-1]
    return (z, y, x), choices


def order_with_z_first(layer: Image, z: int | None = None, file: FileFacts | None = None) -> tuple[int, ...] | None:
    """Return the order of axes in which a layer's Z, Y, X are its last ones, or None if they are or cannot be told.

    Without labels, a last axis less than half as long as the two before it is taken for Z.
    """
    shape = tuple(full_data(layer).shape)
    if layer.rgb or len(shape) < 3:
        return None
    labels = axis_names(layer)
    zyx, _ = _guess_zyx(layer, labels, z, file)
    is_known = file is not None and file.shape[-3:] == shape[-3:]
    if all(label.lstrip("-").isdigit() for label in labels) and not is_known and z is None:
        last = len(shape) - 1
        if MIN_PLANES <= shape[last] < min(shape[last - 2 : last]) / 2:
            zyx = (last, last - 2, last - 1)
    order = (*(i for i in range(len(shape)) if i not in zyx), *zyx)
    return None if order == tuple(range(len(shape))) else order


def put_in_order(layer: Image, order: tuple[int, ...], layers: Iterable[Layer] = ()) -> None:
    """Bring the axes of a layer into an order whose last three are Z, Y, X, and of the layers that lie on it.

    Its data is a view of what it was; voxel size, position and what napari draws go with the axes.
    """
    shape, matrix = full_data(layer).shape, layer_matrix(layer)
    for other in layers:
        if other is not layer and other.ndim == len(shape) and hasattr(other.data, "shape"):
            lies_on_it = tuple(full_data(other).shape) == tuple(shape) and np.allclose(layer_matrix(other), matrix)
            if lies_on_it and not getattr(other, "rgb", False):
                _permute(other, order)
    _permute(layer, order)


def _permute(layer: Layer, order: tuple[int, ...]) -> None:
    """Transpose a layer's data and all that it has for each axis."""
    kept = list(order)
    properties = place_axes(layer, kept, np.zeros(len(kept), dtype=int))
    properties["axis_labels"][-3:] = "zyx"
    if not np.allclose(properties["shear"], np.eye(len(kept))):  # a shear in another order is none that napari takes
        full = [*kept, layer.ndim]
        matrix = layer_matrix(layer)[np.ix_(full, full)]
        ones = np.eye(len(kept))
        properties |= {"scale": np.ones(len(kept)), "translate": np.zeros(len(kept)), "rotate": ones, "affine": matrix}
        properties["shear"] = ones
    levels = [_transposed(level, order) for level in layer.data] if layer.multiscale else _transposed(layer.data, order)
    layer.data = levels
    for name, value in properties.items():
        setattr(layer, name, value)


def _transposed(data: Any, order: tuple[int, ...]) -> Any:
    """Return a view of an array with its axes in another order; what cannot be transposed is read when it is seen."""
    if not hasattr(data, "transpose"):
        data = dask.array.from_array(data)  # type: ignore[no-untyped-call]
    return data.transpose(order)


def layer_matrix(layer: Layer) -> DoubleArray:
    """(ndim + 1) x (ndim + 1), from data indices to the layer's world, through all of its transforms."""
    ndim = layer.ndim
    matrix = np.eye(ndim + 1)
    matrix[:ndim, -1] = layer.data_to_world(np.zeros(ndim))
    for axis in range(ndim):
        matrix[:ndim, axis] = np.asarray(layer.data_to_world(np.eye(ndim)[axis])) - matrix[:ndim, -1]
    return matrix


def axis_names(layer: Image) -> list[str]:
    """Labels of a layer's axes, as t, c, z, y, x where they mean these."""
    return [AXIS_NAMES.get(label.strip().lower(), label.strip().lower()) for label in layer.axis_labels]


def _axis_name(i: int, labels: list[str], shape: tuple[int, ...], file: FileFacts | None) -> str:
    if labels[i] in WORDS:
        return WORDS[labels[i]]
    times, channels = file.shape[:2] if file is not None else (1, 1)
    if times != channels and shape[i] in (times, channels):
        return WORDS["t"] if shape[i] == times else WORDS["c"]
    return f"axis {i + 1}" if labels[i].lstrip("-").isdigit() else labels[i]


def spacing_of(layer: Image, axes: LayerAxes) -> Spacing | None:
    """Voxel size of a layer in um along (Z, Y, X), or None if the layer is in pixels.

    It is measured through all of the layer's transforms: some readers put the voxel size into the affine.
    """
    origin = np.asarray(layer.data_to_world(np.zeros(layer.ndim)))
    sizes_um = []
    for axis in axes.zyx:
        unit_um = um_per_unit(layer.units[axis])
        if unit_um is None:
            return None
        step = np.asarray(layer.data_to_world(np.eye(layer.ndim)[axis])) - origin
        sizes_um.append(float(np.linalg.norm(step)) * unit_um)
    return zyx(sizes_um)


def set_spacing(layer: Image, axes: LayerAxes, spacing_um: Spacing, layers: Iterable[Layer] = ()) -> None:
    """Give a layer in pixels its voxel size, and with it the layers that lie voxel for voxel on it."""
    shape, scale = full_data(layer).shape, layer.scale.copy()
    for other in [layer, *layers]:
        same_shape = not isinstance(other, Image) or full_data(other).shape == shape
        in_pixels = other.ndim == len(shape) and all(str(unit) == "pixel" for unit in other.units)
        if other == layer or (in_pixels and same_shape and np.allclose(other.scale, scale)):
            new_scale, translate, units = other.scale.copy(), other.translate.copy(), list(other.units)
            for axis, size_um in zip(axes.zyx, spacing_um, strict=True):
                translate[axis] *= size_um / new_scale[axis]
                new_scale[axis], units[axis] = size_um, "um"
            other.units = units
            other.scale = new_scale
            other.translate = translate


def set_spacing_of_file(layer: Image, layers: Iterable[Layer] = ()) -> bool:
    """Give a layer in pixels the voxel size that its file states, and the layers that lie on it; tell if it was."""
    file = file_facts(layer)
    if file is None or file.spacing_um is None:
        return False
    axes = find_axes(layer, file=file)
    if spacing_of(layer, axes) is not None or pick(layer, axes, {}).shape != file.shape[-3:]:
        return False
    set_spacing(layer, axes, file.spacing_um, layers)
    return True


class LayerStack(LazyStack):
    """A stack, axes (Z, Y, X), within a layer's data of more axes; voxels are read box by box, when asked for.

    ``axes`` are the positions of Z, Y, X in the data, rising; ``index`` is 0 along another axis that it does not name.
    """

    def __init__(self, data: Any, axes: tuple[int, int, int], index: Mapping[int, int]) -> None:
        self._data, self._axes, self._index = data, axes, dict(index)

    @property
    def is_array(self) -> bool:
        """Whether the data are a NumPy array or a memory map, of which a box costs next to nothing."""
        return isinstance(self._data, np.ndarray)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along Z, Y, X."""
        return tuple(self._data.shape[axis] for axis in self._axes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Kind of number."""
        dtype: np.dtype[Any] = np.dtype(self._data.dtype)
        return dtype

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        spans = dict(zip(self._axes, box, strict=True))
        key = (spans.get(axis, self._index.get(axis, 0)) for axis in range(len(self._data.shape)))
        return np.asarray(self._data[tuple(key)])


def pick(layer: Image, axes: LayerAxes, index: Mapping[int, int]) -> Stack:
    """Return the stack of a layer at an index along each axis that is not Z, Y or X."""
    data = full_data(layer)
    if len(data.shape) == 3:
        stack: Stack = data
        return stack
    return LayerStack(data, axes.zyx, index)


def place(layer: Image, axes: LayerAxes, index: Mapping[int, int]) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return shape and properties of a layer that lies on a stack of ``layer``, voxel for voxel.

    It has the stack's axes, and one of length 1 for each other axis after Z: napari lines axes up from the
    last one, so the layer is shown in the right place, at all indices of the axes before Z.
    """
    kept = list(range(axes.zyx[0], layer.ndim))
    shape = tuple(full_data(layer).shape[i] if i in axes.zyx else 1 for i in kept)
    chosen = np.array([0 if i in axes.zyx else index.get(i, 0) for i in range(layer.ndim)])
    properties = place_axes(layer, kept, chosen[kept])
    # Where a layer is turned out of its Z, Y, X, the place depends on the index along the other axes, too.
    first = (layer_matrix(layer) @ [*chosen, 1])[kept]
    affine = properties["affine"].affine_matrix
    properties["translate"] = np.linalg.solve(affine[:-1, :-1], first - affine[:-1, -1])
    return shape, properties


def place_at_index(
    layer: Image, axes: LayerAxes, index: Mapping[int, int], whole: int | None = None
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return shape and properties of a layer that lies on a stack of ``layer``, at its time point and channel only.

    It has all axes of ``layer``, of length 1 along those that are not Z, Y or X, so that it does not lie over other
    time points. Of the axis ``whole`` it has all indices, as a series has.
    """
    long = {*axes.zyx, whole}
    shape = tuple(size if i in long else 1 for i, size in enumerate(full_data(layer).shape))
    chosen = np.array([0 if i in long else index.get(i, 0) for i in range(layer.ndim)])
    properties = place_axes(layer, list(range(layer.ndim)), chosen)
    # Where a layer is turned out of its Z, Y, X, the place depends on the index along the other axes, too.
    affine, first = layer.affine.affine_matrix, np.asarray(layer.data_to_world(chosen))
    properties["translate"] = np.linalg.solve(affine[:-1, :-1], first - affine[:-1, -1])
    if whole is not None:  # a series says which axis is what, also where its source does not
        known = dict(zip((whole, *axes.zyx), "tzyx", strict=True))
        properties["axis_labels"] = [known.get(i, label) for i, label in enumerate(layer.axis_labels)]
    return shape, properties


def time_axis(axes: LayerAxes) -> int | None:
    """Position of the axis along which time goes, or None: named so, or without a name and before the planes."""
    named = [axis for axis, name in axes.others.items() if name == WORDS["t"]]
    unnamed = [axis for axis, name in axes.others.items() if name not in WORDS.values() and axis < axes.zyx[0]]
    return next(iter([*named, *unnamed]), None)


def index_in_name(axes: LayerAxes, index: Mapping[int, int], whole: int | None = None) -> str:
    """Which stack of several it is, for a layer's name: `` t1 c0``; empty where there is only one."""
    letters = {word: letter for letter, word in WORDS.items()}
    parts = [(letters.get(name, f"{name} "), index.get(axis, 0)) for axis, name in axes.others.items() if axis != whole]
    return "".join(f" {letter}{number}" for letter, number in parts)


def place_axes(layer: Image, kept: list[int], chosen: NDArray[np.int_]) -> dict[str, Any]:
    """Return properties of a layer with some of a layer's axes, whose first voxel is at index ``chosen`` along them."""
    shear = np.asarray(layer.shear, dtype=np.float64)
    if shear.ndim == 1:  # napari gives the upper triangle of a shear that has no other entries
        triangle, shear = shear, np.eye(layer.ndim)
        shear[np.triu_indices(layer.ndim, 1)] = triangle
    return {
        "scale": layer.scale[kept],
        "translate": layer.translate[kept] + layer.scale[kept] * chosen,
        "rotate": layer.rotate[np.ix_(kept, kept)],
        "shear": shear[np.ix_(kept, kept)],
        "affine": layer.affine.set_slice(kept),
        "units": [layer.units[i] for i in kept],
        "axis_labels": [layer.axis_labels[i] for i in kept],
    }


def contrast_limits(data: Stack, percentiles: tuple[float, float] = (0.1, 99.9)) -> tuple[float, float]:
    """Contrast limits of a stack by percentiles, from at most nine planes of a million pixels."""
    planes, rows, columns = data.shape
    step = max(1, round((rows * columns / 1e6) ** 0.5))
    chosen = np.unique(np.linspace(0, planes - 1, 9).round().astype(int))
    values = np.concatenate([np.asarray(data[int(z), ::step, ::step], np.float32).ravel() for z in chosen])
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, percentiles))
    return (low, high) if high > low else (low, low + 1)


def channel_axis(layer: Image, axes: LayerAxes) -> int | None:
    """Position of the axis along which a layer's channels lie, or None if it has none."""
    for axis, name in axes.others.items():
        if name == WORDS["c"]:
            return axis
    short = [axis for axis in axes.others if full_data(layer).shape[axis] <= MAX_CHANNELS]
    return short[0] if len(short) == 1 else None


def split_channels(viewer: Viewer, layer: Image, axes: LayerAxes, channel: int) -> list[Image]:
    """Replace a layer by one for each channel, in the same place; napari's own Split Stack takes the first axis.

    ``channel`` is the position of the axis of its channels.
    """
    data = full_data(layer)
    kept = [axis for axis in range(layer.ndim) if axis != channel]
    properties = place_axes(layer, kept, np.zeros(len(kept), dtype=int))
    names = dict(zip(axes.zyx, "zyx", strict=True))
    properties["axis_labels"] = [names.get(axis, layer.axis_labels[axis]) for axis in kept]
    before = (slice(None),) * channel
    viewer.layers.remove(layer)  # as napari does; beside layers of other axes it would draw without units
    return [
        viewer.add_image(data[(*before, i)], name=f"channel {i} of {layer.name}", colormap="gray", **properties)
        for i in range(data.shape[channel])
    ]
