from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import StackFile, open_stack
from napari_deep3d.io.stack_file import STACK_AXES, StackView, stack_axes

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


# Axes


SHAPE = (2, 3, 4, 5, 6)


def expected() -> NDArray[np.int64]:
    return np.arange(np.prod(SHAPE)).reshape(SHAPE)


class Recorder:
    """A source that remembers how much of it was read."""

    def __init__(self, data: NDArray[Any]) -> None:
        self.data, self.read = data, 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        box: NDArray[Any] = self.data[key]
        self.read += box.size
        return box


@pytest.mark.parametrize("axes", ["".join(order) for order in permutations(STACK_AXES)])
def test_every_order_of_axes_reads_the_same(axes: str) -> None:
    source = expected().transpose([STACK_AXES.index(axis) for axis in axes])
    view = StackView(source, axes)
    assert view.shape == SHAPE
    np.testing.assert_array_equal(view[...], expected())
    np.testing.assert_array_equal(view.at(T=1, C=2)[1:3, 4], expected()[1, 2, 1:3, 4])


def test_missing_axes_have_length_one() -> None:
    source = np.arange(4 * 5 * 6).reshape(5, 4, 6)
    view = StackView(source, "YZX")
    assert view.shape == (1, 1, 4, 5, 6)
    np.testing.assert_array_equal(view[0, 0], source.transpose(1, 0, 2))
    np.testing.assert_array_equal(view.at(T=0, C=0), source.transpose(1, 0, 2))


def test_axes_of_no_meaning_are_dropped() -> None:
    source = np.arange(4 * 5 * 6).reshape(1, 4, 5, 6, 1)
    np.testing.assert_array_equal(StackView(source, "PZYXS")[0, 0], source[0, ..., 0])


parts = st.one_of(
    st.integers(-2, 1),
    st.builds(slice, *[st.none() | st.integers(-8, 8)] * 2, st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3])),
)


@given(st.lists(parts, max_size=5))
@settings(deadline=None)
def test_indexing_is_numpys(key: list[int | slice]) -> None:
    view = StackView(expected().transpose(1, 4, 0, 3, 2), "CXTYZ")
    np.testing.assert_array_equal(view[tuple(key)], expected()[tuple(key)])


def test_ellipsis_and_a_key_that_is_no_tuple() -> None:
    view = StackView(expected(), STACK_AXES)
    np.testing.assert_array_equal(view[1, ..., 2:4], expected()[1, ..., 2:4])
    np.testing.assert_array_equal(view[-1], expected()[-1])


@pytest.mark.parametrize(("key", "error"), [((2,), IndexError), ((0,) * 6, IndexError), (("Z",), TypeError)])
def test_a_wrong_index_is_refused(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        StackView(expected(), STACK_AXES)[key]


def test_a_box_reads_no_more_than_the_box() -> None:
    source = Recorder(expected())
    StackView(source, STACK_AXES).at(T=0, C=1)[1:3, 0:2, 3:5]
    assert source.read == 2 * 2 * 2


def test_what_is_read_is_a_copy_in_native_byte_order() -> None:
    source = expected().astype(">i4")
    view = StackView(source, STACK_AXES)
    box = view[0, 0]
    box += 1
    assert box.dtype == view.dtype == np.dtype("=i4")
    assert box.dtype.isnative
    np.testing.assert_array_equal(source, expected())


def test_a_part_that_cannot_be_read_is_an_input_error() -> None:
    class Broken(Recorder):
        def __getitem__(self, key: Any, /) -> NDArray[Any]:
            raise RuntimeError("bad checksum")

    with pytest.raises(InputError, match=r"a part of cell cannot be read .bad checksum.*export it again"):
        StackView(Broken(expected()), STACK_AXES, name="cell")[0]


@pytest.mark.parametrize(
    ("axes", "shape", "result"),
    [
        ("ZYX", (5, 20, 30), "ZYX"),
        ("IYX", (5, 20, 30), "ZYX"),
        ("QYX", (5, 20, 30), "ZYX"),
        ("TQCYX", (2, 5, 3, 20, 30), "TZCYX"),
        ("TZCYXS", (2, 5, 3, 20, 30, 1), "TZCYXS"),
    ],
)
def test_pages_without_a_name_are_planes(axes: str, shape: tuple[int, ...], result: str) -> None:
    assert stack_axes(axes, shape, np.uint16, "cell") == result


@pytest.mark.parametrize(
    ("axes", "shape", "message"),
    [
        ("YX", (20, 30), "cell is a single plane of 20 x 30 pixels.*holds all planes"),
        ("ZYX", (1, 20, 30), "single plane"),
        ("TYX", (26, 20, 30), "26 time points of a single plane.*Slices"),
        ("TZYX", (26, 1, 20, 30), "26 time points of a single plane"),
        ("CYX", (3, 20, 30), "3 channels of a single plane"),
        ("ZYXS", (5, 20, 30, 3), "RGB photo.*Split Channels"),
        ("PZYX", (4, 5, 20, 30), "P cannot be used; time T, channel C and Z, Y, X are allowed"),
        ("QZYX", (4, 5, 20, 30), "Q cannot be used"),
        ("QQYX", (4, 5, 20, 30), "Q, Q cannot be used"),
    ],
)
def test_what_is_no_stack_of_grey_values_is_refused(axes: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stack_axes(axes, shape, np.uint16, "cell")


@pytest.mark.parametrize("dtype", [np.complex64, np.bool_, "U4"])
def test_voxels_that_are_no_real_numbers_are_refused(dtype: Any) -> None:
    with pytest.raises(InputError, match="integers or floating-point numbers are needed"):
        stack_axes("ZYX", (5, 20, 30), dtype, "cell")
