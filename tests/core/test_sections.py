"""Settings in sections: the same config whether a value is given in its section or by its own name."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from pydantic import Field

from napari_deep3d.core.config import Config, SectionedConfig, merge, parse_assignments
from napari_deep3d.core.errors import InputError


class Inner(Config):
    depth: int = 1


class Lens(Config):
    aperture: float = Field(1.2, gt=0)
    shared: int = 0
    inner: Inner = Inner()


class Sensor(Config):
    photons: tuple[int, int] = (5, 50)
    shared: int = 0
    bits: int = 16


class Instrument(SectionedConfig):
    lens: Lens = Lens()
    sensor: Sensor = Sensor()
    name: str = "none"


def test_a_flat_value_is_the_same_as_one_in_its_section() -> None:
    flat = Instrument.checked(aperture=0.8, bits=8, name="a")
    assert flat == Instrument(lens=Lens(aperture=0.8), sensor=Sensor(bits=8), name="a")
    assert flat == Instrument.checked(lens={"aperture": 0.8}, sensor={"bits": 8}, name="a")


def test_flat_values_join_what_is_given_for_their_section() -> None:
    expected = Sensor(photons=(1, 2), bits=8)
    assert Instrument.checked(sensor={"photons": (1, 2)}, bits=8).sensor == expected
    assert Instrument.checked(sensor=Sensor(photons=(1, 2)), bits=8).sensor == expected


def test_a_section_knows_which_of_its_fields_were_given() -> None:
    config = Instrument.checked(aperture=1.2, sensor={"shared": 3})
    assert config.lens.model_fields_set == {"aperture"}
    assert config.sensor.model_fields_set == {"shared"}
    assert Instrument.checked(sensor=Sensor(shared=3), bits=8).sensor.model_fields_set == {"shared", "bits"}
    assert Instrument.checked().lens.model_fields_set == set()


@pytest.mark.parametrize("given", [{"sensor": {"bits": 8}}, {"sensor": Sensor(bits=8)}])
def test_a_value_given_twice_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"bits is given twice, as bits and as sensor\.bits\. Give it once"):
        Instrument.checked(**given, bits=12)


@pytest.mark.parametrize("name", ["shared", "inner", "depth"])
def test_names_of_two_sections_and_tables_within_sections_are_not_flat(name: str) -> None:
    assert name not in Instrument.known_names()
    with pytest.raises(InputError, match=f"unknown name '{name}'"):
        Instrument.checked(**{name: 1})


def test_known_names_are_those_of_fields_and_flat_ones() -> None:
    assert Instrument.known_names() == ["aperture", "bits", "lens", "name", "photons", "sensor"]


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown name 'foo'; known are: aperture, bits, lens, name, photons, sensor"):
        Instrument.checked(foo=1)
    with pytest.raises(InputError, match=r"unknown name 'lens\.foo'; known are: aperture, inner, shared"):
        Instrument.checked(lens={"foo": 1})


@pytest.mark.parametrize(
    ("first", "second"),
    [({"bits": 8}, {"sensor": {"bits": 12}}), ({"sensor": {"bits": 8}}, {"bits": 12}), ({"bits": 8}, {"bits": 12})],
)
def test_of_two_sources_the_later_one_wins_however_it_names_a_value(first: Any, second: Any) -> None:
    assert merge(Instrument, first, second).sensor == Sensor(bits=12)


def test_a_section_that_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"sensor is 3: a table is allowed, of these names: bits, photons, shared"):
        Instrument.checked(sensor=3, bits=8)


@pytest.mark.parametrize("given", [{"aperture": 0}, {"lens": {"aperture": 0}}])
def test_a_wrong_value_is_called_by_its_own_name(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^aperture is 0"):
        Instrument.checked(**given)


def test_a_wrong_value_without_a_name_of_its_own_is_called_by_its_section_too() -> None:
    with pytest.raises(InputError, match=r"^lens\.shared is 'x'"):
        Instrument.checked(lens={"shared": "x"})


def test_values_by_their_own_names() -> None:
    config = Instrument.checked(aperture=1.2, sensor={"bits": 8})
    assert config.flat() == {"aperture": 1.2, "photons": (5, 50), "bits": 8}
    assert config.flat(only_given=True) == {"aperture": 1.2, "bits": 8}
    assert {name: field.default for name, field in Instrument.flat_fields().items()} == Instrument().flat()


def test_assignments_may_name_the_section_or_not() -> None:
    dotted = merge(Instrument, parse_assignments(["sensor.photons=[1, 2]", "lens.aperture=0.5"]))
    assert dotted == merge(Instrument, parse_assignments(["photons=[1, 2]", "aperture=0.5"]))


def test_values_are_nested_without_being_checked() -> None:
    values = {"bits": "x", "name": "a", "lens": {"aperture": 1.0}}
    assert Instrument.nested(values) == {"sensor": {"bits": "x"}, "name": "a", "lens": {"aperture": 1.0}}


def test_a_config_survives_its_text_form() -> None:
    config = Instrument.checked(bits=8, aperture=0.3)
    assert Instrument.checked(**tomllib.loads(config.to_toml())) == config
