"""Whether a file is what its name says, and the library there that reads it: in the same words for every format."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from napari_deep3d.core import InputError

INSTALL = 'pip install "napari-deep3d[formats]"'
"""The line that installs the libraries for microscopes' own files."""
ND2, OLD_ND2 = b"\xda\xce\xbe\x0a", b"\0\0\0\x0cjP  "
LIF, CZI, HDF5 = b"\x70\0\0\0", b"ZISRAWFILE", b"\x89HDF\r\n\x1a\n"
_KINDS = (
    (b"II*\0", "a TIFF file"),
    (b"MM\0*", "a TIFF file"),
    (b"II+\0", "a TIFF file"),
    (b"MM\0+", "a TIFF file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (HDF5, "an HDF5 file"),
    (CZI, "a Zeiss CZI file"),
    (ND2, "a Nikon ND2 file"),
    (LIF, "a Leica LIF file"),
    (b"\x93NUMPY", "a NumPy array"),
)


def check_kind(path: Path, starts: Collection[bytes], kind: str) -> None:
    """Refuse (InputError) a file that is empty, or of another kind by its first bytes; ``kind`` as in ``TIFF``."""
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty (0 bytes); a {kind} stack is needed. Copy or export it again.")
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(tuple(starts)):
        return
    is_text = all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    unknown = "text" if is_text else f"something else (it starts with {head[:4].hex(' ')})"
    actual = next((name for magic, name in _KINDS if head.startswith(magic)), unknown)
    raise InputError(
        f"{path} is not a {kind} file but {actual}. Give a stack saved as {kind}; renaming a file does not convert it."
    )


def cut_off(path: Path, size: int) -> InputError:
    """Return the error of a file that ends before all of its planes."""
    return InputError(
        f"{path} is cut off: it ends after {size} bytes, before all of its planes. "
        "Copy it again from where it was acquired, or export it again."
    )


@contextmanager
def reading_as(path: Path, kind: str, let_through: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn whatever a damaged file breaks in a library into an InputError."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except let_through:
        raise
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as {kind} ({error}). It is damaged or of a rare kind: export it as OME-TIFF."
        ) from error


def library(name: str, path: Path) -> ModuleType:
    """Import the library for a microscope's own files; InputError with the line that installs it if it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"{path} needs a library for {path.suffix.lower()} files: {INSTALL}") from error
