"""Lengths as microscopes' files and napari's layers give them, in micrometres."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from napari_deep3d.core import InputError, Spacing, check_spacing, zyx

_FREQUENT = (
    dict.fromkeys(("um", "µm", "mu", "µ", "micron", "microns", "micrometer", "micrometers"), 1.0)
    | {"nm": 1e-3, "m": 1e6, "meter": 1e6}
    | dict.fromkeys(("", "pixel", "pixels"), None)
)
"""Um in the units of nearly all files, which are spared the third of a second that pint takes to import."""
_LENGTHS = {"meter", "angstrom", "inch", "thou", "foot", "yard"}


def um_per_unit(unit: object) -> float | None:
    """Micrometres in one unit of length; None if it is none, such as ``pixel``.

    A unit is a text, as OME, ImageJ or OME-Zarr write it, or the ``pint.Unit`` of a napari layer.
    """
    if isinstance(unit, str):
        return _um_per_written_unit(unit)
    if unit is None:
        return None
    import pint

    if isinstance(unit, pint.Unit) and unit.is_compatible_with("um"):
        return float((1 * unit).to("um").magnitude)
    return None


def seconds_per_unit(unit: object) -> float | None:
    """Seconds in one unit of time, a text or a ``pint.Unit``; None if it is none."""
    import pint

    try:
        parsed = pint.application_registry.Unit(unit) if isinstance(unit, str) else unit
    except Exception:  # pint raises many kinds for what is no unit, AssertionError among them
        return None
    if isinstance(parsed, pint.Unit) and parsed.is_compatible_with("s"):
        return float((1 * parsed).to("s").magnitude)
    return None


@lru_cache
def _um_per_written_unit(unit: str) -> float | None:
    # ImageJ escapes the micro sign; files hold both of Unicode's micro signs and both spellings of "metre".
    text = unit.strip().casefold().replace("\\u00b5", "µ").replace("\\u03bc", "µ")
    text = unicodedata.normalize("NFKC", text).replace("μ", "µ").replace("metre", "meter")
    text = "angstrom" if text == "å" else text
    if text in _FREQUENT:
        return _FREQUENT[text]
    import pint

    registry = pint.application_registry
    parsed = registry.parse_unit_name(text)  # prefix, unit and plural ending, the likeliest first
    return um_per_unit(registry.Unit(text)) if parsed and parsed[0][1] in _LENGTHS else None


def length_um(value: object, unit: object) -> float | None:
    """Convert a length to um, or return None if the value is no finite number or the unit is no length."""
    factor = um_per_unit(unit)
    try:
        number = float(str(value).replace(",", "."))  # some programs write the decimal mark of their user's language
    except ValueError:
        return None
    if factor is None or not math.isfinite(number):
        return None
    return number if factor == 1 else float(f"{number * factor:.15g}")  # 1e-7 m are 0.1 um, not 0.09999999999999999


def step_s(value: object, unit: object) -> float | None:
    """Return the time between two time points in s, or None if it is no positive number or has no unit of time."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    if not math.isfinite(number) or number <= 0:
        return None
    seconds = seconds_per_unit(unit)
    return None if seconds is None else number * seconds


def spacing_or_none(sizes_um: Sequence[float | None]) -> Spacing | None:
    """Return a file's voxel size in um, axes Z, Y, X; None where a size is missing or wrong (0, a kilometre).

    A part of a voxel size is of no use: the user is then asked for it. A negative size is that of an axis that runs
    backwards: its amount is taken, and :func:`backwards` says so.
    """
    known = [abs(size) for size in sizes_um if size is not None]
    try:
        return check_spacing(known) if len(known) == 3 else None
    except InputError:
        return None


def backwards(sizes_um: Sequence[float | None]) -> tuple[str, ...]:
    """Return a notice of the axes Z, Y, X along which a file's voxel size is negative; none if there are none."""
    axes = [axis for axis, size in zip("zyx", sizes_um, strict=True) if size is not None and size < 0]
    if not axes or spacing_or_none(sizes_um) is None:
        return ()
    text = (
        f"The file's voxel size is negative along {' and '.join(axes)}: its amount is used, and the planes stay in the "
        "order of the file"
    )
    return (f"{text}, which runs downwards in z." if "z" in axes else f"{text}.",)


def origin_or_zero(positions_um: Sequence[float | None]) -> Spacing:
    """Return a file's position in um, axes Z, Y, X, with 0 where it states none."""
    return zyx(position or 0.0 for position in positions_um)
