"""Folders and names for outputs: what may be written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.io import check_folder


def test_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=r"is a file; a folder|cannot write to .*Give a folder"):
            check_folder(path, overwrite=True)


def test_new_and_empty_folders_are_taken(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "a" / "b", overwrite=False).is_dir()
    assert check_folder(tmp_path / "a" / "b", overwrite=False).is_dir()


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "._run"])
def test_a_folder_that_a_file_manager_has_looked_at_is_empty(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"icons")
    assert check_folder(tmp_path, overwrite=False) == tmp_path
    assert (tmp_path / name).read_bytes() == b"icons"
    (tmp_path / ".notes").touch()
    with pytest.raises(InputError, match="already holds files"):
        check_folder(tmp_path, overwrite=False)
