"""Pairs from raw frames: layouts, what is written, and that it is written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core import (
    Event,
    FloatArray,
    FrameLayout,
    GridFramesConfig,
    InputError,
    Notice,
    Progress,
    StoppedError,
    drain,
)
from napari_deep3d.core.structured_light import even_brightness, section, wide_field
from napari_deep3d.io import StackFacts, open_stack, save_stack
from napari_deep3d.jobs import grid_frames
from napari_deep3d.jobs.grid_frames import GridPair, pair_from_frames, pairs_from_frames
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.jobs.register import StackSource
from tests.helpers.grid_frames import TWO, blobs_in_haze

PLANES, SIDES = 5, (80, 88)
ORDERS: dict[str, tuple[str, Callable[[FloatArray], FloatArray]]] = {
    "time": ("TZYX", lambda f: np.moveaxis(f, 0, 2).reshape(-1, PLANES, *SIDES)),
    "channel": ("CZYX", lambda f: np.moveaxis(f, 0, 2).reshape(-1, PLANES, *SIDES)),
    "zap": ("ZYX", lambda f: f.reshape(-1, *SIDES)),
    "azp": ("ZYX", lambda f: np.moveaxis(f, 0, 1).reshape(-1, *SIDES)),
    "apz": ("ZYX", lambda f: np.moveaxis(f, 0, 2).reshape(-1, *SIDES)),
}
"""Axes of a file of each layout, and the frames, axes (Z, angle, phase, Y, X), as it holds them."""


def frames_of(angles: int = 1) -> FloatArray:
    return blobs_in_haze((PLANES, *SIDES), frequencies=TWO[:angles])


def save(path: Path, frames: FloatArray, layout: str = "time") -> Path:
    axes, arranged = ORDERS[layout]
    facts = StackFacts(axes, (0.4, 0.1, 0.1), (5.0, 6.0, -7.0))
    drain(save_stack(path, arranged(frames).astype(np.uint16), facts, overwrite=True))
    return path


def made_of(path: Path, output: Path, **settings: object) -> GridPair:
    return drain(pair_from_frames(StackSource(path), output, GridFramesConfig.checked(**settings)))


@pytest.mark.parametrize("layout", ORDERS)
@pytest.mark.parametrize("angles", [1, 2])
def test_every_layout_gives_the_images_of_its_frames(layout: FrameLayout, angles: int, tmp_path: Path) -> None:
    frames = frames_of(angles)
    made = made_of(save(tmp_path / "cell.ome.tif", frames, layout), tmp_path / "pairs", angles=angles, layout=layout)
    assert (made.name, made.shape, made.layout) == ("cell", (PLANES, *SIDES), layout)
    for kind, make in (("widefield", wide_field), ("confocal", section)):
        stack = open_stack(tmp_path / "pairs" / kind / "cell.ome.tif")
        expected = np.stack([make(even_brightness(plane)) for plane in frames])
        np.testing.assert_allclose(stack.volume().data[:, :, :], expected, rtol=1e-6)
        assert stack.spacing_um == pytest.approx((0.4, 0.1, 0.1))
        assert stack.origin_um == pytest.approx((5, 6, -7))


@pytest.mark.parametrize("layout", ["time", "channel", "zap"])
def test_the_layout_is_found(layout: str, tmp_path: Path) -> None:
    assert made_of(save(tmp_path / "cell.ome.tif", frames_of(), layout), tmp_path / "pairs").layout == layout


def test_brightness_can_be_kept(tmp_path: Path) -> None:
    frames = frames_of()
    frames[2:, :, 1] *= 1.2
    made_of(save(tmp_path / "cell.ome.tif", frames), tmp_path / "pairs", even_brightness=False)
    expected = section(frames.astype(np.uint16).astype(np.float32)[3])
    found = open_stack(tmp_path / "pairs" / "confocal" / "cell.ome.tif").volume().data[3]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_training_reads_what_is_written(tmp_path: Path) -> None:
    made_of(save(tmp_path / "cell.ome.tif", frames_of()), tmp_path / "pairs")
    (pair,) = prepare_pairs(PairsFolder(tmp_path / "pairs").load(), (0.1, 99.9))
    assert pair.name == "cell.ome.tif"


def test_progress_and_notices(tmp_path: Path) -> None:
    frames = blobs_in_haze((PLANES, *SIDES), (0, 135, 240))
    events: list[Event] = []
    job = pair_from_frames(StackSource(save(tmp_path / "a.ome.tif", frames)), tmp_path / "p", GridFramesConfig())
    drain(job, events.append)
    assert [event.fraction for event in events if isinstance(event, Progress)][-1] == 1
    assert any("stripes of" in event.message for event in events if isinstance(event, Notice))


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    path = save(tmp_path / "cell.ome.tif", frames_of())
    made_of(path, tmp_path / "pairs")
    before = (tmp_path / "pairs" / "confocal" / "cell.ome.tif").read_bytes()
    save(path, 2 * frames_of())
    with pytest.raises(InputError, match="exists and is not replaced"):
        made_of(path, tmp_path / "pairs")
    assert (tmp_path / "pairs" / "confocal" / "cell.ome.tif").read_bytes() == before
    drain(pair_from_frames(StackSource(path), tmp_path / "pairs", GridFramesConfig(), overwrite=True))
    assert (tmp_path / "pairs" / "confocal" / "cell.ome.tif").read_bytes() != before


@pytest.mark.parametrize("asked", [1, 4, 8])
def test_stopped_it_leaves_nothing(asked: int, tmp_path: Path) -> None:
    source, calls = StackSource(save(tmp_path / "cell.ome.tif", frames_of())), iter(range(100))
    with pytest.raises(StoppedError):
        drain(pair_from_frames(source, tmp_path / "a" / "b", GridFramesConfig(), stop=lambda: next(calls) >= asked))
    assert [path.name for path in tmp_path.iterdir()] == ["cell.ome.tif"]


def test_failed_it_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: FloatArray) -> FloatArray:
        raise MemoryError

    source = StackSource(save(tmp_path / "cell.ome.tif", frames_of()))
    monkeypatch.setattr(grid_frames, "section", fail)
    with pytest.raises(MemoryError):
        drain(pair_from_frames(source, tmp_path / "a" / "b", GridFramesConfig()))
    assert [path.name for path in tmp_path.iterdir()] == ["cell.ome.tif"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"phases": 4}, "4 frames a plane were looked for"),
        ({"phases": 4, "layout": "time"}, "3 time points, but 4 frames"),
        ({"layout": "channel"}, "1 channels, but 3 frames"),
        ({"phases": 2}, "phases is 2"),
        ({"layout": "zpa"}, "layout is 'zpa'"),
    ],
)
def test_frames_that_do_not_fit(settings: dict[str, object], words: str, tmp_path: Path) -> None:
    path = save(tmp_path / "cell.ome.tif", frames_of())
    with pytest.raises(InputError, match=words):
        made_of(path, tmp_path / "pairs", **settings)
    assert not (tmp_path / "pairs").exists()


def test_planes_that_are_no_multiple(tmp_path: Path) -> None:
    path = save(tmp_path / "cell.ome.tif", frames_of(), "zap")
    with pytest.raises(InputError, match="15 planes are not a multiple"):
        made_of(path, tmp_path / "pairs", phases=4, layout="zap")


@pytest.mark.parametrize(("layout", "asked"), permutations(("zap", "azp", "apz"), 2))
def test_a_wrong_layout_is_no_pair(layout: str, asked: str, tmp_path: Path) -> None:
    path = save(tmp_path / "cell.ome.tif", frames_of(2), layout)
    with pytest.raises(InputError):
        made_of(path, tmp_path / "pairs", angles=2, layout=asked)
    assert not (tmp_path / "pairs").exists()


def test_of_a_folder_the_good_ones_are_made(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    save(tmp_path / "raw" / "a.ome.tif", frames_of())
    save(tmp_path / "raw" / "b.ome.tif", blobs_in_haze((PLANES, *SIDES), (0, 60, 200)))
    (tmp_path / "raw" / "notes.txt").write_text("mine")
    done = drain(pairs_from_frames(StackSource(tmp_path / "raw"), tmp_path / "pairs", GridFramesConfig()))
    assert [pair.name for pair in done.pairs] == ["a"]
    assert list(done.problems) == ["b.ome.tif"]
    assert PairsFolder(tmp_path / "pairs").names() == ["a.ome.tif"]


def test_of_a_folder_that_is_stopped_the_finished_ones_stay(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in "ab":
        save(tmp_path / "raw" / f"{name}.ome.tif", frames_of())
    calls = iter(range(100))
    job = pairs_from_frames(
        StackSource(tmp_path / "raw"), tmp_path / "pairs", GridFramesConfig(), stop=lambda: next(calls) >= 12
    )
    done = drain(job)
    assert not done.complete
    assert PairsFolder(tmp_path / "pairs").names() == ["a.ome.tif"]


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no stack"):
        drain(pairs_from_frames(StackSource(tmp_path), tmp_path / "pairs", GridFramesConfig()))
