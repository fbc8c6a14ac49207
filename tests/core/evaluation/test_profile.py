"""Line profiles: a bead of known width along any line, a ramp, contrast."""

from __future__ import annotations

import numpy as np
import pytest

from napari_deep3d.core import InputError, Vector
from napari_deep3d.core.evaluation.profile import Profile, line_profile

SPACING_UM = (0.25, 0.1, 0.1)
ORIGIN_UM = (5.0, -3.0, 2.0)
SHAPE = (41, 61, 61)
SIGMA_UM = (0.6, 0.3, 0.3)
FWHM = 2 * np.sqrt(2 * np.log(2))
CENTRE = np.array(ORIGIN_UM) + np.array(SPACING_UM) * (20, 30, 30)


def places_um() -> list[np.ndarray]:
    return list(np.ix_(*(o + s * np.arange(n) for o, s, n in zip(ORIGIN_UM, SPACING_UM, SHAPE, strict=True))))


@pytest.fixture(scope="module")
def bead() -> np.ndarray:
    terms = (((p - c) / s) ** 2 for p, c, s in zip(places_um(), CENTRE, SIGMA_UM, strict=True))
    return np.asarray(100 + 1000 * np.exp(-0.5 * sum(terms)))


def through_centre(direction: Vector, half_um: float) -> tuple[Vector, Vector]:
    step = np.array(direction) / np.linalg.norm(direction) * half_um
    return tuple(CENTRE - step), tuple(CENTRE + step)


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (2, 1, -1)])
def test_width_of_a_gaussian_bead(bead: np.ndarray, direction: Vector) -> None:
    line = through_centre(direction, 2.0 if direction[0] else 1.4)
    found = line_profile(bead, *line, SPACING_UM, ORIGIN_UM)
    unit = np.array(direction) / np.linalg.norm(direction)
    sigma = 1 / np.linalg.norm(unit / SIGMA_UM)
    assert found.fwhm_um == pytest.approx(FWHM * sigma, rel=0.03)
    assert found.values.max() == pytest.approx(1100, rel=0.01)
    assert found.contrast == pytest.approx((1100 - found.values.min()) / (1100 + found.values.min()), rel=0.01)


def test_a_ramp_is_read_exactly_along_any_line() -> None:
    z, y, x = places_um()
    ramp = 3 * z - 2 * y + 5 * x
    start, end = (6.0, -1.0, 3.0), (14.0, 2.5, 7.5)
    for width in (0.0, 0.5):
        found = line_profile(ramp, start, end, SPACING_UM, ORIGIN_UM, width_um=width)
        share = found.distance_um / np.linalg.norm(np.subtract(end, start))
        places = np.array(start) + share[:, None] * np.subtract(end, start)
        np.testing.assert_allclose(found.values, places @ [3, -2, 5], rtol=1e-5)


def test_a_width_averages_over_a_disc_or_within_the_section() -> None:
    z, y, x = places_um()
    square = np.broadcast_to((z - CENTRE[0]) ** 2, SHAPE), np.broadcast_to((y - CENTRE[1]) ** 2 + 0 * x, SHAPE)
    line = through_centre((0, 0, 1), 1.0)
    options = {"spacing_um": SPACING_UM, "origin_um": ORIGIN_UM, "width_um": 2.0, "step_um": 0.5}
    in_disc, across_y = (line_profile(s, *line, **options).values[1] for s in square)
    assert in_disc == pytest.approx(
        across_y, rel=0.1
    )  # a disc of radius r has a mean square of r^2 / 4 along each axis
    assert across_y == pytest.approx(0.25, rel=0.15)
    in_plane = line_profile(square[0], *line, section=0, **options)
    np.testing.assert_allclose(in_plane.values, 0, atol=1e-6)
    in_section = line_profile(square[0], *line, section=1, **options)
    assert in_section.values[1] == pytest.approx(1 / 3, rel=0.15)  # of a stretch of half-length r it is r^2 / 3


def test_a_line_that_leaves_the_stack() -> None:
    stack = np.ones((8, 20, 20))
    found = line_profile(stack, (0, 0, -1.0), (0, 0, 1.0), SPACING_UM, width_um=0.3)
    outside = found.distance_um < 0.99
    assert np.isnan(found.values[outside]).all()
    assert found.values[~outside][1:] == pytest.approx(1)


def test_only_boxes_near_the_line_are_read(bead: np.ndarray) -> None:
    read = []

    class Watched:
        shape, dtype = bead.shape, bead.dtype

        def __getitem__(self, box: tuple[slice, ...]) -> np.ndarray:
            read.append(bead[box].size)
            return bead[box]

    line = (5.0, -3.0, 2.0), (15.0, 3.0, 8.0)
    found = line_profile(Watched(), *line, SPACING_UM, ORIGIN_UM)
    assert found.values == pytest.approx(line_profile(bead, *line, SPACING_UM, ORIGIN_UM).values)
    assert sum(read) < bead.size / 3


@pytest.mark.parametrize(
    ("values", "width"),
    [
        ([0, 0, 1, 2, 1, 0, 0], 2),
        ([0, 2, 2, 2, 0], 3),
        ([0, 1, 2, 2, 2], np.nan),  # does not fall on the right
        ([1, 1, 1], np.nan),
        ([np.nan, np.nan], np.nan),
        ([np.nan, 0, 4, 0, np.nan], 1),
        ([0, 0.9, 0, 2, 0, 0], 1),  # the highest one
    ],
)
def test_width_at_half_height(values: list[float], width: float) -> None:
    profile = Profile(np.arange(len(values), dtype=float), np.array(values, float))
    assert profile.fwhm_um == pytest.approx(width, nan_ok=True)


def test_contrast() -> None:
    places = np.arange(100.0)
    grating = Profile(places, 10 + 4 * np.sin(2 * np.pi * places / 20))
    assert grating.contrast == pytest.approx(0.4)
    assert np.isnan(Profile(places, grating.values - 20).contrast)


@pytest.mark.parametrize(
    ("end", "options", "got"),
    [
        ((0.0, 0.0, 0.0), {}, "two different ends"),
        ((np.nan, 0.0, 0.0), {}, "two different ends"),
        ((1.0, 0.0, 0.0), {"width_um": -1}, "width of 0 or more"),
        ((1.0, 0.0, 0.0), {"width_um": 1, "section": 0}, "direction of view"),
        ((1.0, 0.0, 0.0), {"step_um": 1e-9}, "shorter one"),
    ],
)
def test_lines_that_are_none(bead: np.ndarray, end: Vector, options: dict, got: str) -> None:
    with pytest.raises(InputError, match=got):
        line_profile(bead, (0.0, 0.0, 0.0), end, SPACING_UM, **options)
