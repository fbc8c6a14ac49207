from __future__ import annotations

import pytest

from napari_deep3d.io.units import length_um, spacing_or_none, um_per_unit


@pytest.mark.parametrize("unit", ["um", "µm", "\u03bcm", "\\u00B5m", "micron", "microns", "Micrometer", "micrometre"])
def test_all_spellings_of_micrometre(unit: str) -> None:
    assert um_per_unit(unit) == 1


@pytest.mark.parametrize(
    ("unit", "um"),
    [("nm", 1e-3), ("nanometer", 1e-3), ("mm", 1e3), ("millimeter", 1e3), ("cm", 1e4), ("Å", 1e-4)],
)
def test_other_lengths(unit: str, um: float) -> None:
    assert um_per_unit(unit) == um


@pytest.mark.parametrize("unit", [None, "", "pixel", "pixels", "s", "reference frame", "inch"])
def test_what_is_no_length_stays_unknown(unit: object) -> None:
    assert um_per_unit(unit) is None
    assert length_um(2.0, unit) is None


@pytest.mark.parametrize("value", [None, "", "wide", "nan", "inf", float("inf")])
def test_what_is_no_number_stays_unknown(value: object) -> None:
    assert length_um(value, "um") is None


def test_length_converts() -> None:
    assert length_um("250", "nm") == pytest.approx(0.25)


@pytest.mark.parametrize(
    "sizes", [(0.5, 0.1, None), (None, 0.1, 0.1), (0.0, 0.1, 0.1), (-0.5, 0.1, 0.1), (0.5, 0.1, 1e4)]
)
def test_a_partial_or_impossible_voxel_size_is_none(sizes: tuple[float | None, ...]) -> None:
    assert spacing_or_none(sizes) is None


def test_a_whole_voxel_size_is_kept() -> None:
    assert spacing_or_none([0.5, 0.1, 0.2]) == (0.5, 0.1, 0.2)
