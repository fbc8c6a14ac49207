from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import open_stack

KINDS: dict[str, dict[str, Any]] = {
    "shaped": {},
    "pages": {"metadata": None},
    "bigtiff": {"bigtiff": True},
    "imagej": {"imagej": True, "metadata": {"axes": "ZYX", "unit": "um", "spacing": 0.4}},
    "ome": {"ome": True, "metadata": {"axes": "ZYX", "PhysicalSizeX": 0.1}},
    "one directory": {"truncate": True},
    "imagej, one directory": {"imagej": True, "truncate": True, "metadata": {"axes": "ZYX"}},
    "zlib": {"compression": "zlib", "rowsperstrip": 4},
}


OTHER_KINDS = ["separate", "voxels first <", "voxels first >"]


def voxels_first(stack: NDArray[np.uint16], order: str) -> bytes:
    """As libtiff writes it: the voxels of a plane, its directory, and last what the directory points at."""
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    link, (height, width), half = 4, stack.shape[1:], stack[0].nbytes // 2
    for plane in stack:
        voxels = len(data)
        data += plane.astype(order + "u2").tobytes()
        struct.pack_into(order + "I", data, link, len(data))
        values = len(data) + 2 + 9 * 12 + 4
        entries = [(256, 1, width), (257, 1, height), (258, 1, 16), (259, 1, 1), (262, 1, 1)]
        entries += [(273, 2, values), (277, 1, 1), (278, 1, height // 2), (279, 2, values + 8)]
        data += struct.pack(order + "H", 9)
        data += b"".join(struct.pack(order + "HHII", tag, 4, count, value) for tag, count, value in entries)
        link = len(data)
        data += struct.pack(order + "5I", 0, voxels, voxels + half, half, half)
    return bytes(data)


def whole_file(folder: Path, kind: str, stack: NDArray[np.uint16]) -> bytes:
    if kind.startswith("voxels first"):
        (folder / "whole.tif").write_bytes(voxels_first(stack, kind[-1]))
    elif kind == "separate":
        with tifffile.TiffWriter(folder / "whole.tif") as tif:
            for plane in stack:
                tif.write(plane, contiguous=False, metadata=None)
    else:
        tifffile.imwrite(folder / "whole.tif", stack, **KINDS[kind])
    return (folder / "whole.tif").read_bytes()


@pytest.mark.parametrize("kind", [*KINDS, *OTHER_KINDS])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, stack: NDArray[np.uint16], kind: str) -> None:
    # The last bytes are left alone: they may be padding, or a tag that nobody needs.
    data = whole_file(tmp_path, kind, stack)
    cut = tmp_path / "cut.tif"
    for length in [4, 8, 12, *np.linspace(20, len(data) - 40, 60).astype(int)]:
        cut.write_bytes(data[:length])
        with pytest.raises(InputError, match=f"cut off: it ends after {length} bytes"):
            open_stack(cut)


def test_the_whole_file_is_not(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    for kind in [*KINDS, *OTHER_KINDS]:
        whole_file(tmp_path, kind, stack)
        np.testing.assert_array_equal(open_stack(tmp_path / "whole.tif").volume().data[...], stack)


@pytest.mark.parametrize("back_to", [0, 2, 5])
def test_directories_that_lead_back(tmp_path: Path, stack: NDArray[np.uint16], back_to: int) -> None:
    """A file that was joined wrongly; reading it would never end."""
    data = bytearray(whole_file(tmp_path, "voxels first <", stack))
    places = [struct.unpack_from("<I", data, 4)[0]]
    while (following := struct.unpack_from("<I", data, places[-1] + 2 + 9 * 12)[0]) != 0:
        places.append(following)
    assert len(places) == len(stack)
    struct.pack_into("<I", data, places[-1] + 2 + 9 * 12, places[back_to])
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif is damaged: its list of planes leads back to one of before"):
        open_stack(tmp_path / "a.tif")


def test_an_imagej_file_that_lost_planes_is_refused(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    # ImageJ's large files have one directory for all planes: just the description tells how many there were.
    description = "ImageJ=1.54f\nimages=600\nslices=600\n"
    tifffile.imwrite(tmp_path / "a.tif", stack[0], description=description, metadata=None)
    with pytest.raises(InputError, match="cut off"):
        open_stack(tmp_path / "a.tif")


def test_missing_files_of_an_acquisition(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        'SizeX="48" SizeY="32" SizeZ="12" SizeC="1" SizeT="1">'
        '<Channel ID="Channel:0" SamplesPerPixel="1"/><TiffData IFD="0" FirstZ="0" PlaneCount="6">'
        '<UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData><TiffData IFD="0" FirstZ="6" PlaneCount="6">'
        '<UUID FileName="b.ome.tif">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, description=xml, metadata=None)
    with pytest.raises(InputError, match=r"lacks planes that its OME-XML lists.*Put the other files"):
        open_stack(tmp_path / "a.ome.tif")


def test_voxels_damaged_inside_the_file(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[3].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 20] = b"\xff" * 20
    path.write_bytes(data)
    volume = open_stack(path).volume()
    np.testing.assert_array_equal(volume.data[2], stack[2])
    with pytest.raises(InputError, match="a part of a cannot be read"):
        volume.data[3]


def test_a_compression_that_cannot_be_read(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, compression="zlib", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        for page in tif.pages:
            page.tags["Compression"].overwrite(34887)  # LERC
    with pytest.raises(InputError, match=r"voxels of .* cannot be read here.*Save it.*imagecodecs"):
        open_stack(path)


def test_a_tiff_without_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0\0\0\0\0")
    with pytest.raises(InputError, match=r"cannot be read as TIFF|holds no image"):
        open_stack(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"x,y,z\n1,2,3\n", "text"),
        (b"ZISRAWFILE\0\0", "a Zeiss CZI file"),
        (b"II\x01\x02\x03\x04", "something else .it starts with 49 49 01 02"),
    ],
)
def test_other_files_renamed_to_tif(tmp_path: Path, head: bytes, kind: str) -> None:
    (tmp_path / "a.tif").write_bytes(head)
    with pytest.raises(InputError, match=f"not a TIFF file but {kind}"):
        open_stack(tmp_path / "a.tif")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    with pytest.raises(InputError, match=r"empty .0 bytes."):
        open_stack(tmp_path / "a.tif")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*a.tif"):
        open_stack(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.oib", "a.vsi", "a.ome", "a.png", "a"])
def test_formats_that_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(InputError, match=r"\.tif, \.tiff.*\.zarr.*\.czi.*Export it as OME-TIFF"):
        open_stack(tmp_path / name)


def test_a_file_named_zarr(tmp_path: Path) -> None:
    (tmp_path / "a.zarr").write_bytes(b"something")
    with pytest.raises(InputError, match="OME-Zarr is a folder"):
        open_stack(tmp_path / "a.zarr")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.tif").write_bytes(b"II*\0")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"cannot read .*Permission denied"):
        open_stack(tmp_path / "a.tif")


def test_oddities_that_do_no_harm_are_not_logged(
    tmp_path: Path, stack: NDArray[np.uint16], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stack, metadata=None, software="microscope")
    software = np.array([305, 2], "<u2").tobytes()
    path.write_bytes(path.read_bytes().replace(software, np.array([305, 99], "<u2").tobytes()))
    with caplog.at_level(logging.WARNING):
        with tifffile.TiffFile(path) as tif:
            assert len(tif.series) == 1
        assert caplog.records  # tifffile complains
        caplog.clear()
        open_stack(path)
    assert not caplog.records
