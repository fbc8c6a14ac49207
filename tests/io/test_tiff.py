from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import StackWriter, open_stack
from tests.helpers.ome_files import write_pages

Ramp = Callable[..., NDArray[np.uint16]]
ImageJ = Callable[..., Path]
OME_ORDERS = ["TCZYX", "TZCYX", "CTZYX", "CZTYX", "ZTCYX", "ZCTYX"]


@pytest.mark.parametrize("axes", OME_ORDERS)
@pytest.mark.parametrize("how", [{}, {"compression": "zlib", "tile": (16, 16)}])
def test_ome_tiff_of_every_order(tmp_path: Path, ramp: Ramp, axes: str, how: dict[str, Any]) -> None:
    data = ramp(2, 3, 4, 18, 20)
    stored = data.transpose(["TCZYX".index(axis) for axis in axes])
    tifffile.imwrite(tmp_path / "a.ome.tif", stored, metadata={"axes": axes}, **how)
    opened = open_stack(tmp_path / "a.ome.tif")
    assert (opened.name, opened.n_times, opened.n_channels) == ("a", 2, 3)
    np.testing.assert_array_equal(opened.data[...], data)
    np.testing.assert_array_equal(opened.volume(channel=2, time=1).data[1:3, 5], data[1, 2, 1:3, 5])


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"byteorder": ">"},
        {"metadata": None},
        {"bigtiff": True},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True, "rowsperstrip": 4},
        {"tile": (16, 16)},
    ],
)
def test_plain_pages_are_planes(tmp_path: Path, stack: NDArray[np.uint16], how: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stack, **how)
    opened = open_stack(tmp_path / "a.tif")
    assert opened.data.shape == (1, 1, 6, 32, 48)
    assert opened.data.dtype == np.uint16
    np.testing.assert_array_equal(opened.volume().data[...], stack)


@pytest.mark.parametrize("rows", [1, 32])
def test_planes_that_do_not_follow_each_other(tmp_path: Path, stack: NDArray[np.uint16], rows: int) -> None:
    with tifffile.TiffWriter(tmp_path / "a.TIFF") as tif:
        for plane in stack:
            tif.write(plane, contiguous=False, metadata=None, rowsperstrip=rows)
    opened = open_stack(tmp_path / "a.TIFF")
    np.testing.assert_array_equal(opened.volume().data[2:4, 3:9], stack[2:4, 3:9])
    source: Any = opened.data.source
    assert source.chunks == (1, 32, 48)  # also where the file has a strip for every row


def test_several_images_of_a_file_are_a_choice(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tif:
        tif.write(stack, metadata={"axes": "ZYX", "PhysicalSizeX": 0.1})
        tif.write(stack[:, :20, :20] + 1, metadata={"axes": "ZYX", "PhysicalSizeX": 0.2})
    with pytest.raises(InputError, match=r"0: Image0, 6 planes of 32 x 48.*1: Image1, 6 planes of 20 x 20.*--position"):
        open_stack(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(open_stack(tmp_path / "a.ome.tif", position=0).volume().data[...], stack)


def test_series_of_a_plain_tiff_are_a_choice(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write_pages(tmp_path / "a.tif", [*stack, *stack[:, :20, :20]])
    with pytest.raises(InputError, match=r"2 images \(0: .*32 x 48 pixels; 1: .*20 x 20 pixels\).*--position"):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, position=1).volume().data[...], stack[:, :20, :20])


def test_imagej_hyperstack(imagej: ImageJ, ramp: Ramp) -> None:
    data = ramp(2, 5, 2, 18, 20)
    path = imagej(data, "TZCYX", unit="micron", spacing=0.4, Labels=["DAPI", "GFP"] * 10)
    opened = open_stack(path)
    np.testing.assert_array_equal(opened.data[...], data.transpose(0, 2, 1, 3, 4))
    assert opened.spacing_um == pytest.approx((0.4, 0.2, 0.1))
    assert opened.channel_names == ("DAPI", "GFP")


def test_labels_that_differ_by_plane_name_no_channel(imagej: ImageJ, ramp: Ramp) -> None:
    labels = [f"c:{c} z:{z}" for z in range(5) for c in (1, 2)]
    assert open_stack(imagej(ramp(5, 2, 18, 20), "ZCYX", Labels=labels)).channel_names == ("", "")


@pytest.mark.parametrize(("unit", "factor"), [("um", 1), ("\\u00B5m", 1), ("nm", 1e-3), ("mm", 1e3)])
def test_imagej_units(imagej: ImageJ, stack: NDArray[np.uint16], unit: str, factor: float) -> None:
    path = imagej(stack, unit=unit, spacing=0.4 / factor, pixels_per_unit=(10 * factor, 5 * factor))
    assert open_stack(path).spacing_um == pytest.approx((0.4, 0.2, 0.1))


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"unit": "pixel", "spacing": 0.4},
        {"spacing": 0.4},
        {"unit": "um"},
        {"unit": "um", "spacing": 0},
        {"unit": "um", "spacing": "inf"},
        {"unit": "um", "zunit": "pixel", "spacing": 0.4},
        {"unit": "um", "spacing": 0.4, "pixels_per_unit": (1e-6, 1e-6)},
    ],
)
def test_imagej_without_a_whole_voxel_size(
    imagej: ImageJ, stack: NDArray[np.uint16], metadata: dict[str, object]
) -> None:
    assert open_stack(imagej(stack, **metadata)).spacing_um is None


