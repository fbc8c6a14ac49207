"""Patches: registered, reproducible, and of the asked sizes."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.volume import Volume
from napari_deep3d.nn.patches import TrainingPair, draw_batch

SPACING_UM = (0.5, 0.2, 0.2)
SHAPE = (8, 32, 32)


def volume(data: np.ndarray, name: str = "w") -> Volume:
    return Volume(data, SPACING_UM, name=name)


def settings(**changes: object) -> TrainConfig:
    return TrainConfig.checked(**({"batch_size": 2, "patch": (4, 16, 16), "seed": 3} | changes))


@pytest.fixture
def rising() -> np.ndarray:
    """All voxels differ."""
    return np.random.default_rng(0).permutation(8 * 32 * 32).reshape(SHAPE).astype(np.float32)


def test_pair_is_normalised_side_by_side(rising: np.ndarray) -> None:
    pair = TrainingPair.prepare("p", volume(rising), volume(3 * rising + 7), (0, 100))
    assert pair.widefield_range == (0, 8191)
    assert pair.confocal_range == (7, 3 * 8191 + 7)
    assert pair.shape == SHAPE
    assert pair.spacing_um == SPACING_UM
    widefield, confocal = pair.crop((slice(0, 2), slice(3, 9), slice(0, 32)))
    np.testing.assert_allclose(widefield, rising[:2, 3:9] / 8191, rtol=1e-5)
    np.testing.assert_allclose(confocal, widefield, atol=1e-5)
    assert widefield.dtype == confocal.dtype == np.float32


def test_pair_of_different_shapes_is_refused(rising: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"pair p: wide-field is \(8, 32, 32\) and confocal \(7, 32, 32\); both must"):
        TrainingPair.prepare("p", volume(rising), volume(rising[:-1]), (0, 100))


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "constant"), (5.0, "constant"), (np.nan, "not finite"), (np.inf, "not finite")]
)
@pytest.mark.parametrize("side", ["w", "c"])
def test_side_without_structure_is_refused_by_name(rising: np.ndarray, value: float, words: str, side: str) -> None:
    sides = [volume(rising, "w"), volume(rising, "c")]
    sides["wc".index(side)] = volume(np.full(SHAPE, value, np.float32), side)
    with pytest.raises(InputError, match=rf"pair p: {side} .*{words}.*[Rr]emove the pair"):
        TrainingPair.prepare("p", sides[0], sides[1], (0, 100))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_single_voxel_that_is_not_finite_is_refused(rising: np.ndarray, value: float) -> None:
    """It would make the loss of every patch that holds it nan, many steps later."""
    spoilt = rising.copy()
    spoilt[3, 4, 5] = value
    with pytest.raises(InputError, match="not finite"):
        TrainingPair.prepare("p", volume(rising), volume(spoilt, "c"), (0, 100))


def test_faint_stack_is_no_constant_one(rising: np.ndarray) -> None:
    """Intensities have no unit: what counts is their range relative to their size."""
    TrainingPair.prepare("p", volume(rising * np.float32(1e-12)), volume(rising), (0, 100))


def turned(widefield: np.ndarray) -> TrainingPair:
    return TrainingPair.prepare("p", volume(widefield), volume(1e4 - widefield, "c"), (0, 100))


def test_both_sides_are_cut_turned_and_mirrored_alike(rising: np.ndarray) -> None:
    for step in range(10):
        widefield, confocal = draw_batch([turned(rising)], settings(), step)
        np.testing.assert_allclose(confocal, 1 - widefield, atol=1e-5)


def test_patches_are_pieces_of_the_stack_in_all_orientations(rising: np.ndarray) -> None:
    counts = rising.astype(int)
    place = np.zeros((rising.size, 3), int)
    place[counts.ravel()] = np.argwhere(counts >= 0)
    seen = set()
    for step in range(40):
        widefield, _ = draw_batch([turned(rising)], settings(), step)
        for patch in np.rint(widefield[:, 0] * (rising.size - 1)).astype(int):
            corners = place[patch]
            along = [tuple(corners[index] - corners[0, 0, 0]) for index in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
            seen.add(tuple(along))
            assert (np.ptp(corners.reshape(-1, 3), axis=0) == (3, 15, 15)).all()
            assert abs(along[0][0]) == 1
    assert len(seen) == 16  # three mirrors, and y and x exchanged or not


def test_patches_that_are_not_square_are_not_turned(rising: np.ndarray) -> None:
    for step in range(8):
        widefield, confocal = draw_batch([turned(rising)], settings(patch=(4, 16, 24)), step)
        assert widefield.shape[2:] == confocal.shape[2:] == (4, 16, 24)


def test_batch_depends_on_seed_and_step_alone(rising: np.ndarray) -> None:
    pairs = [turned(rising), turned(rising[::-1].copy())]
    first = draw_batch(pairs, settings(), 5)
    np.random.default_rng().random()
    draw_batch(pairs, settings(), 6)
    again = draw_batch(pairs, settings(iterations=9, learning_rate=0.05), 5)
    np.testing.assert_array_equal(first, again)
    for other in (draw_batch(pairs, settings(), 6), draw_batch(pairs, settings(seed=4), 5)):
        assert not np.array_equal(first[0], other[0])


def test_all_pairs_are_drawn_from(rising: np.ndarray) -> None:
    dim = TrainingPair("dim", volume(rising), volume(rising), (0, 1e6), (0, 1e6))
    bright = TrainingPair("bright", volume(rising), volume(rising), (0, 1), (0, 1))
    levels = [draw_batch([dim, bright], settings(batch_size=1), step)[0].mean() for step in range(20)]
    assert 4 <= sum(level > 1 for level in levels) <= 16


def test_smaller_patches_come_in_larger_numbers(rising: np.ndarray) -> None:
    config = settings(patch=((8, 32, 32), (4, 16, 16)), batch_size=2)
    shapes = {draw_batch([turned(rising)], config, step)[0].shape for step in range(20)}
    assert shapes == {(2, 1, 8, 32, 32), (16, 1, 4, 16, 16)}


def test_patch_is_cut_to_the_smallest_pair(rising: np.ndarray) -> None:
    small = turned(rising[:6, :20])
    widefield, _ = draw_batch([turned(rising), small], settings(patch=(24, 96, 96)), 0)
    assert widefield.shape[2:] == (6, 20, 32)


def test_only_the_patch_is_read() -> None:
    class Watched:
        shape, dtype = (40, 200, 200), np.dtype(np.float32)
        largest = 0

        def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
            size = [box.stop - box.start for box in key]
            self.largest = max(self.largest, int(np.prod(size)))
            return np.zeros(size, np.float32)

    data = Watched()
    pair = TrainingPair("p", volume(data), volume(data), (0, 1), (0, 1))  # type: ignore[arg-type]
    draw_batch([pair], settings(), 0)
    assert data.largest == 4 * 16 * 16
