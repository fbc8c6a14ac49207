"""Voxel sizes that no microscope gives: a unit or a decimal mark that was mistaken."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product

from napari_deep3d.core.types import Spacing
from napari_deep3d.core.volume import format_spacing

LATERAL_UM, AXIAL_UM = (0.02, 3.0), (0.05, 20.0)
"""Pixels and z steps of microscopes, from expanded samples to lenses of low power."""
RATIO = (0.25, 30.0)
"""Z step over pixel size: from light sheets that were turned upright to few planes of a thick sample."""
MAX_OBLONG = 3.0
"""Pixels longer than this times their width are not what a camera has."""
LIKELY_LATERAL_UM, LIKELY_AXIAL_UM, LIKELY_RATIO = (0.04, 1.2), (0.1, 5.0), (0.8, 12.0)
"""What is usual: only such sizes are proposed."""
MISTAKES = {1e-3: "nm taken for um", 1e3: "mm taken for um", 0.1: "a lost decimal mark", 0.01: "a lost decimal mark"}
"""By what a mistaken size must be multiplied to be right."""
MAX_APART = 20.0
"""Voxels of one sample in two microscopes do not differ more along any axis."""


def doubt_spacing(spacing_um: Spacing, name: str = "") -> str:
    """Say why a voxel size is hardly that of a microscope, and which one is probably meant.

    Parameters
    ----------
    spacing_um : Spacing
        Voxel size (Z, Y, X) in um.
    name : str
        What the stack is called, where several could be meant.

    Returns
    -------
    str
        A sentence or more; empty if there is nothing to doubt.
    """
    reason = _reason(spacing_um)
    if not reason:
        return ""
    size = format_spacing(spacing_um)
    about = f"The voxel size {size} of {name}" if name else f"The voxel size {size}"
    meant = _meant(spacing_um)
    return f"{about} is unlikely: {reason}. {meant}Check it in the microscope's notes."


def doubt_spacings(stacks: Iterable[tuple[str, Spacing]]) -> list[str]:
    """Doubt the voxel sizes (Z, Y, X) of stacks that belong together, each with its name: one by one, and side by side.

    Returns
    -------
    list of str
        Sentences; none if there is nothing to doubt. What is true of many stacks is said of the first one.
    """
    first_of: dict[Spacing, str] = {}
    for name, spacing_um in stacks:
        first_of.setdefault(spacing_um, name)
    doubts = [doubt_spacing(spacing_um, name) for spacing_um, name in first_of.items()]

    def apart(pair: tuple[Spacing, Spacing]) -> float:
        return max(max(a / b, b / a) for a, b in zip(*pair, strict=True))

    pair = max(combinations(first_of, 2), key=apart, default=None)
    if pair is not None and apart(pair) > MAX_APART:
        sizes = " and ".join(f"{first_of[size]} ({format_spacing(size)})" for size in pair)
        doubts.append(
            f"The voxel sizes of {sizes} differ {apart(pair):.0f}-fold: one of them is probably in another unit, or "
            "lacks a decimal mark. Check both in the microscope's notes."
        )
    return [doubt for doubt in doubts if doubt]


def _reason(spacing_um: Spacing) -> str:
    z, y, x = spacing_um
    for what, size, (low, high) in (("pixels", x, LATERAL_UM), ("pixels", y, LATERAL_UM), ("z steps", z, AXIAL_UM)):
        if not low <= size <= high:
            return f"{what} of {size:.3g} um ({low:g} to {high:g} um are usual)"
    ratio = z / (x * y) ** 0.5
    if ratio > RATIO[1]:
        return f"planes {ratio:.0f} times as far apart as pixels are wide"
    if ratio < RATIO[0]:
        return f"planes {1 / ratio:.0f} times as close together as pixels are wide"
    oblong = max(x / y, y / x)
    return f"pixels {oblong:.3g} times as long as wide" if oblong > MAX_OBLONG else ""


def _meant(spacing_um: Spacing) -> str:
    """Propose the usual voxel size that follows from the fewest mistakes."""
    factors = (1.0, *MISTAKES)
    ways = sorted(product(factors, factors), key=lambda pair: (pair[0] != pair[1]) + (1.0 not in pair))
    for axial, lateral in ways:
        z, y, x = spacing_um[0] * axial, spacing_um[1] * lateral, spacing_um[2] * lateral
        if _is_within(x, LIKELY_LATERAL_UM) and _is_within(z, LIKELY_AXIAL_UM) and _is_within(z / x, LIKELY_RATIO):
            why = " and ".join(dict.fromkeys(MISTAKES[factor] for factor in (axial, lateral) if factor in MISTAKES))
            if why and not _reason((z, y, x)):
                return f"Perhaps {format_spacing((z, y, x))} is meant ({why}). "
    return ""


def _is_within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
