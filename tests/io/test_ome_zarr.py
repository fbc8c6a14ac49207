from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import open_stack
from tests.helpers.ome_zarr import write_converted, write_plate

TYPES = {"t": "time", "c": "channel"}


def axis(name: str, unit: str | None = "micrometer") -> dict[str, str]:
    found = {"name": name, "type": TYPES.get(name, "space")}
    return found | {"unit": unit} if found["type"] == "space" and unit else found


def multiscale(axes: str = "zyx", unit: str | None = "micrometer", **changes: Any) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0] * (len(axes) - 3) + [0.5, 0.11, 0.108]}]
    return {
        "axes": [axis(name, unit) for name in axes],
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
    } | changes


def write(path: Path, data: NDArray[Any], version: str, image: dict[str, Any], **more: Any) -> Path:
    is_05 = version == "0.5"
    group = zarr.create_group(path, zarr_format=3 if is_05 else 2)
    array = group.create_array("0", shape=data.shape, dtype=data.dtype, chunks=(1,) * (data.ndim - 2) + (16, 16))
    array[...] = data
    if is_05:
        group.attrs["ome"] = {"version": version, "multiscales": [image], **more}
    else:
        group.attrs.update({"multiscales": [{"version": version} | image], **more})
    return path


@pytest.fixture(params=["0.4", "0.5"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_voxels_and_voxel_size(tmp_path: Path, stack: NDArray[np.uint16], version: str) -> None:
    opened = open_stack(write(tmp_path / "cell.ome.zarr", stack, version, multiscale()))
    assert (opened.name, opened.data.shape) == ("cell", (1, 1, 6, 32, 48))
    assert (opened.spacing_um, opened.origin_um) == ((0.5, 0.11, 0.108), (0, 0, 0))
    np.testing.assert_array_equal(opened.volume().data[1:3, 4:9, ::2], stack[1:3, 4:9, ::2])


def test_time_and_named_channels(tmp_path: Path, version: str) -> None:
    data = np.arange(2 * 3 * 4 * 18 * 20, dtype=np.uint16).reshape(2, 3, 4, 18, 20)
    omero = {"channels": [{"label": "DAPI"}, {}, {"label": "GFP"}]}
    opened = open_stack(write(tmp_path / "a.zarr", data, version, multiscale("tczyx"), omero=omero))
    assert opened.channel_names == ("DAPI", "", "GFP")
    np.testing.assert_array_equal(opened.data[...], data)
    np.testing.assert_array_equal(opened.volume(channel=2, time=1).data[3], data[1, 2, 3])


@pytest.mark.parametrize(("unit", "factor"), [("nanometer", 1e-3), ("micrometer", 1), ("millimeter", 1e3)])
def test_units(tmp_path: Path, stack: NDArray[np.uint16], version: str, unit: str, factor: float) -> None:
    steps = [
        {"type": "scale", "scale": [0.5 / factor, 0.11 / factor, 0.108 / factor]},
        {"type": "translation", "translation": [1 / factor, -2 / factor, 3 / factor]},
    ]
    image = multiscale(unit=unit, datasets=[{"path": "0", "coordinateTransformations": steps}])
    opened = open_stack(write(tmp_path / "a.zarr", stack, version, image))
    assert opened.spacing_um == pytest.approx((0.5, 0.11, 0.108))
    assert opened.origin_um == pytest.approx((1, -2, 3))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unit", [None, "pixel"])
def test_without_a_unit_the_voxel_size_is_unknown(
    tmp_path: Path, stack: NDArray[np.uint16], version: str, unit: str | None
) -> None:
    opened = open_stack(write(tmp_path / "a.zarr", stack, version, multiscale(unit=unit)))
    assert opened.spacing_um is None


def test_the_whole_images_transformation_comes_second(tmp_path: Path, stack: NDArray[np.uint16], version: str) -> None:
    # p = s2 (s1 i + t1) + t2
    level = [
        {"type": "scale", "scale": [5.0, 2.0, 2.0]},
        {"type": "translation", "translation": [10.0, 20.0, 30.0]},
    ]
    both = [
        {"type": "scale", "scale": [0.1, 0.1, 0.1]},
        {"type": "translation", "translation": [1.0, 1.0, 1.0]},
    ]
    datasets = [{"path": "0", "coordinateTransformations": level}]
    image = multiscale(datasets=datasets, coordinateTransformations=both)
    opened = open_stack(write(tmp_path / "a.zarr", stack, version, image))
    assert opened.spacing_um == pytest.approx((0.5, 0.2, 0.2))
    assert opened.origin_um == pytest.approx((2, 3, 4))


def test_the_finest_of_several_levels(tmp_path: Path, stack: NDArray[np.uint16], version: str) -> None:
    levels = [
        {"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.1 * f, 0.1 * f]}]}
        for i, f in enumerate((1, 2))
    ]
    path = write(tmp_path / "a.zarr", stack, version, multiscale(datasets=levels))
    zarr.open_group(path).create_array("1", data=stack[:, ::2, ::2])
    assert open_stack(path).volume().shape == stack.shape


def test_an_image_inside_a_collection_of_bioformats2raw(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    zarr.create_group(tmp_path / "a.zarr", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    write(tmp_path / "a.zarr" / "0", stack, "0.4", multiscale())
    np.testing.assert_array_equal(open_stack(tmp_path / "a.zarr").volume().data[...], stack)


def test_a_box_reads_just_its_chunks(
    tmp_path: Path, stack: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.zarr", stack, "0.5", multiscale())
    volume = open_stack(path).volume()
    read: list[str] = []
    get = zarr.storage.LocalStore.get

    async def counted(self: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        read.append(key)
        return await get(self, key, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    np.testing.assert_array_equal(volume.data[2:4, :16, 20:30], stack[2:4, :16, 20:30])
    assert sorted(read) == ["0/c/2/0/1", "0/c/3/0/1"]


def test_a_folder_that_is_no_zarr(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder, but no OME-Zarr.*Image Sequence"):
        open_stack(tmp_path)


def test_a_bare_zarr_array(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    zarr.save_array(tmp_path / "a.zarr", stack)
    with pytest.raises(InputError, match="is a folder, but no OME-Zarr"):
        open_stack(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "holds no image"),
        ({"plate": {"wells": []}}, "holds no image.*Give the folder of an image inside"),
        ({"plate": {"wells": [{"path": "../b.zarr"}, {"path": "A/1"}, "text"]}}, "holds no image"),
        (
            {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}]}]},
            "is OME-Zarr 0.1; 0.4 and 0.5 are read",
        ),
        ({"multiscales": [{"version": "0.4", "datasets": [{"path": "0"}]}]}, "not valid OME-Zarr: axes"),
        ({"ome": {"version": "0.5", "multiscales": ["text"]}}, "not valid OME-Zarr"),
        ({"ome": {"version": "0.5", "multiscales": [multiscale()]}}, "level '0' is missing"),
    ],
)
def test_groups_that_hold_no_image_that_can_be_read(tmp_path: Path, attributes: dict[str, Any], message: str) -> None:
    zarr.create_group(tmp_path / "a.zarr", attributes=attributes)
    with pytest.raises(InputError, match=message):
        open_stack(tmp_path / "a.zarr")


def test_a_level_with_other_axes_than_listed(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", stack[0], "0.5", multiscale())
    with pytest.raises(InputError, match="does not have the 3 axes listed"):
        open_stack(path)


def test_a_single_plane_is_refused(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", stack[:1], "0.5", multiscale())
    with pytest.raises(InputError, match="single plane of 32 x 48"):
        open_stack(path)


def test_complex_voxels_are_refused(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", stack.astype(np.complex64), "0.5", multiscale())
    with pytest.raises(InputError, match="complex64 voxels"):
        open_stack(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shape", "float128"),
        ("shape", [6.5, 32, 40]),
        ("chunks", [{"name": "gzip"}]),
        ("chunks", [0, 0, 0]),
        ("fill_value", "|O"),
        ("data type", {"name": "unknown"}),
        ("data type", "|S9999999999"),
    ],
)
def test_a_level_that_makes_no_sense(
    tmp_path: Path, stack: NDArray[np.uint16], version: str, name: str, value: object
) -> None:
    path = write(tmp_path / "a.zarr", stack, version, multiscale())
    file = path / "0" / ("zarr.json" if version == "0.5" else ".zarray")
    about = json.loads(file.read_text())
    if name == "chunks" and version == "0.5":
        about["chunk_grid"]["configuration"]["chunk_shape"] = value
    else:
        about[{"data type": "data_type" if version == "0.5" else "dtype"}.get(name, name)] = value
    file.write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"^[^\n]*a\.zarr[^\n]*$|^a "):
        open_stack(path).volume().data[...]


def test_a_damaged_chunk(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", stack, "0.5", multiscale())
    (path / "0" / "c" / "3" / "0" / "0").write_bytes(b"nonsense")
    volume = open_stack(path).volume()
    np.testing.assert_array_equal(volume.data[2], stack[2])
    with pytest.raises(InputError, match="a part of a cannot be read"):
        volume.data[3]


@pytest.mark.parametrize("listed", [True, False])
def test_images_of_a_converted_file_are_a_choice(tmp_path: Path, stack: NDArray[np.uint16], listed: bool) -> None:
    path = write_converted(tmp_path / "a.zarr", [stack, stack + 100], listed=listed)
    with pytest.raises(InputError, match=r"a holds 2 images \(0: 0, 6 planes of 32 x 48 pixels; 1: 1, .*--position"):
        open_stack(path)
    opened = open_stack(path, position=1)
    assert (opened.spacing_um, opened.position) == ((1.5, 0.2, 0.2), "1")
    np.testing.assert_array_equal(opened.volume().data[...], stack + 100)


def test_fields_of_a_plate_are_a_choice(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write_plate(tmp_path / "a.zarr", [stack, stack + 100])
    with pytest.raises(InputError, match=r"0: A/1/0, 6 planes .*; 1: A/1/1.*--position"):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, position=1).volume().data[...], stack + 100)


def test_an_axis_that_runs_backwards(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    image = multiscale(coordinateTransformations=[{"type": "scale", "scale": [-1.0, 1.0, 1.0]}])
    opened = open_stack(write(tmp_path / "a.zarr", stack, "0.4", image))
    assert opened.spacing_um == (0.5, 0.11, 0.108)
    assert "negative along z" in opened.notices[0]


def test_page_axes_are_refused(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write_converted(tmp_path / "a.zarr", [stack], listed=True)
    with pytest.raises(InputError, match="pages of a TIFF file"):
        open_stack(path, axes="Z")


@pytest.mark.parametrize("found", [[-1, 2], {"a": 1}, "9" * 5000])
def test_a_version_that_makes_no_sense_is_refused(tmp_path: Path, stack: NDArray[np.uint16], found: Any) -> None:
    path = write(tmp_path / "a.zarr", stack, "0.4", multiscale())
    group = zarr.open_group(path)
    group.attrs["multiscales"] = [group.attrs["multiscales"][0] | {"version": found}]
    with pytest.raises(InputError, match=r"0\.4 and 0\.5 are read") as refused:
        open_stack(path)
    assert len(str(refused.value)) < 300 + len(str(path))


def test_a_long_name_of_a_level_is_cut(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write(tmp_path / "a.zarr", stack, "0.4", multiscale())
    group = zarr.open_group(path)
    image = group.attrs["multiscales"][0]
    group.attrs["multiscales"] = [image | {"datasets": [image["datasets"][0] | {"path": "0" * 5000}]}]
    with pytest.raises(InputError, match="its level") as refused:
        open_stack(path)
    assert len(str(refused.value)) < 500 + len(str(path))
