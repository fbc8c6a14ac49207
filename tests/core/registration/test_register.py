"""Registration of made-up pairs of which the shift is known, and of what cannot be registered."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core.config import RegisterConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Progress, StoppedError, drain, never
from napari_deep3d.core.registration.common_grid import common_grid
from napari_deep3d.core.registration.cross_spectrum import shared_boxes
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.core.registration.result import Registration, ShiftMap, moved_by_hand
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.types import DoubleArray, Shape, Spacing
from napari_deep3d.core.volume import Volume
from tests.helpers.registration import (
    Beads,
    Vector,
    assert_within,
    confocal_stack,
    cut,
    scatter_beads,
    texture,
    threads,
    widefield_stack,
)

SPACING: Spacing = (0.3, 0.1, 0.1)
SHAPE: Shape = (32, 96, 96)
SHIFT: Vector = (0.7, -0.45, 0.83)
COARSE: Spacing = (0.5, 0.15, 0.15)
DATA = Path(__file__).parents[3].parent / "shared" / "data"


def register(confocal: Volume, widefield: Volume, **config: object) -> Registration:
    return drain(register_volumes(confocal, widefield, RegisterConfig.checked(**config), never))


def pair_of(
    beads: Beads, shift: Vector, confocal: tuple[Shape, Spacing], widefield: tuple[Shape, Spacing]
) -> tuple[Volume, Volume]:
    return confocal_stack(beads, *confocal), widefield_stack(beads.moved(Transform.shift(shift)), *widefield)


@cache
def thick() -> tuple[Volume, Volume]:
    """Filaments and beads in haze and noise, shifted by SHIFT."""
    return pair_of(threads(0, (10, 10, 10), 60), SHIFT, (SHAPE, SPACING), (SHAPE, SPACING))


@cache
def thin() -> tuple[Volume, Volume]:
    """A thin sample without haze, shifted by whole voxels: 2, -3, 5."""
    beads = scatter_beads(0, (3.6, 9.6, 9.6), 150)
    moved = beads.moved(Transform.shift((0.6, -0.3, 0.5)))
    light = moved.image((12, 96, 96), SPACING, (0.3, 0.12, 0.12))
    return confocal_stack(beads, (12, 96, 96), SPACING), Volume((1000 * light).astype(np.uint16), SPACING)


@cache
def thick_registered() -> Registration:
    return register(*thick())


# The shift


def test_thick_sample_in_haze_and_noise_is_found_to_a_fraction_of_a_voxel() -> None:
    found = thick_registered()
    assert found.refusal == ""
    assert found.confidence > 0.7
    assert (found.method, found.notices) == ("psf", ())
    assert_within(np.subtract(found.shift_um, SHIFT) / SPACING, 0, (0.15, 0.1, 0.1))


@pytest.mark.parametrize("seed", [1, 2])
def test_large_shift_is_found(seed: int) -> None:
    shift = (-2.13, 3.07, -2.55)
    pair = pair_of(threads(seed, (10, 10, 10), 200, margin_um=5), shift, (SHAPE, SPACING), (SHAPE, SPACING))
    found = register(*pair)
    assert found.refusal == ""
    assert_within(np.subtract(found.shift_um, shift) / SPACING, 0, (0.25, 0.2, 0.2))


@pytest.mark.parametrize(
    ("confocal", "widefield"),
    [
        (((40, 120, 120), SPACING), ((28, 90, 90), COARSE)),
        (((28, 90, 90), COARSE), ((40, 120, 120), SPACING)),
        (((24, 120, 110), (0.5, 0.1, 0.11)), ((40, 84, 80), (0.3, 0.15, 0.13))),
    ],
)
def test_shift_in_um_is_right_whatever_the_voxel_sizes(
    confocal: tuple[Shape, Spacing], widefield: tuple[Shape, Spacing]
) -> None:
    shift = (1.13, -0.62, 0.87)
    found = register(*pair_of(threads(3, (12, 12, 12), 100), shift, confocal, widefield))
    assert found.refusal == ""
    assert_within(found.shift_um, shift, (0.05, 0.012, 0.012))  # a tenth of the coarser voxel
    np.testing.assert_allclose(found.transform.shift_at((0, 0, 0)), found.shift_um, atol=1e-9)
    np.testing.assert_allclose(np.multiply(found.shift_voxels, widefield[1]), found.shift_um)


def with_borders(kind: str, volume: Volume, is_confocal: bool) -> Volume:
    """The stack with voxels that are no image, the same in both or of each its own."""
    data = np.asarray(volume.data).copy()
    z, y, _x = np.ogrid[: data.shape[0], : data.shape[1], : data.shape[2]]
    if kind == "frame":
        data[:, ~np.pad(np.ones((SHAPE[1] - 24, SHAPE[2] - 24), bool), 12)] = 0
    elif kind == "edges of their own, NaN":
        data = data.astype(np.float32)
        data[(np.s_[:], np.s_[:9]) if is_confocal else (np.s_[:], np.s_[:], np.s_[-13:])] = np.nan
    elif kind == "gaps":
        data[:, :, 40] = data[:, 61] = data[7] = data[20] = 0
    elif kind == "wedges":
        data[np.broadcast_to((y < z) | (y >= 64 + z), data.shape)] = 100
    elif kind == "padding":
        data = np.pad(data, [(3, 1), (40, 60), (70, 10)] if is_confocal else [(0, 4), (50, 50), (50, 50)])
    return Volume(data, volume.spacing_um, name=volume.name)


@pytest.mark.parametrize("kind", ["frame", "edges of their own, NaN", "gaps", "wedges", "padding"])
def test_borders_that_are_no_image_do_not_draw_the_shift(kind: str) -> None:
    confocal, widefield = thick()
    found = register(with_borders(kind, confocal, True), with_borders(kind, widefield, False))
    first = ((3, 40, 70), (0, 50, 50)) if kind == "padding" else ((0, 0, 0), (0, 0, 0))
    moved = np.subtract(first[1], first[0]) * SPACING
    assert_within(np.subtract(found.shift_um, moved), SHIFT, (0.1, 0.03, 0.03))
    assert found.refusal == ""
    assert "The wide-field stack" in [notice.split(":")[0] for notice in found.notices]


def test_largest_shift_counts_from_the_whole_stacks() -> None:
    """The stacks' images lie 5 um from each other in their files; with less allowed there is nothing to compare."""
    confocal, widefield = thick()
    moved = [Volume(np.pad(np.asarray(widefield.data), [(0, 0), (n, 0), (0, 0)]), SPACING) for n in (50, 90)]
    found = register(confocal, moved[0], max_shift_um=(2, 6, 2))
    assert_within(found.shift_um, np.add(SHIFT, (0, 5, 0)), (0.1, 0.03, 0.03))
    assert found.refusal == ""
    with pytest.raises(InputError, match=r"within the largest shift allowed.* has too little in common"):
        register(confocal, moved[1], max_shift_um=(2, 1, 2))


