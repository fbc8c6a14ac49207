"""Voxel sizes that no microscope gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deep3d.core import doubt_spacing, doubt_spacings


@pytest.mark.parametrize(
    "spacing_um",
    [(0.5, 0.108, 0.108), (0.2, 0.1, 0.1), (0.5, 0.02, 0.02), (10, 0.65, 0.65), (1, 1, 1), (0.15, 0.4, 0.4)],
)
def test_sizes_of_microscopes_are_not_doubted(spacing_um: tuple[float, float, float]) -> None:
    assert doubt_spacing(spacing_um) == ""


@pytest.mark.parametrize(
    ("spacing_um", "reason", "meant"),
    [
        ((9, 0.2, 0.2), "planes 45 times as far apart as pixels are wide", "0.9 x 0.2 x 0.2 um is meant (a lost"),
        ((0.5, 9, 9), "pixels of 9 um", "0.5 x 0.09 x 0.09 um is meant (a lost"),
        ((100, 40, 40), "pixels of 40 um", "0.1 x 0.04 x 0.04 um is meant (nm taken for um)"),
        ((2, 0.002, 0.002), "pixels of 0.002 um", ""),
        ((0.002, 0.001, 0.001), "pixels of 0.001 um", "2 x 1 x 1 um is meant (mm taken for um)"),
        ((0.5, 0.1, 0.4), "pixels 4 times as long as wide", ""),
        ((0.06, 0.5, 0.5), "planes 8 times as close together", ""),
    ],
)
def test_what_is_doubted_and_what_is_probably_meant(
    spacing_um: tuple[float, float, float], reason: str, meant: str
) -> None:
    doubt = doubt_spacing(spacing_um)
    assert reason in doubt
    assert meant in doubt
    assert doubt.endswith("Check it in the microscope's notes.")


@given(st.floats(0.1, 5), st.floats(0.04, 1.2), st.sampled_from([1e-3, 1e3]))
def test_a_wrong_unit_is_always_doubted(z: float, xy: float, factor: float) -> None:
    spacing = (z * factor, xy * factor, xy * factor)
    assert doubt_spacing(spacing) != ""


def test_stacks_that_do_not_go_together() -> None:
    fine, coarse = ("confocal", (0.2, 0.1, 0.1)), ("wide-field", (9.0, 1.0, 1.0))
    assert doubt_spacings([fine, ("wide-field", (1.0, 0.4, 0.4))]) == []
    (doubt,) = doubt_spacings([fine, coarse, ("other", (0.2, 0.1, 0.1))])
    assert "confocal (0.2 x 0.1 x 0.1 um) and wide-field (9 x 1 x 1 um) differ 45-fold" in doubt
