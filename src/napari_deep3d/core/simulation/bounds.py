"""Bounds of random choices: what they may be, and drawing within them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, Field, FiniteFloat

from napari_deep3d.core import Config, DoubleArray

Limits = TypeVar("Limits", bound=tuple[float, float])
K = TypeVar("K")


def _rising(value: Limits) -> Limits:
    if not value[0] <= value[1]:
        raise ValueError("two rising numbers are allowed")
    return value


def _above_zero(value: dict[K, float]) -> dict[K, float]:
    if not any(value.values()):
        raise ValueError("at least one share above 0 is needed")
    return value


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]
Range = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_rising)]
"""Smallest and largest value."""
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
"""The same above 0, as sizes and numbers drawn by their logarithm must be."""
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_rising)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(_rising)]
"""Smallest and largest number, both of which are drawn, too."""
PercentileRange = Annotated[tuple[Percentile, Percentile], AfterValidator(_rising)]
Shares = Annotated[dict[K, Share], AfterValidator(_above_zero)]
"""How often each of several is drawn; the shares need not add up to 1."""


class Bounds(Config):
    """Bounds of random choices: ranges are uniform, those marked *log* uniform in their logarithm."""


def uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """Draw a number, evenly spread between two bounds."""
    return float(rng.uniform(*bounds))


def log_uniform(
    rng: np.random.Generator, bounds: tuple[float, float], size: int | tuple[int, ...] | None = None
) -> DoubleArray:
    """Draw numbers whose logarithm is evenly spread between two bounds."""
    return np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]), size))


def happens(rng: np.random.Generator, share: float) -> bool:
    """Draw whether something happens that does so in this share of the cases."""
    return bool(rng.random() < share)


def choose(rng: np.random.Generator, shares: Mapping[K, float]) -> K:
    """Draw one of several that have a share each."""
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]
