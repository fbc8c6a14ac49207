"""Numbers as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deep3d.core import parse_number, parse_numbers, split_quantity


@given(st.decimals(min_value=-(10**6), max_value=10**6, places=4, allow_nan=False))
def test_both_marks_mean_the_same(number: object) -> None:
    text = f"{number:f}"
    assert parse_number(text) == parse_number(text.replace(".", ",")) == float(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,024", 1.024),
        ("1.024", 1.024),
        (",5", 0.5),
        ("5,", 5.0),
        ("\N{MINUS SIGN}0,5", -0.5),
        ("1e-3", 1e-3),
        (" 0.2 ", 0.2),
        ("０．５", 0.5),
        ("1,024.5", None),
        ("1.024,5", None),
        ("1.024.000", None),
        ("1 024", None),
        ("1'024", None),
        ("", None),
        ("nan", None),
        ("1e999", None),
        ("0x10", None),
    ],
)
def test_a_mark_is_never_one_of_thousands(text: str, number: float | None) -> None:
    assert parse_number(text) == number


def test_a_unit_may_follow() -> None:
    assert split_quantity("200 nm") == (200, "nm")
    assert split_quantity("0,2µm") == (0.2, "μm")  # Unicode's compatible form
    assert split_quantity("0.5.2") == (None, "0.5.2")
    assert split_quantity("1 024 um") == (None, "1 024 um")
    assert split_quantity("um")[0] is None


@pytest.mark.parametrize(
    "text",
    [
        "0.5,0.2,0.2",
        "0.5, 0.2, 0.2",
        "0,5 0,2 0,2",
        "0,5, 0,2, 0,2",
        "0,5;0,2;0,2",
        "0.5; 0,2; .2",
        "0.5 0.2 0.2",
        "0.5 x 0.2 x 0.2 um",
        "0,5x0,2x0,2",
    ],
)
def test_three_numbers_in_every_way_that_is_clear(text: str) -> None:
    assert parse_numbers(text) == [0.5, 0.2, 0.2]


@pytest.mark.parametrize("text", ["0,5,0,2,0,2", "0,5,0.2,0.2", "0.5", "0.5,0.2", "a,b,c", "0.5;0.2,0.2", ""])
def test_what_is_not_clear_is_not_guessed(text: str) -> None:
    assert parse_numbers(text) is None