def test_voxel_of_the_confocal_stack_lies_at_its_index_plus_the_shift() -> None:
    field = (texture(0, (36, 110, 110)) * 200 + 2000).astype(np.uint16)
    lag = (3, -5, 8)
    confocal = Volume(cut(field, (5, 5, 12), (28, 90, 90)), SPACING)
    widefield = Volume(cut(field, (2, 10, 4), (30, 96, 96)), SPACING)
    found = register(confocal, widefield)
    np.testing.assert_allclose(found.shift_voxels, lag, atol=0.05)
    rounded = tuple(round(v) for v in found.shift_voxels)
    boxes = shared_boxes(confocal.shape, widefield.shape, (rounded[0], rounded[1], rounded[2]))
    assert boxes is not None
    np.testing.assert_array_equal(confocal.data[boxes[0]], widefield.data[boxes[1]])


def test_swapped_stacks_give_the_inverse() -> None:
    there, back = thick_registered(), register(*reversed(thick()))
    assert back.refusal == ""
    both = back.transform.apply(there.transform.apply(np.array([[0.0, 0, 0], [5, 4, 3]])))
    np.testing.assert_allclose(both, [[0, 0, 0], [5, 4, 3]], atol=0.01)


def test_stack_lies_on_itself() -> None:
    found = register(thick()[0], thick()[0])
    assert found.confidence > 0.9
    np.testing.assert_allclose(found.shift_voxels, 0, atol=0.01)


