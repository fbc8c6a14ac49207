from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yaozarrs import validate_ome_uri, validate_zarr_store

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.types import FloatArray
from napari_deep3d.io import StackWriter, check_output, open_stack, write_stack

SPACING_UM = (0.5, 0.11, 0.108)
SHAPE = (5, 18, 20)
NAMES = ["a.tif", "a.tiff", "a.ome.tif", "a.zarr", "a.ome.zarr"]

sizes = st.floats(0.001, 100)
places = st.floats(-1e6, 1e6)


@pytest.fixture(params=["a.ome.tif", "a.zarr"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


def contents(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(4, 40), st.integers(16, 40), st.integers(16, 40)),
    spacing_um=st.tuples(sizes, sizes, sizes),
    origin_um=st.tuples(places, places, places),
)
def test_what_is_written_is_read_back(path: Path, shape: Any, spacing_um: Any, origin_um: Any) -> None:
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    write_stack(path, data, spacing_um, origin_um, overwrite=True)
    volume = open_stack(path).volume()
    assert volume.spacing_um == pytest.approx(spacing_um, rel=1e-12)
    assert volume.origin_um == pytest.approx(origin_um, rel=1e-12)
    np.testing.assert_array_equal(volume.data[...], data)


@pytest.mark.parametrize("name", NAMES)
def test_every_name(tmp_path: Path, name: str) -> None:
    data = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
    assert write_stack(tmp_path / name, data, SPACING_UM) == tmp_path / name
    assert contents(tmp_path) == [name]
    np.testing.assert_array_equal(open_stack(tmp_path / name).volume().data[...], data)


def test_time_points(path: Path) -> None:
    data = np.arange(3 * np.prod(SHAPE), dtype=np.float32).reshape(3, *SHAPE)
    write_stack(path, data, SPACING_UM, (1, 2, 3))
    opened = open_stack(path)
    assert (opened.n_times, opened.spacing_um, opened.origin_um) == (3, SPACING_UM, (1, 2, 3))
    np.testing.assert_array_equal(opened.volume(time=2).data[...], data[2])


def test_boxes_add_up_from_zero(path: Path) -> None:
    expected = np.zeros(SHAPE, np.float32)
    rng = np.random.default_rng(0)
    with StackWriter(path, SHAPE, SPACING_UM) as writer:
        assert (writer.data.shape, writer.data.dtype) == (SHAPE, np.float32)
        assert not np.any(writer.data[...])
        for z, y, x in [(0, 0, 0), (1, 4, 6), (2, 8, 0)]:
            box, values = (
                np.s_[z : z + 3, y : y + 10, x : x + 12],
                rng.normal(size=(3, 10, 12)).astype(np.float32),
            )
            writer.data[box] += values
            expected[box] += values
        np.testing.assert_array_equal(writer.data[...], expected)
    np.testing.assert_array_equal(open_stack(path).volume().data[...], expected)


def test_nothing_has_the_name_before_the_end(path: Path) -> None:
    with StackWriter(path, SHAPE, SPACING_UM):
        assert not path.exists()
        assert len(contents(path.parent)) == 1
        assert contents(path.parent)[0].startswith(".a.")
    assert contents(path.parent) == [path.name]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, OSError])
def test_an_exception_leaves_nothing(path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), StackWriter(path, SHAPE, SPACING_UM) as writer:  # noqa: PT012
        writer.data[0] = 1
        raise error("stopped")
    assert contents(path.parent) == []


def test_an_exception_leaves_the_old_result(path: Path) -> None:
    write_stack(path, np.ones(SHAPE), SPACING_UM)

    def stopped() -> None:
        with StackWriter(path, SHAPE, SPACING_UM, overwrite=True) as writer:
            writer.data[0] = 7
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        stopped()
    assert contents(path.parent) == [path.name]
    assert np.all(open_stack(path).volume().data[...] == 1)


