"""From the spread of several predictions of a stack to the error to expect, voxel by voxel.

A network that sees a stack turned gives a slightly different answer. Where its answers differ more it knows less, and
bright structure is missed by more than dark background. So the expected absolute error is taken as
``sqrt(floor^2 + (per_spread * spread)^2 + (per_intensity * prediction)^2)``: it never falls as the spread grows, and
three numbers order all voxels. They are fitted to pairs with a known confocal stack by the likelihood of an error with
a two-sided exponential distribution, whose maximum is where the expected errors are the mean ones. What the formula
gets wrong from small to large is mended by a rising curve: the mean error by its value (isotonic regression).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import scipy.ndimage as ndi
from pydantic import BaseModel, ConfigDict, Field, field_validator
from scipy.optimize import isotonic_regression, minimize

from napari_deep3d.core import DoubleArray, FloatArray

SPREAD_WINDOW = 3
"""The spread of a voxel is taken over this many voxels along each axis: that of a few answers alone is noisy."""
SPREAD_RADIUS = SPREAD_WINDOW // 2
CURVE_POINTS = 25
"""Each stands for a part of the voxels, all parts of as many."""
VOXELS_PER_PAIR = 100_000
MIN_FITTED = 1e-5
"""Smallest number that a fit may give: an error of zero is never expected."""


class Calibration(BaseModel):
    """How large an error to expect for a spread and a predicted intensity, all in units of the result.

    ``floor``, ``per_spread`` and ``per_intensity`` are the numbers of the formula. ``curve`` holds rising values of
    it, each with the mean error measured there; between them it is interpolated, beyond the last one errors grow in
    proportion, and without any the formula is taken as it is. All was fitted to so many ``pairs``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    floor: float = Field(ge=0, lt=1e3)
    per_spread: float = Field(ge=0, lt=1e3)
    per_intensity: float = Field(ge=0, lt=1e3)
    curve: tuple[tuple[float, float], ...] = ()
    pairs: int = Field(0, ge=0)

    @field_validator("curve")
    @classmethod
    def _rising(cls, value: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        points = np.array(value).reshape(-1, 2)
        if not (np.isfinite(points).all() and (points > 0).all() and (np.diff(points, axis=0) >= 0).all()):
            raise ValueError("points of finite, positive, rising numbers are needed")
        return value

    def expected_error(self, spread: FloatArray, prediction: FloatArray) -> FloatArray:
        """Expected absolute error for arrays of the same shape; never negative, never falling with the spread."""
        square = (self.per_spread * spread) ** 2 + (self.per_intensity * prediction) ** 2
        value = np.sqrt(np.float32(self.floor**2) + square, dtype=np.float32)
        if not self.curve:
            return value
        formula, measured = np.array(self.curve, dtype=np.float32).T
        beyond = np.maximum(value / formula[-1], 1)
        return np.asarray(np.interp(value, formula, measured) * beyond, dtype=np.float32)


RAW = Calibration(floor=0, per_spread=1, per_intensity=0)
"""The spread itself: for a model that was never calibrated."""


class Spread:
    """Mean and spread of predictions (Z, Y, X) that come one by one; only two arrays are kept (Welford 1962)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: FloatArray = np.zeros(0, np.float32)
        self._squares: FloatArray = np.zeros(0, np.float32)

    def add(self, prediction: FloatArray) -> None:
        """Take in one more prediction of the same shape."""
        self._count += 1
        if self._count == 1:
            self._mean, self._squares = prediction.copy(), np.zeros_like(prediction)
            return
        for plane, mean, squares in zip(prediction, self._mean, self._squares, strict=True):
            difference = plane - mean
            mean += difference / np.float32(self._count)
            squares += difference * (plane - mean)

    @property
    def mean(self) -> FloatArray:
        """Mean of the predictions."""
        return self._mean

    def deviation(self, planes: slice = slice(None)) -> FloatArray:
        """Standard deviation of the predictions, its square averaged over :data:`SPREAD_WINDOW` voxels per axis.

        Of some planes, or all of them.
        """
        start, stop, _ = planes.indices(len(self._squares))
        first = max(0, start - SPREAD_RADIUS)
        variance = self._squares[first : stop + SPREAD_RADIUS] / np.float32(max(1, self._count - 1))
        averaged = ndi.uniform_filter(variance, SPREAD_WINDOW, mode="nearest")  # whose running sums may end below 0
        return np.sqrt(np.maximum(averaged[start - first : stop - first], 0), dtype=np.float32)


def fit_calibration_to_pairs(pairs: Iterable[tuple[FloatArray, FloatArray, FloatArray]], seed: int = 0) -> Calibration:
    """Fit a calibration to spread, prediction and absolute error of pairs, arrays of one shape for each.

    A random choice of :data:`VOXELS_PER_PAIR` voxels stands for a pair, so that all pairs count alike.
    """
    rng = np.random.default_rng(seed)
    samples = []
    for arrays in pairs:
        chosen = rng.integers(0, arrays[0].size, VOXELS_PER_PAIR)
        samples.append(np.stack([array.ravel()[chosen] for array in arrays]))
    spread, prediction, error = np.concatenate(samples, axis=1)
    return fit_calibration(spread, prediction, error, pairs=len(samples))


def fit_calibration(spread: FloatArray, prediction: FloatArray, error: FloatArray, pairs: int) -> Calibration:
    """Fit a calibration to absolute errors that are known, by maximum likelihood.

    Spread, predicted intensity and error are of the same voxels, one-dimensional, of so many ``pairs``.
    """
    # 1. The three factors of maximum likelihood, sought as logarithms.
    squares = np.stack([np.ones_like(spread), spread, prediction]).astype(np.float64) ** 2

    def cost(logarithms: DoubleArray) -> tuple[float, DoubleArray]:
        """Negative log likelihood per voxel, and its derivatives by the logarithms of the three factors."""
        terms = np.exp(2 * logarithms)[:, None] * squares
        total = terms.sum(axis=0)
        expected = np.sqrt(total)
        slope = (1 - error / expected) / total
        return float(np.mean(np.log(expected) + error / expected)), (terms * slope).mean(axis=1)

    start = np.log([max(float(np.median(error)), MIN_FITTED), 1.0, 0.1])
    found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(np.log(MIN_FITTED), np.log(100.0))] * 3)
    floor, per_spread, per_intensity = (float(value) for value in np.exp(found.x))
    formula = Calibration(floor=floor, per_spread=per_spread, per_intensity=per_intensity)

    # 2. The curve: the mean error of parts of the voxels, by the formula's value and never falling.
    value = formula.expected_error(spread, prediction)
    parts = [part for part in np.array_split(np.argsort(value), CURVE_POINTS) if len(part)]
    means = np.array([(value[part].mean(), max(float(error[part].mean()), MIN_FITTED)) for part in parts])
    places, first = np.unique(means[:, 0], return_index=True)
    measured = isotonic_regression(means[first, 1]).x
    curve = tuple(zip(places.tolist(), measured.tolist(), strict=True))
    return Calibration(floor=floor, per_spread=per_spread, per_intensity=per_intensity, curve=curve, pairs=pairs)