@pytest.mark.parametrize("method", ["psf", "cross-correlation", "plain-cross-correlation"])
def test_all_methods_agree_on_an_easy_pair(method: str) -> None:
    found = register(*thin(), method=method)
    assert (found.refusal, found.method) == ("", method)
    np.testing.assert_allclose(found.shift_voxels, (2, -3, 5), atol=0.15)


def test_preset_of_the_paper_gives_whole_voxels_on_a_thin_pair() -> None:
    found = register(*thin(), preset="paper")
    assert (found.refusal, found.method) == ("", "psf (paper)")
    np.testing.assert_allclose(found.shift_voxels, (2, -3, 5), atol=1e-6)


@pytest.mark.parametrize("method", ["cross-correlation", "plain-cross-correlation"])
def test_preset_of_the_paper_and_another_method_contradict(method: str) -> None:
    with pytest.raises(InputError, match=rf"preset 'paper' is a method of its own; leave method '{method}' or"):
        RegisterConfig.checked(preset="paper", method=method)
    assert RegisterConfig(preset="paper").resolved_method == "psf (paper)"
    assert RegisterConfig.checked(method=method).resolved_method == method


# What is refused


def stack_of_noise(seed: int) -> Volume:
    return Volume(np.random.default_rng(seed).poisson(100, SHAPE).astype(np.uint16), SPACING)


def no_overlap() -> tuple[Volume, Volume]:
    return pair_of(threads(0, (20, 10, 10), 120), (-10.0, 0, 0), (SHAPE, SPACING), (SHAPE, SPACING))


@pytest.mark.parametrize("seed", [0, 10, 20])
@pytest.mark.parametrize("kind", ["noise", "textures", "samples"])
def test_stacks_that_do_not_belong_together_are_refused(kind: str, seed: int) -> None:
    confocal, widefield = {
        "noise": lambda: (stack_of_noise(seed), stack_of_noise(seed + 1)),
        "textures": lambda: tuple(Volume(texture(seed + i, SHAPE, (1, 2, 2)), SPACING) for i in (0, 1)),
        "samples": lambda: (
            confocal_stack(threads(seed, (10, 10, 10), 60), SHAPE, SPACING),
            widefield_stack(threads(seed + 5, (10, 10, 10), 60), SHAPE, SPACING),
        ),
    }[kind]()
    found = register(confocal, widefield)
    assert found.confidence < 0.5
    assert "No alignment was found that can be trusted" in found.refusal
    assert "or set the shift by hand" in found.refusal


def test_stacks_of_different_depths_are_refused() -> None:
    found = register(*no_overlap())
    assert found.confidence < 0.5
    assert "that they overlap in depth" in found.refusal


OTHER_METHODS = [{"preset": "paper"}, {"method": "cross-correlation"}, {"method": "plain-cross-correlation"}]


@pytest.mark.parametrize("config", OTHER_METHODS)
@pytest.mark.parametrize("seed", [0, 2])
def test_no_method_accepts_stacks_that_do_not_belong_together(config: dict[str, str], seed: int) -> None:
    found = register(stack_of_noise(seed), stack_of_noise(seed + 1), **config)
    assert found.confidence < 0.5
    assert found.refusal


def test_stack_thinner_than_a_voxel_of_the_other_is_an_error() -> None:
    rng = np.random.default_rng(0)
    confocal = Volume(rng.poisson(20, (4, 96, 96)).astype(np.uint16), (0.3, 0.1, 0.1))
    widefield = Volume(rng.poisson(20, (20, 300, 300)).astype(np.uint16), (1.0, 0.1, 0.1))
    with pytest.raises(
        InputError, match=r"the confocal stack stack, on voxels of 1 x 0.1 x 0.1 um, is too small: 1 planes"
    ):
        register(confocal, widefield)


