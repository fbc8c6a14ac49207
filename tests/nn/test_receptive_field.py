"""The measured halo is the true reach of a network whose reach is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_deep3d.nn.receptive_field import measure_halo

CANDIDATES = (range(1, 9), range(1, 17), range(1, 17))


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    return np.random.default_rng(0).random((32, 64, 64), dtype=np.float32)


@pytest.mark.parametrize("radius", [1, 3, 6])
def test_halo_of_a_box_filter_is_its_radius(stack: np.ndarray, radius: int) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return ndi.uniform_filter(x, 2 * radius + 1, mode="constant")

    assert measure_halo(network, stack, CANDIDATES) == (radius, radius, radius)


def test_each_axis_has_its_own_and_lateral_axes_share_the_larger(stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return ndi.uniform_filter(x, (5, 7, 13), mode="constant")

    assert measure_halo(network, stack, CANDIDATES) == (2, 6, 6)


def test_halo_is_the_next_candidate_that_is_enough(stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return ndi.uniform_filter(x, 11, mode="constant")

    assert measure_halo(network, stack, (range(4, 33, 4), range(4, 33, 4), range(4, 33, 4))) == (8, 8, 8)


def test_largest_candidate_where_none_is_enough(stack: np.ndarray) -> None:
    def network(x: np.ndarray) -> np.ndarray:
        return x - x.mean()  # every voxel depends on all

    rng = np.random.default_rng(1)
    uneven = stack + rng.random((32, 1, 1), dtype=np.float32) * 3 + np.linspace(0, 5, 64, dtype=np.float32)
    uneven += np.linspace(0, 5, 64, dtype=np.float32)[:, None] + np.linspace(0, 5, 32)[:, None, None]
    assert measure_halo(network, uneven.astype(np.float32), CANDIDATES) == (8, 16, 16)


def test_pointwise_network_needs_only_the_smallest(stack: np.ndarray) -> None:
    assert measure_halo(lambda x: 2 * x, stack, CANDIDATES) == (1, 1, 1)
