"""What a model knows: how the stacks that it learned from look, and how far another stack is from them.

What a stack looks like depends on its voxel size and noise. So each number of
:class:`~.features.Features` is first compared with what is usual *for these*: a ridge regression on
them, their squares and products gives what to expect, a second one, of the logarithm of the residuals, how far from it
stacks usually are. The deviations are then brought to normal scores by their quantiles.

A stack is as far as the larger of two: all deviations together (Mahalanobis distance, with a correlation matrix shrunk
towards the identity for want of stacks: Schäfer and Strimmer, Stat. Appl. Genet. Mol. Biol. 4, 32, 2005), and the
largest single one, which many usual ones would hide. Each counts in units of the limit that a further stack would
exceed with the chance :data:`FALSE_WARNINGS`, learned from stacks left out of the fit. So above 1 it is unlike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.special
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.novelty.features import NAMES, Features
from napari_deep3d.core.types import DoubleArray

Row = tuple[float, ...]

FALSE_WARNINGS = 0.015
"""Chance that a stack like the model's own is called unlike, were the logarithms of the distances normal. Their tail is
heavier: of simulated stacks that were left out, 2 to 4 % are."""
MIN_STACKS = 8
"""With fewer, the limit for a further stack would be several times their own spread (the t distribution of so few
values): hardly anything would be called unlike."""
GIVEN = 3
"""The first features are the voxel size and the noise, for which the others are compared."""
SIZES = 2
"""Of these, the voxel sizes are not judged themselves: a prediction brings a stack to the model's."""
SCORES = np.linspace(-2.4, 2.4, 17)
"""Normal scores at which the distribution of a feature is kept."""
MIN_SPREAD = 0.05
"""Deviation that counts as none, since stacks of one sample and one microscope are too alike."""
MIN_SPREADS = {"saturated": 0.2, "skewness": 0.1, "jump": 0.1}
NORMAL_RATIO = float(np.exp((np.euler_gamma + np.log(2)) / 2))
"""From the mean logarithm of a normal deviation's size to that of its standard deviation."""
WIDER = 0.25
"""Spread that is added, as a share of the usual: a feature that hardly varied must not make every hair a warning."""
MIN_SHRINKAGE = 0.05
"""So that the correlation can always be inverted."""
MIN_LIMITS = (0.8, 2.5)
"""Of the joint and the single distance, in normal scores: for stacks that are all the same."""
RIDGE = 3.0
"""As if so many stacks spoke against any dependence on voxel size and noise."""
FOLDS = 16


@dataclass(frozen=True)
class Distance:
    """How far a stack is from those that a model knows: above 1 it is unlike.

    ``deviations`` are normal scores by name of the feature: 0 is usual, beyond -3 or 3 is rare.
    """

    distance: float
    deviations: dict[str, float]

    @property
    def is_unlike(self) -> bool:
        """Whether the stack is unlike what the model knows."""
        return self.distance > 1


