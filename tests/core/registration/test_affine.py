"""Turned and magnified pairs: the map is found from the shifts of parts."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from napari_deep3d.core.config import RegisterConfig
from napari_deep3d.core.events import Progress, StoppedError, drain, never
from napari_deep3d.core.registration.affine import MatchedBlock, fit_linear_map
from napari_deep3d.core.registration.common_grid import common_grid
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.core.registration.transform import Transform, centre_um, corners_um
from napari_deep3d.core.types import DoubleArray, Shape, Spacing
from napari_deep3d.core.volume import Volume
from tests.helpers.registration import (
    Vector,
    assert_within,
    confocal_stack,
    scatter_beads,
    threads,
    turned,
    widefield_stack,
)

SPACING: Spacing = (0.3, 0.1, 0.1)
SHAPE: Shape = (40, 256, 256)
SHIFT: Vector = (0.7, -0.45, 0.83)
TRUTH = turned(2, 1.02, centre_um(SHAPE, SPACING), SHIFT)


@cache
def turned_pair() -> tuple[Volume, Volume]:
    beads = scatter_beads(5, (12, 25.6, 25.6), 1200)
    return confocal_stack(beads, SHAPE, SPACING), widefield_stack(beads.moved(TRUTH), SHAPE, SPACING)


def corner_error(found: Transform, truth: Transform, shape: Shape, spacing: Spacing) -> DoubleArray:
    """Largest error (Z, Y, X) over the stack's corners, in its voxels."""
    corners = corners_um(shape, spacing)
    return np.asarray(np.abs(found.apply(corners) - truth.apply(corners)).max(axis=0) / spacing)


@pytest.mark.slow
def test_turned_and_magnified_pair_is_found_as_a_similarity() -> None:
    found = drain(register_volumes(*turned_pair(), RegisterConfig(transform="similarity"), never))
    assert (found.refusal, found.notices) == ("", ())
    assert (corner_error(found.transform, TRUTH, SHAPE, SPACING) <= (0.5, 1, 1)).all()
    linear = found.transform.matrix[:3, :3]
    magnification = np.cbrt(np.linalg.det(linear))
    assert magnification == pytest.approx(1.02, abs=0.003)
    np.testing.assert_allclose(linear @ linear.T, magnification**2 * np.eye(3), atol=1e-9)  # no shear or stretch
    middle = centre_um(SHAPE, SPACING)
    np.testing.assert_allclose(found.shift_um, found.transform.shift_at(middle))
    np.testing.assert_allclose(np.multiply(found.shift_voxels, SPACING), found.shift_um)
    assert_within(found.shift_um, SHIFT, (0.1, 0.03, 0.03))


def fit(kind: str, stop_after: int | None = None) -> tuple[Transform, list[MatchedBlock], list[str], list[object]]:
    confocal, widefield = turned_pair()
    events: list[object] = []
    answers = iter([False] * (10_000 if stop_after is None else stop_after))
    start = np.round(np.array(SHIFT) / SPACING)
    job = fit_linear_map(
        common_grid(confocal, widefield),
        start,
        kind,  # type: ignore[arg-type]
        lambda: next(answers, True),
    )
    return *drain(job, events.append), events


def test_turned_and_magnified_pair_is_found_as_an_affine_map() -> None:
    transform, blocks, notices, events = fit("affine")
    assert notices == []
    assert (corner_error(transform, TRUTH, SHAPE, SPACING) <= (0.5, 1, 1)).all()
    for block in blocks:
        np.testing.assert_allclose(
            np.subtract(block.shift_um, transform.shift_at(block.centre_um)), block.residual_um, atol=1e-9
        )
        assert_within(block.shift_um, TRUTH.shift_at(block.centre_um), (0.15, 0.05, 0.05))
    assert isinstance(events[-1], Progress)
    assert events[-1].fraction == 1


def test_stop_is_asked_between_blocks() -> None:
    with pytest.raises(StoppedError):
        fit("affine", stop_after=2)


@pytest.mark.parametrize(
    ("confocal", "widefield"),
    [
        (((24, 168, 168), SPACING), ((20, 126, 126), (0.4, 0.15, 0.15))),
        (((20, 126, 126), (0.4, 0.15, 0.15)), ((24, 168, 168), SPACING)),
    ],
)
def test_map_is_in_um_of_stacks_with_different_voxels(
    confocal: tuple[Shape, Spacing], widefield: tuple[Shape, Spacing]
) -> None:
    beads = scatter_beads(6, (8, 18, 18), 800)
    truth = turned(-1.5, 0.985, centre_um(*confocal), (0.35, 0.61, -0.47))
    stacks = confocal_stack(beads, *confocal), widefield_stack(beads.moved(truth), *widefield)
    found = drain(register_volumes(*stacks, RegisterConfig(transform="similarity"), never))
    assert (found.refusal, found.notices) == ("", ())
    # The first voxels of the two grids lie 0.05 um apart along z and 0.025 um laterally: it would show.
    assert (corner_error(found.transform, truth, *confocal) <= 0.25).all()


def test_pair_that_is_only_shifted_is_hardly_turned_or_stretched() -> None:
    beads = scatter_beads(7, (7.2, 14.4, 14.4), 500)
    shape, truth = (24, 144, 144), Transform.shift((0.45, -0.33, 0.52))
    confocal, widefield = confocal_stack(beads, shape, SPACING), widefield_stack(beads.moved(truth), shape, SPACING)
    lag = np.array([1.5, -3.3, 5.2])
    job = fit_linear_map(common_grid(confocal, widefield), lag, "affine", never)
    transform, _, notices = drain(job)
    assert notices == []
    assert (corner_error(transform, truth, shape, SPACING) <= (0.5, 0.5, 0.5)).all()


def test_few_structures_give_a_shift_and_a_notice() -> None:
    shape, truth = (24, 128, 128), Transform.shift((0.45, -0.33, 0.52))
    beads = threads(1, (7, 4, 4), 30, margin_um=0)  # in one corner only
    stacks = confocal_stack(beads, shape, SPACING), widefield_stack(beads.moved(truth), shape, SPACING)
    found = drain(register_volumes(*stacks, RegisterConfig(transform="affine"), never))
    assert found.transform.is_shift
    (notice,) = found.notices
    assert "too few to tell rotation or magnification; the result is a shift" in notice
    assert len(found.blocks) < 6
    assert_within(found.shift_um, truth.shift_at((0, 0, 0)), (0.1, 0.03, 0.03))
