from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import open_stack
from tests.helpers.micromanager import write_micromanager

Stack = NDArray[np.uint16]
Places = list[tuple[int, int, int, int]]
SIZES = {"z-step_um": 0.5, "PixelSize_um": 0.2, "Slices": 6, "Channels": 1, "Frames": 1, "Positions": 1}


def places(position: int = 0, time: int = 0, channel: int = 0) -> Places:
    return [(channel, z, time, position) for z in range(6)]


def test_each_file_of_positions_is_its_own(tmp_path: Path, stack: Stack) -> None:
    for i in range(3):
        path = tmp_path / f"run_MMStack_Pos{i}.ome.tif"
        write_micromanager(path, stack + 100 * i, places(i), **SIZES | {"Positions": 3})
    for i in range(3):
        opened = open_stack(tmp_path / f"run_MMStack_Pos{i}.ome.tif")
        assert (opened.spacing_um, opened.position) == ((0.5, 0.2, 0.2), f"Pos{i}")
        np.testing.assert_array_equal(opened.volume().data[...], stack + 100 * i)
        assert "1 of the 3 positions" in opened.notices[0]


@pytest.mark.parametrize("has_map", [True, False])
def test_positions_in_one_file_are_a_choice(tmp_path: Path, stack: Stack, has_map: bool) -> None:
    both = places(0) + places(1)
    notes = [{"ChannelIndex": c, "SliceIndex": z, "FrameIndex": t, "PositionIndex": p} for c, z, t, p in both]
    summary = SIZES | {"Positions": 2, "StagePositions": [{"Label": "left"}, {"Label": "right"}]}
    path = tmp_path / "run_MMStack.ome.tif"
    write_micromanager(path, [*stack, *stack + 100], both, notes=notes, has_map=has_map, **summary)
    with pytest.raises(InputError, match=r"2 images \(0: left, 6 planes of 32 x 48 pixels; 1: right.*--position"):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, position=1).volume().data[...], stack + 100)


@pytest.mark.parametrize("pages", [12, 16])
def test_a_stopped_acquisition_gives_its_finished_time_points(tmp_path: Path, stack: Stack, pages: int) -> None:
    planes = np.concatenate([stack, stack + 100, stack + 200])
    where = places() + places(time=1) + places(time=2)
    path = tmp_path / "run_MMStack_Default.ome.tif"
    write_micromanager(path, planes[:pages], where[:pages], **SIZES | {"Frames": 3})
    opened = open_stack(path)
    assert opened.n_times == 2
    np.testing.assert_array_equal(opened.volume(time=1).data[...], stack + 100)
    assert "2 of the 3 time points" in opened.notices[0]


@pytest.mark.parametrize("share", [0.7, 0.85])
def test_an_acquisition_that_broke_off(tmp_path: Path, stack: Stack, share: float) -> None:
    """A crash leaves a file without a map, which ends anywhere, its last page pointing beyond the end."""
    where = places() + places(time=1) + places(time=2)
    notes = [{"ChannelIndex": c, "SliceIndex": z, "FrameIndex": t, "PositionIndex": p} for c, z, t, p in where]
    planes = np.concatenate([stack, stack + 100, stack + 200])
    path = tmp_path / "run_MMStack_Default.ome.tif"
    write_micromanager(path, planes, where, notes=notes, has_map=False, **SIZES | {"Frames": 3})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    opened = open_stack(path)
    assert opened.n_times == 2
    np.testing.assert_array_equal(opened.volume(time=1).data[...], stack + 100)
    assert "2 of the 3 time points" in opened.notices[0]
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="summary of the acquisition lists"):
        open_stack(path)


def test_a_cut_off_file_that_does_not_say_where_its_planes_are(tmp_path: Path, stack: Stack) -> None:
    path = write_micromanager(tmp_path / "run_MMStack.ome.tif", stack, places(), has_map=False, **SIZES)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match="cut off"):
        open_stack(path)


def test_a_stack_that_was_never_finished(tmp_path: Path, stack: Stack) -> None:
    path = write_micromanager(tmp_path / "run_MMStack.ome.tif", stack[:4], places()[:4], **SIZES)
    with pytest.raises(InputError, match=r"does not tell what its 4 pages are.*1 channel and 6 planes.*--axes Z"):
        open_stack(path)
    assert open_stack(path, axes="Z").volume().shape == (4, 32, 48)


@pytest.mark.parametrize("slices_first", [True, False])
def test_channels_in_both_orders(tmp_path: Path, stack: Stack, slices_first: bool) -> None:
    where = places() + places(channel=1)
    order = range(12) if slices_first else [k // 2 + 6 * (k % 2) for k in range(12)]
    both = np.concatenate([stack, stack + 100])
    summary = SIZES | {"Channels": 2, "SlicesFirst": slices_first, "ChNames": ["DAPI", "GFP"], "ChColors": [255, 65280]}
    path = tmp_path / "run_MMStack.ome.tif"
    opened = open_stack(write_micromanager(path, both[list(order)], [where[k] for k in order], **summary))
    assert (opened.channel_names, opened.channel_colors) == (("DAPI", "GFP"), ("#0000ff", "#00ff00"))
    for channel in range(2):
        np.testing.assert_array_equal(opened.volume(channel).data[...], stack + 100 * channel)


def test_a_long_acquisition_goes_on_in_another_file(tmp_path: Path, stack: Stack) -> None:
    summary = SIZES | {"Frames": 2}
    first = write_micromanager(tmp_path / "run_MMStack_Pos0.ome.tif", stack, places(), **summary)
    second = write_micromanager(tmp_path / "run_MMStack_Pos0_1.ome.tif", stack + 100, places(time=1), **summary)
    other = write_micromanager(tmp_path / "run_MMStack_Pos1.ome.tif", stack + 900, places(1), **summary)
    for path in (first, second):
        opened = open_stack(path)
        assert opened.n_times == 2
        np.testing.assert_array_equal(opened.volume(time=0).data[...], stack)
        np.testing.assert_array_equal(opened.volume(time=1).data[...], stack + 100)
    assert open_stack(other).n_times == 1


def test_sizes_and_place_noted_with_the_planes(tmp_path: Path, stack: Stack) -> None:
    note = {"PixelSizeUm": 0.1, "ZPositionUm": 7.0, "YPositionUm": -2.0, "XPositionUm": 3.0, "PositionName": "well 7"}
    summary = SIZES | {"PixelSize_um": 0, "z-step_um": -0.5}
    path = write_micromanager(tmp_path / "run_MMStack.ome.tif", stack, places(), notes=[note] * 6, **summary)
    opened = open_stack(path)
    assert (opened.spacing_um, opened.origin_um, opened.position) == ((0.5, 0.1, 0.1), (7.0, -2.0, 3.0), "well 7")
    assert "negative along z" in opened.notices[0]
