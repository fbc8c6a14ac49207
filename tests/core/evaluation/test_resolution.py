"""Decorrelation analysis follows a known blur."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_deep3d.core.evaluation.resolution import axial_resolution, cutoff, lateral_resolution

SPACING_UM = (0.4, 0.1, 0.1)


def points(shape: tuple[int, ...], blur: tuple[float, ...], noise: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    image = np.zeros(shape)
    image.ravel()[rng.integers(0, image.size, image.size // 32)] = 1
    image = ndi.gaussian_filter(image, blur, mode="wrap")
    return image / image.max() + noise * rng.standard_normal(shape)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_lateral_resolution_is_near_the_width_of_the_blur(noise: float) -> None:
    for sigma in (1, 2, 3, 4):
        found = lateral_resolution(points((4, 128, 128), (0, sigma, sigma), noise), SPACING_UM)
        assert found == pytest.approx(2.355 * sigma * SPACING_UM[1], rel=0.2)


def test_axial_resolution_follows_the_axial_blur_alone() -> None:
    found = [axial_resolution(points((64, 16, 128), (s, 0, 1), 0.01), SPACING_UM) for s in (1, 2, 3)]
    assert found == sorted(found)
    assert found[1] > 1.5 * found[0]
    blurred = axial_resolution(points((64, 16, 128), (1, 0, 2), 0.01), SPACING_UM)
    assert blurred == pytest.approx(found[0], rel=0.3)


def test_a_scale_in_intensity_changes_nothing() -> None:
    image = points((128, 128), (2, 2), 0.01)
    assert cutoff([1000 * image + 5]) == pytest.approx(cutoff([image]))


def test_several_images_are_analysed_as_one() -> None:
    image = points((128, 128), (2, 2), 0.01)
    assert cutoff([image, image.T, image[::-1]]) == pytest.approx(cutoff([image]))


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.random.default_rng(0).standard_normal((128, 128))])
def test_what_holds_no_structure_has_no_resolution(image: np.ndarray) -> None:
    assert np.isnan(cutoff([image]))
