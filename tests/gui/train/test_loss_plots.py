"""Live curves of a training."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.events import Metrics
from napari_deep3d.gui.shared import curves, legend_entry
from napari_deep3d.gui.train.loss_plots import LossPlots


def test_curves_are_drawn_at_most_ten_times_a_second(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plots = LossPlots()
    qtbot.addWidget(plots)
    drawn: list[float] = []
    monkeypatch.setattr(plots.curves["l1"], "setData", lambda *_: drawn.append(time.perf_counter()))
    for step in range(1, 60):
        plots.add(Metrics(step, {"l1": 1.0, "vgg": 0.0, "gan": float("nan")}))
        qtbot.wait(5)
    assert 2 <= len(drawn) <= 6
    assert plots.curves["vgg"].yData is not None
    assert np.isnan(plots.curves["vgg"].yData).all()  # 0 has no place on a logarithmic axis
    assert "realism" not in plots.legend.text()


def test_a_single_point_is_seen(qtbot: Any) -> None:
    """On an axis of steps that begins at 0."""
    plots = LossPlots()
    qtbot.addWidget(plots)
    plots.add(Metrics(10, {"l1": 1.0}))
    plots.redraw()
    assert plots.curves["l1"].opts["symbol"] == "o"
    assert plots.learning.viewRange()[0] == pytest.approx([0, 10], abs=1)
    plots.add(Metrics(20, {"l1": 0.5}))
    plots.redraw()
    assert plots.curves["l1"].opts["symbol"] is None


def test_wide_field_is_drawn_where_the_curve_stays_legible(qtbot: Any) -> None:
    plots = LossPlots()
    qtbot.addWidget(plots)
    plots.add(Metrics(0, {"widefield_rmse": 0.48, "validation_rmse": 0.08}))
    plots.redraw()
    assert plots.curves["widefield_rmse"].xData is None or not len(plots.curves["widefield_rmse"].xData)
    assert "wide-field itself: 0.48, above the plot" in plots.tested_legend.text()
    plots.add(Metrics(5, {"validation_rmse": 0.2}))
    plots.redraw()
    assert plots.curves["widefield_rmse"].yData.tolist() == [0.48, 0.48]
    assert "above" not in plots.tested_legend.text()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_curves_stand_out_from_the_window(theme: str) -> None:
    """3 : 1, as the Web Content Accessibility Guidelines ask of graphics."""
    from napari.utils.theme import get_theme

    def brightness(colour: str) -> float:
        values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    window = brightness(get_theme(theme).background.as_hex(format="long"))
    for colour in (curves.ORANGE, curves.BLUE, curves.PURPLE, curves.GREEN, curves.GREY):
        dark, light = sorted((brightness(colour), window))
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


def test_legends_are_written_in_the_text_colour() -> None:
    swatch, _, text = legend_entry(curves.BLUE, curves.SOLID, "a b").partition("</span>")
    assert curves.BLUE in swatch
    assert text == "&nbsp;a b"


def test_the_axis_of_errors_begins_at_zero(qtbot: Any) -> None:
    plots = LossPlots()
    qtbot.addWidget(plots)
    plots.add(Metrics(0, {"widefield_rmse": 0.16, "validation_rmse": 0.08}))
    plots.add(Metrics(10, {"validation_rmse": 0.081}))
    plots.redraw()
    low, high = plots.tested.viewRange()[1]
    assert low == 0
    assert 0.16 < high < 0.25
