"""OME-Zarr folders that hold several images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr

from napari_deep3d.io import write_stack


def write_converted(path: Path, stacks: list[Any], *, listed: bool) -> Path:
    """Images in folders 0, 1, ... as bioformats2raw writes them; ``listed`` in a folder OME as well."""
    zarr.create_group(path, zarr_format=3, attributes={"ome": {"version": "0.5", "bioformats2raw.layout": 3}})
    if listed:
        series = {"ome": {"version": "0.5", "series": [str(i) for i in range(len(stacks))]}}
        zarr.create_group(path / "OME", zarr_format=3, attributes=series)
    for i, stack in enumerate(stacks):
        _write_inside(path, str(i), stack, (0.5 + i, 0.2, 0.2))
    return path


def write_plate(path: Path, stacks: list[Any]) -> Path:
    """A plate of one well, A/1, with a field for each stack, and a well that was not acquired."""
    wells = [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}, {"path": "A/2", "rowIndex": 0, "columnIndex": 1}]
    zarr.create_group(path, zarr_format=3, attributes={"ome": {"version": "0.5", "plate": {"wells": wells}}})
    fields = [{"path": str(i)} for i in range(len(stacks))]
    zarr.create_group(path / "A/1", zarr_format=3, attributes={"ome": {"version": "0.5", "well": {"images": fields}}})
    for i, stack in enumerate(stacks):
        _write_inside(path / "A/1", str(i), stack, (0.5 + i, 0.2, 0.2))
    return path


def _write_inside(folder: Path, name: str, stack: Any, spacing_um: tuple[float, float, float]) -> None:
    write_stack(folder / f"{name}.zarr", stack, spacing_um)
    (folder / f"{name}.zarr").rename(folder / name)
