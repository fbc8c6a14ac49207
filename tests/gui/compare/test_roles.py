"""What the layers of a comparison are called."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from napari_deep3d.gui.compare.roles import colours_of, indices_in_series, role, titles

PREDICTED = {"napari-deep3d": {"model": "generalist", "input": {"layer": "cell", "time point": 2}}}


def layer(name: str, shape: tuple[int, ...] = (4, 8, 8), **more: Any) -> Image:
    return Image(np.zeros(shape), name=name, **more)


@pytest.mark.parametrize(
    ("name", "metadata", "expected"),
    [
        ("thick sample, wide-field", {}, "wide-field"),
        ("Cell_3 Widefield (aligned)", {}, "wide-field"),
        ("thick sample, confocal", {}, "confocal"),
        ("thick sample, wide-field (confocal-like)", {}, "prediction"),
        ("thick sample, wide-field (confocal-like) (incomplete)", {}, "prediction"),
        ("thick sample, wide-field (uncertainty)", {}, "error"),
        ("cell_confocal", PREDICTED, "prediction"),
        ("uncertainty of it", PREDICTED, "error"),
        ("C2-MAX_20230101", {}, ""),
    ],
)
def test_roles(name: str, metadata: dict[str, Any], expected: str) -> None:
    assert role(layer(name, metadata=metadata)) == expected


def test_titles_are_numbered_where_needed_and_short() -> None:
    layers = [
        layer("cell"),
        layer("cell (confocal-like)", metadata=PREDICTED),
        layer("again", metadata=PREDICTED),
        layer("20230101_experiment_17_position_3_C2"),
        layer("x"),
    ]
    expected = ["wide-field", "prediction 1", "prediction 2", "20230101_e…sition_3_C2", "x"]
    assert list(titles(layers).values()) == expected


def test_the_series_of_a_result_is_found_by_its_name_else_by_its_size() -> None:
    labels = {"axis_labels": ("t", "z", "y", "x")}
    result = layer("result", metadata=PREDICTED)
    cell, twin = layer("cell", (3, 4, 8, 8), **labels), layer("twin", (5, 4, 8, 8), **labels)
    assert indices_in_series(result, [result, twin, cell]) == (cell, {0: 2})
    assert indices_in_series(result, [twin, result]) == (twin, {0: 2})
    assert indices_in_series(result, [result, layer("cell"), layer("cell", (3, 4, 8, 9), **labels)]) is None
    assert indices_in_series(cell, [cell, twin]) is None  # it was not made from anything


def test_each_stack_has_its_own_colour_and_the_confocal_one_always_the_same() -> None:
    stacks = [SimpleNamespace(role=name) for name in ("", "confocal", "prediction", "confocal", "difference")]
    colours = colours_of(stacks)
    assert len(set(colours)) == 5
    assert colours[1] == colours_of(stacks[1:2])[0]
