"""What a registration found: the transform, how sure it is, and the curves that show why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from napari_deep3d.core import DoubleArray, FloatArray, Spacing, Vector, zyx
from napari_deep3d.core.registration.affine import MatchedBlock
from napari_deep3d.core.registration.confidence import Evidence
from napari_deep3d.core.registration.transform import Transform


@dataclass(frozen=True)
class Curve:
    """Values against shift along one axis: ``shift_um`` (rising) and ``values`` (largest 1)."""

    shift_um: DoubleArray
    values: DoubleArray


@dataclass(frozen=True)
class ShiftMap:
    """A quantity for every shift in a window.

    Attributes
    ----------
    values
        Axes (Z, Y, X), odd sizes.
    step_um
        Distance of neighbouring shifts, (Z, Y, X) in um.
    centre_um
        Shift of the middle value, (Z, Y, X) in um.
    """

    values: FloatArray = field(repr=False)
    step_um: Spacing
    centre_um: Vector

    def profile(self, axis: int, through_um: Vector) -> Curve:
        """Values along one axis (0, 1, 2 for Z, Y, X) on the line through a shift; the largest becomes 1."""
        index = [
            int(np.clip(round((place - centre) / step + n // 2), 0, n - 1))
            for place, centre, step, n in zip(through_um, self.centre_um, self.step_um, self.values.shape, strict=True)
        ]
        line = self.values[tuple(slice(None) if i == axis else p for i, p in enumerate(index))].astype(np.float64)
        shifts = self.centre_um[axis] + (np.arange(line.size) - line.size // 2) * self.step_um[axis]
        largest = float(np.abs(line).max())
        return Curve(np.asarray(shifts), np.asarray(line / largest if largest > 0 else line))


@dataclass(frozen=True)
class Registration:
    """Where a confocal stack lies in a wide-field stack.

    Attributes
    ----------
    transform
        From positions in the confocal stack to positions in the wide-field stack.
    shift_um
        How far the middle of the confocal stack moves, (Z, Y, X) in um.
    shift_voxels
        The same in voxels of the wide-field stack: what is at index i of the confocal stack is at i + shift.
    confidence
        Chance, 0 to 1, that the shift is right within half a voxel along each axis.
    refusal
        Why this should not be used, or empty.
    method
        What found it: that of the settings (:attr:`RegisterConfig.resolved_method`), "by hand", or "from a file".
    evidence
        What the confidence was worked out from; None for one that was read from a file.
    psf
        The point spread function between the stacks (the paper's Eq. 3), for every shift near the one found.
    filtered_correlation, plain_correlation
        Cross-correlation of the stacks, without their slow parts and as they are.
    blocks
        Shifts of parts of the stack, where more than a shift of the whole was asked for.
    notices
        Sentences that the user should read.
    seconds
        Time it took.
    """

    transform: Transform
    shift_um: Vector
    shift_voxels: Vector
    confidence: float
    refusal: str
    method: str
    evidence: Evidence | None
    psf: ShiftMap
    filtered_correlation: ShiftMap
    plain_correlation: ShiftMap
    blocks: tuple[MatchedBlock, ...] = ()
    notices: tuple[str, ...] = ()
    seconds: float = 0.0

    def in_words(self) -> str:
        """Shift and confidence as one line."""
        z, y, x = self.shift_um
        sure = "> 0.99" if self.confidence > 0.99 else f"{self.confidence:.2f}"
        return f"shift z {z:.2f} um, y {y:.2f} um, x {x:.2f} um; confidence {sure}"

    def report(self) -> dict[str, object]:
        """Plain values for a JSON file; :meth:`Transform.from_dict` reads it."""
        return {
            **self.transform.to_dict(),
            "shift_um": list(self.shift_um),
            "shift_voxels": list(self.shift_voxels),
            "confidence": self.confidence,
            "method": self.method,
            "evidence": None if self.evidence is None else self.evidence.report(),
            "refusal": self.refusal,
            "notices": list(self.notices),
            "seconds": self.seconds,
        }


def moved_by_hand(registration: Registration, by_um: Vector, widefield_um: Spacing) -> Registration:
    """The registration with its peak moved by (Z, Y, X) um, as by a person who sees that it is off."""
    shift = zyx(a + b for a, b in zip(registration.shift_um, by_um, strict=True))
    return replace(
        registration,
        transform=registration.transform.moved(by_um),
        shift_um=shift,
        shift_voxels=zyx(um / step for um, step in zip(shift, widefield_um, strict=True)),
        method="by hand",
        refusal="",
    )
