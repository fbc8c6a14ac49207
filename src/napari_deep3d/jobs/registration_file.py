"""A registration as a JSON file: written whole or not at all, and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from napari_deep3d.core import InputError, Volume, writing, zyx
from napari_deep3d.core.registration import Registration, ShiftMap, Transform, centre_um


class _Notes(BaseModel):
    """What a file says besides the transform; all of it may be missing."""

    confidence: float = Field(0.0, ge=0, le=1)
    method: str = "from a file"
    refusal: str = ""
    notices: tuple[str, ...] = ()
    seconds: float = 0.0


def save_transform(path: Path, registration: Registration, overwrite: bool = False) -> Path:
    """Write a registration; the name gets the ending .json if it has none.

    Raises
    ------
    InputError
        If there is a file of that name and it is not to be replaced, or the folder cannot be written to.
    """
    final = path if path.suffix else path.with_suffix(".json")
    if final.exists() and not (overwrite and final == path):
        raise InputError(f"{final} exists and is not replaced. Give another name.")
    with writing(final, "Choose another folder.") as part:
        part.write_text(json.dumps(registration.report(), indent=2), encoding="utf-8")
    return final


def load_transform(path: Path, confocal: Volume, widefield: Volume) -> Registration:
    """Read a registration for a pair; the profiles are not kept in files.

    Raises
    ------
    InputError
        If it cannot be read, or is no registration.
    """
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Choose another file.") from None
    except ValueError:  # no JSON, or not even text
        values = None
    transform = Transform.from_dict(values)
    try:
        notes = _Notes.model_validate(values)
    except ValidationError:
        raise InputError(f"{path.name} was changed by hand and cannot be read. Save the registration again.") from None
    shift = transform.shift_at(centre_um(confocal.shape, confocal.require_spacing_um()))
    step_um = widefield.require_spacing_um()
    none = ShiftMap(np.zeros((1, 1, 1), dtype=np.float32), step_um, shift)
    return Registration(
        transform=transform,
        shift_um=shift,
        shift_voxels=zyx(um / step for um, step in zip(shift, step_um, strict=True)),
        evidence=None,
        psf=none,
        filtered_correlation=none,
        plain_correlation=none,
        **notes.model_dump(),
    )