def test_planes_that_run_downwards(imagej: ImageJ, stack: NDArray[np.uint16]) -> None:
    opened = open_stack(imagej(stack, unit="um", spacing=-0.4))
    assert opened.spacing_um == pytest.approx((0.4, 0.2, 0.1))
    assert "runs downwards in z" in opened.volume().notices[0]


@pytest.mark.parametrize(("pages", "times"), [(12, 2), (15, 2), (18, 3)])
def test_an_imagej_series_that_was_stopped(tmp_path: Path, stack: NDArray[np.uint16], pages: int, times: int) -> None:
    planes = np.concatenate([stack, stack + 1000, stack + 2000])
    text = "ImageJ=1.54f\nimages=18\nslices=6\nframes=3\nhyperstack=true\n"
    opened = open_stack(write_pages(tmp_path / "a.tif", planes[:pages], text))
    np.testing.assert_array_equal(opened.data[:, 0], planes[: 6 * times].reshape(times, 6, 32, 48))
    assert len(opened.notices) == (times < 3)


@pytest.mark.parametrize("counts", ["slices=6\nchannels=2", "slices=4", "slices=3\nframes=1"])
def test_an_imagej_description_that_does_not_fit(tmp_path: Path, stack: NDArray[np.uint16], counts: str) -> None:
    path = write_pages(tmp_path / "a.tif", stack, f"ImageJ=1.54f\nimages=6\n{counts}\n")
    with pytest.raises(InputError, match=r"does not tell what its 6 pages are: its ImageJ description lists.*--axes"):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, axes="Z").volume().data[...], stack)


def test_axes_of_planes_in_one_directory(imagej: ImageJ, ramp: Ramp) -> None:
    data = ramp(8, 18, 20)
    path = imagej(data, unit="um", spacing=0.4)
    opened = open_stack(path, axes="Z,C2")
    np.testing.assert_array_equal(opened.data[0, 1], data[1::2])
    assert opened.spacing_um == pytest.approx((0.4, 0.2, 0.1))


