"""Options of the commands: what their help says, and how words on the command line become values."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from napari_deep3d.core import (
    Config,
    InputError,
    Shape,
    Spacing,
    Vector,
    check_spacing,
    parse_number,
    parse_numbers,
    split_quantity,
    zyx,
)

UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, alone, on standard output.")]
Axes = Annotated[
    str | None,
    typer.Option(
        help="What the pages of a TIFF file are, slowest first, if it does not say so: Z, or C2,Z for 2 channels."
    ),
]
Position = Annotated[int | None, typer.Option(help="Image of a file that holds several, counted from 0.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")]


def setting(config: type[Config], name: str, note: str = "", *, flag: str | None = None) -> Any:
    """Make the option of a setting, or of a ``flag`` without a value.

    Its help is the config's description and, of a word, those allowed; then ``note``, where the option differs.
    """
    field = config.model_fields[name]
    text, allowed = field.description or name, get_args(field.annotation)
    if get_origin(field.annotation) is Literal:
        text += f" ({', '.join(allowed)})"
    if text.partition(":")[0] not in allowed:  # "paper: ..." explains one of the words
        text = text[:1].upper() + text[1:]
    return typer.Option(*([flag] if flag else []), help=f"{text}; {note}." if note else f"{text}.")


def parse_spacing(text: str | None, option: str = "--spacing") -> Spacing | None:
    """``0.5,0.108,0.108`` to a voxel size in um, Z, Y, X."""
    return None if text is None else check_spacing(_three(text, option, "0.5,0.108,0.108"))


def parse_sizes(text: str | None) -> Vector | None:
    """``2,5,5`` to lengths in um, Z, Y, X."""
    return None if text is None else _three(text, "--max-shift-um", "2,5,5")


def parse_tile(text: str) -> Literal["auto"] | Shape:
    """``auto``, or ``24,128,128`` to voxels Z, Y, X."""
    return "auto" if text == "auto" else parse_shape(text, "--tile")


def parse_shape(text: str, option: str) -> Shape:
    """``48,160,160`` to voxels Z, Y, X."""
    numbers = None if "." in text else parse_numbers(text)
    if numbers is None or any(number != round(number) for number in numbers):
        raise InputError(f"{option} got {text!r}; three whole numbers Z,Y,X are needed, such as {option} 24,128,128.")
    return zyx(round(number) for number in numbers)


def _three(text: str, option: str, example: str) -> Vector:
    numbers = parse_numbers(text)
    if numbers is None:
        parts = len(re.findall(r"\d+", text))
        with_commas = ";".join(part.replace(".", ",") for part in example.split(","))
        doubt = f" (there are {parts})" if "," in text and parts > 3 else ""
        raise InputError(
            f"{option} got {text!r}; three numbers Z,Y,X are needed{doubt}, such as {option} {example}, or with "
            f'decimal commas {option} "{with_commas}".'
        )
    return zyx(numbers)


def parse_memory(text: str | None) -> int | None:
    """``2GB`` or ``1,5GB`` to bytes."""
    if text is None:
        return None
    number, unit = split_quantity(text)
    factor = UNITS.get(unit.casefold())
    if number is None or number < 0 or factor is None:
        raise InputError(f"--memory got {text!r}; a size such as 2GB, 1.5GB or 800MB is needed.")
    return int(number * factor)


def parse_minutes(text: str | None) -> float | None:
    """``0.5`` or ``0,5`` to minutes."""
    if text is None:
        return None
    minutes = parse_number(text)
    if minutes is None:
        raise InputError(f"--minutes got {text!r}; a number of minutes is needed, such as 90 or 0.5.")
    return minutes


def parse_given(**texts: str | None) -> dict[str, float]:
    """Numbers of those options that were given, such as ``1.4`` or ``1,4``, by the names of their settings."""
    found = dict[str, float]()
    for name, text in texts.items():
        if text is None:
            continue
        number = parse_number(text)
        if number is None:
            raise InputError(f"--{name.replace('_', '-')} got {text!r}; a number is needed, such as 1.4.")
        found[name] = number
    return found


def parse_time(text: str | None) -> int | Literal["all"] | None:
    """A time point, counted from 0, or ``all``."""
    if text is None:
        return None
    if text == "all":
        return "all"
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--time got {text!r}; a number counted from 0, or all, is needed.") from None
