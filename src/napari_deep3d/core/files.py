"""Files that appear under their name whole or not at all."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_deep3d.core.errors import InputError

MAX_REASON = 300
"""Letters of a system's or a library's own words that are told: they may repeat what a damaged file holds."""


def part_path(path: Path) -> Path:
    """A hidden name beside ``path``, on the same disk and with the same ending, for a file while it is made."""
    # Programs on several computers may write into the same folder, each with a process of that number.
    return path.with_name(f".{path.stem}.part-{platform.node()}-{os.getpid()}{path.suffix}")


@contextmanager
def writing(path: Path, remedy: str, *errors: type[Exception]) -> Iterator[Path]:
    """Write a file that appears under its name when the ``with`` block has ended well, and never in part.

    Parameters
    ----------
    path
        The name of the file; what has it already is replaced.
    remedy
        What the user can do if it cannot be written, a sentence.
    errors
        What the writer raises then, besides OSError.

    Yields
    ------
    Path
        Where to write it: a hidden sibling, which is removed if the block fails.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    part = part_path(path)
    refusals: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield part
        part.replace(path)
    except refusals as error:
        raise InputError(f"cannot write {path}: {reason(error)}. {remedy}") from None
    finally:
        part.unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """Why the system refused, in its own words: one line without the path."""
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error).partition("\n")[0])[:MAX_REASON] or type(error).__name__


def keep_on_disk(path: Path) -> None:
    """Have the disk hold a file, or a folder's list of files, now: a power cut cannot take it any more.

    Nothing is done if it is not there, and for a folder on Windows, which has no way to.
    """
    if not path.exists() or (path.is_dir() and os.name == "nt"):
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
