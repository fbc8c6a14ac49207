"""Live curves of a training."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.events import Metrics
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
