"""Aligned pairs: voxels that are copied, positions that are right, and numbers that keep their kind."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Progress, StoppedError, drain
from napari_deep3d.core.registration import warp
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.registration.warp import align_pair, resample, shared_region
from napari_deep3d.core.types import DoubleArray, Shape, Spacing
from napari_deep3d.core.volume import Volume
from napari_deep3d.nn.patches import TrainingPair
from tests.helpers.registration import turned

SPACING: Spacing = (0.3, 0.1, 0.1)
few = settings(deadline=None, max_examples=40)
wide_shapes = st.tuples(st.integers(6, 30), st.integers(20, 50), st.integers(20, 50))


def noise(shape: Shape, dtype: str = "uint16", seed: int = 0) -> NDArray[np.generic]:
    return np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)


def waves(places_um: DoubleArray) -> DoubleArray:
    """A smooth function of the place, last axis (Z, Y, X) in um; its waves are 4 to 6 um long."""
    z, y, x = np.moveaxis(places_um, -1, 0)
    return np.asarray(100 + 30 * np.sin(1.1 * z + 0.3 * y) + 30 * np.cos(1.4 * y - 0.6 * x) + 30 * np.sin(1.5 * x))


def places_of(shape: Shape, spacing: Spacing) -> DoubleArray:
    return np.moveaxis(np.indices(shape), 0, -1) * np.array(spacing)


def of_waves(shape: Shape, spacing: Spacing, transform: Transform | None = None) -> Volume:
    """The waves as either stack shows them: in the wide-field stack they lie where the transform takes them."""
    places = places_of(shape, spacing)
    return Volume(waves(places if transform is None else transform.inverse.apply(places)), spacing)


@pytest.mark.parametrize("lag", [(0, 0, 0), (2, -3, 5), (-4, 7, -1)])
def test_whole_voxel_shift_copies_voxels(lag: tuple[int, int, int]) -> None:
    confocal, widefield = Volume(noise((20, 30, 32)), SPACING), Volume(noise((22, 28, 40), "uint8", 1), SPACING)
    pair = drain(align_pair(confocal, widefield, Transform.shift(np.array(lag) * SPACING)))
    np.testing.assert_array_equal(pair.widefield, widefield.data[pair.region])
    own = tuple(slice(part.start - shift, part.stop - shift) for part, shift in zip(pair.region, lag, strict=True))
    np.testing.assert_array_equal(pair.confocal, confocal.data[own])
    for part, shift, n, m in zip(pair.region, lag, confocal.shape, widefield.shape, strict=True):
        assert (part.start, part.stop) == (max(0, shift), min(m, n + shift))  # all that they share


TURNED = turned(3, 1.03, (3, 3, 3), (0.31, 0.17, -0.23))


@pytest.mark.parametrize(
    ("confocal_um", "widefield_um", "transform"),
    [
        (SPACING, SPACING, Transform.shift((0.11, -0.26, 0.43))),
        (SPACING, (0.5, 0.15, 0.15), Transform.shift((0.7, -0.33, 0.28))),
        ((0.5, 0.15, 0.15), SPACING, Transform.shift((-0.7, 0.33, 0.28))),
        (SPACING, SPACING, TURNED),
        ((0.3, 0.12, 0.11), (0.4, 0.15, 0.14), TURNED),
    ],
)
def test_smooth_structure_lies_on_itself(confocal_um: Spacing, widefield_um: Spacing, transform: Transform) -> None:
    confocal = of_waves(tuple(round(7 / s) for s in confocal_um), confocal_um)  # type: ignore[arg-type]
    widefield = of_waves(tuple(round(8 / s) for s in widefield_um), widefield_um, transform)  # type: ignore[arg-type]
    pair = drain(align_pair(confocal, widefield, transform))
    assert pair.confocal.shape == pair.widefield.shape
    assert pair.spacing_um == widefield_um
    np.testing.assert_array_equal(pair.widefield, widefield.data[pair.region])
    difference = np.abs(pair.confocal - pair.widefield)
    assert difference[3:-3, 3:-3, 3:-3].max() < 1.5  # of waves that reach from 10 to 190
    assert difference.max() < 6  # a spline knows less at a stack's border
    # The first voxel is where the origin says, and its light is that of this place.
    first = np.array(pair.origin_um)
    np.testing.assert_allclose(first, [part.start * s for part, s in zip(pair.region, widefield_um, strict=True)])
    assert pair.widefield[0, 0, 0] == pytest.approx(waves(transform.inverse.apply(first)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64", ">u2"])
@pytest.mark.parametrize("shift", [(0.3, 0.2, -0.1), (0.1, 0.03, 0.04)])
def test_each_stack_keeps_its_kind_of_number(dtype: str, shift: tuple[float, float, float]) -> None:
    confocal, widefield = Volume(noise((8, 24, 24), dtype), SPACING), Volume(noise((8, 24, 24), "uint8"), SPACING)
    pair = drain(align_pair(confocal, widefield, Transform.shift(shift)))
    assert pair.confocal.dtype == np.dtype(dtype)
    assert pair.widefield.dtype == np.uint8
    assert pair.confocal.std() > 20


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_overshoot_of_the_spline_does_not_wrap_around(dtype: str) -> None:
    limits = np.iinfo(dtype)
    data = np.full((8, 24, 40), limits.min, dtype)
    data[:, :, 20:] = limits.max
    moved = drain(align_pair(Volume(data, SPACING), Volume(data, SPACING), Transform.shift((0.0, 0.0, 0.05)))).confocal
    middle = (float(limits.min) + float(limits.max)) / 2
    # Voxel i shows the place i - 1/2 of the confocal stack: dark up to the edge, bright behind it.
    first = 40 - moved.shape[2]
    assert (moved[:, :, : 20 - first] < middle).all()
    assert (moved[:, :, 21 - first :] > middle).all()


@pytest.mark.parametrize("dtype", ["uint32", "int64", "float64"])
def test_a_large_offset_costs_no_detail(dtype: str) -> None:
    small = ndi.gaussian_filter(noise((12, 40, 40)).astype(np.float64), 1)
    transform, widefield = Transform.shift((0.1, 0.03, 0.04)), Volume(noise((12, 40, 40)), SPACING)
    plain = drain(align_pair(Volume(small, SPACING), widefield, transform)).confocal
    offset = drain(align_pair(Volume((small * 100 + 4e9).astype(dtype), SPACING), widefield, transform)).confocal
    np.testing.assert_allclose((offset.astype(np.float64) - 4e9) / 100, plain, atol=0.02)


def test_integers_are_rounded_not_cut() -> None:
    x = np.indices((8, 24, 40))[2]
    ramp = Volume((10 * x).astype(np.uint16), SPACING)
    moved = drain(align_pair(ramp, ramp, Transform.shift((0.0, 0.0, 0.0504)))).confocal
    # At x - 0.504 the ramp is 10 x - 5.04: 10 x - 5 is nearest, 10 x - 6 is what is left without the fraction.
    np.testing.assert_array_equal(moved[:, :, 12:24], np.broadcast_to(10 * np.arange(13, 25) - 5, (8, 24, 12)))


def test_finer_confocal_voxels_do_not_alias() -> None:
    stripes = np.zeros((8, 96, 96), np.float32)
    stripes[:, :, ::2] = 200  # finer than the wide-field grid can show
    wide = Volume(np.zeros((8, 24, 24), np.float32), (0.3, 0.4, 0.4))
    pair = drain(align_pair(Volume(stripes, SPACING), wide, Transform.shift((0, 0.05, 0.03))))
    np.testing.assert_allclose(pair.confocal[:, 2:-2, 2:-2], 100, atol=5)


@pytest.mark.parametrize("planes", [1, 3, 8, 1000])
@pytest.mark.parametrize("transform", [Transform.shift((0.11, -0.26, 0.43)), TURNED])
def test_slabs_fit_together(monkeypatch: pytest.MonkeyPatch, planes: int, transform: Transform) -> None:
    confocal = Volume(noise((40, 40, 44), "float32"), (0.2, 0.1, 0.1))
    widefield = Volume(noise((28, 40, 40), "uint8"), SPACING)
    monkeypatch.setattr(warp, "SLAB_PLANES", planes)
    events: list[object] = []
    pair = drain(align_pair(confocal, widefield, transform), events.append)
    matrix = np.linalg.inv(transform.index_matrix(confocal.require_spacing_um(), widefield.require_spacing_um()))
    np.testing.assert_allclose(pair.confocal, resample(confocal, matrix, pair.region), atol=0.01)
    assert len(events) == -(-pair.confocal.shape[0] // planes)
    assert isinstance(events[-1], Progress)
    assert events[-1].fraction == 1


def test_stop_is_asked_between_slabs() -> None:
    stack = Volume(noise((30, 24, 24)), SPACING)
    answers, events = iter([False, False, True]), []
    with pytest.raises(StoppedError):
        drain(align_pair(stack, stack, Transform.shift((0, 0, 0)), lambda: next(answers)), events.append)
    assert len(events) == 2


@pytest.mark.parametrize(
    ("shift", "size"), [((1.8, 0, 0), "2 x 30 x 30"), ((0, 1.6, 0), "8 x 14 x 30"), ((0, 0, -40), "8 x 30 x 0")]
)
def test_too_little_in_common_is_refused(shift: tuple[float, float, float], size: str) -> None:
    stack = Volume(noise((8, 30, 30)), SPACING)
    with pytest.raises(InputError, match=rf"share only {size} voxels; at least 4 planes of 16 x 16 .* Check the shift"):
        drain(align_pair(stack, stack, Transform.shift(shift)))


@few
@given(
    wide_shapes,
    wide_shapes,
    st.lists(st.floats(-0.08, 0.08), min_size=9, max_size=9),
    st.tuples(*[st.floats(-1, 1)] * 3),
)
def test_every_corner_of_the_shared_region_lies_within_both_stacks(confocal, widefield, linear, shift) -> None:
    own, other = Volume(noise(confocal), SPACING), Volume(noise(widefield), (0.4, 0.12, 0.11))
    matrix = np.eye(4)
    matrix[:3, :3] += np.reshape(linear, (3, 3))
    matrix[:3, 3] = shift
    transform = Transform.from_array(matrix)
    try:
        region = shared_region(own, other, transform)
    except InputError:
        assume(False)
    for part, size in zip(region, widefield, strict=True):
        assert 0 <= part.start < part.stop <= size
    corners = np.array(list(product(*((part.start, part.stop - 1) for part in region)))) * other.require_spacing_um()
    indices = transform.inverse.apply(corners) / SPACING
    assert indices.min() >= -1e-3
    assert (indices <= np.array(confocal) - 1 + 1e-3).all()


@few
@given(wide_shapes, wide_shapes, st.tuples(*[st.floats(-1, 1)] * 3))
def test_shared_region_of_a_shift_leaves_nothing_out(confocal, widefield, shift) -> None:
    own, other = Volume(noise(confocal), SPACING), Volume(noise(widefield), (0.4, 0.12, 0.11))
    try:
        region = shared_region(own, other, Transform.shift(shift))
    except InputError:
        assume(False)
    for axis, part in enumerate(region):
        place = np.arange(widefield[axis]) * other.require_spacing_um()[axis] - shift[axis]
        seen = np.flatnonzero((place >= 0) & (place <= (confocal[axis] - 1) * SPACING[axis]))
        assert part.start <= seen[0]
        assert part.stop >= seen[-1] + 1
        assert part.stop - part.start <= len(seen) + 2  # ends may be off by rounding


@pytest.mark.parametrize("transform", [Transform.shift((0.41, 0.23, -0.17)), TURNED], ids=["shift", "turn"])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_no_image_stays_none_and_spoils_nothing_around_it(transform: Transform, value: float) -> None:
    shape: Shape = (20, 60, 64)
    noise_of = np.random.default_rng(0).normal(0, 0.5, (2, *shape))
    clean = [
        Volume((of_waves(shape, SPACING, by).data + more).astype(np.float32), SPACING)
        for by, more in zip((None, transform), noise_of, strict=True)
    ]
    expected = drain(align_pair(*clean, transform))
    spoilt = [np.asarray(volume.data).copy() for volume in clean]
    spoilt[0][:, :6] = spoilt[0][:, :, 30] = value  # of the confocal stack an edge and a column
    spoilt[1][:, :, -5:] = spoilt[1][9] = value  # of the wide-field stack an edge and a plane
    confocal, widefield = (Volume(data, SPACING) for data in spoilt)
    pair = drain(align_pair(confocal, widefield, transform))
    # 1. Edges are cropped, and the wide-field voxels are untouched.
    assert pair.region.x.stop <= shape[2] - 5
    np.testing.assert_array_equal(pair.widefield, spoilt[1][pair.region])
    # 2. The column is one of the value where it comes to lie, a few voxels wide, or filled where it is turned.
    blank = np.isnan(pair.confocal) if np.isnan(value) else pair.confocal == value
    assert (blank.any(axis=2).mean() > 0.95) == (transform.is_shift or np.isnan(value))
    assert blank.sum(axis=2).max() <= 4
    own = expected.confocal[pair.region.relative_to(expected.region)]
    away = ~ndi.binary_dilation(blank, iterations=2)
    away[:, :4] = False
    assert np.abs(pair.confocal - own)[away].max() < (3 if blank.any() else 30)
    # 3. A training knows both again.
    trained = TrainingPair.prepare("p", Volume(pair.widefield, SPACING), Volume(pair.confocal, SPACING), (0, 100))
    image = trained.is_image(trained.whole)
    assert image is not None
    assert image.shape == blank.shape
    assert not image[blank].any()
    assert not image[9 - pair.region.z.start].any()
    assert (~image).mean() < blank.mean() + 1.5 / len(image)
