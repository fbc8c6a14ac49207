"""Settings in sections, whose fields may be given without naming their section."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator
from pydantic.fields import FieldInfo

from napari_deep3d.core import InputError
from napari_deep3d.core.config.base import Config


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
        """The values with every one of them in its section.

        Raises
        ------
        InputError
            If a value is given twice, within its section and by its own name.
        """
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
