"""What all settings have in common: they are frozen, checked, and read from several sources."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.numbers import parse_number

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Quality = Literal["fast", "best"]
"""One prediction of a stack, or the mean of several of it, turned in several ways."""
Deepest = Literal["last", "first"]
"""Which plane of a stack lies deepest in the sample, farthest from the lens."""
Positive = Annotated[int, Field(ge=1)]
Patch = tuple[Positive, Positive, Positive]
"""Number of voxels along Z, Y, X."""
C = TypeVar("C", bound="Config")


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= value[0] < value[1] <= 100:
        raise ValueError("two rising percentiles between 0 and 100 are allowed")
    return value


Percentiles = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Percentiles of a stack that become 0 and 1."""


class Config(BaseModel):
    """A frozen set of choices; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Build the config, or raise an InputError that names each wrong value, what is allowed and the remedy."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(_explain(cls, error)) from None

    @classmethod
    def known_names(cls) -> list[str]:
        """All names that may be given, in alphabetical order."""
        return sorted(cls.model_fields)

    @classmethod
    def nested(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as given, arranged as the config nests them; they are not checked."""
        return dict(values)

    def changed(self, **values: Any) -> Self:
        """The config with some values changed, checked; what was not given before stays a default."""
        return merge(type(self), self.model_dump(exclude_unset=True), values)

    def to_toml(self) -> str:
        """The config as text that :func:`read_toml` reads back."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


class SectionedConfig(Config):
    """A config made of sections: those of its fields whose type is itself a :class:`Config`.

    A field of a section may be given within it, ``camera={"photons": (50, 500)}``, or by its own name,
    ``photons=(50, 500)``, where no other section has a field of that name. Both give the same config.
    """

    @classmethod
    def sections(cls) -> dict[str, type[Config]]:
        """The sections by name."""
        types = {name: field.annotation for name, field in cls.model_fields.items()}
        return {name: kind for name, kind in types.items() if isinstance(kind, type) and issubclass(kind, Config)}

    @classmethod
    def flat_names(cls) -> dict[str, str]:
        """The section of each field that may be given by its own name; tables within sections may not."""
        owners = [
            (name, section)
            for section, kind in cls.sections().items()
            for name, field in kind.model_fields.items()
            if name not in cls.model_fields
            and not (isinstance(field.annotation, type) and issubclass(field.annotation, Config))
        ]
        found = Counter(name for name, _ in owners)
        return {name: section for name, section in owners if found[name] == 1}

    @classmethod
    def flat_fields(cls) -> dict[str, FieldInfo]:
        """The fields that may be given by their own name: their bounds, defaults and descriptions."""
        sections = cls.sections()
        return {name: sections[section].model_fields[name] for name, section in cls.flat_names().items()}

    @classmethod
    def known_names(cls) -> list[str]:
        """All names that may be given, in alphabetical order."""
        return sorted({*cls.model_fields, *cls.flat_names()})

    def flat(self, *, only_given: bool = False) -> dict[str, Any]:
        """The values of those fields by name; with ``only_given`` those that are no defaults, but were given."""
        return {
            name: getattr(getattr(self, section), name)
            for name, section in self.flat_names().items()
            if not only_given or name in getattr(self, section).model_fields_set
        }

    @classmethod
    def nested(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values with every one in its section; InputError if one is given twice, there and by its own name."""
        owners = cls.flat_names()
        placed = {name: value for name, value in values.items() if name not in owners}
        for name in (name for name in values if name in owners):
            section = owners[name]
            table = placed.get(section, {})
            if isinstance(table, Config):
                table = {each: getattr(table, each) for each in table.model_fields_set}
            if not isinstance(table, Mapping):
                continue  # not a section: validation says so
            if name in table:
                raise InputError(f"{name} is given twice, as {name} and as {section}.{name}. Give it once.")
            placed[section] = {**table, name: values[name]}
        return placed

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, values: Any) -> Any:
        return cls.nested(values) if isinstance(values, Mapping) else values


def _explain(cls: type[Config], error: ValidationError) -> str:
    own_names = set(cls.known_names()) - set(cls.model_fields)  # of fields in sections
    lines = []
    for problem in error.errors():
        path = [part for part in problem["loc"] if part != "[key]"]  # pydantic's mark of a wrong name in a table
        name = ".".join(str(part) for part in path)
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown name {name!r}; known are: {_known_names(cls, problem['loc'][:-1])}")
        elif problem["type"] == "model_type":
            known = _known_names(cls, problem["loc"])
            lines.append(f"{name} is {problem['input']!r}: a table is allowed, of these names: {known}")
        else:
            if len(path) > 1 and path[1] in own_names:
                name = ".".join(str(part) for part in path[1:])
            found = f"{name} is {problem['input']!r}: " if name else ""
            lines.append(found + problem["msg"].removeprefix("Value error, "))
    return "; ".join(line.rstrip(".") for line in lines) + ". Correct it and try again."


def _known_names(cls: type[Config], path: tuple[int | str, ...]) -> str:
    """The names of a config's fields, or of those of the config that a path of names leads to."""
    inner: Any = cls
    for name in path:
        inner = get_args(inner)[1] if get_origin(inner) is dict else inner.model_fields[str(name)].annotation
    return ", ".join(inner.known_names())


def read_toml(path: Path) -> dict[str, Any]:
    """Read a config file; InputError if there is no such file, or it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the config file {path}: {error.strerror}. Give an existing TOML file.") from None
    except (ValueError, RecursionError) as error:  # the latter of brackets nested without end
        raise InputError(f"{path} is not a TOML file: {error}. Give lines such as: iterations = 500") from None


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` words into values, VALUE in TOML's notation (a bare word is text, ``0,5`` is 0.5).

    A dotted name is one within a table, as in TOML.
    """
    values: dict[str, Any] = {}
    for word in assignments:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise InputError(f"--set got {word!r}; NAME=VALUE is needed, such as --set iterations=500.")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text
            if re.fullmatch(r"\s*[+-]?\d*,\d+\s*", text) and (number := parse_number(text)) is not None:
                value = number  # a decimal comma: a list would stand in brackets
        for part in reversed(name.split(".")):
            value = {part: value}
        values = _merged(values, value)
    return values


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both; where both have one, the new one wins, but tables are merged in turn."""
    values = {**old, **new}
    for name in old.keys() & new.keys():
        if isinstance(old[name], Mapping) and isinstance(new[name], Mapping):
            values[name] = _merged(old[name], new[name])
    return values


def merge(cls: type[C], *sources: Mapping[str, Any]) -> C:
    """Build a config from several sources, later ones winning, name by name in tables, too."""
    values: dict[str, Any] = {}
    for source in sources:
        values = _merged(values, cls.nested(source))
    return cls.checked(**values)