@pytest.mark.parametrize("most", [(0.2, 3.0, 3.0), (0.35, 3.0, 3.0), (3.0, 0.25, 3.0), (3.0, 3.0, 0.5)])
def test_shift_beyond_the_largest_allowed_is_refused(most: Vector) -> None:
    found = register(*thick(), max_shift_um=most)
    assert "llow a larger shift" in found.refusal


def test_shift_within_the_largest_allowed_is_found() -> None:
    found = register(*thick(), max_shift_um=(1.5, 1.5, 1.5))
    assert found.refusal == ""
    np.testing.assert_allclose(found.shift_um, thick_registered().shift_um, atol=0.01)


@pytest.mark.parametrize("which", [0, 1])
def test_stack_that_cannot_be_registered_is_an_error(which: int) -> None:
    stacks = list(thick())
    stacks[which] = Volume(stacks[which].data, None)
    with pytest.raises(InputError, match="no voxel size in micrometres"):
        register(*stacks)


@pytest.mark.parametrize("config", [{}, {"preset": "paper"}, {"transform": "affine"}])
def test_stop_is_heard_soon_and_leaves_no_result(config: dict[str, str]) -> None:
    with pytest.raises(StoppedError):
        drain(register_volumes(*thin(), RegisterConfig.checked(**config), lambda: True))
    asked = iter(range(1000))
    with pytest.raises(StoppedError):  # the coarse look asks 24 times, then every tile does
        drain(register_volumes(*thin(), RegisterConfig.checked(**config), lambda: next(asked) >= 25))


def test_progress_is_told() -> None:
    events: list[object] = []
    drain(register_volumes(*thin(), RegisterConfig(), never), events.append)
    assert events
    assert all(isinstance(event, Progress) and event.message for event in events)


# What is shown and kept


def peak_um(shift_map: ShiftMap) -> DoubleArray:
    """Shift at which a map is largest, from its definition."""
    index = np.array(np.unravel_index(int(shift_map.values.argmax()), shift_map.values.shape))
    middle = (np.array(shift_map.values.shape) - 1) / 2
    return np.asarray(shift_map.centre_um + (index - middle) * shift_map.step_um)


def test_psf_and_correlation_peak_at_the_shift() -> None:
    found = thick_registered()
    for shown in (found.psf, found.filtered_correlation, found.plain_correlation):
        assert_within(peak_um(shown), found.shift_um, shown.step_um)
    for axis in range(3):
        curve = found.psf.profile(axis, found.shift_um)
        assert curve.values.max() == 1
        assert (np.diff(curve.shift_um) > 0).all()
        best = curve.shift_um[curve.values.argmax()]
        assert abs(best - found.shift_um[axis]) <= 0.75 * found.psf.step_um[axis]


def test_maps_are_in_um_of_stacks_with_different_voxels_too() -> None:
    shift = (1.13, -0.62, 0.87)
    beads = threads(3, (12, 12, 12), 100)
    found = register(*pair_of(beads, shift, ((40, 120, 120), SPACING), ((28, 90, 90), COARSE)))
    assert found.psf.step_um == COARSE
    assert_within(peak_um(found.psf), shift, 0.75 * np.array(COARSE))


def test_profile_runs_through_the_place_it_is_told() -> None:
    values = np.zeros((5, 7, 9), np.float32)
    values[:, 5, 2] = (1, 2, 4, 3, 0)
    shown = ShiftMap(values, (0.5, 0.2, 0.1), (10.0, 20.0, 30.0))
    curve = shown.profile(0, (999.0, 20.0 + 2 * 0.2, 30.0 - 2 * 0.1))
    np.testing.assert_allclose(curve.values, (0.25, 0.5, 1, 0.75, 0))
    np.testing.assert_allclose(curve.shift_um, (9, 9.5, 10, 10.5, 11))
    np.testing.assert_array_equal(shown.profile(0, (0.0, 0.0, 0.0)).values, 0)  # beyond the window: its border


