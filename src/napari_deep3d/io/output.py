"""Where a result may go, and how it gets there whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from napari_deep3d.core import InputError, reason

SUFFIXES = (".tif", ".tiff", ".zarr")
SYSTEM_FILES = (".ds_store", ".localized", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir")
"""What the systems' file managers put into a folder by themselves, in small letters."""


def check_output(path: str | Path, overwrite: bool = False) -> Path:
    """Refuse, before any work is done, a name under which a result could not be written.

    Parameters
    ----------
    path : str or Path
        A name ending in ``.tif``, ``.tiff`` (also ``.ome.tif``) or ``.zarr`` (also ``.ome.zarr``).
    overwrite : bool
        Whether a stack of that name may be replaced.

    Raises
    ------
    InputError
        For another ending, a folder that is missing or not writable, or a name in use and not to be replaced.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"cannot write {path}: its ending is {path.suffix or 'missing'}; .tif, .tiff (OME-TIFF) and "
            ".zarr (OME-Zarr) are allowed. Give the output one of these."
        )
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {folder}. Make it first, or give another one.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: you may not write into {folder}. Give a folder of your own.")
    if path.exists() or path.is_symlink():
        _check_replaceable(path, overwrite)
    return path


def _check_replaceable(path: Path, overwrite: bool) -> None:
    if not overwrite:
        raise InputError(f"{path} exists and is not replaced. Give another name, or allow it with --overwrite.")
    is_zarr = path.suffix.lower() == ".zarr"
    if is_zarr and path.is_dir() and not path.is_symlink():
        if any((path / marker).exists() for marker in ("zarr.json", ".zattrs", ".zgroup", ".zarray")):
            return
        raise InputError(f"{path} is a folder that is no OME-Zarr, and is not replaced. Give another name.")
    if is_zarr or not path.is_file():
        kind = "folder" if path.is_dir() else "file"
        raise InputError(f"{path} is a {kind} of another kind, and is not replaced. Give another name.")


def check_folder(path: str | Path, overwrite: bool) -> Path:
    """Make the folder for an output, or say why it cannot be used."""
    folder = Path(path)
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; a folder for the output is needed. Give another name.")
        if folder.is_dir() and any(not _is_systems(path.name) for path in folder.iterdir()) and not overwrite:
            raise InputError(
                f"the folder {folder} already holds files; an empty or new folder is needed. Give another name, or "
                "say that it may be used (simulate --overwrite, train --resume)."
            )
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {reason(error)}. Give a folder that you may write to.") from None
    return folder


def _is_systems(name: str) -> bool:
    """Whether a file is none of the user's: made by a file manager, or what macOS keeps beside a file of its own."""
    return name.casefold() in SYSTEM_FILES or name.startswith("._")


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def publish(part: Path, path: Path, overwrite: bool) -> None:
    """Give a finished result its name; if that fails (InputError), it is kept under its hidden name."""
    old = path.with_name(f".{path.name}.old-{os.getpid()}")
    try:
        if path.exists():
            _check_replaceable(path, overwrite)
        if not path.is_dir():
            part.replace(path)
            return
        # A folder cannot be replaced in one step: the old one moves aside, and back if that fails.
        path.replace(old)
        try:
            part.replace(path)
        except OSError:
            old.replace(path)
            raise
    except (OSError, InputError) as error:
        raise InputError(
            f"the result is finished but could not be named {path} ({error}). It is kept as {part}: "
            "close programs that have the old file open, then rename it."
        ) from error
    shutil.rmtree(old, ignore_errors=True)
