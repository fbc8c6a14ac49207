"""What the bounds of random choices may be: rising ranges, shares, counts."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, FiniteFloat

Limits = TypeVar("Limits", bound=tuple[float, float])


def _rising(value: Limits) -> Limits:
    if not value[0] <= value[1]:
        raise ValueError("two rising numbers are allowed")
    return value


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
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
