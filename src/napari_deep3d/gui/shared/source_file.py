"""What the file behind a layer says: napari's own reader drops voxel size and axis names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from napari.layers import Layer

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.types import Spacing
from napari_deep3d.io import open_stack


@dataclass(frozen=True)
class FileFacts:
    """Shape (T, C, Z, Y, X) and voxel size in um along (Z, Y, X) of a file."""

    shape: tuple[int, ...]
    spacing_um: Spacing | None


def file_facts(layer: Layer) -> FileFacts | None:
    """Read what the file of a layer says of it, or None if there is none or it is another by now."""
    path = layer.source.path
    facts = _read(str(path)) if path is not None else None
    if facts is None or tuple(layer.data.shape[-2:]) != facts.shape[-2:]:
        return None
    return facts


@lru_cache(maxsize=32)
def _read(path: str) -> FileFacts | None:
    if not Path(path).exists():
        return None
    try:
        stack = open_stack(path)
    except (InputError, OSError):  # another plugin's kind of file
        return None
    return FileFacts(tuple(stack.data.shape), stack.spacing_um)
