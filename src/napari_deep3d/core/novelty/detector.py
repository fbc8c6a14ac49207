"""Novelty detection: how far a stack is from those that a model was trained on.

What a stack looks like depends on its voxel size and noise. So each number of :class:`~.features.Features` is compared
with what is usual for these, the covariates:

1. Ridge regression on the covariates, their squares and products gives the number to expect.
2. A second ridge regression, of the logarithm of the absolute residuals on the covariates, gives the standard deviation
   to expect. Residuals are divided by it.
3. The standardised residuals become normal scores by their quantiles (scikit-learn's ``QuantileTransformer`` does the
   same).
4. A stack is as far as the larger of two distances: that of all scores together (Mahalanobis, with a correlation matrix
   shrunk towards the identity for want of stacks: Schäfer and Strimmer, Stat. Appl. Genet. Mol. Biol. 4, 32, 2005), and
   the largest single score, which many usual ones would hide.
5. Each distance counts in units of the limit that a further stack would exceed with the chance :data:`FALSE_WARNINGS`.
   So above 1 the stack is unlike.

Residuals (for 3 and 4) and distances (for 5) are those of stacks that were left out of the fit, a few at a time (k-fold
cross-fitting): those of stacks that it was fitted to would be too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.special
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_deep3d.core import DoubleArray, InputError
from napari_deep3d.core.novelty.features import FEATURE_NAMES, Features

Numbers = tuple[float, ...]

FALSE_WARNINGS = 0.015
"""Chance that a stack like the model's own is called unlike, were the logarithms of the distances normal. Their tail is
heavier: of simulated stacks that were left out, 2 to 4 % are."""
MIN_STACKS = 8
"""With fewer, the limit for a further stack would be several times their own spread (the t distribution of so few
values): hardly anything would be called unlike."""
COVARIATES = 3
"""The first features: the voxel size along z, that across, and the noise."""
VOXEL_SIZES = 2
"""Of these, the voxel sizes are not judged themselves: a prediction brings a stack to the model's."""
JUDGED_NAMES = FEATURE_NAMES[VOXEL_SIZES:]
TERMS = 1 + COVARIATES + COVARIATES * (COVARIATES + 1) // 2
"""Columns of the design matrix: 1, the covariates, their squares and products."""
RIDGE_PENALTY = 3.0
"""On the squared slopes, for covariates from -1 to 1: as if so many stacks spoke against any dependence on them."""
MIN_SPREAD = 0.05
"""Deviation that counts as none, since stacks of one sample and one microscope are too alike."""
MIN_SPREADS = {"saturated": 0.2, "skewness": 0.1, "jump": 0.1}
SPREAD_FROM_LOGARITHM = float(np.exp((np.euler_gamma + np.log(2)) / 2))
"""Of a normal deviate x with standard deviation s, E[log |x|] = log(s) - (Euler's gamma + log(2)) / 2: the exponential
of a mean logarithm times this is the standard deviation."""
NORMAL_SCORES = np.linspace(-2.4, 2.4, 17)
"""Quantiles of the standard normal distribution for which those of a feature are kept."""
QUANTILE_WIDENING = 0.25
"""Added to the quantiles, in standard deviations: a feature that hardly varied must not make every hair a warning."""
MIN_SHRINKAGE = 0.05
"""So that the correlation can always be inverted."""
MIN_LIMITS = (0.8, 2.5)
"""Of the joint and the single distance, in normal scores: for stacks that are all the same."""
FOLDS = 16
"""Parts of the stacks that are left out in turn."""


@dataclass(frozen=True)
class Distance:
    """How far a stack is from those that a model was trained on: above 1 it is unlike.

    ``deviations`` are normal scores by name of the feature: 0 is usual, beyond -3 or 3 is rare.
    """

    distance: float
    deviations: dict[str, float]

    @property
    def is_unlike(self) -> bool:
        """Whether the stack is unlike those."""
        return self.distance > 1