def test_overwriting_replaces_the_whole(path: Path) -> None:
    write_stack(path, np.ones((30, 300, 300), np.float32), SPACING_UM)
    write_stack(path, np.full(SHAPE, 2.0), SPACING_UM, overwrite=True)
    assert contents(path.parent) == [path.name]
    volume = open_stack(path).volume()
    assert volume.shape == SHAPE
    assert np.all(volume.data[...] == 2)


def test_without_overwrite_nothing_is_touched(path: Path) -> None:
    write_stack(path, np.ones(SHAPE), SPACING_UM)
    with pytest.raises(InputError, match=r"exists and is not replaced.*--overwrite"):
        write_stack(path, np.zeros(SHAPE), SPACING_UM)
    assert np.all(open_stack(path).volume().data[...] == 1)


def test_a_name_taken_meanwhile_keeps_both(path: Path) -> None:
    def meanwhile() -> None:
        with StackWriter(path, SHAPE, SPACING_UM) as writer:
            writer.data[...] = 2
            other = write_stack(path.with_name("b" + path.suffix), np.ones(SHAPE), SPACING_UM)
            other.rename(path)

    with pytest.raises(InputError, match=r"finished but could not be named.*kept as"):
        meanwhile()
    assert np.all(open_stack(path).volume().data[...] == 1)
    kept = next(p for p in path.parent.iterdir() if p != path)
    assert np.all(open_stack(kept).volume().data[...] == 2)


def test_a_folder_that_cannot_be_replaced_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_stack(tmp_path / "a.zarr", np.ones(SHAPE), SPACING_UM)
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if ".part-" in self.name:
            raise PermissionError(13, "in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(InputError, match=r"in use.*kept as"):
        write_stack(path, np.zeros(SHAPE), SPACING_UM, overwrite=True)
    assert np.all(open_stack(path).volume().data[...] == 1)


def test_a_disk_too_small_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with (
        pytest.raises(InputError, match=r"are needed.*are free"),
        StackWriter(tmp_path / "a.tif", SHAPE, SPACING_UM),
    ):
        pass
    assert contents(tmp_path) == []


def test_a_disk_that_fills_up(path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"cannot write .*No space.*Make room"),
        StackWriter(path, SHAPE, SPACING_UM),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert contents(path.parent) == []


@pytest.mark.parametrize("shape", [(18, 20), (0, 18, 20), (1, 2, 5, 18, 20)])
def test_shapes_that_are_no_stack(path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="Z, Y, X or T, Z, Y, X are needed"):
        StackWriter(path, shape, SPACING_UM)


def test_a_voxel_size_that_cannot_be(path: Path) -> None:
    with pytest.raises(InputError, match="voxel size"):
        StackWriter(path, SHAPE, (0.5, 0.0, 0.1))


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("uint8", "uint8"),
        ("int16", "int16"),
        (">u2", "uint16"),
        ("uint32", "uint32"),
        ("float16", "float32"),
        ("float64", "float64"),
        ("int64", "float64"),
        ("uint64", "float64"),
    ],
)
def test_every_real_kind_of_number(path: Path, dtype: str, stored: str) -> None:
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(dtype)
    volume = open_stack(write_stack(path, data, SPACING_UM)).volume()
    assert volume.data.dtype == np.dtype(stored)
    np.testing.assert_array_equal(volume.data[...], data)


@pytest.mark.parametrize("dtype", [np.complex64, np.bool_])
def test_no_other_kind(path: Path, dtype: Any) -> None:
    with pytest.raises(InputError, match=r"cannot write .* voxels"):
        write_stack(path, np.zeros(SHAPE, dtype), SPACING_UM)
    assert contents(path.parent) == []