def test_pixels_per_cm_beside_planes_in_um(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    text = "ImageJ=1.54f\nimages=6\nslices=6\nunit=um\nspacing=0.5\n"
    path = tmp_path / "a.tif"
    write_pages(path, stack, text, resolution=(50000, 50000), resolutionunit="CENTIMETER")
    assert open_stack(path).spacing_um == pytest.approx((0.5, 0.2, 0.2))


@pytest.mark.parametrize("suffix", [".btf", ".tf8", ".tf2", ".BTF"])
def test_endings_of_bigtiff(tmp_path: Path, stack: NDArray[np.uint16], suffix: str) -> None:
    tifffile.imwrite(tmp_path / f"a{suffix}", stack, bigtiff=True)
    np.testing.assert_array_equal(open_stack(tmp_path / f"a{suffix}").volume().data[...], stack)


@pytest.mark.parametrize("first", [True, False])
def test_a_thumbnail_is_no_stack(tmp_path: Path, stack: NDArray[np.uint16], first: bool) -> None:
    small = stack[0, ::4, ::4]
    path = write_pages(tmp_path / "a.tif", [small, *stack] if first else [*stack, small])
    np.testing.assert_array_equal(open_stack(path).volume().data[...], stack)


def test_a_thumbnail_in_an_imagej_file(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    text = "ImageJ=1.54f\nimages=6\nslices=3\nchannels=2\nhyperstack=true\n"
    opened = open_stack(write_pages(tmp_path / "a.tif", [stack[0, ::4, ::4], *stack], text))
    np.testing.assert_array_equal(opened.data[0, 1], stack[1::2])


@pytest.mark.parametrize("samples", [2, 3, 4])
@pytest.mark.parametrize("planar", ["CONTIG", "SEPARATE"])
def test_samples_of_a_pixel_are_channels(tmp_path: Path, ramp: Ramp, samples: int, planar: str) -> None:
    data = ramp(5, samples, 18, 20)
    stored = data if planar == "SEPARATE" else data.transpose(0, 2, 3, 1)
    more = {"photometric": "rgb"} if samples == 3 else {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", stored, planarconfig=planar, metadata=None, **more)
    opened = open_stack(tmp_path / "a.tif")
    assert opened.n_channels == samples
    np.testing.assert_array_equal(opened.data[0], data.transpose(1, 0, 2, 3))


def test_dots_per_inch_are_no_voxel_size(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stack, resolution=(72, 72), resolutionunit="INCH")
    opened = open_stack(tmp_path / "a.tif")
    assert opened.spacing_um is None
    assert opened.volume().spacing_um is None


def ome(path: Path, data: NDArray[np.uint16], **metadata: object) -> Path:
    tifffile.imwrite(path / "a.ome.tif", data, metadata={"axes": "ZYX", **metadata})
    return path / "a.ome.tif"


def test_ome_sizes_with_and_without_unit(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    sizes = {"PhysicalSizeX": 108, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.11, "PhysicalSizeZ": 5e-4}
    path = ome(tmp_path, stack, **sizes, PhysicalSizeZUnit="mm", Channel={"Name": "Hoechst"})
    opened = open_stack(path)
    assert opened.spacing_um == pytest.approx((0.5, 0.11, 0.108))
    assert opened.channel_names == ("Hoechst",)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1},
        {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0},
        {"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 0.1, "PhysicalSizeZ": 0.1},
    ],
)
def test_ome_without_a_whole_voxel_size(tmp_path: Path, stack: NDArray[np.uint16], sizes: dict[str, object]) -> None:
    assert open_stack(ome(tmp_path, stack, **sizes)).spacing_um is None


@pytest.mark.parametrize(("unit", "origin"), [("µm", (7.0, -2.0, 1000.0)), ("mm", (7e3, -2e3, 1e6))])
def test_position_of_the_first_plane(
    tmp_path: Path, stack: NDArray[np.uint16], unit: str, origin: tuple[float, ...]
) -> None:
    plane: dict[str, list[object]] = {f"Position{axis}Unit": [unit] * 6 for axis in "XYZ"}
    plane |= {"PositionX": [1000.0] * 6, "PositionY": [-2.0] * 6, "PositionZ": [7.0 + i for i in range(6)]}
    assert open_stack(ome(tmp_path, stack, Plane=plane)).origin_um == pytest.approx(origin)


def test_position_without_a_unit_is_unknown(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = ome(tmp_path, stack, Plane={"PositionX": [1000.0] * 6})
    assert open_stack(path).origin_um == (0, 0, 0)


def peak_bytes(task: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        task()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gigabyte_opens_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    with StackWriter(path, (64, 2048, 2048), (0.5, 0.1, 0.1)) as writer:
        writer.data[40, 1000, 1000] = 7
    assert path.stat().st_size > 2**30

    def read_a_box() -> None:
        box = open_stack(path).volume().data[36:44, 900:1100, 900:1100]
        assert box[4, 100, 100] == box.sum() == 7

    assert peak_bytes(read_a_box) < 16e6


def test_a_box_of_compressed_tiles_reads_few_of_them(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 50, (48, 512, 512), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, compression="zlib", tile=(64, 64))
    whole = data.nbytes

    def read_a_box() -> None:
        box = open_stack(tmp_path / "a.tif").volume().data[8:12, 100:160, 100:160]
        np.testing.assert_array_equal(box, data[8:12, 100:160, 100:160])

    read_a_box()  # imports zarr, which is not to be counted
    assert peak_bytes(read_a_box) < whole / 8


def test_rgb_is_refused(tmp_path: Path, ramp: Ramp) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(5, 18, 20, 3).astype(np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="RGB photo"):
        open_stack(tmp_path / "a.tif")


def test_a_single_plane_is_refused(tmp_path: Path, ramp: Ramp) -> None:
    tifffile.imwrite(tmp_path / "a.tif", ramp(18, 20))
    with pytest.raises(InputError, match="single plane of 18 x 20"):
        open_stack(tmp_path / "a.tif")


def test_planes_saved_as_time_points_are_refused(imagej: ImageJ, stack: NDArray[np.uint16]) -> None:
    with pytest.raises(InputError, match="6 time points of a single plane"):
        open_stack(imagej(stack, "TYX"))


@pytest.mark.parametrize("dtype", [np.complex64, np.bool_])
def test_other_than_real_numbers_are_refused(tmp_path: Path, stack: NDArray[np.uint16], dtype: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stack.astype(dtype), photometric="minisblack")
    with pytest.raises(InputError, match="integers or floating-point numbers are needed"):
        open_stack(tmp_path / "a.tif")
