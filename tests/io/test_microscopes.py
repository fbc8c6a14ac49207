"""Microscopes' own files: ND2, LIF, CZI, IMS, through the libraries that read them.

The CZI files are written by Zeiss's library, the others by the helpers, and read by the real libraries.
"""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from napari_deep3d.core import InputError
from napari_deep3d.io import StackFile, open_stack, open_stacks
from tests.helpers import microscope_files as made

LIBRARIES = {"nd2": "nd2", "lif": "liffile", "czi": "pylibCZIrw", "ims": "h5py"}
WRITERS = {"nd2": made.write_nd2, "lif": made.write_lif, "czi": made.write_czi, "ims": made.write_ims}
STARTS = {"nd2": b"\xda\xce\xbe\x0a", "lif": b"\x70\0\0\0", "czi": b"ZISRAWFILE", "ims": b"\x89HDF\r\n\x1a\n"}
SHAPE = (2, 2, 5, 18, 20)


def need(kind: str) -> None:
    pytest.importorskip(LIBRARIES[kind], reason='needs pip install "napari-deep3d[formats]"')


def write(kind: str, folder: Path, positions: int = 2, **options: int) -> tuple[Path, NDArray[np.uint16]]:
    need(kind)
    data = made.stack(1 if kind == "ims" else positions, *SHAPE)
    return WRITERS[kind](folder / f"cell.{kind}", data, **options), data


@pytest.mark.parametrize("kind", LIBRARIES)
def test_each_position_with_what_the_file_says_of_it(tmp_path: Path, kind: str) -> None:
    path, data = write(kind, tmp_path)
    opened = open_stacks(path)
    assert len(opened) == len(data)
    for stack, voxels in zip(opened, data, strict=True):
        np.testing.assert_array_equal(stack.data[...], voxels)
        expected = (0.5, 0.2, 0.2) if kind == "nd2" else made.SPACING_UM  # ND2 has square pixels
        assert stack.spacing_um == pytest.approx(expected)
        assert (stack.channel_names, stack.channel_colors) == (made.NAMES, made.COLORS)
        assert stack.time_step_s == pytest.approx(made.TIME_STEP_S)
        assert stack.notices == ()
        optics = {"numerical_aperture": made.APERTURE, "immersion_index": made.INDEX}
        assert stack.known_optics(1) == optics | {"emission_nm": made.EMISSIONS_NM[1]}
    if len(data) > 1:
        with pytest.raises(InputError, match=f"2 images .0: {opened[0].position}, .*--position"):
            open_stack(path)
        np.testing.assert_array_equal(open_stack(path, position=1).volume(1, 0).data[...], data[1, 0, 1])


@pytest.mark.parametrize(
    ("kind", "origins_um"),
    [
        ("nd2", [(3, 2, 1), (3, 4, 2)]),
        ("lif", [(3, 2, 1), (3, 4, 2)]),
        ("czi", [(7, 0, 0), (7, 4 * 0.2, 30 * 0.25)]),
        ("ims", [(3 + 0.25, 2 + 0.1, 1 + 0.125)]),  # the centre of a voxel; the extent is that of its faces
    ],
)
def test_where_the_first_voxel_lies(tmp_path: Path, kind: str, origins_um: list[tuple[float, ...]]) -> None:
    path, _ = write(kind, tmp_path)
    for stack, origin_um in zip(open_stacks(path), origins_um, strict=True):
        assert stack.origin_um == pytest.approx(origin_um)


@pytest.mark.parametrize("kind", LIBRARIES)
def test_any_box_is_read_by_itself_from_any_thread(tmp_path: Path, kind: str) -> None:
    path, data = write(kind, tmp_path, positions=1)
    stack, (whole,) = open_stack(path), data
    boxes = [
        (1, 0, slice(1, 4), slice(3, 9), slice(11, 20)),
        (slice(None), 1, slice(None, None, 2), 17, slice(None, None, -3)),
        (0, 0, slice(2, 2)),
        (..., 19),
    ] * 5
    with ThreadPoolExecutor(4) as pool:
        for box, read in zip(boxes, pool.map(stack.data.__getitem__, boxes), strict=True):
            np.testing.assert_array_equal(read, whole[box])


@pytest.mark.parametrize("kind", LIBRARIES)
def test_the_file_is_let_go_with_the_stack(tmp_path: Path, kind: str) -> None:
    path, _ = write(kind, tmp_path, positions=1)
    volume = open_stack(path).volume(0, 0)
    assert volume.data[0, 0, 0] == 0
    del volume
    gc.collect()
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