def test_ome_tiff_says_all_to_other_programs(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_stack(
        path,
        np.ones(SHAPE, np.float32),
        SPACING_UM,
        (1, 2, 3),
        channel_name="like <confocal>",
        description={"µ": [1]},
    )
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert (tif.series[0].axes, tif.series[0].shape) == ("ZYX", SHAPE)
        tags = tif.pages.first.tags
        centimetre = tags["ResolutionUnit"].value
        per_cm = [tags[f"{axis}Resolution"].value for axis in "YX"]
        xml = tif.ome_metadata
    assert centimetre == 3
    assert [1e4 * n / d for d, n in per_cm] == pytest.approx(SPACING_UM[1:])
    image = ElementTree.fromstring(xml).find("{*}Image")
    assert image is not None
    assert json.loads(image.findtext("{*}Description") or "") == {"µ": [1]}
    pixels = image.find("{*}Pixels")
    assert pixels is not None
    assert [float(pixels.get(f"PhysicalSize{axis}", 0)) for axis in "ZYX"] == list(SPACING_UM)
    assert {pixels.get(f"PhysicalSize{axis}Unit") for axis in "ZYX"} == {"µm"}
    assert [float(p.get("PositionZ", 0)) for p in pixels.findall("{*}Plane")] == [1, 1.5, 2, 2.5, 3]
    assert open_stack(path).channel_names == ("like <confocal>",)


def test_ome_zarr_is_valid(tmp_path: Path) -> None:
    path = write_stack(tmp_path / "a.zarr", np.ones((20, 600, 20), np.float32), SPACING_UM, description={"by": "x"})
    validate_zarr_store(str(path))
    image = validate_ome_uri(path).attributes.ome.multiscales[0]
    assert [level.path for level in image.datasets] == ["0", "1"]
    assert [(axis.name, axis.unit) for axis in image.axes] == [(name, "micrometer") for name in "zyx"]
    group = zarr.open_group(path, mode="r")
    assert group.attrs["napari-deep3d"] == {"by": "x"}
    assert group["0"].chunks == (1, 512, 20)  # a plane is read without its neighbours


def test_a_description_that_is_no_json_is_told_at_once(path: Path) -> None:
    with pytest.raises(TypeError):
        StackWriter(path, SHAPE, SPACING_UM, description={"stack": object()})


def test_a_big_result_is_a_bigtiff(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 6e9:
        pytest.skip("needs 6 GB of free disk")
    with StackWriter(tmp_path / "a.tif", (70, 4096, 4096), SPACING_UM) as writer:
        writer.data[69, 4095, 4095] = 5
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_bigtiff
    assert open_stack(tmp_path / "a.tif").volume().data[69, 4095, 4095] == 5


def test_the_stack_is_closed_at_the_end(tmp_path: Path) -> None:
    with StackWriter(tmp_path / "a.tif", SHAPE, SPACING_UM) as writer:
        box: FloatArray = writer.data[0]
        box += 1
        assert not np.any(np.asarray(writer.data))  # what was read is a copy
    with pytest.raises(ValueError, match="open the file to read it"):
        writer.data[0]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_can_be_written(tmp_path: Path, name: str) -> None:
    assert check_output(str(tmp_path / name)) == tmp_path / name
    assert contents(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.png", r"its ending is .png; .tif, .tiff .OME-TIFF. and .zarr"),
        ("a", "its ending is missing"),
        ("missing/a.tif", "there is no folder .*Make it first"),
        ("file.tif/a.tif", "there is no folder"),
        ("file.tif", "exists and is not replaced"),
    ],
)
def test_names_that_cannot(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file.tif").write_bytes(b"old")
    with pytest.raises(InputError, match=message):
        check_output(tmp_path / name)


@pytest.mark.parametrize("name", ["folder.tif", "folder.zarr", "file.zarr"])
def test_what_is_no_stack_of_that_kind_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "folder.zarr").mkdir()
    (tmp_path / "folder.zarr" / "thesis.doc").touch()
    (tmp_path / "file.zarr").touch()
    with pytest.raises(InputError, match="is not replaced"):
        check_output(tmp_path / name, overwrite=True)
    assert (tmp_path / "folder.zarr" / "thesis.doc").exists()


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="may not write into"):
        check_output(tmp_path / "a.tif")
