"""How likely a shift is right: a chance learned from simulated pairs of which the shift is known.

Three numbers are the evidence: how far the match stands out of those at other shifts (prominence), whether it stays
where it is when the tiles are cut elsewhere (drift), and whether the point spread function between the stacks has one
sharp peak (concentration). A logistic regression makes a chance of their logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_deep3d.core import DoubleArray, FloatArray

COEFFICIENTS = (-7.426, 2.222, -1.633, 1.702)
"""Of the logistic regression, for :meth:`Evidence.features`; ``benchmarks/registration/confidence.py`` fits them."""

HIGH, FAIR = 0.9, 0.5
"""A confidence from which a shift can be used as it is, and one below which it is refused."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a lag.

    Attributes
    ----------
    prominence
        Height of the match over its usual height (root mean square) at other lags.
    drift
        How far the lag moves, in voxels (Z, Y, X), when the tiles are cut two voxels off: a lag that follows the cut
        was found from the tiles' own borders, not from the sample.
    concentration
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
