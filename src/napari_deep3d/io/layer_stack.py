"""From a napari layer, as napari hands it to writers, to a stack that a file can hold: no napari is needed for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_deep3d.core import MIN_PLANES, DoubleArray, InputError, Stack, check_spacing, zyx
from napari_deep3d.io.stack_file import StackFacts
from napari_deep3d.io.units import seconds_per_unit, um_per_unit

AXIS_NAMES = {"depth": "z", "plane": "z", "slice": "z", "time": "t", "frame": "t", "channel": "c", "ch": "c"}
"""Other names that axes go by."""
METADATA_KEY = "napari-deep3d"
"""Where a layer's metadata say how it came about."""
SAME_DIRECTION = 1e-3
"""An axis that leaves the world's axis by less than this share of its step lies along it."""


@dataclass(frozen=True)
class SavableStack:
    """Voxels and facts to write; ``notice`` is what the file cannot hold, for the user; empty if nothing is lost."""

    voxels: Stack
    facts: StackFacts
    notice: str = ""


def layer_stack(data: Any, properties: Mapping[str, Any]) -> SavableStack:
    """Bring a layer to what files hold: axes ([T, C,] Z, Y, X), voxel size and position along them, all positive.

    What is drawn decides: all of the layer's transforms. Axes that run backwards are turned round, axes that were
    exchanged by a quarter turn are put in order, both without a change of voxels. Any other rotation, and shear, no
    OME-TIFF or OME-Zarr 0.5 can hold: the voxels are then left as they are.

    Parameters
    ----------
    data : array, or of a pyramid a list of arrays, the finest first
    properties : mapping
        The layer's, as napari gives them: ``scale``, ``translate``, ``rotate``, ``shear``, ``affine``, ``units``,
        ``axis_labels``, ``name``, ``metadata``.

    Raises
    ------
    InputError
        If the layer is no stack, or has no voxel size.
    """
    # 1. The voxels, and which axis is what.
    voxels = data[0] if properties.get("multiscale") else data
    voxels = voxels if hasattr(voxels, "transpose") else np.asarray(voxels)
    name = str(properties.get("name") or "the layer")
    if properties.get("rgb"):
        raise InputError(f"{name} is a colour (RGB) picture; grey values are needed. Split it first (Split RGB).")
    axes, guess = _axes(tuple(voxels.shape), properties.get("axis_labels", ()), name)
    spatial = [axes.index(letter) for letter in "ZYX"]

    # 2. From voxels to the world, in um: a column for each of Z, Y, X, and where the first voxel lies.
    world, units = _world_matrix(voxels.ndim, properties), properties.get("units") or ("pixel",) * voxels.ndim
    factors = [um_per_unit(units[i]) for i in spatial]
    if None in factors:
        raise InputError(
            f"{name} has no voxel size in um (its unit is {units[spatial[factors.index(None)]]}). Give it one in the "
            "Deep3D panel, then save again."
        )
    um = np.array(factors, dtype=np.float64)[:, None]
    steps, first = um * world[np.ix_(spatial, spatial)], um[:, 0] * world[spatial, -1]
    sizes = np.linalg.norm(steps, axis=0)
    description = dict(properties.get("metadata", {}).get(METADATA_KEY) or {})

    # 3. Turned by quarters at most: each axis along one of the world's, perhaps backwards.
    order = [int(np.argmax(np.abs(steps[:, i]))) for i in range(3)]
    along = np.array([steps[order[i], i] for i in range(3)])
    notice = ""
    if sorted(order) == [0, 1, 2] and np.all(np.abs(np.abs(along) - sizes) <= SAME_DIRECTION * sizes):
        counts = np.array([voxels.shape[i] for i in spatial])
        for i in range(3):
            if along[i] < 0:
                voxels = voxels[(slice(None),) * spatial[i] + (slice(None, None, -1),)]
                first = first + steps[:, i] * (counts[i] - 1)
        spatial = [spatial[order.index(axis)] for axis in range(3)]
        sizes = sizes[[order.index(axis) for axis in range(3)]]
    else:
        notice = (
            f"{name} is rotated or sheared in napari. The file holds its voxels, their size and the position of the "
            "first one, but not the rotation: OME-TIFF and OME-Zarr 0.5 have no place for it."
        )
        description["napari_matrix_um"] = [[float(v) for v in row] for row in np.column_stack([steps, first])]

    # 4. In the files' order of axes.
    further = [letter for letter in "TC" if letter in axes]
    kept = [axes.index(letter) for letter in further] + spatial
    singles = tuple(i for i in range(voxels.ndim) if i not in kept)
    first_of_singles: tuple[Any, ...] = (..., *[0] * len(singles))
    voxels = voxels.transpose(*kept, *singles)[first_of_singles]
    step_s = None
    if "T" in axes:
        at = axes.index("T")
        seconds = seconds_per_unit(units[at])
        step_s = None if seconds is None else abs(float(world[at, at])) * seconds or None
    facts = StackFacts(
        "".join(further) + "ZYX",
        check_spacing([float(size) for size in sizes]),
        zyx(float(place) for place in first),
        str(properties.get("name") or ""),
        step_s,
        description,
    )
    return SavableStack(voxels, facts, " ".join(text for text in (guess, notice) if text))


