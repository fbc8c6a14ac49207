"""The dock with a real, very small network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.helpers.gui import PLACE


def test_a_stack_is_predicted_from_the_dock(
    tiny_model: Path, make_napari_viewer: Any, qtbot: Any, stack: NDArray[np.uint16]
) -> None:
    from napari_deep3d.gui.widget import Deep3DWidget

    viewer = make_napari_viewer(show=True)
    dock = Deep3DWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Deep3D")
    panel = dock.predict_panel
    dock.session.update(model=str(tiny_model), advanced={"device": "cpu"})
    viewer.add_image(stack, name="cell", **PLACE)
    qtbot.waitUntil(lambda: panel.plan_line.text().endswith(" s"), timeout=30_000)
    assert "CPU" in panel.plan_line.text()
    assert panel.facts.text().startswith("8 x 32 x 40")
    panel.button.click()
    qtbot.waitUntil(lambda: panel.message.text() != "", timeout=30_000)
    assert panel.message.text().startswith("Done in")
    result = viewer.layers["cell (confocal-like)"]
    assert result.data.shape == stack.shape
    assert np.isfinite(result.data).all()
    assert result.data.std() > 0
