"""Register pairs in files: one pair, or two folders of many, into the pairs folder that training reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from napari_deep3d.core import (
    Clock,
    Event,
    InputError,
    Job,
    Notice,
    Progress,
    RegisterConfig,
    Spacing,
    Stop,
    StoppedError,
    Volume,
    mapped,
    never,
    writing,
    zyx,
)
from napari_deep3d.core.registration import (
    AlignedPair,
    Registration,
    ShiftMap,
    Transform,
    align_pair,
    centre_um,
    register_volumes,
)
from napari_deep3d.io import StackFile, check_folder, open_stack, stack_name
from napari_deep3d.jobs.figures import draw_registration
from napari_deep3d.jobs.pairs import KINDS, WRITTEN_SUFFIX, PairsFolder, pair_up

REGISTRATION = "registration"
"""The folder, beside those of the stacks, of what was found and its picture."""
SUMMARY = "summary.csv"
COLUMNS = ("name", "confidence", "shift_z_um", "shift_y_um", "shift_x_um", "method", "seconds", "problem")


@dataclass(frozen=True)
class StackSource:
    """Where one stack of a pair is: a file or a folder of them, its channel, its voxel size (Z, Y, X) if unstated.

    ``position`` and ``axes`` are as in :func:`~napari_deep3d.io.open_stack`; ``channel`` and ``time``
    count from 0; the time is for files that hold several.
    """

    path: Path
    channel: int | None = None
    spacing_um: Spacing | None = None
    position: int | None = None
    axes: str | None = None
    time: int | None = None

    @property
    def is_folder_of_stacks(self) -> bool:
        """Whether it is a folder, and no OME-Zarr stack."""
        return self.path.is_dir() and self.path.suffix.lower() != ".zarr"

    @property
    def name(self) -> str:
        """What to call its pair."""
        return stack_name(self.path) + ("" if self.position is None else f"_pos{self.position}")

    def within(self, name: str) -> StackSource:
        """The stack of a name in the folder."""
        return replace(self, path=self.path / name)

    def opened(self) -> StackFile:
        """Open the file; voxels stay on disk."""
        return open_stack(self.path, self.position, self.axes)

    def volume(self) -> Volume:
        """Open the stack; voxels stay on disk."""
        file = self.opened()
        stack = file.volume(self.channel, self.time if file.n_times > 1 else None)
        return replace(stack, spacing_um=self.spacing_um or stack.spacing_um)


@dataclass(frozen=True)
class RegisteredPair:
    """A pair that was written to a pairs folder."""

    output: Path
    name: str
    registration: Registration

    def report(self) -> dict[str, object]:
        """Plain values to print."""
        return {"output": str(self.output), "name": self.name} | self.registration.report()


@dataclass(frozen=True)
class Row:
    """One pair of many: its registration, or why there is none."""

    name: str
    registration: Registration | None
    problem: str = ""

    @property
    def confidence(self) -> float:
        """Of the registration; 0 where there is none."""
        return 0.0 if self.registration is None else self.registration.confidence

    def in_words(self) -> str:
        """The outcome as one line."""
        return self.problem if self.registration is None else self.registration.in_words()

    def cells(self) -> list[object]:
        """Values of the summary's columns."""
        if self.registration is None:
            return [self.name, "", "", "", "", "", "", self.problem]
        found = self.registration
        shift = [round(um, 4) for um in found.shift_um]
        return [self.name, round(found.confidence, 3), *shift, found.method, round(found.seconds, 2), self.problem]


@dataclass(frozen=True)
class RegisteredFolder:
    """Pairs of two folders; ``rows`` are sorted by confidence, the least sure first."""

    output: Path
    rows: tuple[Row, ...]
    complete: bool

    @property
    def failed(self) -> int:
        """Number of pairs that were not written."""
        return sum(bool(row.problem) for row in self.rows)

    def report(self) -> dict[str, object]:
        """Plain values for JSON."""
        rows = [dict(zip(COLUMNS, row.cells(), strict=True)) for row in self.rows]
        return {"output": str(self.output), "pairs": len(rows) - self.failed, "failed": self.failed, "summary": rows}

    def lines(self) -> dict[str, object]:
        """A line a pair, for people; the least sure first."""
        return {row.name: row.in_words() for row in self.rows} | {"output": str(self.output), "failed": self.failed}


