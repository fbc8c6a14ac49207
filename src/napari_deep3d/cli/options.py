"""Options of the commands: what their help says, and how words on the command line become values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer

from napari_deep3d.core import Config, InputError, Shape, Spacing, Vector, check_spacing, zyx

T = TypeVar("T")
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


def parse_spacing(text: str | None) -> Spacing | None:
    """``0.5,0.108,0.108`` to a voxel size in um, Z, Y, X."""
    return None if text is None else check_spacing(_numbers(text, float, "--spacing", "0.5,0.108,0.108"))


def parse_sizes(text: str | None) -> Vector | None:
    """``2,5,5`` to lengths in um, Z, Y, X."""
    return None if text is None else _numbers(text, float, "--max-shift-um", "2,5,5")


def parse_tile(text: str) -> Literal["auto"] | Shape:
    """``auto``, or ``24,128,128`` to voxels Z, Y, X."""
    return "auto" if text == "auto" else parse_shape(text, "--tile")


def parse_shape(text: str, option: str) -> Shape:
    """``48,160,160`` to voxels Z, Y, X."""
    return _numbers(text, int, option, "24,128,128")


def _numbers(text: str, kind: Callable[[str], T], option: str, example: str) -> tuple[T, T, T]:
    try:
        return zyx([kind(part) for part in text.split(",")])
    except ValueError:  # of a part, or of other than three
        raise InputError(
            f"{option} got {text!r}; three numbers Z,Y,X are needed, such as {option} {example}."
        ) from None


def parse_memory(text: str | None) -> int | None:
    """``2GB`` to bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([kmgt]?b)?\s*", text.lower())
    if match is None:
        raise InputError(f"--memory got {text!r}; a size such as 2GB or 800MB is needed.")
    return int(float(match[1]) * UNITS[match[2] or ""])


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