def _axes(shape: tuple[int, ...], labels: Sequence[str], name: str) -> tuple[list[str], str]:
    """A letter for each axis, ``-`` for one of length 1 that is left out, and what was guessed, for the user."""
    known = [AXIS_NAMES.get(label.strip().lower(), label.strip().lower()).upper() for label in labels]
    known = known if len(known) == len(shape) else [""] * len(shape)
    axes = [letter if letter and letter in "TCZYX" and known.count(letter) == 1 else "" for letter in known]
    long = [i for i, size in enumerate(shape) if size > 1]
    if len(shape) < 3:
        raise InputError(f"{name} has one plane (shape {shape}); a stack, axes Z, Y, X, is needed.")
    # 1. Y and X are the last two unless named, Z the last of those left that is long enough.
    for letter, place in (("X", -1), ("Y", -2)):
        if letter not in axes:
            axes[[i for i in range(len(shape)) if not axes[i]][-1] if axes[place] else len(shape) + place] = letter
    if "Z" not in axes:
        free = [i for i, letter in enumerate(axes) if not letter]
        fitting = [i for i in free if shape[i] >= MIN_PLANES] or [i for i in free if shape[i] > 1] or free
        if not fitting:
            raise InputError(f"{name} has no axis of planes: its axes are {', '.join(labels)}. Name one z.")
        axes[fitting[-1]] = "Z"
    # 2. Those without a name: before Z time, after it channels, as in Fiji's order T, Z, C, Y, X.
    guesses = []
    for i, letter in enumerate(axes):
        if letter:
            continue
        guessed, word = ("T", "time points") if i < axes.index("Z") else ("C", "channels")
        if i not in long:
            axes[i] = "-"
        elif guessed in axes:
            raise InputError(
                f"{name} has axes of {' x '.join(map(str, shape))} voxels, more than time, channel, Z, Y, X. Choose "
                "one position first."
            )
        else:
            axes[i] = guessed
            guesses.append(f"{name} does not say what its axis of {shape[i]} is: it is saved as {word}.")
    axes = ["-" if letter in ("T", "C") and shape[i] == 1 else letter for i, letter in enumerate(axes)]
    return axes, " ".join(guesses)


def _world_matrix(ndim: int, properties: Mapping[str, Any]) -> DoubleArray:
    """(ndim + 1) x (ndim + 1), from indices of voxels to napari's world, in the layer's units."""
    rotate, shear = np.eye(ndim), np.eye(ndim)
    if properties.get("rotate") is not None:
        rotate = np.asarray(properties["rotate"], dtype=np.float64)
    if properties.get("shear") is not None:
        given = np.asarray(properties["shear"], dtype=np.float64)
        if given.ndim == 2:
            shear = given
        else:  # napari gives the upper triangle of a shear that has no other entries
            shear[np.triu_indices(ndim, 1)] = given
    matrix = np.eye(ndim + 1)
    matrix[:ndim, :ndim] = rotate @ shear @ np.diag(np.asarray(properties["scale"], dtype=np.float64))
    matrix[:ndim, -1] = properties["translate"]
    affine = properties.get("affine")
    return matrix if affine is None else np.asarray(affine, dtype=np.float64) @ matrix
