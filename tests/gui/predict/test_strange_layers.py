"""Layers of any kind are predicted at their place and size, or refused with a sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.volume import Volume
from napari_deep3d.gui.predict.choices import Session
from napari_deep3d.gui.predict.panel import PredictPanel
from napari_deep3d.gui.shared.layers import axis_names, full_data, layer_matrix
from napari_deep3d.jobs.predict.predict import predict_volume
from tests.helpers.strange_layers import Strange, draw

COUNT = int(os.environ.get("NAPARI_DEEP3D_LAYERS", "60"))
"""Layers that are drawn; more of them by the environment."""
GROUPS = 6
SPACING_UM = (0.5, 0.2, 0.2)


def predict_it(model: Any, qtbot: Any, tiny_model: Path, strange: Strange) -> str:
    """Predict a layer in the panel; return what is said in the end, and check all that can be."""
    volumes: list[Volume] = []

    def predict(volume: Volume, config: Any, into: Any, stop: Any) -> Any:
        volumes.append(volume)
        return (yield from predict_volume(volume, config, into, stop))

    # 1. Into the panel, which says why it is refused, or asks for the voxel size.
    session = Session()
    session.model = str(tiny_model)
    panel = PredictPanel(model, session, predict=predict, models=list)
    qtbot.addWidget(panel)
    layer = model.add_layer(strange.layer)
    assert session.layer == layer
    if panel.stack.problem.text() and not panel.stack.z_first_button.isHidden():
        panel.stack.z_first_button.click()
    if not panel.stack.voxel_size.isHidden():
        session.update(spacing_um=SPACING_UM)
    if not panel.run_button.button.isEnabled():
        panel.shut_down()
        assert panel.stack.problem.text()
        return str(panel.stack.problem.text())

    # 2. What is meant: by the labels if there are any, else as the panel says.
    panel.run_button.button.click()
    if not panel.run_button.is_running:
        panel.shut_down()
        assert panel.stack.problem.text()
        return str(panel.stack.problem.text())
    zyx, index = session.axes().zyx, dict(session.index)
    data, matrix, units = full_data(layer), layer_matrix(layer), [str(unit) for unit in layer.units]
    if strange.axes:
        assert [axis_names(layer)[axis] for axis in zyx] == ["z", "y", "x"]
    qtbot.waitUntil(lambda: not panel.run_button.is_running, timeout=20000)
    said = str(panel.message.text())
    panel.shut_down()
    if len(model.layers) == 1:
        assert said
        return said

    # 3. The right voxels, at the right place and in the right size.
    result = model.layers[-1]
    chosen = tuple(slice(None) if i in zyx else index.get(i, 0) for i in range(layer.ndim))
    voxels = np.asarray(data[chosen])
    assert result.data.shape == voxels.shape == volumes[0].shape
    np.testing.assert_array_equal(np.asarray(volumes[0].data[:, :, :]), voxels)
    assert result.data.any()
    start = np.array([0 if i in zyx else index.get(i, 0) for i in range(layer.ndim)] + [1])
    rows = list(zyx)
    np.testing.assert_allclose(layer_matrix(result)[:3, :3], matrix[np.ix_(rows, rows)], rtol=1e-4, atol=1e-9)
    scale = np.abs(matrix[rows]).max()
    np.testing.assert_allclose(layer_matrix(result)[:3, 3], (matrix @ start)[rows], rtol=1e-4, atol=1e-6 * scale)
    assert [str(unit) for unit in result.units] == [units[axis] for axis in rows]
    return said


@pytest.mark.parametrize("group", range(GROUPS))
def test_it_is_predicted_where_it_lies_or_refused(model: Any, qtbot: Any, tiny_model: Path, group: int) -> None:
    from napari.components import ViewerModel

    problems = []
    for seed in range(group, COUNT, GROUPS):
        strange = draw(seed)
        with qtbot.capture_exceptions() as exceptions:
            try:
                said = predict_it(ViewerModel(), qtbot, tiny_model, strange)
            except Exception as error:
                said = f"{type(error).__name__}: {error}"[:600]
                problems.append(f"{seed}: {strange.about}\n    {said}")
        if exceptions or "ended with an error" in said:
            problems.append(f"{seed}: {strange.about}\n    {said} {exceptions}")
    assert not problems, "\n".join(problems)
