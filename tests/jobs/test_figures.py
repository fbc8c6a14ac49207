"""Pictures: every stack is shown, and a picture appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.jobs.figures import draw_comparison


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


def test_picture_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    stacks = [("one", np.random.default_rng(0).random((8, 20, 20)))]
    with pytest.raises(InputError, match=r"cannot write .*a\.png: No such file"):
        draw_comparison(tmp_path / "missing" / "a.png", stacks, (0.5, 0.2, 0.2), plane=3, row=5)
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*a\.png"):
        draw_comparison(tmp_path / "a.png", stacks, (0.5, 0.2, 0.2), plane=3, row=5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
