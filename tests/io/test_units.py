from __future__ import annotations

import subprocess
import sys

import pint
import pytest

from napari_deep3d.io.units import backwards, length_um, spacing_or_none, step_s, um_per_unit


@pytest.mark.parametrize(
    "unit",
    [
        "um",
        "µm",
        "\u03bcm",
        "\\u00B5m",
        "\\u00b5m",
        "\\u03bcm",
        "mu",
        "µ",
        "micron",
        "microns",
        "Micrometer",
        "micrometre",
    ],
)
def test_all_spellings_of_micrometre(unit: str) -> None:
    assert um_per_unit(unit) == 1


@pytest.mark.parametrize(
    ("unit", "um"),
    [
        *[("nm", 1e-3), ("nanometer", 1e-3), ("nanometres", 1e-3), ("mm", 1e3), ("MM", 1e3), ("millimeter", 1e3)],
        *[("pm", 1e-6), ("dm", 1e5), ("inch", 25400), ("in", 25400), ("thou", 25.4)],
        *[("cm", 1e4), ("m", 1e6), ("metre", 1e6), ("Å", 1e-4), ("\u212b", 1e-4), ("angstrom", 1e-4)],
    ],
)
def test_other_lengths(unit: str, um: float) -> None:
    assert um_per_unit(unit) == pytest.approx(um, rel=1e-12)


@pytest.mark.parametrize("unit", [None, 7, "", "pixel", "px", "s", "reference frame", "minute", "2 um"])
def test_what_is_no_length_stays_unknown(unit: object) -> None:
    assert um_per_unit(unit) is None
    assert length_um(2.0, unit) is None


def test_units_of_layers() -> None:
    units = pint.application_registry.Unit
    assert [um_per_unit(units(name)) for name in ("um", "nm", "mm", "inch")] == [1, 1e-3, 1e3, 25400]
    assert [um_per_unit(units(name)) for name in ("pixel", "second")] == [None, None]


def test_usual_units_need_no_pint() -> None:
    """It would take longer to import than all files of a folder to open."""
    code = (
        "import sys; from napari_deep3d.io.units import um_per_unit as um; "
        "assert (um('\\u03bcm'), um('micron'), um('nm'), um('pixel')) == (1, 1, 1e-3, None); "
        "assert 'pint' not in sys.modules; assert um('mm') == 1e3 and 'pint' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("value", [None, "", "wide", "nan", "inf", float("inf")])
def test_what_is_no_number_stays_unknown(value: object) -> None:
    assert length_um(value, "um") is None


def test_length_converts() -> None:
    assert length_um("250", "nm") == pytest.approx(0.25)


@pytest.mark.parametrize(
    "sizes", [(0.5, 0.1, None), (None, 0.1, 0.1), (0.0, 0.1, 0.1), (-0.5, 0.1, None), (0.5, 0.1, 1e4)]
)
def test_a_partial_or_impossible_voxel_size_is_none(sizes: tuple[float | None, ...]) -> None:
    assert spacing_or_none(sizes) is None


def test_a_whole_voxel_size_is_kept() -> None:
    assert spacing_or_none([0.5, 0.1, 0.2]) == (0.5, 0.1, 0.2)
    assert backwards([0.5, 0.1, 0.2]) == backwards([-0.5, None, 0.2]) == ()


def test_of_a_negative_voxel_size_the_amount_counts() -> None:
    assert spacing_or_none([-0.5, 0.1, -0.2]) == (0.5, 0.1, 0.2)
    assert "negative along z and x" in backwards([-0.5, 0.1, -0.2])[0]
    assert "downwards" in backwards([-0.5, 0.1, 0.2])[0]
    assert "downwards" not in backwards([0.5, -0.1, 0.2])[0]


def test_time_steps() -> None:
    assert [step_s(2, unit) for unit in ("s", "ms", "min", "second")] == pytest.approx([2, 2e-3, 120, 2])
    assert [step_s(value, unit) for value, unit in ((0, "s"), ("x", "s"), (1, "um"), (1, "?"), (1, None))] == [None] * 5


def test_a_decimal_comma_in_a_file() -> None:
    assert length_um("0,25", "um") == 0.25
