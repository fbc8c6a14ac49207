"""Reading a pairs folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.pairs import PairsFolder, hold_in_memory, prepare_pairs, prepare_usable_pairs, stacks_in


def test_pairs_come_sorted_with_both_sides(pairs_folder: Path) -> None:
    pairs = prepare_pairs(PairsFolder(pairs_folder).load(), (0, 100))
    assert [pair.name for pair in pairs] == ["0.tif", "1.tif", "2.tif"]
    for index, pair in enumerate(pairs):
        widefield, confocal = (np.asarray(side.data) for side in (pair.widefield, pair.confocal))
        np.testing.assert_array_equal(confocal, 1000 - widefield)
        assert pair.spacing_um == pytest.approx((0.3 + 0.1 * index, 0.2, 0.2))


@pytest.mark.parametrize("missing", ["widefield", "confocal"])
def test_folder_without_both_sides_is_no_pairs_folder(pairs_folder: Path, missing: str) -> None:
    (pairs_folder / missing).rename(pairs_folder / "other")
    words = rf"is not a pairs folder: it has no folder '{missing}'\. A folder with 'widefield' and 'confocal'"
    with pytest.raises(InputError, match=words):
        prepare_pairs(PairsFolder(pairs_folder).load(), (0, 100))


def test_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is not a pairs folder"):
        prepare_pairs(PairsFolder(tmp_path / "none").load(), (0, 100))


def test_empty_side_is_told(tmp_path: Path) -> None:
    for kind in ("widefield", "confocal"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "notes.txt").write_text("x")
        (tmp_path / kind / ".hidden.tif").write_text("x")
    with pytest.raises(InputError, match=r"holds no stack; files ending in \.tif"):
        prepare_pairs(PairsFolder(tmp_path).load(), (0, 100))


@pytest.mark.parametrize("side", ["widefield", "confocal"])
def test_file_without_partner_is_named(pairs_folder: Path, side: str) -> None:
    other = "confocal" if side == "widefield" else "widefield"
    (pairs_folder / other / "1.tif").unlink()
    with pytest.raises(InputError, match=rf"1 of the files in .* have no partner, such as {side}/1\.tif"):
        prepare_pairs(PairsFolder(pairs_folder).load(), (0, 100))


def test_pair_of_different_shapes_is_named(pairs_folder: Path) -> None:
    write_stack(pairs_folder / "confocal" / "1.tif", np.ones((8, 32, 40), np.uint16), (1, 1, 1), overwrite=True)
    with pytest.raises(InputError, match=r"pair 1\.tif: wide-field is \(8, 32, 32\) and confocal \(8, 32, 40\)"):
        prepare_pairs(PairsFolder(pairs_folder).load(), (0, 100))


def test_endings_may_be_in_capitals(pairs_folder: Path) -> None:
    """As open_stack takes them, and as Windows programs write them."""
    for kind in ("widefield", "confocal"):
        for path in list((pairs_folder / kind).iterdir()):
            path.rename(path.with_suffix(".TIF"))
    assert len(prepare_pairs(PairsFolder(pairs_folder).load(), (0, 100))) == 3


SYSTEMS = ("._0.tif", ".hidden.zarr", ".DS_Store", "Thumbs.db", "desktop.ini", "0.tif:Zone.Identifier", "@eaDir")


def test_files_of_systems_are_no_stacks(pairs_folder: Path) -> None:
    for name in SYSTEMS:
        (pairs_folder / "widefield" / name).write_bytes(b"not for people")
    (pairs_folder / "confocal" / "._2.tif").write_bytes(b"not for people")
    assert PairsFolder(pairs_folder).names() == ["0.tif", "1.tif", "2.tif"]
    assert [path.name for path in stacks_in(pairs_folder / "widefield")] == ["0.tif", "1.tif", "2.tif"]
    assert len(prepare_pairs(PairsFolder(pairs_folder).load(), (0, 100))) == 3


def nothing(how: str) -> np.ndarray:
    data = np.random.default_rng(1).integers(0, 900, (8, 32, 32)).astype(np.float32)
    if how == "saturated":
        return np.clip(data, 0, 300)
    return np.full_like(data, {"blank": 0, "constant": 7, "nan": np.nan}[how])


@pytest.mark.parametrize("how", ["blank", "constant", "saturated", "nan"])
@pytest.mark.parametrize("side", ["widefield", "confocal"])
def test_pairs_that_show_nothing_are_left_out(pairs_folder: Path, side: str, how: str) -> None:
    write_stack(pairs_folder / side / "1.tif", nothing(how), (0.5, 0.2, 0.2), overwrite=True)
    loaded = PairsFolder(pairs_folder).load()
    usable, left_out = prepare_usable_pairs(loaded, (0, 100))
    assert [pair.name for pair in usable] == ["0.tif", "2.tif"]
    assert [pair.name for pair in left_out] == ["1.tif"]
    words = {"saturated": "saturated", "nan": "1 holds no image"}
    assert words.get(how, "1 is constant") in left_out[0].notice
    with pytest.raises(InputError, match=r"pair 1\.tif: "):
        prepare_pairs(loaded, (0, 100))


def test_pairs_that_there_is_no_time_for_are_not_read(pairs_folder: Path) -> None:
    loaded = PairsFolder(pairs_folder).load()
    usable, left_out = prepare_usable_pairs(loaded, (0, 100), first=["2.tif"], enough=lambda: True)
    assert (len(usable), usable[-1].name, left_out) == (2, "2.tif", ())  # the one that is needed, and one to train on
    usable, _ = prepare_usable_pairs(loaded, (0, 100), in_memory=True)
    assert all(isinstance(pair.widefield.data, np.ndarray) for pair in usable)


def test_pairs_of_which_none_shows_anything_are_refused(pairs_folder: Path) -> None:
    for path in (pairs_folder / "widefield").iterdir():
        write_stack(path, np.zeros((8, 32, 32), np.uint16), (0.5, 0.2, 0.2), overwrite=True)
    loaded = PairsFolder(pairs_folder).load()
    with pytest.raises(InputError, match=r"none of the 3 pairs can be trained on: pair 0\.tif: 0 is constant"):
        prepare_usable_pairs(loaded, (0, 100))
    with pytest.raises(InputError, match=r"^pair 0\.tif: 0 is constant"):
        prepare_usable_pairs(loaded[:1], (0, 100))


def test_pairs_are_listed_without_their_voxels(pairs_folder: Path) -> None:
    found = PairsFolder(pairs_folder).facts()
    assert [(pair.name, pair.shape) for pair in found] == [(f"{i}.tif", (8, 32, 32)) for i in range(3)]
    assert [pair.spacing_um for pair in found] == [pytest.approx((0.3 + 0.1 * i, 0.2, 0.2)) for i in range(3)]
    assert PairsFolder(pairs_folder).names() == ["0.tif", "1.tif", "2.tif"]


def test_written_pairs_are_read_again(pairs_folder: Path, tmp_path: Path) -> None:
    pairs = PairsFolder(pairs_folder).load()
    for pair in pairs:
        PairsFolder(tmp_path / "copy").write(
            pair.name, pair.widefield.data, pair.confocal.data, pair.widefield.require_spacing_um()
        )
    again = PairsFolder(tmp_path / "copy").load()
    assert [pair.name for pair in again] == ["0.tif.ome.tif", "1.tif.ome.tif", "2.tif.ome.tif"]
    for pair, other in zip(pairs, again, strict=True):
        np.testing.assert_array_equal(np.asarray(pair.widefield.data[...]), np.asarray(other.widefield.data[...]))
        np.testing.assert_array_equal(np.asarray(pair.confocal.data[...]), np.asarray(other.confocal.data[...]))
        assert pair.widefield.spacing_um == other.widefield.spacing_um == other.confocal.spacing_um


def test_pairs_are_held_in_memory_if_all_of_them_fit(pairs_folder: Path) -> None:
    pairs = PairsFolder(pairs_folder).load()
    needed = 3 * 2 * 8 * 32 * 32 * 2
    held, left = hold_in_memory(pairs, needed), hold_in_memory(pairs, needed - 1)
    for pair, own, other in zip(pairs, held, left, strict=True):
        assert isinstance(own.widefield.data, np.ndarray)
        assert isinstance(own.confocal.data, np.ndarray)
        np.testing.assert_array_equal(own.confocal.data, np.asarray(pair.confocal.data[...]))
        assert (own.name, own.widefield.spacing_um) == (pair.name, pair.widefield.spacing_um)
        assert other is pair