@pytest.mark.parametrize("kind", LIBRARIES)
def test_without_the_library_the_line_that_installs_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"cell.{kind}"
    padding = {"nd2": b"ND2 CHUNK MAP SIGNATURE 0000001!" + bytes(8)}
    path.write_bytes(STARTS[kind].ljust(200, b"\0") + padding.get(kind, b""))
    monkeypatch.setitem(sys.modules, LIBRARIES[kind], None)
    if kind == "czi":
        monkeypatch.setitem(sys.modules, "pylibCZIrw.czi", None)
    with pytest.raises(InputError) as caught:
        open_stack(path)
    line = f'{path} needs a library for .{kind} files: pip install "napari-deep3d[formats]"'
    assert str(caught.value) == line


@pytest.mark.parametrize("kind", LIBRARIES)
def test_wrong_and_empty_files_are_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"cell.{kind}"
    path.touch()
    with pytest.raises(InputError, match=r"is empty \(0 bytes\)"):
        open_stack(path)
    path.write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(InputError, match=r"file but a TIFF file. Give a stack .* does not convert it"):
        open_stack(path)
    with pytest.raises(InputError, match="--axes says what the pages of a TIFF file are"):
        open_stack(path, axes="Z")


@pytest.mark.parametrize("kind", LIBRARIES)
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, kind: str) -> None:
    path, data = write(kind, tmp_path, positions=1)
    whole = path.read_bytes()
    lengths = [len(STARTS[kind]) + 4, 100, *np.linspace(200, len(whole) - 64, 12).astype(int)]  # its end may be padding
    for length in lengths:
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut off: it ends after|cannot be read as"):
            open_stack(path)
    path.write_bytes(whole)
    np.testing.assert_array_equal(open_stack(path).data[...], data[0])


@pytest.mark.parametrize("kind", ["nd2", "czi"])
def test_a_stopped_acquisition_gives_its_finished_time_points(tmp_path: Path, kind: str) -> None:
    missing = 1 if kind == "nd2" else 2  # a frame of ND2 holds both channels
    path, data = write(kind, tmp_path, positions=1, taken=(2 * 5 - 1) if kind == "nd2" else (2 * 2 * 5 - missing))
    stack = open_stack(path)
    assert "cell" in stack.notices[0]
    if kind == "nd2":
        assert (stack.n_times, stack.missing) == (1, {})
        assert "1 of the 2 time points" in stack.notices[0]
    np.testing.assert_array_equal(stack.volume(0, 0).data[...], data[0, 0, 0])


@pytest.mark.parametrize("kind", ["nd2", "czi"])
def test_an_acquisition_of_which_no_stack_is_whole(tmp_path: Path, kind: str) -> None:
    path, _ = write(kind, tmp_path, positions=1, taken=3)
    if kind == "czi":  # it lists what it holds: a shorter stack
        assert open_stack(path).data.shape[2] == 3
        return
    with pytest.raises(InputError, match=r"lacks planes of every stack .* stopped before its end"):
        open_stack(path)


def test_a_channel_that_was_not_taken_cannot_be_chosen(tmp_path: Path) -> None:
    path, data = write("ims", tmp_path)
    import h5py

    with h5py.File(path, "a") as file:
        del file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 1"]
    stack: StackFile = open_stack(path)
    np.testing.assert_array_equal(stack.volume(1, 1).data[...], data[0, 1, 1])
    with pytest.raises(InputError, match="time point 0, channel 1 of cell cannot be read"):
        stack.volume(1, 0)


def test_nd2_that_was_not_calibrated_has_no_voxel_size(tmp_path: Path) -> None:
    path, _ = write("nd2", tmp_path, positions=1, calibrated=False)
    assert open_stack(path).spacing_um is None


def test_nd2_that_was_compressed(tmp_path: Path) -> None:
    path, data = write("nd2", tmp_path, compressed=True)
    np.testing.assert_array_equal(open_stack(path, position=1).data[1, :, 2:, 3:9], data[1, 1, :, 2:, 3:9])


def test_the_oldest_nd2_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "cell.nd2"
    path.write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n".ljust(99, b"\0"))
    with pytest.raises(InputError, match="oldest kind"):
        open_stack(path)


def test_pictures_in_colour_and_single_planes_are_refused(tmp_path: Path) -> None:
    need("czi")
    from pylibCZIrw import czi

    path = tmp_path / "photo.czi"
    with czi.create_czi(str(path)) as file:
        file.write(np.zeros((18, 20, 3), np.uint8))
    with pytest.raises(InputError, match="pixels of kind Bgr24"):
        open_stack(path)
    plane = made.write_czi(tmp_path / "plane.czi", made.stack(1, 1, 1, 1, 18, 20))
    with pytest.raises(InputError, match="single plane of 18 x 20 pixels"):
        open_stack(plane)


def test_hdf5_that_is_no_imaris(tmp_path: Path) -> None:
    need("ims")
    import h5py

    path = tmp_path / "data.ims"
    h5py.File(path, "w").close()
    with pytest.raises(InputError, match="is HDF5, but no Imaris file"):
        open_stack(path)
