"""OME-TIFF files that belong to a set, or whose OME-XML is elsewhere or damaged."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import find_stacks, open_stack, open_stacks
from tests.helpers.ome_files import block, image, ome, uuid, write_pages

Stack = NDArray[np.uint16]
SIZES = (1, 1, 6, 32, 48)


def position_set(folder: Path, stack: Stack) -> list[Path]:
    """Two positions in two files, of which each describes both."""
    names = ["set_Pos0.ome.tif", "set_Pos1.ome.tif"]
    images = [
        image(SIZES, [block(z, names[i], i, Z=z) for z in range(6)], spacing_um=um, name=f"Pos{i}")
        for i, um in enumerate([(0.5, 0.2, 0.2), (1.0, 0.3, 0.3)])
    ]
    return [write_pages(folder / name, stack + 1000 * i, ome(*images, number=i)) for i, name in enumerate(names)]


@pytest.mark.parametrize("alone", [False, True])
def test_a_file_of_a_set_gives_its_own_image(tmp_path: Path, stack: Stack, alone: bool) -> None:
    files = position_set(tmp_path, stack)
    for i, um in enumerate([(0.5, 0.2, 0.2), (1.0, 0.3, 0.3)]):
        if alone:
            files[1 - i].rename(tmp_path / "elsewhere")
        opened = open_stack(files[i])
        assert (opened.spacing_um, opened.position) == (um, f"Pos{i}")
        np.testing.assert_array_equal(opened.volume().data[...], stack + 1000 * i)
        assert f"another image in {files[1 - i].name}" in opened.volume().notices[0]
        if alone:
            (tmp_path / "elsewhere").rename(files[1 - i])


def test_a_file_with_the_id_of_another_is_told_by_its_name(tmp_path: Path, stack: Stack) -> None:
    files = position_set(tmp_path, stack)
    files[1].write_bytes(files[1].read_bytes().replace(f'UUID="{uuid(1)}"'.encode(), f'UUID="{uuid(0)}"'.encode()))
    np.testing.assert_array_equal(open_stack(files[1]).volume().data[...], stack + 1000)


def test_a_file_that_was_renamed_is_told_by_its_id(tmp_path: Path, stack: Stack) -> None:
    renamed = position_set(tmp_path, stack)[1].rename(tmp_path / "cell.ome.tif")
    assert open_stack(renamed).spacing_um == (1.0, 0.3, 0.3)


def test_a_single_file_may_be_renamed(tmp_path: Path, stack: Stack) -> None:
    xml = ome(image(SIZES, [block(z, "old.ome.tif", 7, Z=z) for z in range(6)]), number=3)
    np.testing.assert_array_equal(
        open_stack(write_pages(tmp_path / "new.ome.tif", stack, xml)).volume().data[...], stack
    )


def test_a_renamed_file_that_cannot_be_told(tmp_path: Path, stack: Stack) -> None:
    images = [image(SIZES, [block(z, f"{i}.ome.tif", i, Z=z) for z in range(6)]) for i in range(2)]
    path = write_pages(tmp_path / "new.ome.tif", stack, ome(*images, number=9))
    with pytest.raises(InputError, match=r"names other files \(0.ome.tif, 1.ome.tif\).*renamed"):
        open_stack(path)


@pytest.mark.parametrize("along", ["Z", "C", "T"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_an_image_in_many_files_is_read_whole(tmp_path: Path, along: str, compression: str | None) -> None:
    counts = {"T": 2, "C": 2, "Z": 4}
    data = np.random.default_rng(0).integers(0, 999, (2, 2, 4, 18, 20)).astype(np.uint16)
    blocks, pages = [], dict[int, list[Stack]]()
    for t, c, z in product(range(2), range(2), range(4)):
        file = {"T": t, "C": c, "Z": z}[along]
        held = pages.setdefault(file, [])
        blocks.append(block(len(held), f"{file}.ome.tif", file, T=t, C=c, Z=z))
        held.append(data[t, c, z])
    xml = [ome(image(data.shape, blocks), number=i) for i in range(counts[along])]
    for file, planes in pages.items():
        write_pages(tmp_path / f"{file}.ome.tif", planes, xml[file], compression=compression)
    for file in pages:
        opened = open_stack(tmp_path / f"{file}.ome.tif")
        np.testing.assert_array_equal(opened.data[...], data)
        assert opened.notices == ()

    # One of the files is missing: of planes nothing is whole; of channels and time points the others are.
    (tmp_path / "1.ome.tif").unlink()
    if along == "Z":
        with pytest.raises(InputError, match=r"lists: 1.ome.tif is not there. Put the other files"):
            open_stack(tmp_path / "0.ome.tif")
        return
    opened = open_stack(tmp_path / "0.ome.tif")
    assert "1.ome.tif" in opened.notices[0]
    np.testing.assert_array_equal(opened.volume(channel=0, time=0).data[...], data[0, 0])
    if along == "C":
        with pytest.raises(InputError, match=r"channel 1 of 0 cannot be read: 1.ome.tif is not there"):
            opened.volume(channel=1, time=0)
    else:
        assert opened.n_times == 1


def test_ids_that_do_not_fit_the_names(tmp_path: Path, stack: Stack) -> None:
    images = [image(SIZES, [block(i * 6 + z, "a.ome.tif", i, Z=z) for z in range(6)]) for i in range(2)]
    path = write_pages(tmp_path / "a.ome.tif", np.concatenate([stack, stack + 9]), ome(*images))
    np.testing.assert_array_equal(open_stack(path, position=1).volume().data[...], stack + 9)


def test_files_of_one_name_in_several_folders(tmp_path: Path, stack: Stack) -> None:
    images = [image(SIZES, [block(z, f"p{i}/a.ome.tif", i, Z=z) for z in range(6)], name=f"p{i}") for i in range(2)]
    for i in range(2):
        (tmp_path / f"p{i}").mkdir()
        path = write_pages(tmp_path / f"p{i}" / "a.ome.tif", stack + i, ome(*images, number=7))
        opened = open_stack(path)
        assert opened.position == f"p{i}"
        np.testing.assert_array_equal(opened.volume().data[...], stack + i)


def test_channels_within_the_pages(tmp_path: Path, stack: Stack) -> None:
    pages = np.stack([stack, stack + 100], axis=-1)
    for samples in (1, 2):  # some programs declare them as channels of a sample each
        xml = ome(image((1, 2, 6, 32, 48))).replace('SamplesPerPixel="1"', f'SamplesPerPixel="{samples}"')
        opened = open_stack(write_pages(tmp_path / "a.ome.tif", pages, xml, planarconfig="CONTIG"))
        np.testing.assert_array_equal(opened.volume(channel=1).data[...], stack + 100)


def test_a_file_of_a_set_never_leads_out_of_its_folder(tmp_path: Path, stack: Stack) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write_pages(tmp_path / "b.ome.tif", stack[3:])
    blocks = [block(z % 3, "a.ome.tif" if z < 3 else "../b.ome.tif", z // 3, Z=z) for z in range(6)]
    path = write_pages(inner / "a.ome.tif", stack[:3], ome(image(SIZES, blocks)))
    with pytest.raises(InputError, match=r"lists: \.\./b.ome.tif is not there"):
        open_stack(path)


def test_a_companion_file_is_read(tmp_path: Path, stack: Stack) -> None:
    two = np.concatenate([stack, stack + 5000])
    blocks = [block(k, "a.ome.tif", 1, Z=k % 6, C=k // 6) for k in range(12)]
    only = f'<BinaryOnly MetadataFile="set.companion.ome" UUID="{uuid(2)}"/>'
    path = write_pages(tmp_path / "a.ome.tif", two, ome(only, number=1))
    with pytest.raises(InputError, match=r"in set.companion.ome, which is not there. Put that file beside it"):
        open_stack(path)
    (tmp_path / "set.companion.ome").write_text(ome(image((1, 2, 6, 32, 48), blocks), number=2))
    opened = open_stack(path)
    assert (opened.n_channels, opened.spacing_um) == (2, (0.5, 0.2, 0.2))
    np.testing.assert_array_equal(opened.volume(channel=1).data[...], stack + 5000)


def companion_set(folder: Path, stack: Stack) -> Path:
    """A companion file, and three positions in a file each, of which it says everything."""
    names = [f"set_s{i}.ome.tif" for i in range(3)]
    images = [
        image(SIZES, [block(z, names[i], i, Z=z) for z in range(6)], spacing_um=(0.5 + i, 0.2, 0.2), name=f"Pos{i}")
        for i in range(3)
    ]
    path = folder / "set.companion.ome"
    path.write_text(ome(*images, number=9))
    for i, name in enumerate(names):
        only = f'<BinaryOnly MetadataFile="{path.name}" UUID="{uuid(9)}"/>'
        write_pages(folder / name, stack + 1000 * i, ome(only, number=i))
    return path


def test_a_companion_file_gives_all_positions(tmp_path: Path, stack: Stack) -> None:
    path = companion_set(tmp_path, stack)
    for i, opened in enumerate(open_stacks(path)):
        assert (opened.position, opened.spacing_um, opened.notices) == (f"Pos{i}", (0.5 + i, 0.2, 0.2), ())
        np.testing.assert_array_equal(opened.volume().data[...], stack + 1000 * i)
    with pytest.raises(InputError, match=r"^set holds 3 images \(0: Pos0, 6 planes of 32 x 48 pixels; 1: Pos1"):
        open_stack(path)


def test_a_missing_file_of_a_companions_set_leaves_the_others_their_numbers(tmp_path: Path, stack: Stack) -> None:
    path = companion_set(tmp_path, stack)
    (tmp_path / "set_s1.ome.tif").unlink()
    np.testing.assert_array_equal(open_stack(path, position=2).volume().data[...], stack + 2000)
    with pytest.raises(InputError, match=r"Pos1 of .*set.companion.ome cannot be read: set_s1.ome.tif is not there"):
        open_stack(path, position=1)


def test_a_companions_image_in_several_files_of_which_one_is_missing(tmp_path: Path, stack: Stack) -> None:
    names = ["a.ome.tif", "b.ome.tif", "c.ome.tif"]
    halves = image(SIZES, [block(z % 3, names[z // 3], z // 3, Z=z) for z in range(6)], name="halves")
    path = tmp_path / "set.companion.ome"
    path.write_text(ome(halves, image(SIZES, [block(z, names[2], 2, Z=z) for z in range(6)], name="whole"), number=9))
    only = f'<BinaryOnly MetadataFile="{path.name}" UUID="{uuid(9)}"/>'
    for i, pages in enumerate((stack[:3], stack[3:], stack + 1000)):
        write_pages(tmp_path / names[i], pages, ome(only, number=i))
    np.testing.assert_array_equal(open_stack(path, position=0).volume().data[...], stack)
    (tmp_path / names[1]).unlink()
    with pytest.raises(InputError, match=r"lacks planes .* b.ome.tif is not there"):
        open_stack(path, position=0)
    np.testing.assert_array_equal(open_stack(path, position=1).volume().data[...], stack + 1000)


def test_positions_of_a_companions_set_in_one_file(tmp_path: Path, stack: Stack) -> None:
    places = [[block(i * 6 + z, "all.ome.tif", 1, Z=z) for z in range(6)] for i in range(2)]
    path = tmp_path / "set.companion.ome"
    path.write_text(ome(*[image(SIZES, place, name=f"Pos{i}") for i, place in enumerate(places)], number=9))
    only = f'<BinaryOnly MetadataFile="{path.name}" UUID="{uuid(9)}"/>'
    write_pages(tmp_path / "all.ome.tif", np.concatenate([stack, stack + 1000]), ome(only, number=1))
    for i in range(2):
        np.testing.assert_array_equal(open_stack(path, position=i).volume().data[...], stack + 1000 * i)
    write_pages(tmp_path / "all.ome.tif", stack, ome(image(SIZES), number=1))
    with pytest.raises(InputError, match=r"does not hold the images that .* lists for it"):
        open_stack(path, position=0)


@pytest.mark.parametrize(("text", "words"), [("<OME", "cannot be read as"), (ome(), "describes no image")])
def test_a_damaged_companion_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "set.companion.ome"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        open_stack(path)


def test_metadata_may_be_in_another_tiff(tmp_path: Path, stack: Stack) -> None:
    files = position_set(tmp_path, stack)
    only = f'<BinaryOnly MetadataFile="{files[0].name}" UUID="{uuid(0)}"/>'
    write_pages(files[1], stack + 7, ome(only, number=1))
    opened = open_stack(files[1])
    assert opened.spacing_um == (1.0, 0.3, 0.3)
    np.testing.assert_array_equal(opened.volume().data[...], stack + 7)


WHOLE = ome(image(SIZES))


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (WHOLE.replace('Name=""', 'Name="R&D day"'), "OME-XML cannot be read .*not well-formed"),
        (WHOLE[:-40], "OME-XML cannot be read"),
        (WHOLE.replace('SizeZ="6"', 'SizeZ="five"'), "no number"),
        (WHOLE.replace('SizeZ="6"', 'SizeZ="0"'), "of lengths"),
        (WHOLE.replace("XYZCT", "XYZ"), "axes XYZ"),
        (ome(image((1, 1, 4, 32, 48))), "4 planes, and the file has more"),
        (ome(image((1, 1, 4, 32, 48), [block(z, Z=z) for z in range(4)])), "leaves 2 pages over"),
        (ome(image((1, 1, 9, 32, 48))), "1 channel and 9 planes"),
        (ome(image((1, 2, 6, 32, 48))), "2 channels and 6 planes"),
        (ome(image((1, 1, 6, 48, 32))), "48 x 32 pixels, its pages have 32 x 48"),
        (ome(image(SIZES, [block(0, Z=7)])), "places a plane where none can be"),
        (ome("<Image/>"), "has no pixels"),
        (ome(), "describes no image"),
        (ome(image((1, 1, 10**6, 32, 48)).replace('SizeT="1"', 'SizeT="1000000"')), "no file holds so many"),
    ],
)
def test_damaged_xml_is_named_and_no_axes_are_guessed(tmp_path: Path, stack: Stack, xml: str, words: str) -> None:
    path = write_pages(tmp_path / "a.ome.tif", stack, xml)
    with pytest.raises(InputError, match=words):
        open_stack(path)
    np.testing.assert_array_equal(open_stack(path, axes="C2,Z").data[0, 1], stack[3:])


def test_what_the_axes_of_damaged_metadata_are_can_be_said(tmp_path: Path, stack: Stack) -> None:
    path = write_pages(tmp_path / "a.ome.tif", stack, WHOLE[:-40])
    with pytest.raises(InputError, match=re.escape("--axes C2,Z3 (channel after channel)")):
        open_stack(path)
    for axes, channel, expected in [
        ("Z", None, stack),
        ("zyx", None, stack),
        ("C2, Z3", 1, stack[3:]),
        ("Z,C2", 1, stack[1::2]),
        ("T1C2ZYX", 0, stack[:3]),
    ]:
        opened = open_stack(path, axes=axes)
        np.testing.assert_array_equal(opened.data[0, channel or 0], expected)
        assert opened.spacing_um is None
    for axes in ("", "Q", "C,Z", "Z0", "Z2Z3", "YX", "C2,Z4"):
        with pytest.raises(InputError, match="--axes"):
            open_stack(path, axes=axes)


def test_axes_said_do_not_lose_the_voxel_size(tmp_path: Path, stack: Stack) -> None:
    path = write_pages(tmp_path / "a.ome.tif", stack, ome(image((1, 2, 6, 32, 48))))
    assert open_stack(path, axes="Z").spacing_um == (0.5, 0.2, 0.2)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-16"])
def test_xml_of_another_encoding(tmp_path: Path, stack: Stack, encoding: str) -> None:
    xml = ome(image(SIZES, more='PhysicalSizeZUnit="µm"', name="Zürich")).encode(encoding)
    opened = open_stack(write_pages(tmp_path / "a.ome.tif", stack, xml))
    assert (opened.spacing_um, opened.position) == ((0.5, 0.2, 0.2), "Zürich")


@pytest.mark.parametrize("pages", [12, 15])
def test_a_stopped_acquisition_gives_its_finished_time_points(tmp_path: Path, stack: Stack, pages: int) -> None:
    three = np.concatenate([stack, stack + 1000, stack + 2000])
    opened = open_stack(write_pages(tmp_path / "a.ome.tif", three[:pages], ome(image((3, 1, 6, 32, 48)))))
    assert opened.n_times == 2
    np.testing.assert_array_equal(opened.volume(time=1).data[...], stack + 1000)
    assert "2 of the 3 time points" in opened.notices[0]


def test_several_images_in_one_file_are_a_choice(tmp_path: Path, stack: Stack) -> None:
    blocks = [[block(i * 6 + z, Z=z) for z in range(6)] for i in range(2)]
    xml = ome(*[image(SIZES, planes, name=f"well {i}", spacing_um=(1 + i, 1, 1)) for i, planes in enumerate(blocks)])
    path = write_pages(tmp_path / "a.ome.tif", np.concatenate([stack, stack + 9]), xml)
    with pytest.raises(InputError, match=r"2 images \(0: well 0, 6 planes of 32 x 48 pixels; 1: well 1.*--position"):
        open_stack(path)
    for i in range(2):
        opened = open_stack(path, position=i)
        assert (opened.position, opened.spacing_um) == (f"well {i}", (1 + i, 1, 1))
        np.testing.assert_array_equal(opened.volume().data[...], stack + 9 * i)
    for wrong in (2, -1):
        with pytest.raises(InputError, match="0 to 1 are allowed"):
            open_stack(path, position=wrong)
    assert [opened.position for opened in open_stacks(path)] == ["well 0", "well 1"]


def test_a_preview_among_the_pages_is_no_plane(tmp_path: Path, stack: Stack) -> None:
    xml = ome(image(SIZES, [block(z + 1, Z=z) for z in range(6)]))
    path = write_pages(tmp_path / "a.ome.tif", [stack[0, ::4, ::4], *stack], xml)
    np.testing.assert_array_equal(open_stack(path).volume().data[...], stack)


def test_an_image_in_several_files_names_them(tmp_path: Path, stack: Stack) -> None:
    names = ["set_c0.ome.tif", "set_c1.ome.tif"]
    blocks = [block(z, names[c], c, Z=z, C=c) for c in range(2) for z in range(6)]
    for c, name in enumerate(names):
        write_pages(tmp_path / name, stack, ome(image((1, 2, *SIZES[2:]), blocks), number=c))
    files = tuple(tmp_path / name for name in names)
    assert [[image.files for image in find_stacks(file)] for file in files] == [[files]] * 2
    alone = position_set(tmp_path, stack)[0]
    assert [image.files for image in find_stacks(alone)] == [()]
