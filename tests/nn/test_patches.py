"""Patches: registered, reproducible, and of the asked sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from napari_deep3d.core.config import TrainConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.types import Box
from napari_deep3d.core.volume import MIN_LATERAL, MIN_PLANES, Volume
from napari_deep3d.nn.patches import (
    MAX_NO_IMAGE,
    Batch,
    TrainingPair,
    _draw_box,
    blank_patch,
    draw_batch,
    network_input,
    patch_size,
    plane_and_distance,
)

SPACING_UM = (0.5, 0.2, 0.2)
SHAPE = (8, 32, 32)


def volume(data: np.ndarray, name: str = "w") -> Volume:
    return Volume(data, SPACING_UM, name=name)


def settings(**changes: object) -> TrainConfig:
    return TrainConfig.checked(**({"batch_size": 2, "patch": (4, 16, 16), "seed": 3, "blank_share": 0.0} | changes))


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
    box = Box(slice(0, 2), slice(3, 9), slice(0, 32))
    widefield, confocal = pair.crop_widefield(box), pair.crop_confocal(box)
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
def test_single_voxel_that_is_not_finite_is_filled(rising: np.ndarray, value: float) -> None:
    """It would make the loss of every patch that holds it nan, many steps later."""
    spoilt = rising.copy()
    spoilt[3, 4, 5] = value
    pair = TrainingPair.prepare("p", volume(rising), volume(spoilt, "c"), (0, 100))
    image = pair.is_image(pair.whole)
    assert image is not None
    np.testing.assert_array_equal(np.argwhere(~image), [(3, 4, 5)])
    confocal = pair.crop_confocal(pair.whole)
    assert np.isfinite(confocal).all()
    np.testing.assert_allclose(confocal[image], rising[image] / rising[image].max(), atol=1e-4)


BORDERS: dict[str, tuple[tuple[slice | int, ...], ...]] = {
    "frame": (np.s_[:, :3], np.s_[:, -3:], np.s_[:, :, :3], np.s_[:, :, -3:]),
    "edges of a shift, and a gap": (np.s_[:, :5], np.s_[:, :, -7:], np.s_[:, :, 11]),
    "last plane": (np.s_[-1],),
}


@pytest.mark.parametrize("kind", BORDERS)
@pytest.mark.parametrize("value", [0.0, 65_535.0, np.nan])
@pytest.mark.parametrize("side", [0, 1])
def test_borders_change_nothing_within(rising: np.ndarray, kind: str, value: float, side: int) -> None:
    """Intensities and patches are those of the image: of what is left the file's other voxels say nothing."""
    sides = [rising + 1000, 2 * rising + 3000]
    is_none = np.zeros(SHAPE, bool)
    for part in BORDERS[kind]:
        is_none[part] = True
    sides[side] = np.where(is_none, np.float32(value), sides[side])
    pair = TrainingPair.prepare("p", volume(sides[0]), volume(sides[1], "c"), (0, 100))
    kept = rising[~is_none]
    assert pair.widefield_range == pytest.approx((kept.min() + 1000, kept.max() + 1000))
    assert pair.confocal_range == pytest.approx((2 * kept.min() + 3000, 2 * kept.max() + 3000))
    assert "Pair p: " in pair.notice
    image = pair.is_image(pair.whole)
    inside = slice(None) if image is None else image
    for seen in (pair.crop_widefield(pair.whole), pair.crop_confocal(pair.whole)):
        assert seen.min() >= -1e-4
        assert seen.max() <= 1 + 1e-4
        np.testing.assert_allclose(np.sort(seen[inside].ravel()), np.sort(norm(kept)), atol=1e-4)


