"""What a registration found: the transform, how sure it is, and the curves that show why.

How sure is a chance learned from simulated pairs of which the shift is known: a logistic regression on the logarithms
of three numbers, how far the match stands out of those at other shifts (prominence), whether it stays where it is when
the tiles are cut elsewhere (drift), and whether the point spread function between the stacks has one sharp peak
(concentration).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from napari_deep3d.core import DoubleArray, FloatArray, Spacing, Vector, zyx
from napari_deep3d.core.registration.affine import MatchedBlock
from napari_deep3d.core.registration.transform import Transform

COEFFICIENTS = (-7.426, 2.222, -1.633, 1.702)
"""Of the logistic regression, for :meth:`Evidence.features`; ``benchmarks/registration/confidence.py`` fits them."""

HIGH, FAIR = 0.9, 0.5
"""A confidence from which a shift can be used as it is, and one below which it is refused."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a lag.

    Attributes
    ----------
    prominence : float
        Height of the match over its usual height (root mean square) at other lags.
    drift : DoubleArray
        How far the lag moves, in voxels (Z, Y, X), when the tiles are cut two voxels off: a lag that follows the
        cut was found from the tiles' own borders, not from the sample
    concentration : float
        Share of the PSF's light that lies at its peak, 0 to 1: of stacks that do not match it is spread out.
    """

    prominence: float
    drift: DoubleArray
    concentration: float

    def report(self) -> dict[str, object]:
        """Plain values for a JSON file."""
        drift = [float(v) for v in self.drift]
        return {"prominence": self.prominence, "drift_voxels": drift, "concentration": self.concentration}

    def features(self) -> DoubleArray:
        """Numbers of similar size for the regression: a constant, then prominence, drift and concentration."""
        drift = float(np.clip(self.drift.max(), 0.1, 4.0))
        return np.array([1.0, *np.log((max(self.prominence, 1.0), drift, np.clip(self.concentration, 0.02, 1.0)))])


def concentration(psf: FloatArray) -> float:
    """Share of a PSF's light, axes (Z, Y, X), within two voxels of its maximum along each axis; 0 if it is empty."""
    total = float(psf.sum())
    if total <= 0:
        return 0.0
    peak = np.unravel_index(int(psf.argmax()), psf.shape)
    near = tuple(slice(max(0, int(p) - 2), int(p) + 3) for p in peak)
    return float(psf[near].sum()) / total


def confidence_of(evidence: Evidence) -> float:
    """Chance, 0 to 1, that a lag is right within half a voxel along each axis."""
    return float(1 / (1 + np.exp(-np.dot(COEFFICIENTS, evidence.features()))))


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
    values : FloatArray
        Axes (Z, Y, X), odd sizes.
    step_um : Spacing
        Distance of neighbouring shifts, (Z, Y, X) in um.
    centre_um : Vector
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
    transform : Transform
        From positions in the confocal stack to positions in the wide-field stack.
    shift_um : Vector
        How far the middle of the confocal stack moves, (Z, Y, X) in um.
    shift_voxels : Vector
        The same in voxels of the wide-field stack: what is at index i of the confocal stack is at i + shift.
    confidence : float
        Chance, 0 to 1, that the shift is right within half a voxel along each axis.
    refusal : str
        Why this should not be used, or empty.
    method : str
        What found it: that of the settings (:attr:`RegisterConfig.resolved_method`), "by hand", or "from a file".
    evidence : Evidence | None
        What the confidence was worked out from; None for one that was read from a file.
    psf : ShiftMap
        The point spread function between the stacks (the paper's Eq. 3), for every shift near the one found.
    filtered_correlation, plain_correlation : ShiftMap
        Cross-correlation of the stacks, without their slow parts and as they are.
    blocks : tuple[MatchedBlock, ...]
        Shifts of parts of the stack, where more than a shift of the whole was asked for.
    notices : tuple[str, ...]
        Sentences that the user should read.
    seconds : float
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