class NoveltyModel(BaseModel):
    """How the stacks look that a model learned from.

    ``stacks`` is their number, ``names`` are the features used; ``given_low``, ``given_high`` the smallest and largest
    voxel size (log10, z then across) and noise; ``usual`` and ``spread`` the coefficients of the regressions, one row
    for each feature, and ``quantiles`` and ``correlation`` of what is left. ``joint_limit`` and ``single_limit`` are
    the distances from which on a stack is unlike.
    """

    model_config = ConfigDict(frozen=True)

    stacks: int = Field(ge=1)
    joint_limit: float = Field(gt=0)
    single_limit: float = Field(gt=0)
    names: tuple[str, ...]
    given_low: Row
    given_high: Row
    usual: tuple[Row, ...]
    spread: tuple[Row, ...]
    quantiles: tuple[Row, ...]
    correlation: tuple[Row, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        count = len(self.names)
        parts = (self.given_low, self.given_high, self.usual, self.spread, self.quantiles, self.correlation)
        terms = len(_terms(np.zeros(GIVEN)))
        shapes = [(GIVEN,), (GIVEN,), (count, terms), (count, 1 + GIVEN), (count, len(SCORES)), (count, count)]
        if [np.shape(part) for part in parts] != shapes:
            raise ValueError("the parts of what the model knows do not fit together")
        if not all(np.isfinite(part).all() for part in parts) or np.diff(self.quantiles).min() <= 0:
            raise ValueError("what the model knows has numbers that are not finite, or quantiles that do not rise")
        if np.linalg.eigvalsh(self.correlation).min() < 1e-6:
            raise ValueError("what the model knows has a correlation that is none")
        return self

    @classmethod
    def fit(cls, features: Sequence[Features]) -> NoveltyModel:
        """Learn how stacks look.

        Raises
        ------
        InputError
            For fewer than :data:`MIN_STACKS`.
        """
        if len(features) < MIN_STACKS:
            raise InputError(
                f"{len(features)} stacks are too few to tell what is usual; at least {MIN_STACKS} are needed."
            )
        values = np.array([one.values() for one in features])
        left_out = [(_fit(values[rest]), values[out]) for rest, out in _folds(len(values))]
        scores = [(known, known._deviations(row)) for known, rows in left_out for row in rows]
        joint, single = np.array([(known._joint(row), _largest(row)) for known, row in scores]).T
        limits = np.array([_limit(joint), _limit(single)])
        limits *= _limit(np.maximum(joint / limits[0], single / limits[1]))  # two chances to be called unlike
        joint_limit, single_limit = np.maximum(limits, MIN_LIMITS).tolist()
        return _fit(values).model_copy(update={"joint_limit": joint_limit, "single_limit": single_limit})

    @property
    def can_compare(self) -> bool:
        """Whether this program measures what the model was described by; another version may not."""
        return self.names == NAMES[SIZES:]

    def compare(self, features: Features) -> Distance:
        """Measure how far a stack is from those that the model knows."""
        scores = self._deviations(features.values())
        distance = max(self._joint(scores) / self.joint_limit, _largest(scores) / self.single_limit)
        return Distance(distance, dict(zip(self.names, scores.tolist(), strict=True)))

    def _deviations(self, values: DoubleArray) -> DoubleArray:
        low, high = np.array(self.given_low), np.array(self.given_high)
        terms = _terms(_scaled(values[:GIVEN], low, high))
        residuals = _residuals(terms[None], values[None, SIZES:], np.array(self.usual), np.array(self.spread))
        return _scores(residuals[0], np.array(self.quantiles))

    def _joint(self, scores: DoubleArray) -> float:
        """Mahalanobis distance over the root of the number of features; those not measured are left out."""
        found = np.isfinite(scores)
        correlation = np.array(self.correlation)[np.ix_(found, found)]
        square = scores[found] @ np.linalg.solve(correlation, scores[found])
        return float(np.sqrt(square / max(1, found.sum())))


def _largest(scores: DoubleArray) -> float:
    return float(np.max(np.abs(scores[np.isfinite(scores)]), initial=0.0))


def _scaled(given: DoubleArray, low: DoubleArray, high: DoubleArray) -> DoubleArray:
    """Voxel sizes and noise brought to -1 .. 1; what lies beyond counts as at the border, what never varies as 0."""
    half = (high - low) / 2
    return np.asarray((np.clip(given, low, high) - (low + high) / 2) / np.where(half > 1e-3, half, 1.0))


def _terms(given: DoubleArray) -> DoubleArray:
    """What the regression is on: 1, the given values, their squares and products."""
    return np.array([1.0, *given, *np.outer(given, given)[np.triu_indices(len(given))]])


def _scores(residuals: DoubleArray, quantiles: DoubleArray) -> DoubleArray:
    """Normal scores of residuals, one for each feature; beyond the outermost quantiles they go on evenly."""
    found = []
    for value, knots in zip(residuals, quantiles, strict=True):
        beyond = value - np.clip(value, knots[0], knots[-1])
        found.append(np.interp(value, knots, SCORES) + beyond * (SCORES[-1] - SCORES[0]) / (knots[-1] - knots[0]))
    return np.array(found)


def _fit(values: DoubleArray) -> NoveltyModel:
    """Everything but the limits, which are 1 here."""
    low, high = values[:, :GIVEN].min(axis=0), values[:, :GIVEN].max(axis=0)
    terms = np.array([_terms(row) for row in _scaled(values[:, :GIVEN], low, high)])
    judged = values[:, SIZES:]
    mean = np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else 0.0 for column in judged.T])
    judged = np.where(np.isfinite(judged), judged, mean)  # a stack may be too small for the coarsest octave
    left = np.empty_like(judged)
    for rest, out in _folds(len(values)):
        left[out] = _residuals(terms[out], judged[out], *_regressions(terms[rest], judged[rest]))
    usual, spread = _regressions(terms, judged)
    quantiles = np.quantile(left, scipy.special.ndtr(SCORES), axis=0).T + WIDER * SCORES
    return NoveltyModel(
        stacks=len(values),
        joint_limit=1.0,
        single_limit=1.0,
        names=NAMES[SIZES:],
        given_low=_row(low),
        given_high=_row(high),
        usual=_rows(usual),
        spread=_rows(spread),
        quantiles=_rows(quantiles),
        correlation=_rows(_correlation(np.array([_scores(row, quantiles) for row in left]))),
    )


