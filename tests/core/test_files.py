"""Files appear whole under their name or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.files import writing


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with writing(path, "Make room.") as part:
        part.write_text("new")
        assert not path.exists()
        assert part.suffix == path.suffix
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_what_was_there_stays_if_writing_fails(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with writing(path, "Make room.") as part:
            part.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(InputError, match=r"cannot write .*a\.txt: No space left on device\. Make room\."):  # noqa: SIM117
        with writing(path, "Make room."):
            raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_other_errors_of_a_writer_are_told_if_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to write"), writing(tmp_path / "a", "Try again.", KeyError):
        raise KeyError("nothing to write")


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"), writing(tmp_path / "no" / "a.txt", "Make it.") as part:
        part.write_text("x")
