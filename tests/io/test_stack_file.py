from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import StackFile, open_stack

NAMES = ["Confocal", "Wide-field"]


def opened(folder: Path, times: int, channels: int, names: list[str] | None = None) -> StackFile:
    shape = (times, channels, 5, 18, 20)
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    metadata: dict[str, object] = {
        "axes": "TCZYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeY": 0.1,
        "PhysicalSizeZ": 0.4,
    }
    if names:
        metadata["Channel"] = {"Name": names}
    tifffile.imwrite(folder / "cell.ome.tif", data, metadata=metadata)
    return open_stack(folder / "cell.ome.tif")


def test_the_only_stack_needs_no_choice(tmp_path: Path) -> None:
    file = opened(tmp_path, 1, 1)
    volume = file.volume()
    assert (volume.name, volume.shape, volume.spacing_um) == ("cell", (5, 18, 20), (0.4, 0.1, 0.1))
    assert volume.origin_um == (0, 0, 0)
    np.testing.assert_array_equal(file.volume(0, 0).data[...], volume.data[...])


def test_one_of_several_is_chosen(tmp_path: Path) -> None:
    file = opened(tmp_path, 3, 2, NAMES)
    assert file.channel_names == ("Confocal", "Wide-field")
    np.testing.assert_array_equal(file.volume(1, 2).data[...], file.data[2, 1])


@pytest.mark.parametrize(
    ("times", "channels", "names", "message"),
    [
        (
            1,
            2,
            NAMES,
            "cell holds 2 channels (0: Confocal, 1: Wide-field) and 1 time point: choose one with --channel",
        ),
        (1, 2, None, "cell holds 2 channels (0, 1) and 1 time point: choose one with --channel"),
        (3, 1, None, "cell holds 1 channel and 3 time points: choose one with --time"),
        (3, 2, None, "choose one with --channel (channel=...) and --time (time=...)"),
    ],
)
def test_no_choice_is_made_for_the_user(
    tmp_path: Path, times: int, channels: int, names: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        opened(tmp_path, times, channels, names).volume()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"channel": 2, "time": 0},
            "channel 2 was chosen, but cell holds 2 channels (0, 1) and 3 time points: 0 to 1",
        ),
        ({"channel": -1, "time": 0}, "channel -1 was chosen"),
        ({"channel": 0, "time": 3}, "0 to 2 are allowed"),
    ],
)
def test_a_choice_out_of_range_is_refused(tmp_path: Path, choice: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        opened(tmp_path, 3, 2).volume(**choice)


def test_a_channel_that_the_only_one_is_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"channel 1 was chosen, but cell holds 1 channel .*0 is allowed"):
        opened(tmp_path, 1, 1).volume(channel=1)