def _folds(count: int) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Parts of the stacks to leave out in turn: those to fit to, and those left out."""
    fold = np.arange(count) % min(count, FOLDS)
    return [(fold != number, fold == number) for number in np.unique(fold)]


def _regressions(terms: DoubleArray, values: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Coefficients of what is usual, and of the logarithm of the spread around it."""
    usual = _regress(terms, values)
    least = np.array([MIN_SPREADS.get(name, MIN_SPREAD) for name in NAMES[SIZES:]])
    sizes = np.log(NORMAL_RATIO * (np.abs(values - terms @ usual.T) + least))
    return usual, _regress(terms[:, : 1 + GIVEN], sizes)


def _residuals(terms: DoubleArray, values: DoubleArray, usual: DoubleArray, spread: DoubleArray) -> DoubleArray:
    """Deviations from what is usual, in units of their spread."""
    return np.asarray((values - terms @ usual.T) / np.exp(terms[:, : 1 + GIVEN] @ spread.T))


def _row(values: DoubleArray) -> Row:
    return tuple(float(f"{value:.6g}") for value in values)


def _rows(values: DoubleArray) -> tuple[Row, ...]:
    return tuple(_row(row) for row in values)


def _regress(terms: DoubleArray, values: DoubleArray) -> DoubleArray:
    """Ridge coefficients (feature, term); the mean is free, and the noise depends on nothing."""
    centre, mean = terms[:, 1:].mean(axis=0), values.mean(axis=0)
    offsets = terms[:, 1:] - centre
    normal = offsets.T @ offsets + RIDGE * np.eye(offsets.shape[1])
    slopes = np.linalg.solve(normal, offsets.T @ (values - mean)).T
    slopes[: GIVEN - SIZES] = 0
    return np.column_stack([mean - slopes @ centre, slopes])


def _correlation(scores: DoubleArray) -> DoubleArray:
    """Correlation shrunk towards the identity, by the share that is best for so few samples."""
    count = len(scores)
    products = scores[:, :, None] * scores[:, None, :]
    found = products.sum(axis=0) / (count - 1)
    variance = np.square(products - products.mean(axis=0)).sum(axis=0) * count / (count - 1) ** 3
    aside = ~np.eye(found.shape[0], dtype=bool)
    share = variance[aside].sum() / max(np.square(found[aside]).sum(), 1e-12)
    share = float(np.clip(share, MIN_SHRINKAGE, 1))
    return np.asarray(np.where(aside, (1 - share) * found, 1.0))


def _limit(distances: DoubleArray) -> float:
    """The distance that a further stack exceeds with the chance FALSE_WARNINGS: log-normal, of few samples."""
    logs = np.log(np.maximum(distances, 1e-3))
    count = len(logs)
    reach = scipy.special.stdtrit(count - 1, 1 - FALSE_WARNINGS) * np.sqrt(1 + 1 / count)
    return float(np.exp(logs.mean() + reach * logs.std(ddof=1)))
