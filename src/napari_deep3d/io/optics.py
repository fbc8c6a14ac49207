"""What files say of the microscope: numbers that cannot be are left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

IMMERSION_INDICES = {
    "air": 1.0,
    "dry": 1.0,
    "water": 1.333,
    "waterdipping": 1.333,
    "glycerol": 1.46,
    "glycerin": 1.46,
    "oil": 1.518,
}
"""Refractive indices of what OME, Zeiss and Leica call immersion or medium, in small letters."""
INDICES, APERTURES, EMISSIONS_NM = (1.0, 1.6), (0.1, 1.6), (350.0, 900.0)
"""What can be: files hold zeros, and numbers in other units."""


class Optics(NamedTuple):
    """What a file says of the microscope: NA, refractive index of the immersion, and emission in nm by channel.

    None, or no channels, where it says nothing, or what cannot be.
    """

    numerical_aperture: float | None = None
    immersion_index: float | None = None
    emission_nm: tuple[float | None, ...] = ()


NO_OPTICS = Optics()


def stated_optics(
    aperture: object, index: object, immersions: Iterable[str | None], emissions_nm: Iterable[object]
) -> Optics:
    """Return what is possible of what a file states; an index goes before the names of an immersion."""
    by_name = (IMMERSION_INDICES.get((name or "").strip().casefold()) for name in immersions)
    found = next((value for value in (_within(index, *INDICES), *by_name) if value is not None), None)
    return Optics(_within(aperture, *APERTURES), found, tuple(_within(nm, *EMISSIONS_NM) for nm in emissions_nm))


def _within(value: object, low: float, high: float) -> float | None:
    """The number that a value is, if it lies between two others."""
    try:
        number = float(str(value).replace(",", "."))
    except ValueError:
        return None
    return number if low <= number <= high else None