class NoveltyModel(BaseModel):
    """How the stacks look that a model was trained on; kept in the model's header.

    Attributes
    ----------
    stacks : int
        Their number.
    joint_limit, single_limit
        The distances, of all scores together and of the largest one, from which on a stack is unlike.
    names : tuple[str, ...]
        The features that are judged.
    given_low, given_high : Numbers
        Smallest and largest of each covariate: voxel size (log10; z, then across) and noise.
    usual : tuple[Numbers, ...]
        Coefficients of what to expect, one row for each feature.
    spread : tuple[Numbers, ...]
        Coefficients of the logarithm of the standard deviation, on 1 and the covariates, one row for each feature.
    quantiles : tuple[Numbers, ...]
        Standardised residuals at :data:`NORMAL_SCORES`, one row for each feature.
    correlation : tuple[Numbers, ...]
        Of the normal scores.
    """

    model_config = ConfigDict(frozen=True)

    stacks: int = Field(ge=1)
    joint_limit: float = Field(gt=0)
    single_limit: float = Field(gt=0)
    names: tuple[str, ...]
    given_low: Numbers
    given_high: Numbers
    usual: tuple[Numbers, ...]
    spread: tuple[Numbers, ...]
    quantiles: tuple[Numbers, ...]
    correlation: tuple[Numbers, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        count = len(self.names)
        parts = (self.given_low, self.given_high, self.usual, self.spread, self.quantiles, self.correlation)
        ends = (COVARIATES,)
        shapes = [ends, ends, (count, TERMS), (count, 1 + COVARIATES), (count, len(NORMAL_SCORES)), (count, count)]
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

        # 1. Both distances of each stack from a fit that it was left out of.
        distances = []
        for rest, out in _folds(len(values)):
            model = _fit_without_limits(values[rest])
            distances += [model._distances(model._normal_scores(row)) for row in values[out]]
        joint, single = np.array(distances).T

        # 2. The limit of each, widened since a stack has two chances to be called unlike.
        limits = np.array([_prediction_limit(joint), _prediction_limit(single)])
        limits *= _prediction_limit(np.maximum(joint / limits[0], single / limits[1]))
        joint_limit, single_limit = np.maximum(limits, MIN_LIMITS).tolist()

        # 3. The fit to all stacks.
        return _fit_without_limits(values).model_copy(update={"joint_limit": joint_limit, "single_limit": single_limit})

    @property
    def can_compare(self) -> bool:
        """Whether this program measures the features that are judged; another version may not."""
        return self.names == JUDGED_NAMES

    def compare(self, features: Features) -> Distance:
        """Measure how far a stack is from those that the model was trained on."""
        scores = self._normal_scores(features.values())
        joint, single = self._distances(scores)
        distance = max(joint / self.joint_limit, single / self.single_limit)
        return Distance(distance, dict(zip(self.names, scores.tolist(), strict=True)))

    def _normal_scores(self, values: DoubleArray) -> DoubleArray:
        """Normal scores of the features of one stack that are judged; NaN where one was not measured."""
        design = _design_matrix(values[None], np.array(self.given_low), np.array(self.given_high))
        residuals = _standardised(design, values[None, VOXEL_SIZES:], np.array(self.usual), np.array(self.spread))
        return _to_normal_scores(residuals, np.array(self.quantiles)).ravel()

    def _distances(self, scores: DoubleArray) -> tuple[float, float]:
        """Joint distance (Mahalanobis, over the root of the number of scores) and largest single score, without NaN."""
        measured = np.isfinite(scores)
        scores = scores[measured]
        correlation = np.array(self.correlation)[np.ix_(measured, measured)]
        square = scores @ np.linalg.solve(correlation, scores)
        return float(np.sqrt(square / max(1, scores.size))), float(np.max(np.abs(scores), initial=0.0))


def _fit_without_limits(values: DoubleArray) -> NoveltyModel:
    """Fit all but the limits, which are 1 here, to features, axes (stack, feature)."""
    low, high = values[:, :COVARIATES].min(axis=0), values[:, :COVARIATES].max(axis=0)
    design = _design_matrix(values, low, high)

    # 1. The mean stands for what was not measured: a stack may be too small for the coarsest octave.
    judged = values[:, VOXEL_SIZES:]
    mean = np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else 0.0 for column in judged.T])
    judged = np.where(np.isfinite(judged), judged, mean)

    # 2. Regressions on all stacks, and standardised residuals of each stack from those without it.
    usual, spread = _regressions(design, judged)
    residuals = np.empty_like(judged)
    for rest, out in _folds(len(values)):
        residuals[out] = _standardised(design[out], judged[out], *_regressions(design[rest], judged[rest]))

    # 3. From their quantiles to normal scores.
    quantiles = np.quantile(residuals, scipy.special.ndtr(NORMAL_SCORES), axis=0).T + QUANTILE_WIDENING * NORMAL_SCORES
    scores = _to_normal_scores(residuals, quantiles)

    # 4. Correlation of the scores, shrunk towards the identity by the best share for so few stacks: the variance of the
    #    correlations over the sum of their squares (Schäfer and Strimmer 2005).
    count = len(scores)
    products = scores[:, :, None] * scores[:, None, :]
    correlation = products.sum(axis=0) / (count - 1)
    variance = np.square(products - products.mean(axis=0)).sum(axis=0) * count / (count - 1) ** 3
    off_diagonal = ~np.eye(correlation.shape[0], dtype=bool)
    shrinkage = variance[off_diagonal].sum() / max(np.square(correlation[off_diagonal]).sum(), 1e-12)
    shrinkage = float(np.clip(shrinkage, MIN_SHRINKAGE, 1))
    correlation = np.where(off_diagonal, (1 - shrinkage) * correlation, 1.0)

    return NoveltyModel(
        stacks=count,
        joint_limit=1.0,
        single_limit=1.0,
        names=JUDGED_NAMES,
        given_low=_rounded(low),
        given_high=_rounded(high),
        usual=_rounded(usual),
        spread=_rounded(spread),
        quantiles=_rounded(quantiles),
        correlation=_rounded(correlation),
    )


