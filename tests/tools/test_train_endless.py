"""Pairs that come while a training uses them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tools.release.train_endless import NewestPairs


def numbers(stop: int) -> Iterator[Any]:
    yield from range(stop)


@pytest.mark.parametrize(
    ("made", "hold", "kept"), [(3, 5, {0, 1, 2}), (5, 5, {0, 1, 2, 3, 4}), (12, 5, {7, 8, 9, 10, 11})]
)
def test_the_newest_pairs_are_held(made: int, hold: int, kept: set[int]) -> None:
    pairs: NewestPairs = NewestPairs(numbers(made), hold)
    pairs._thread.join()
    assert set(pairs) == kept
    assert pairs.made == made


def test_a_simulation_that_ends_too_early_is_told() -> None:
    pairs = NewestPairs(numbers(3), 10)
    pairs.wait_for(3)
    with pytest.raises(RuntimeError, match="ended after 3 pairs"):
        pairs.wait_for(4)


def test_a_simulation_without_end_is_ended() -> None:
    pairs = NewestPairs(numbers(10**12), 10)
    pairs.wait_for(10)
    pairs.close()
    assert not pairs._thread.is_alive()
