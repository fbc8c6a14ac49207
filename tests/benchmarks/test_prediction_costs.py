"""Where the time of a prediction goes, and what is computed more than once."""

from __future__ import annotations

import pytest

from benchmarks.prediction.computed import row_of
from benchmarks.prediction.parts import PARTS, READING, REST, WRITING, part_of, rows_of


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("aten::mkldnn_convolution", "convolutions"),
        ("aten::upsample_nearest3d", "interpolation between levels"),
        ("aten::max_pool3d_with_indices", "max-pooling"),
        ("aten::copy_", "changes of layout and number format"),
        ("aten::relu_", "ReLU, sums"),
    ],
)
def test_operations_are_told_apart(operation: str, part: str) -> None:
    assert part_of(operation) == part


def test_the_parts_are_the_whole() -> None:
    operations = [("aten::mkldnn_convolution", 2.0), ("aten::conv3d", 0.5), ("aten::unknown", 1.0)]
    rows = rows_of(operations, {READING: 0.5, WRITING: 1.0}, 10.0)
    seconds = {row["part"]: row["seconds"] for row in rows}
    assert sum(seconds.values()) == pytest.approx(10)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert (seconds["convolutions"], seconds[READING], seconds[REST]) == (2.5, 0.5, 5.0)
    assert {*PARTS} < {*seconds}


def test_one_tile_computes_nothing_twice_and_small_ones_more_than_large_ones() -> None:
    one = row_of((16, 64, 64), 8.0)
    assert (one["tiles"], one["seen"], one["work"], one["measuring"]) == (1, 1.0, 1.0, 0.0)
    small, large = (row_of((76, 1024, 1024), memory) for memory in (1.0, 4.0))
    assert small["tiles"] > large["tiles"]
    assert small["seen"] > large["seen"] > 1
    assert small["seen"] > small["work"] > 1
