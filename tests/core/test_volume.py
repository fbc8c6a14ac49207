"""The stack and its voxel size: what is refused, and in which words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.volume import LazyStack, Volume, all_finite, check_spacing, format_spacing, read_box

SPACING_UM = (0.5, 0.1, 0.1)


def test_volume_keeps_what_it_was_given() -> None:
    data = np.zeros((4, 16, 18), np.uint8)
    volume = Volume(data, SPACING_UM, (1.0, 2.0, 3.0), "mine")
    assert volume.data is data
    assert volume.shape == (4, 16, 18)
    assert volume.require_spacing_um() == SPACING_UM
    assert volume.origin_um == (1.0, 2.0, 3.0)


def test_voxel_size_becomes_plain_floats() -> None:
    volume = Volume(np.zeros((4, 16, 16), np.float32), tuple(np.float32(v) for v in (1, 0.5, 0.5)))  # type: ignore[arg-type]
    assert [type(v) for v in volume.require_spacing_um()] == [float] * 3


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((64, 64), r"mine has one plane \(shape \(64, 64\)\); a z-stack"),
        ((64,), r"mine has 1 axes"),
        ((2, 8, 64, 64), r"mine has 4 axes.*Choose one channel and time point"),
        ((3, 64, 64), r"mine is too small: 3 planes of 64 x 64; at least 4 planes of 16 x 16.*Acquire"),
        ((8, 15, 64), r"too small: 8 planes of 15 x 64"),
        ((8, 64, 15), r"too small: 8 planes of 64 x 15"),
    ],
)
def test_shape_that_is_no_stack_is_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Volume(np.zeros(shape, np.uint8), SPACING_UM, name="mine")


@pytest.mark.parametrize("dtype", [bool, np.complex64, "U3", object, "datetime64[s]"])
def test_voxels_that_are_no_real_numbers_are_refused(dtype: object) -> None:
    data = np.zeros((8, 32, 32), dtype)  # type: ignore[call-overload]
    with pytest.raises(InputError, match=r"stack holds .* voxels; integers or floating-point.*Save it as"):
        Volume(data, SPACING_UM)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">u2", np.uint32, np.float16, np.float64])
def test_all_real_numbers_are_taken(dtype: object) -> None:
    Volume(np.zeros((4, 16, 16), dtype), SPACING_UM)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "spacing",
    [(0, 0.1, 0.1), (-0.5, 0.1, 0.1), (np.nan, 0.1, 0.1), (0.5, np.inf, 0.1), (0.5, 0.1), (0.5,) * 4, (0.5, 200, 0.1)],
)
def test_unusable_voxel_size_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"voxel size .* is not usable; three sizes Z,Y,X in um between 0\.001 and"):
        Volume(np.zeros((4, 16, 16), np.uint8), spacing)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        check_spacing(spacing)


def test_missing_voxel_size_is_asked_for() -> None:
    volume = Volume(np.zeros((4, 16, 16), np.uint8), None, name="mine")
    with pytest.raises(InputError, match=r"mine has no voxel size in micrometres.*--spacing"):
        _ = volume.require_spacing_um()


def test_repr_does_not_print_voxels() -> None:
    assert "array" not in repr(Volume(np.zeros((4, 16, 16), np.uint8), SPACING_UM))


def test_voxel_size_for_people() -> None:
    assert format_spacing((0.5, 0.108, 0.10812)) == "0.5 x 0.108 x 0.108 um"


def test_read_box_gives_float32() -> None:
    data = np.arange(4 * 16 * 16, dtype=">u2").reshape(4, 16, 16)
    box = read_box(data, (slice(1, 3), slice(0, 5), slice(2, 4)))
    assert box.dtype == np.float32
    assert box.dtype.isnative
    np.testing.assert_array_equal(box, data[1:3, :5, 2:4])


@pytest.mark.parametrize(("value", "finite"), [(1.0, True), (np.nan, False), (np.inf, False), (-np.inf, False)])
def test_a_single_voxel_can_make_a_stack_not_finite(value: float, finite: bool) -> None:
    data = np.zeros((4, 16, 16), np.float32)
    data[3, 15, 15] = value
    assert all_finite(data) is finite


def test_integers_are_always_finite_and_not_even_read() -> None:
    class Unreadable:
        shape, dtype = (4, 16, 16), np.dtype(np.uint16)

        def __getitem__(self, key: object) -> np.ndarray:
            raise AssertionError("voxels were read")

    assert all_finite(Unreadable())


class Counted(LazyStack):
    """An array that notes which boxes are read of it."""

    def __init__(self, data: np.ndarray) -> None:
        self._data, self.boxes = data, list[tuple[slice, ...]]()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        return self._data.dtype

    def _read(self, box: tuple[slice, ...]) -> np.ndarray:
        self.boxes.append(box)
        return self._data[box]


indices = st.integers(-4, 3) | st.slices(4) | st.just(slice(None))


@given(st.lists(indices, max_size=3), st.booleans())
def test_a_lazy_stack_is_indexed_like_an_array(parts: list[int | slice], dotted: bool) -> None:
    data = np.arange(64).reshape(4, 4, 4)
    lazy = Counted(data)
    key = (*parts, ...) if dotted else tuple(parts)
    assert np.array_equal(lazy[key], data[key])
    (box,) = lazy.boxes
    assert len(box) == 3
    assert all(part.step is None for part in box)


def test_a_lazy_stack_reads_no_more_than_it_needs() -> None:
    lazy = Counted(np.arange(64).reshape(4, 4, 4))
    assert lazy[1, 3:0:-2].tolist() == [[28, 29, 30, 31], [20, 21, 22, 23]]
    assert lazy.boxes == [(slice(1, 2), slice(1, 4), slice(0, 4))]
    assert np.asarray(lazy).sum() == 63 * 32
    with pytest.raises(IndexError, match="out of range"):
        lazy[4]
    with pytest.raises(IndexError, match="too many indices"):
        lazy[0, 0, 0, 0]
