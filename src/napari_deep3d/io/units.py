"""Lengths as microscopes' files write them, in micrometres."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.types import Spacing
from napari_deep3d.core.volume import check_spacing

_UM_PER_UNIT = {
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "meter": 1e6,
}


def um_per_unit(unit: object) -> float | None:
    """Micrometres in one unit of length of OME, ImageJ or OME-Zarr; None if it is none, such as ``pixel``."""
    # ImageJ escapes the micro sign; files hold both of Unicode's micro signs and both spellings of "metre".
    text = str(unit).replace("\\u00B5", "µ").strip().casefold()
    text = unicodedata.normalize("NFKC", text).replace("μ", "µ").replace("metre", "meter")
    return _UM_PER_UNIT.get(text, _UM_PER_UNIT.get(text.removesuffix("s")))


def length_um(value: object, unit: object) -> float | None:
    """Convert a length to um, or return None if the value is no finite number or the unit is no length."""
    factor = um_per_unit(unit)
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number * factor if factor is not None and math.isfinite(number) else None


def spacing_or_none(sizes_um: Sequence[float | None]) -> Spacing | None:
    """Return a file's voxel size in um, axes Z, Y, X; None where a size is missing or cannot be true.

    A part of a voxel size is of no use, and a wrong one (0, negative, a kilometre) is as good as none: the
    user is then asked for it.
    """
    known = [size for size in sizes_um if size is not None]
    if len(known) != 3:
        return None
    try:
        return check_spacing(known)
    except InputError:
        return None


def origin_or_zero(positions_um: Sequence[float | None]) -> Spacing:
    """Return a file's position in um, axes Z, Y, X, with 0 where it states none."""
    z, y, x = (0.0 if position is None else position for position in positions_um)
    return z, y, x
