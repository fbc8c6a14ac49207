"""The models at hand: listing, finding, importing, exporting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.jobs.models import store
from napari_deep3d.jobs.models.store import (
    copy_model,
    find_model,
    import_model,
    list_models,
    model_info,
    model_stamp,
    user_folder,
)

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An empty folder of bundled models, and a user's that does not exist yet."""
    bundled, mine = tmp_path / "bundled", tmp_path / "mine"
    bundled.mkdir()
    monkeypatch.setattr(store, "MODELS", bundled)
    monkeypatch.setenv("NAPARI_DEEP3D_MODELS", str(mine))
    return bundled, mine


def test_users_folder_is_the_one_of_the_environment(folders: tuple[Path, Path], monkeypatch) -> None:
    assert user_folder() == folders[1]
    monkeypatch.delenv("NAPARI_DEEP3D_MODELS")
    assert user_folder().parts[-2:] == ("napari-deep3d", "models")


def test_a_model_trained_anew_under_its_name_has_another_stamp(folders: tuple[Path, Path], make_model: Make) -> None:
    path = make_model(folders[0] / "a.safetensors")
    stamp = model_stamp("a")
    assert stamp == model_stamp("a") == (str(path), path.stat().st_mtime_ns, path.stat().st_size)
    os.utime(path, ns=(0, 0))
    assert model_stamp("a") not in (stamp, None)
    assert model_stamp("missing") is None
    assert model_stamp(str(folders[0] / "missing.safetensors")) is None


def test_bundled_models_come_first_each_sorted(folders: tuple[Path, Path], make_model: Make) -> None:
    assert list_models() == []
    bundled, mine = folders
    mine.mkdir()
    for path in (mine / "a", bundled / "z", bundled / "b"):
        make_model(path.with_suffix(".safetensors"))
    (mine / ".half.safetensors").write_text("x")
    (mine / "notes.txt").write_text("x")
    found = [(entry.name, entry.bundled) for entry in list_models()]
    assert found == [("b", True), ("z", True), ("a", False)]


def test_model_is_found_by_name_and_by_path(folders: tuple[Path, Path], make_model: Make) -> None:
    path = make_model(folders[0] / "b.safetensors", title="bundled one")
    assert find_model("b") == path
    assert find_model(str(path)) == path
    assert model_info("b").title == model_info(str(path)).title == "bundled one"


def test_users_own_model_wins_over_a_bundled_one(folders: tuple[Path, Path], make_model: Make) -> None:
    make_model(folders[0] / "b.safetensors")
    folders[1].mkdir()
    own = make_model(folders[1] / "b.safetensors")
    assert find_model("b") == own


def test_unknown_name_is_refused_with_those_at_hand(folders: tuple[Path, Path], make_model: Make) -> None:
    with pytest.raises(InputError, match=r"there is no model 'x'; at hand are: none"):
        find_model("x")
    make_model(folders[0] / "b.safetensors")
    with pytest.raises(InputError, match=r"there is no model 'x'; at hand are: b\. Give one of them"):
        model_info("x")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no model file .*none\.safetensors"):
        model_info(str(tmp_path / "none.safetensors"))


def test_imported_model_is_at_hand_under_its_own_name(folders: tuple[Path, Path], make_model: Make) -> None:
    file = make_model(name="liver")
    entry = import_model(file)
    assert entry == list_models()[0]
    assert (entry.name, entry.path, entry.bundled) == ("liver", folders[1] / "liver.safetensors", False)
    assert entry.path.read_bytes() == file.read_bytes()
    assert model_info("liver").name == "liver"


def test_import_replaces_only_on_request(folders: tuple[Path, Path], make_model: Make) -> None:
    import_model(make_model(title="first"))
    newer = make_model(title="second")
    with pytest.raises(InputError, match=r"exists already.*--overwrite"):
        import_model(newer)
    assert model_info("small").title == "first"
    import_model(newer, overwrite=True)
    assert model_info("small").title == "second"
    assert len(list(folders[1].iterdir())) == 1


def test_what_is_no_model_is_not_imported(folders: tuple[Path, Path], tmp_path: Path) -> None:
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"PK\x03\x04junk")
    with pytest.raises(InputError, match="is a pickle"):
        import_model(junk)
    assert not folders[1].exists()


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/b", "..", "", ".hidden", "c:\\x", "nul\0"])
def test_model_cannot_choose_where_it_is_written(
    folders: tuple[Path, Path], make_model: Make, tmp_path: Path, name: str
) -> None:
    """The name stands in the file, and files come from strangers."""
    file = make_model(name=name)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError):
        import_model(file)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not Path("/tmp/escaped.safetensors").exists()


def test_export_copies_a_model(folders: tuple[Path, Path], make_model: Make, tmp_path: Path) -> None:
    path = make_model(folders[0] / "b.safetensors")
    target = copy_model("b", tmp_path / "copy.safetensors")
    assert target.read_bytes() == path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        copy_model("b", target)
    assert copy_model("b", target, overwrite=True) == target


def test_export_says_what_is_wrong(folders: tuple[Path, Path], make_model: Make, tmp_path: Path) -> None:
    make_model(folders[0] / "b.safetensors")
    with pytest.raises(InputError, match=r"does not end in \.safetensors"):
        copy_model("b", tmp_path / "copy.pt")
    with pytest.raises(InputError, match=r"cannot write .*copy\.safetensors"):
        copy_model("b", tmp_path / "none" / "copy.safetensors")
    with pytest.raises(InputError, match="there is no model 'x'"):
        copy_model("x", tmp_path / "copy.safetensors")


def test_export_of_a_missing_file_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model file .*missing\.safetensors"):
        copy_model(str(tmp_path / "missing.safetensors"), tmp_path / "copy.safetensors")
    assert list(tmp_path.glob("*.safetensors")) == []


def test_listing_and_describing_need_no_torch(folders: tuple[Path, Path], make_model: Make) -> None:
    folders[1].mkdir()
    make_model(folders[1] / "mine.safetensors")
    code = (
        "import sys, json; from napari_deep3d.jobs.models.store import list_models, model_info; "
        "names = [entry.name for entry in list_models()]; model_info('mine'); "
        "print(json.dumps([names, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    names, torch_loaded = json.loads(done.stdout)
    assert "mine" in names
    assert not torch_loaded