def norm(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (values.max() - values.min())


def test_patches_lie_where_there_is_image(rising: np.ndarray) -> None:
    """Of a sheared stack: wedges that leave half of it."""
    large = np.random.default_rng(0).random((16, 96, 64)).astype(np.float32)
    z, y, _ = np.ogrid[:16, :96, :64]
    blank = np.broadcast_to((y < 3 * z) | (y >= 48 + 3 * z), large.shape)
    spoilt = np.where(blank, np.float32(0), large + 1)
    pair = TrainingPair.prepare("p", volume(spoilt), volume(large + 1, "c"), (0, 100))
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(40):
        image = pair.is_image(_draw_box(rng, pair, (4, 16, 16)))
        assert image is not None
        shares.append(1 - image.mean())
    assert max(shares) <= MAX_NO_IMAGE
    assert 0.4 < blank.mean() < 0.7, "by chance alone most would lie elsewhere"
    # A patch larger than any place with image: the best that there is, filled alike in both stacks.
    batch = draw_batch([pair], settings(patch=(16, 64, 64)), 0)
    np.testing.assert_allclose(batch.network_input, batch.confocal, atol=0.01)


def test_pairs_that_are_image_in_different_places_are_refused(rising: np.ndarray) -> None:
    left, right = rising + 1, rising + 1
    left[:, :, :17], right[:, :, 15:] = 0, 0
    with pytest.raises(InputError, match=r"pair p: only 0\.0% of its voxels are image in both .*registered, or remove"):
        TrainingPair.prepare("p", volume(left), volume(right, "c"), (0, 100))


def test_misaligned_pair_knows_where_it_is_no_image(rising: np.ndarray) -> None:
    spoilt = rising + 1
    spoilt[:, :, 10] = 0
    pair = TrainingPair.prepare("p", volume(spoilt), volume(rising, "c"), (0, 100))
    image = replace(pair, shift=(0, 0, 4)).is_image(Box.whole((8, 32, 28)))
    assert image is not None
    assert list(np.flatnonzero(~image[0, 0])) == [6, 10]


@pytest.mark.parametrize("side", ["w", "c"])
def test_saturated_side_is_refused_by_name(rising: np.ndarray, side: str) -> None:
    """Where most voxels have the largest value there is nothing to learn from; a few may."""
    sides = [volume(rising, "w"), volume(rising, "c")]
    sides["wc".index(side)] = volume(np.minimum(rising, 2000), side)
    with pytest.raises(InputError, match=rf"pair p: 7[67]% of {side} is saturated .* at most 20% is allowed"):
        TrainingPair.prepare("p", sides[0], sides[1], (0, 100))
    sides["wc".index(side)] = volume(np.minimum(rising, 7500), side)
    TrainingPair.prepare("p", sides[0], sides[1], (0, 70))


def test_faint_stack_is_no_constant_one(rising: np.ndarray) -> None:
    """Intensities have no unit: what counts is their range relative to their size."""
    TrainingPair.prepare("p", volume(rising * np.float32(1e-12)), volume(rising), (0, 100))


def turned(widefield: np.ndarray) -> TrainingPair:
    return TrainingPair.prepare("p", volume(widefield), volume(1e4 - widefield, "c"), (0, 100))


def test_both_sides_are_cut_turned_and_mirrored_alike(rising: np.ndarray) -> None:
    for step in range(10):
        batch = draw_batch([turned(rising)], settings(), step)
        np.testing.assert_allclose(batch.confocal, 1 - batch.network_input, atol=1e-5)


@pytest.mark.parametrize(("flip_z", "ways", "up"), [(0.0, 8, {1}), (0.5, 16, {-1, 1}), (1.0, 8, {-1})])
def test_patches_are_pieces_of_the_stack_in_all_orientations(
    rising: np.ndarray, flip_z: float, ways: int, up: set[int]
) -> None:
    """Two mirrors, and y and x exchanged or not; planes in reverse order only where that is wanted."""
    counts = rising.astype(int)
    place = np.zeros((rising.size, 3), int)
    place[counts.ravel()] = np.argwhere(counts >= 0)
    seen = set()
    for step in range(40):
        widefield = draw_batch([turned(rising)], settings(flip_z=flip_z), step).network_input
        for patch in np.rint(widefield[:, 0] * (rising.size - 1)).astype(int):
            corners = place[patch]
            along = [tuple(corners[index] - corners[0, 0, 0]) for index in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
            seen.add(tuple(along))
            assert (np.ptp(corners.reshape(-1, 3), axis=0) == (3, 15, 15)).all()
            assert abs(along[0][0]) == 1
    assert len(seen) == ways
    assert {along[0][0] for along in seen} == up


def test_patches_that_are_not_square_are_not_turned(rising: np.ndarray) -> None:
    for step in range(8):
        batch = draw_batch([turned(rising)], settings(patch=(4, 16, 24)), step)
        assert batch.network_input.shape[2:] == batch.confocal.shape[2:] == (4, 16, 24)


def test_batch_depends_on_seed_and_step_alone(rising: np.ndarray) -> None:
    pairs = [turned(rising), turned(rising[::-1].copy())]
    first = draw_batch(pairs, settings(), 5)
    np.random.default_rng().random()
    draw_batch(pairs, settings(), 6)
    again = draw_batch(pairs, settings(iterations=9, learning_rate=0.05), 5)
    np.testing.assert_array_equal(first.network_input, again.network_input)
    np.testing.assert_array_equal(first.confocal, again.confocal)
    for other in (draw_batch(pairs, settings(), 6), draw_batch(pairs, settings(seed=4), 5)):
        assert not np.array_equal(first.network_input, other.network_input)


def test_all_pairs_are_drawn_from(rising: np.ndarray) -> None:
    dim = TrainingPair("dim", volume(rising), volume(rising), (0, 1e6), (0, 1e6))
    bright = TrainingPair("bright", volume(rising), volume(rising), (0, 1), (0, 1))
    levels = [draw_batch([dim, bright], settings(batch_size=1), step).confocal.mean() for step in range(20)]
    assert 4 <= sum(level > 1 for level in levels) <= 16


def test_smaller_patches_come_in_larger_numbers(rising: np.ndarray) -> None:
    config = settings(patch=((8, 32, 32), (4, 16, 16)), batch_size=2)
    shapes = {draw_batch([turned(rising)], config, step).network_input.shape for step in range(20)}
    assert shapes == {(2, 1, 8, 32, 32), (16, 1, 4, 16, 16)}


def test_patch_is_cut_to_the_smallest_pair(rising: np.ndarray) -> None:
    small = turned(rising[:6, :20])
    batch = draw_batch([turned(rising), small], settings(patch=(24, 96, 96)), 0)
    assert batch.network_input.shape[2:] == batch.confocal.shape[2:] == (6, 20, 32)


def test_only_the_patch_is_read() -> None:
    class Watched:
        shape, dtype = (40, 200, 200), np.dtype(np.float32)
        largest = 0

        def __getitem__(self, key: Box) -> np.ndarray:
            size = [box.stop - box.start for box in key]
            self.largest = max(self.largest, int(np.prod(size)))
            return np.zeros(size, np.float32)

    data = Watched()
    pair = TrainingPair("p", volume(data), volume(data), (0, 1), (0, 1))  # type: ignore[arg-type]
    draw_batch([pair], settings(), 0)
    assert data.largest == 4 * 16 * 16


def whole(shape: tuple[int, int, int]) -> Box:
    return Box.whole(shape)


@pytest.mark.parametrize("patch", [(4, 16, 16), ((8, 32, 32), (4, 16, 16))])
def test_processes_together_see_what_one_with_a_larger_batch_sees(rising: np.ndarray, patch: object) -> None:
    pairs = [turned(rising), turned(rising[::-1].copy())]
    for step in range(6):
        alone = draw_batch(pairs, settings(batch_size=6, patch=patch), step)
        ranks = [draw_batch(pairs, settings(batch_size=2, patch=patch), step, rank) for rank in range(3)]
        for side in ("network_input", "confocal"):
            together = np.concatenate([getattr(batch, side) for batch in ranks])
            np.testing.assert_array_equal(together, getattr(alone, side))


def test_patch_size_is_that_of_the_batch(rising: np.ndarray) -> None:
    config = settings(patch=((8, 32, 32), (4, 16, 16), (64, 64, 64)), batch_size=2)
    for step in range(12):
        size, number = patch_size([turned(rising)], config, step)
        assert draw_batch([turned(rising)], config, step).confocal.shape == (number, 1, *size)


# What the network sees


def test_network_of_one_plane_sees_it_and_the_distance(rising: np.ndarray) -> None:
    """Deep-Z: channel 0 the plane, channel 1 how far from it the wanted plane lies, in um over 10."""
    config = settings(network_input="plane", dimensions=2)
    box = Box(slice(1, 7), slice(4, 30), slice(0, 32))
    seen = network_input(turned(rising), box, config, plane=3)
    assert seen.shape == (2, 6, 26, 32)
    assert seen.dtype == np.float32
    for z in range(6):
        np.testing.assert_allclose(seen[0, z], rising[3, 4:30] / 8191, atol=1e-6)
        np.testing.assert_allclose(seen[1, z], (1 + z - 3) * SPACING_UM[0] / 10, atol=1e-7)


def test_plane_in_the_middle_is_seen_unless_said_otherwise(rising: np.ndarray) -> None:
    config = settings(network_input="plane", dimensions=2)
    pair = turned(rising)
    middle = network_input(pair, whole(pair.shape), config)
    np.testing.assert_array_equal(middle, network_input(pair, whole(pair.shape), config, plane=4))


def test_planes_seen_in_training_come_from_all_depths_and_belong_to_the_patch(rising: np.ndarray) -> None:
    """The plane may lie outside the patch's planes, but in its rows and columns, turned and mirrored with it."""
    config, seen = settings(network_input="plane", dimensions=2, patch=(4, 16, 16), batch_size=4), set()
    for step in range(20):
        batch = draw_batch([turned(rising)], config, step)
        assert batch.network_input.shape == (4, 2, 4, 16, 16)
        for item, confocal in zip(batch.network_input, batch.confocal[:, 0], strict=True):
            number = np.rint(item[0, 0] * 8191).astype(int)
            plane = int(np.argwhere(rising == number[0, 0])[0, 0])
            seen.add(plane)
            np.testing.assert_array_equal(item[0], np.broadcast_to(item[0, 0], item[0].shape))
            distances = item[1, :, 0, 0]
            np.testing.assert_array_equal(item[1], np.broadcast_to(distances[:, None, None], item[1].shape))
            planes = plane + np.rint(distances * 10 / SPACING_UM[0]).astype(int)
            corner = np.argwhere(rising == number[0, 0])[0, 1:]
            for z, own in zip(planes, confocal, strict=True):
                assert own[0, 0] == pytest.approx(1 - rising[z, corner[0], corner[1]] / 8191, abs=1e-5)
    assert seen == set(range(8))


@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("first", [0, 1])
def test_stack_of_few_planes_keeps_some_and_interpolates_between(rising: np.ndarray, step: int, first: int) -> None:
    tall = np.concatenate([rising, rising[:, ::-1] + 100])[:15]
    pair = TrainingPair.prepare("p", volume(tall), volume(tall), (0, 100))
    (seen,) = network_input(pair, whole(pair.shape), settings(z_step=step), first=first)
    own = pair.crop_widefield(whole(pair.shape))
    kept = np.arange(first, 15, step)
    for z in range(15):
        if z in kept:
            np.testing.assert_array_equal(seen[z], own[z])
            continue
        place = np.clip(z, kept[0], kept[-1])
        below, above = kept[kept <= place][-1], kept[kept >= place][0]
        share = (place - below) / step
        np.testing.assert_allclose(seen[z], (1 - share) * own[below] + share * own[above], atol=1e-6)


@hypothesis_settings(deadline=None, max_examples=50)
@given(st.sampled_from([2, 4]), st.data())
def test_box_of_a_stack_of_few_planes_is_cut_from_the_whole(step: int, data: st.DataObject) -> None:
    depth = data.draw(st.integers(5, 13))
    start = data.draw(st.integers(0, depth - 1))
    stop = data.draw(st.integers(start + 1, depth))
    first = data.draw(st.integers(0, step - 1))
    voxels = np.random.default_rng(0).random((depth, 16, 16), dtype=np.float32)
    pair = TrainingPair("p", volume(voxels), volume(voxels), (0, 1), (0, 1))
    config = settings(z_step=step)
    everything = network_input(pair, whole(pair.shape), config, first=first)
    box = Box(slice(start, stop), slice(2, 9), slice(0, 16))
    np.testing.assert_array_equal(network_input(pair, box, config, first=first), everything[:, start:stop, 2:9])


def test_training_on_few_planes_counts_them_from_any_plane(rising: np.ndarray) -> None:
    """Or the network would learn which planes of a pair are interpolated."""
    config, pair = settings(z_step=2, patch=(8, 32, 32), batch_size=4), turned(rising)
    firsts = set()
    for step in range(6):
        for seen, confocal in zip(*draw_batch([pair], config, step), strict=True):
            exact = np.isclose(seen[0], 1 - confocal[0], atol=1e-5).all(axis=(1, 2))
            assert exact.sum() == 4
            place = np.argwhere(np.isclose(rising, round(8191 * (1 - float(confocal[0, 0, 0, 0]))), atol=0.4))[0, 0]
            upright = place == 0
            kept = exact if upright else exact[::-1]
            firsts.add(int(np.argmax(kept)))
    assert firsts == {0, 1}


# Pairs put out of register, for comparison

shifts = st.tuples(st.integers(-3, 3), st.integers(-9, 9), st.integers(-9, 9))


@hypothesis_settings(deadline=None, max_examples=30)
@given(shifts)
def test_shift_says_where_a_confocal_voxel_lies_in_wide_field(shift: tuple[int, int, int]) -> None:
    """What is at i in confocal is at i + shift in wide-field, as a registration says it; shapes shrink by it."""
    numbers = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    pair = TrainingPair("p", volume(numbers), volume(numbers), (0, 1), (0, 1), shift)
    assert pair.shape == tuple(size - abs(by) for size, by in zip(SHAPE, shift, strict=True))
    widefield, confocal = (crop(whole(pair.shape)) for crop in (pair.crop_widefield, pair.crop_confocal))
    assert widefield.shape == confocal.shape == pair.shape
    there, here = (np.argwhere(np.isin(numbers, side)) for side in (widefield, confocal))
    np.testing.assert_array_equal(there - here, np.broadcast_to(shift, here.shape))


def test_pair_put_out_of_register_has_a_shift_within_the_bound(rising: np.ndarray) -> None:
    pair, rng = turned(rising), np.random.default_rng(0)
    largest = (1.0, 0.0, 2.0)
    found = np.array([pair.misaligned(rng, largest).shift for _ in range(200)])
    assert found.min(axis=0).tolist() == [-2, 0, -10]
    assert found.max(axis=0).tolist() == [2, 0, 10]


def test_pair_put_out_of_register_stays_large_enough(rising: np.ndarray) -> None:
    moved = [turned(rising).misaligned(np.random.default_rng(seed), (1000, 1000, 1000)) for seed in range(8)]
    assert {pair.shape for pair in moved} == {(MIN_PLANES, MIN_LATERAL, MIN_LATERAL)}
    batch = draw_batch(moved, settings(), 0)
    assert isinstance(batch, Batch)
    assert batch.confocal.shape == (2, 1, 4, 16, 16)


@pytest.mark.parametrize("seed", range(8))
def test_blank_patch_is_noise_over_the_whole_range_and_nothing_as_confocal(seed: int) -> None:
    seen, confocal = blank_patch(np.random.default_rng(seed), (12, 32, 32), (0.1, 99.9))
    assert seen.shape == (1, 12, 32, 32)
    assert seen.dtype == confocal.dtype == np.float32
    np.testing.assert_allclose(np.percentile(seen, (0.1, 99.9)), (0, 1), atol=1e-3)
    assert not confocal.any()
    noise = np.diff(seen[0], n=3, axis=2)  # light, a polynomial of second order, falls out
    assert noise.std() > 0
    assert abs(np.corrcoef(noise[:, :, :-4].ravel(), noise[:, :, 4:].ravel())[0, 1]) < 0.1


def test_blank_patches_come_in_their_share(rising: np.ndarray) -> None:
    pair = TrainingPair.prepare("p", volume(rising), volume(rising + 5000), (10, 90))
    drawn = [draw_batch([pair], settings(blank_share=0.25), step) for step in range(150)]
    blank = np.mean([not patch.any() for batch in drawn for patch in batch.confocal])
    assert blank == pytest.approx(0.25, abs=0.08)


def test_plane_is_repeated_beside_each_distance_in_tens_of_um() -> None:
    plane = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    seen = plane_and_distance(plane, np.array([-20.0, 0.0, 2.5]))
    assert (seen.shape, seen.dtype) == ((2, 3, 5, 7), np.float32)
    for z, distance in enumerate((-2.0, 0.0, 0.25)):
        np.testing.assert_array_equal(seen[0, z], plane)
        np.testing.assert_array_equal(seen[1, z], np.full((5, 7), distance, np.float32))
