"""What the jobs tell about the machine, and their picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.jobs.figures import draw_comparison
from napari_deep3d.jobs.info import describe_machine


def test_description_of_the_machine_is_plain_and_names_versions() -> None:
    told = json.loads(json.dumps(describe_machine(), allow_nan=False))
    assert {"python", "system", "packages", "device", "threads", "memory_gb"} <= set(told)
    assert {"napari-deep3d", "torch", "numpy"} <= set(told["packages"])
    assert told["memory_gb"] >= told["memory_free_gb"] > 0


@pytest.mark.parametrize("shape", [(8, 40, 60), (40, 20, 20)])
def test_picture_shows_every_stack(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    from matplotlib.image import imread

    stack = np.random.default_rng(0).random(shape)
    sizes = []
    for count in (1, 3):
        path = tmp_path / f"{count}.png"
        stacks = [(f"number {i}", stack) for i in range(count)]
        assert draw_comparison(path, stacks, (0.5, 0.2, 0.2), plane=3, row=5, title="t") == path
        picture = imread(path)[:, :, :3]
        assert picture.std() > 0.05
        sizes.append(picture.shape[1])
    assert sizes[1] == pytest.approx(3 * sizes[0], rel=0.02)