def register_pair(
    confocal: StackSource,
    widefield: StackSource,
    output: str | Path,
    config: RegisterConfig,
    *,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[RegisteredPair]:
    """Register one pair and add it to a pairs folder.

    Writes ``confocal/NAME.ome.tif`` and ``widefield/NAME.ome.tif`` of one shape, and ``registration/NAME.json`` and
    ``NAME.png``. NAME is that of the wide-field file, and of its position if one was chosen.

    Raises
    ------
    InputError
        If the stacks cannot be registered, no alignment is found that can be trusted, or the pair is there already.
    StoppedError
        If it was stopped; nothing is written then.
    """
    folder, name = PairsFolder(output), widefield.name
    if folder.path.exists() and not folder.path.is_dir():
        raise InputError(f"{folder.path} is a file; a folder for the pairs is needed. Give another name.")
    there = [path for path in _files(folder, name) if path.exists()]
    if there and not overwrite:
        raise InputError(f"{there[0]} exists and is not replaced. Give another folder, or allow it with --overwrite.")
    stacks = confocal.volume(), widefield.volume()
    for notice in (*stacks[0].notices, *stacks[1].notices):
        yield Notice(notice)
    registration = yield from register_volumes(*stacks, config, stop)
    for notice in registration.notices:
        yield Notice(notice)
    if registration.refusal:
        raise InputError(registration.refusal)
    pair = yield from align_pair(*stacks, registration.transform, stop)
    _write(folder, name, pair, registration, *stacks)
    return RegisteredPair(folder.path, name, registration)


def align_stacks(
    confocals: Sequence[Volume], widefield: Volume, transform: Transform, stop: Stop = never
) -> Job[list[AlignedPair]]:
    """Align several stacks of one microscope, such as its channels, by the same transform; all as the first is cropped.

    InputError if the stacks share too little, StoppedError if it was stopped.
    """
    clock, pairs = Clock(), list[AlignedPair]()
    for confocal in confocals:

        def overall(event: Event) -> Event:
            if isinstance(event, Progress):
                return clock.progress(len(pairs) + event.fraction, len(confocals), event.message)
            return event

        is_alike = bool(pairs) and confocal.shape == confocals[0].shape
        region = pairs[0].region if is_alike else None
        pairs.append((yield from mapped(align_pair(confocal, widefield, transform, stop, region), overall)))
    return pairs


def register_folders(
    confocal: StackSource,
    widefield: StackSource,
    output: str | Path,
    config: RegisterConfig,
    *,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[RegisteredFolder]:
    """Register every pair of two folders, files of the same name together; a pair that fails does not stop the rest.

    Also writes ``registration/summary.csv``, a row a pair, the least sure first. InputError if the folders hold no two
    files of one name.
    """
    pairs, alone = pair_up(confocal.path, widefield.path)
    for name in sorted(alone):
        yield Notice(f"{name} has no partner of that name in the other folder; it is left out.")
    folder, rows = Path(output), list[Row]()
    for number, (own, other) in enumerate(pairs):
        where = f"pair {number + 1} of {len(pairs)}"
        job = register_pair(
            confocal.within(own), widefield.within(other), folder, config, overwrite=overwrite, stop=stop
        )
        try:
            made = yield from mapped(job, partial(_as_part, number=number, total=len(pairs), where=where))
            rows.append(Row(made.name, made.registration))
        except StoppedError:
            break
        except (InputError, OSError) as error:
            rows.append(Row(stack_name(Path(other)), None, str(error)))
            yield Notice(f"{where}, {other}: {error}")
    ordered = tuple(sorted(rows, key=lambda row: row.confidence))
    if ordered:
        path = folder / REGISTRATION / SUMMARY
        check_folder(path.parent, overwrite=True)
        with (
            writing(path, "Give a folder that you may write to.") as part,
            part.open("w", newline="", encoding="utf-8") as file,
        ):
            table = csv.writer(file)
            table.writerow(COLUMNS)
            table.writerows(row.cells() for row in ordered)
    return RegisteredFolder(folder, ordered, len(rows) == len(pairs))


def _as_part(event: Event, number: int, total: int, where: str) -> Event:
    """An event of one pair as one of all pairs: its progress is a share of theirs."""
    if isinstance(event, Progress):
        return Progress(number + event.fraction, total, f"{where}: {event.message}")
    return event


def _files(folder: PairsFolder, name: str) -> list[Path]:
    """All files of a pair: the stacks, the registration and its picture."""
    stacks = [folder.file(kind, name + WRITTEN_SUFFIX) for kind in KINDS]
    return [*stacks, *(folder.file(REGISTRATION, name + suffix) for suffix in (".json", ".png"))]


def _write(
    folder: PairsFolder, name: str, pair: AlignedPair, registration: Registration, confocal: Volume, widefield: Volume
) -> None:
    """Write all files of a pair, or none: what is new is removed if one of them fails."""
    *stacks, record, picture = _files(folder, name)
    fresh = [path for path in (*stacks, record, picture) if not path.exists()]
    try:
        folder.write(
            name,
            pair.widefield,
            pair.confocal,
            pair.spacing_um,
            zyx(a + b for a, b in zip(widefield.origin_um, pair.origin_um, strict=True)),
            overwrite=True,
            description={"registration": registration.report()},
        )
        check_folder(record.parent, overwrite=True)
        save_transform(record, registration, overwrite=True)
        draw_registration(picture, registration, pair, confocal, widefield, name)
    except BaseException as error:
        for path in fresh:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = f"cannot write to {folder.path}: {error.strerror}. Give a folder that you may write to."
            raise InputError(reason) from None
        raise


class _Notes(BaseModel):
    """What a registration's file says besides the transform; all of it may be missing."""

    confidence: float = Field(0.0, ge=0, le=1)
    method: str = "from a file"
    refusal: str = ""
    notices: tuple[str, ...] = ()
    seconds: float = 0.0


def save_transform(path: Path, registration: Registration, overwrite: bool = False) -> Path:
    """Write a registration, whole or not at all; the name gets the ending .json if it has none.

    InputError if a file of that name is not to be replaced, or the folder cannot be written to.
    """
    final = path if path.suffix else path.with_suffix(".json")
    if final.exists() and not (overwrite and final == path):
        raise InputError(f"{final} exists and is not replaced. Give another name.")
    with writing(final, "Choose another folder.") as part:
        part.write_text(json.dumps(registration.report(), indent=2), encoding="utf-8")
    return final


def load_transform(path: Path, confocal: Volume, widefield: Volume) -> Registration:
    """Read a registration for a pair, without the profiles; InputError if it cannot be read, or is no registration."""
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Choose another file.") from None
    except (ValueError, RecursionError):  # no JSON, or not even text; or brackets nested without end
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
