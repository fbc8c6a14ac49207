"""What is no image in a stack is found, and nothing else: borders, corners, dead lines, tiles and planes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core import Box
from napari_deep3d.core.no_data import find_no_data

SHAPE = (12, 64, 72)
Voxels = NDArray[np.generic]
Mask = NDArray[np.bool_]


def camera(seed: int = 0, offset: float = 400, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint16]:
    """What a camera shows of some blurred spots: an offset, haze and photon noise."""
    rng = np.random.default_rng(seed)
    spots = np.zeros(shape)
    spots.ravel()[rng.integers(0, spots.size, 60)] = 1
    light = ndi.gaussian_filter(spots, (1, 2, 2))
    haze = ndi.gaussian_filter(spots, (4, 12, 12))
    return np.rint(offset + rng.poisson(4000 * light + 20000 * haze + 5) + rng.normal(0, 3, shape)).astype(np.uint16)


def where(*parts: tuple[slice | int | list[int], ...]) -> Mask:
    """A mask of some parts of a stack."""
    mask = np.zeros(SHAPE, bool)
    for part in parts:
        mask[part] = True
    return mask


def found(stack: Voxels) -> Mask:
    no_data = find_no_data(stack)
    assert no_data is not None
    return no_data.mask(Box.whole(stack.shape))


Z, Y, X = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
DRIFT = np.array([0, 1, 1, 2, 3, 3, 2, 3, 4, 5, 5, 6])[:, None, None]
KINDS = {
    "a frame of one voxel": where(np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]),
    "a frame": where(np.s_[:, :9], np.s_[:, -9:], np.s_[:, :, :9], np.s_[:, :, -9:]),
    "a shift": where(np.s_[:, :5], np.s_[:, :, :7]),
    "drift": np.broadcast_to((Y < DRIFT) | (SHAPE[2] - DRIFT <= X), SHAPE),
    "a dead column": where(np.s_[:, :, 20]),
    "dead lines": where(np.s_[:, 9:11], np.s_[:, :, [5, 50, 51]]),
    "half a dead column": where(np.s_[:, 30:, 20]),
    "a dead column of one plane": where(np.s_[4, :, 20]),
    "a dropped plane": where(np.s_[5]),
    "the first plane": where(np.s_[0]),
    "planes at the ends": where(np.s_[:2], np.s_[-3:]),
    "every fourth plane": where(np.s_[::4]),
    "padding": ~where(np.s_[3:-3, 16:-16, 16:-16]),
    "a wedge": np.broadcast_to(X + 3 * Y < 60, SHAPE),
    "a turned frame": np.broadcast_to(np.abs(X - 36) + np.abs(Y - 32) > 46, SHAPE),
    "a sheared stack": np.broadcast_to((Y < 2 * Z) | (SHAPE[1] - 24 + 2 * Z <= Y), SHAPE),
    "a sheared stack seen from the side": np.broadcast_to((X + Y < 3 * Z) | (X + Y > 90 + 2 * Z), SHAPE),
    "a dead tile": where(np.s_[:, 20:40, 30:50]),
    "a missing tile": where(np.s_[:, :32, 36:]),
    "a gap between tiles": where(np.s_[:, :, 34:38]),
}


@pytest.mark.parametrize("value", [0, 100, 4095, 65_535, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_image_is_found(kind: str, value: float) -> None:
    stack = camera().astype(np.float32 if not np.isfinite(value) else np.uint16)
    stack[KINDS[kind]] = value
    mask = found(stack)
    missed, extra = int((KINDS[kind] & ~mask).sum()), int((mask & ~KINDS[kind]).sum())
    assert extra == 0
    assert missed <= 0.003 * stack.size, "no more than the tips of corners"


@pytest.mark.parametrize("axes", [(1, 2), (0, 1), (0, 2)])
def test_interpolated_edges_of_a_turned_stack_are_found_too(axes: tuple[int, int]) -> None:
    def turned(voxels: Voxels) -> NDArray[np.float64]:
        return ndi.rotate(np.asarray(voxels, float), 20, axes, reshape=False, order=1, mode="grid-constant")

    stack = turned(camera(shape=(24, 64, 72))).astype(np.uint16)
    is_mixed = turned(np.ones(stack.shape)) < 0.98
    mask = found(stack)
    assert (is_mixed & ~mask).sum() < 0.02 * is_mixed.sum()
    assert (mask & ~is_mixed).sum() < 0.03 * (~is_mixed).sum()


def test_a_frame_is_found_on_a_clipped_background() -> None:
    stack = np.maximum(camera().astype(int) - 420, 0).astype(np.uint16)
    stack[KINDS["a frame"]] = 65_535
    assert np.array_equal(found(stack), KINDS["a frame"])


NATURAL: dict[str, Callable[[], Voxels]] = {
    "camera": camera,
    "no offset, clipped at zero": lambda: np.maximum(camera().astype(int) - 700, 0).astype(np.uint16),
    "mostly zero": lambda: np.maximum(camera().astype(int) - 1200, 0).astype(np.uint16),
    "few photons": lambda: np.random.default_rng(0).poisson(np.maximum(camera() - 500.0, 0) / 400).astype(np.uint8),
    "overexposed": lambda: np.minimum(camera(), 1000).astype(np.uint16),
    "overexposed spheres": lambda: np.minimum(camera(offset=100) + 60_000 * (spheres() > 0), 50_000),
    "spheres without noise": lambda: spheres().astype(np.float32),
    "spheres without noise, 8 bit": lambda: (255 * spheres()).astype(np.uint8),
    "blurred, without noise": lambda: ndi.gaussian_filter(spheres(), 2).astype(np.float32),
    "blurred, without noise, 8 bit": lambda: (255 * ndi.gaussian_filter(spheres(), 2)).astype(np.uint8),
    "deconvolved": lambda: np.maximum(ndi.gaussian_filter(camera() - 900.0, 1), 0).astype(np.float32),
    "salt": lambda: (np.random.default_rng(0).random(SHAPE) < 0.001) * np.float32(9),
    "a ramp": lambda: np.broadcast_to(np.arange(SHAPE[2]) // 4, SHAPE).astype(np.uint8),
    "constant": lambda: np.full(SHAPE, 7, np.uint16),
    "one dead pixel": lambda: np.where(where(np.s_[:, 20, 30]), 0, camera()),
}


def spheres() -> NDArray[np.float64]:
    """Some spheres of several brightnesses on nothing."""
    rng = np.random.default_rng(1)
    stack = np.zeros(SHAPE)
    for _ in range(6):
        z, y, x = rng.uniform(0, SHAPE)
        inside = 9 * (Z - z) ** 2 + (Y - y) ** 2 + (X - x) ** 2 < rng.uniform(4, 14) ** 2
        stack = np.maximum(stack, inside * rng.uniform(0.3, 1))
    return stack


@pytest.mark.parametrize("kind", NATURAL)
def test_image_is_not_taken_for_anything_else(kind: str) -> None:
    assert find_no_data(NATURAL[kind]()) is None


def test_a_stack_without_any_image_is_none_at_all() -> None:
    no_data = find_no_data(np.full(SHAPE, np.nan, np.float32))
    assert no_data is not None
    assert no_data.is_everything
    assert no_data.share == 1