def test_report_is_json_that_gives_the_transform_back() -> None:
    found = thick_registered()
    report = json.loads(json.dumps(found.report()))
    assert Transform.from_dict(report) == found.transform
    assert report["shift_um"] == list(found.shift_um)
    assert report["shift_voxels"] == list(found.shift_voxels)
    assert (report["confidence"], report["refusal"], report["method"]) == (found.confidence, "", "psf")
    assert report["seconds"] > 0


def test_peak_moved_by_hand_moves_everything_with_it() -> None:
    found, by = register(*no_overlap()), (0.6, -0.2, 0.05)
    assert found.refusal
    moved = moved_by_hand(found, by, SPACING)
    assert (moved.refusal, moved.method) == ("", "by hand")
    np.testing.assert_allclose(np.subtract(moved.shift_um, found.shift_um), by)
    np.testing.assert_allclose(np.subtract(moved.shift_voxels, found.shift_voxels), np.divide(by, SPACING))
    place = (3.0, 1.0, 2.0)
    np.testing.assert_allclose(np.subtract(moved.transform.shift_at(place), found.transform.shift_at(place)), by)


# One grid for both


def test_stacks_of_one_voxel_size_are_read_as_they_are() -> None:
    confocal, widefield = thick()
    grids = common_grid(confocal, widefield)
    assert grids.confocal is confocal.data
    assert grids.widefield is widefield.data
    assert grids.to_um(np.array([2.0, -3.0, 0.5])) == pytest.approx((0.6, -0.3, 0.05))


@pytest.mark.parametrize(
    ("confocal_um", "widefield_um"),
    [(SPACING, COARSE), (COARSE, SPACING), ((0.5, 0.1, 0.2), (0.3, 0.2, 0.2)), ((0.3, 0.1, 0.1), (0.3, 0.25, 0.25))],
)
def test_lag_on_the_common_grid_stands_for_its_shift_in_um(confocal_um: Spacing, widefield_um: Spacing) -> None:
    # Two ramps along each axis that grow with the place in um: on the common grid, what the values differ by
    # between an index and itself is the shift that a lag of 0 stands for.
    slope = (5.0, 11.0, 7.0)
    for axis in range(3):
        volumes = []
        for spacing in (confocal_um, widefield_um):
            places = np.indices((20, 40, 40))[axis] * spacing[axis]
            volumes.append(Volume((slope[axis] * places).astype(np.float32), spacing))
        grids = common_grid(*volumes)
        assert grids.step_um == tuple(max(a, b) for a, b in zip(confocal_um, widefield_um, strict=True))
        assert grids.shapes == (grids.confocal.shape, grids.widefield.shape)
        inner = (slice(5, 7), slice(8, 9), slice(8, 9))  # away from borders
        own, other = (stack[inner] / slope[axis] for stack in (grids.confocal, grids.widefield))
        np.testing.assert_allclose(other - own, grids.to_um(np.zeros(3))[axis], atol=1e-4)


def test_resampled_stack_reads_boxes_and_planes_of_itself() -> None:
    grids = common_grid(*pair_of(threads(3, (5, 5, 5), 20), (0, 0, 0), ((16, 50, 50), SPACING), ((10, 40, 40), COARSE)))
    whole = np.asarray(grids.confocal[:])
    assert whole.shape == grids.confocal.shape
    assert whole.dtype == grids.confocal.dtype == np.float32
    np.testing.assert_allclose(grids.confocal[3], whole[3], atol=1e-3)
    np.testing.assert_allclose(grids.confocal[2:5, 4, 10:20], whole[2:5, 4, 10:20], atol=1e-3)


# The real pair


def test_the_real_pair() -> None:
    path = DATA / "neubias" / "nucleus_confocal_widefield.tif"
    if not path.exists():
        pytest.skip(f"real data not there: {path}")
    from napari_deep3d.io import open_stack

    opened = open_stack(path)
    found = register(opened.volume(0), opened.volume(1))
    assert found.refusal == ""
    assert found.confidence > 0.9
    np.testing.assert_allclose(found.shift_voxels, (-2.3, 0.0, 3.6), atol=0.5)