def _folds(count: int) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Masks of the stacks to fit to and of those left out, for each fold."""
    fold = np.arange(count) % min(count, FOLDS)
    return [(fold != number, fold == number) for number in np.unique(fold)]


def _design_matrix(values: DoubleArray, low: DoubleArray, high: DoubleArray) -> DoubleArray:
    """Columns of the regressions, (stack, term), of features (stack, feature): 1, covariates, squares and products.

    Covariates are brought to -1 .. 1; what lies beyond counts as at the border, what never varies as 0.
    """
    half = (high - low) / 2
    given = values[:, :COVARIATES]
    scaled = (np.clip(given, low, high) - (low + high) / 2) / np.where(half > 1e-3, half, 1.0)
    first, second = np.triu_indices(COVARIATES)
    return np.column_stack([np.ones(len(values)), scaled, scaled[:, first] * scaled[:, second]])


def _regressions(design: DoubleArray, values: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Coefficients (feature, term) of what to expect, and of the logarithm of the standard deviation around it."""
    usual = _ridge(design, values)
    least = np.array([MIN_SPREADS.get(name, MIN_SPREAD) for name in JUDGED_NAMES])
    logarithms = np.log(SPREAD_FROM_LOGARITHM * (np.abs(values - design @ usual.T) + least))
    return usual, _ridge(design[:, : 1 + COVARIATES], logarithms)


def _ridge(design: DoubleArray, values: DoubleArray) -> DoubleArray:
    """Ridge coefficients (feature, term), the constant not penalised; the noise is taken to depend on nothing."""
    centre, mean = design[:, 1:].mean(axis=0), values.mean(axis=0)
    offsets = design[:, 1:] - centre
    normal = offsets.T @ offsets + RIDGE_PENALTY * np.eye(offsets.shape[1])
    slopes = np.linalg.solve(normal, offsets.T @ (values - mean)).T
    slopes[: COVARIATES - VOXEL_SIZES] = 0
    return np.column_stack([mean - slopes @ centre, slopes])


def _standardised(design: DoubleArray, values: DoubleArray, usual: DoubleArray, spread: DoubleArray) -> DoubleArray:
    """Residuals, (stack, feature), in units of the standard deviation to expect."""
    return np.asarray((values - design @ usual.T) / np.exp(design[:, : 1 + COVARIATES] @ spread.T))


def _to_normal_scores(residuals: DoubleArray, quantiles: DoubleArray) -> DoubleArray:
    """Normal scores of residuals, (stack, feature); beyond the outermost quantiles they go on evenly."""
    columns = []
    for column, knots in zip(residuals.T, quantiles, strict=True):
        beyond = column - np.clip(column, knots[0], knots[-1])
        beyond = beyond * (NORMAL_SCORES[-1] - NORMAL_SCORES[0]) / (knots[-1] - knots[0])
        columns.append(np.interp(column, knots, NORMAL_SCORES) + beyond)
    return np.column_stack(columns)


def _prediction_limit(distances: DoubleArray) -> float:
    """The distance that a further stack exceeds with the chance FALSE_WARNINGS: log-normal, of few samples."""
    logarithms = np.log(np.maximum(distances, 1e-3))
    count = len(logarithms)
    reach = scipy.special.stdtrit(count - 1, 1 - FALSE_WARNINGS) * np.sqrt(1 + 1 / count)
    return float(np.exp(logarithms.mean() + reach * logarithms.std(ddof=1)))


def _rounded(values: DoubleArray) -> Any:
    """To six digits, as nested lists: short in a model's header."""
    return np.array([float(f"{value:.6g}") for value in values.flat]).reshape(values.shape).tolist()
