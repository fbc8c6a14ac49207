"""Numbers as people type them, with either decimal mark."""

from __future__ import annotations

import math
import re
import unicodedata

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_MARKS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{ARABIC DECIMAL SEPARATOR}": ".", "\N{FULLWIDTH COMMA}": ","})


def parse_number(text: str) -> float | None:
    """Read a number; ``0.5`` and ``0,5`` are the same, on every system.

    A mark is always the decimal mark, never one of thousands: ``1,024`` is 1.024. What has two marks (``1,024.5``), or
    blanks between digits, could be meant in several ways and is no number.

    Returns
    -------
    float or None
        The number, None if the text is none or it is not finite.

    Examples
    --------
    >>> parse_number("0,108"), parse_number("1e-3"), parse_number("1,024.5")
    (0.108, 0.001, None)
    """
    plain = unicodedata.normalize("NFKC", text).translate(_MARKS).strip()
    if _NUMBER.fullmatch(plain) is None:
        return None
    number = float(plain.replace(",", "."))
    return number if math.isfinite(number) else None


def split_quantity(text: str) -> tuple[float | None, str]:
    """Read a number and what follows it: ``200 nm`` gives 200 and ``nm``; the number is None if there is none."""
    plain = unicodedata.normalize("NFKC", text).translate(_MARKS).strip()
    match = _NUMBER.match(plain)
    if match is None:
        return None, plain
    unit = plain[match.end() :]
    if unit[:1] in (".", ",") or unit.strip()[:1].isdigit():  # a second mark, or digits after a blank
        return None, plain
    return parse_number(match[0]), unit.strip()


def parse_numbers(text: str, count: int = 3) -> list[float] | None:
    """Read several numbers: ``0.5,0.2,0.2``; with decimal commas ``0,5 0,2 0,2`` or ``0,5;0,2;0,2``.

    ``0.5 x 0.2 x 0.2 um``, as it is printed, is read too.

    Returns
    -------
    list of float, or None
        ``count`` numbers; None if the text does not hold just as many, or if it could be read in two ways.
    """
    plain = re.sub(r"\s*(um|µm|μm)\s*$", "", text.strip())
    ways = (
        re.split(r"[;x×]", plain),
        [part.strip(",") for part in plain.split()],
        plain.split(","),
    )
    readings = []
    for parts in ways:
        numbers = [parse_number(part) for part in parts]
        if len(numbers) == count and None not in numbers and numbers not in readings:
            readings.append(numbers)
    return [number for number in readings[0] if number is not None] if len(readings) == 1 else None
