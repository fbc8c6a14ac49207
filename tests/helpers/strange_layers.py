"""Image layers of any kind, drawn at random: what people and other readers may put into napari."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import zarr
from napari.layers import Image
from numpy.typing import NDArray

LABELS = {
    "t": ("t", "Time", "frame"),
    "c": ("c", "Channel", "ch"),
    "z": ("z", "Z", "depth", "slice"),
    "s": ("s", "view"),
}
DTYPES = ["bool", "u1", "i1", "u2", ">u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", ">f4", "f8", ">f8", "c8"]
UM = {"um": 1.0, "micrometer": 1.0, "nm": 1e-3, "mm": 1e3, "pixel": 1.0}


@dataclass(frozen=True)
class Strange:
    """A layer, which of its axes are t, c, z, y, x by the labels that it has, and what it was made of."""

    layer: Image
    axes: str
    """A letter for each axis; empty where its labels do not say."""
    about: str


def draw(seed: int) -> Strange:
    """Draw a layer; one that napari itself refuses is drawn again."""
    rng = np.random.default_rng(seed)
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _draw(rng)
        except (ValueError, TypeError, NotImplementedError, np.linalg.LinAlgError):
            continue


def _draw(rng: np.random.Generator) -> Strange:
    # 1. Axes, in any order; mostly with z, y, x at the end.
    others = "".join(rng.permutation(list("tcs"))[: rng.choice([0, 0, 1, 2, 3])])
    axes = list(others + "zyx")
    kind = rng.choice(["usual", "usual", "interleaved", "any", "flat"], p=[0.3, 0.25, 0.2, 0.15, 0.1])
    if kind == "interleaved":
        axes = [*rng.permutation([*others, "z"]), "y", "x"]
    elif kind == "any":
        axes = list(rng.permutation(axes))
    elif kind == "flat":
        axes = [a for a in axes if a != "z"]
    longest = {"z": rng.integers(3, 14), "y": rng.integers(15, 28), "x": rng.integers(15, 28)}
    shape = [int(longest.get(a, rng.integers(1, 4))) for a in axes]
    if rng.random() < 0.05:
        shape[rng.integers(len(shape))] = 0
    is_rgb = bool(rng.random() < 0.06)

    # 2. Labels, units, and where it lies.
    ndim = len(axes)
    with_labels = rng.random() < 0.6
    labels = [str(rng.choice(LABELS.get(a, (a, a.upper())))) for a in axes] if with_labels else None
    unit = str(rng.choice([*UM]))
    units = [unit] * ndim
    if rng.random() < 0.1:
        units[rng.integers(ndim)] = str(rng.choice([*UM]))
    um = {"z": rng.uniform(0.2, 1.2), "y": 0.2, "x": 0.2}
    scale = np.array([um.get(a, 1.0) / UM[unit] for a in axes]) * rng.choice([1, 1, 1, -1], ndim)
    if rng.random() < 0.08:
        scale[rng.integers(ndim)] *= rng.choice([1e-9, 1e6, 1e-3])
    place: dict[str, Any] = {"scale": scale, "translate": rng.normal(0, 20, ndim) * (rng.random() < 0.5)}
    if rng.random() < 0.2:
        turn, _ = np.linalg.qr(rng.normal(size=(ndim, ndim)) if rng.random() < 0.3 else _turned(rng, axes))
        place["rotate"] = turn
    if rng.random() < 0.1:
        place["shear"] = np.triu(rng.normal(0, 0.2, (ndim, ndim)), 1) + np.eye(ndim)
    if rng.random() < 0.2:
        affine = np.eye(ndim + 1)
        affine[:-1, :-1] *= rng.uniform(0.5, 2, ndim)
        affine[:-1, -1] = rng.normal(0, 10, ndim)
        place["affine"] = affine

    # 3. Voxels, and what holds them.
    dtype = np.dtype(str(rng.choice(DTYPES)))
    voxels = _voxels(rng, [*shape, 3] if is_rgb else shape, dtype)
    holder = str(rng.choice(["numpy", "dask", "zarr", "pyramid", "transposed"], p=[0.5, 0.15, 0.15, 0.1, 0.1]))
    layer = Image(
        _held(voxels, holder, ndim),
        name=str(rng.choice(["cell", "cell (1)", "zelle ü", "a/b", ""])),
        rgb=is_rgb,
        multiscale=holder == "pyramid",
        axis_labels=labels,
        units=units,
        **place,
    )
    about = f"{kind} {''.join(axes)} {shape} {labels} {units} {dtype} {holder} rgb={is_rgb} {sorted(place)} {scale}"
    return Strange(layer, "".join(axes) if with_labels and not is_rgb else "", about)


def _turned(rng: np.random.Generator, axes: Sequence[str]) -> NDArray[np.float64]:
    """A turn within y and x, by a right angle or any other."""
    turn = np.eye(len(axes))
    y, x = axes.index("y"), axes.index("x")
    angle = rng.choice([np.pi / 2, np.pi, 0.4])
    turn[np.ix_([y, x], [y, x])] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def _voxels(rng: np.random.Generator, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    kind = rng.choice(["noise", "constant", "zero", "nan", "offset"], p=[0.8, 0.05, 0.05, 0.05, 0.05])
    values = rng.random(shape) ** 4
    if kind == "constant":
        values[...] = 0.5
    elif kind == "zero":
        values[...] = 0
    if dtype.kind == "b":
        return values > 0.3
    if dtype.kind in "iu":
        top = np.iinfo(dtype).max * (0.3 if dtype.itemsize < 8 else 1e-10)
        offset = np.iinfo(dtype).max // 2 if kind == "offset" else 0
        return (values * top).astype(dtype) + np.array(offset, dtype)
    voxels = (values * 1000).astype(dtype)
    if kind == "nan" and voxels.size:
        voxels.ravel()[:: rng.integers(1, 20)] = rng.choice([np.nan, np.inf, -np.inf])
    return voxels


def _held(voxels: NDArray[Any], holder: str, ndim: int) -> Any:
    if holder == "dask":
        return da.from_array(voxels, chunks=5)
    if holder == "zarr" and voxels.size:
        return zarr.array(voxels, chunks=tuple(min(7, size) for size in voxels.shape))
    if holder == "pyramid":
        return [voxels, voxels[(..., *[slice(None, None, 2)] * min(2, ndim))]]
    if holder == "transposed":
        return np.asfortranarray(voxels)
    return voxels
