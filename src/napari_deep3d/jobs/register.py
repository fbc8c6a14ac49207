"""Register pairs in files: one pair, or two folders of many, into the pairs folder that training reads."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from napari_deep3d.core.config import RegisterConfig
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import Clock, Event, Job, Notice, Progress, Stop, StoppedError, mapped, never
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.core.registration.result import Registration
from napari_deep3d.core.registration.transform import Transform
from napari_deep3d.core.registration.warp import AlignedPair, align_pair
from napari_deep3d.core.types import Spacing
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.io.output import part_path
from napari_deep3d.io.stack_file import stack_name
from napari_deep3d.jobs.pairs import CONFOCAL, SUFFIXES, WIDEFIELD
from napari_deep3d.jobs.registration_figure import draw_registration
from napari_deep3d.jobs.registration_file import save_transform

REGISTRATION = "registration"
SUMMARY = "summary.csv"
COLUMNS = ("name", "confidence", "shift_z_um", "shift_y_um", "shift_x_um", "method", "seconds", "problem")


@dataclass(frozen=True)
class StackSource:
    """Where one stack of a pair is: a file or a folder of them, its channel, its voxel size (Z, Y, X) if unstated."""

    path: Path
    channel: int | None = None
    spacing_um: Spacing | None = None

    @property
    def is_folder_of_stacks(self) -> bool:
        """Whether it is a folder, and no OME-Zarr stack."""
        return self.path.is_dir() and self.path.suffix.lower() != ".zarr"

    def within(self, name: str) -> StackSource:
        """The stack of a name in the folder."""
        return StackSource(self.path / name, self.channel, self.spacing_um)

    def volume(self) -> Volume:
        """Open the stack; voxels stay on disk."""
        stack = open_stack(self.path).volume(self.channel)
        return Volume(stack.data, self.spacing_um or stack.spacing_um, stack.origin_um, stack.name)


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
    ``NAME.png``. NAME is that of the wide-field file.

    Raises
    ------
    InputError
        If the stacks cannot be registered, no alignment is found that can be trusted, or the pair is there already.
    StoppedError
        If it was stopped; nothing is written then.
    """
    folder, name = Path(output), stack_name(widefield.path)
    _check_free(folder, name, overwrite)
    stacks = confocal.volume(), widefield.volume()
    registration = yield from register_volumes(*stacks, config, stop)
    for notice in registration.notices:
        yield Notice(notice)
    if registration.refusal:
        raise InputError(registration.refusal)
    pair = yield from align_pair(*stacks, registration.transform, stop)
    _write(folder, name, pair, registration, stacks)
    return RegisteredPair(folder, name, registration)


def align_stacks(
    confocals: Sequence[Volume], widefield: Volume, transform: Transform, stop: Stop = never
) -> Job[list[AlignedPair]]:
    """Align several stacks of one microscope, such as its channels, by the same transform.

    Raises
    ------
    InputError
        If the stacks share too little.
    StoppedError
        If it was stopped.
    """
    clock, pairs = Clock(), list[AlignedPair]()
    for confocal in confocals:

        def overall(event: Event) -> Event:
            if isinstance(event, Progress):
                return clock.progress(len(pairs) + event.fraction, len(confocals), event.message)
            return event

        pairs.append((yield from mapped(align_pair(confocal, widefield, transform, stop), overall)))
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

    Also writes ``registration/summary.csv``, a row a pair, the least sure first.

    Raises
    ------
    InputError
        If the folders hold no two files of one name.
    """
    names = _common_names(confocal.path, widefield.path)
    for name in sorted(names.alone):
        yield Notice(f"{name} has no partner of that name in the other folder; it is left out.")
    folder, rows = Path(output), list[Row]()
    for number, (own, other) in enumerate(names.pairs):
        where = f"pair {number + 1} of {len(names.pairs)}"
        job = register_pair(
            confocal.within(own), widefield.within(other), folder, config, overwrite=overwrite, stop=stop
        )
        try:
            rows.append((yield from _one(job, where, number, len(names.pairs))))
        except StoppedError:
            break
        except (InputError, OSError) as error:
            rows.append(Row(stack_name(Path(other)), None, str(error)))
            yield Notice(f"{where}, {other}: {error}")
    ordered = tuple(sorted(rows, key=lambda row: row.confidence))
    if ordered:
        _write_summary(folder, ordered)
    return RegisteredFolder(folder, ordered, len(rows) == len(names.pairs))


def _one(job: Job[RegisteredPair], where: str, number: int, total: int) -> Job[Row]:
    """Run one pair's job as a part of many: its progress becomes that of the whole."""
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            made: RegisteredPair = end.value
            return Row(made.name, made.registration)
        if isinstance(event, Progress):
            event = Progress(number + event.fraction, total, f"{where}: {event.message}")
        yield event


@dataclass(frozen=True)
class _Names:
    pairs: list[tuple[str, str]]
    alone: set[str]


def _common_names(confocal: Path, widefield: Path) -> _Names:
    """Files of two folders whose names, without endings, are the same."""
    found = [_stacks(folder) for folder in (confocal, widefield)]
    common = sorted(found[0].keys() & found[1].keys())
    if not common:
        raise InputError(
            f"{confocal} and {widefield} hold no two stacks of the same name ({len(found[0])} and {len(found[1])} "
            "stacks). Name the files of a pair alike, in two folders."
        )
    alone = {found[side][name] for side in (0, 1) for name in found[side].keys() ^ set(common)}
    return _Names([(found[0][name], found[1][name]) for name in common], alone)


def _stacks(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder. Give two files, or two folders of files with the same names.")
    return {
        stack_name(path): path.name
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    }


def _files(folder: Path, name: str) -> Mapping[str, Path]:
    return {
        WIDEFIELD: folder / WIDEFIELD / f"{name}.ome.tif",
        CONFOCAL: folder / CONFOCAL / f"{name}.ome.tif",
        "json": folder / REGISTRATION / f"{name}.json",
        "png": folder / REGISTRATION / f"{name}.png",
    }


def _check_free(folder: Path, name: str, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; a folder for the pairs is needed. Give another name.")
    there = [path for path in _files(folder, name).values() if path.exists()]
    if there and not overwrite:
        raise InputError(f"{there[0]} exists and is not replaced. Give another folder, or allow it with --overwrite.")


def _write(
    folder: Path, name: str, pair: AlignedPair, registration: Registration, stacks: tuple[Volume, Volume]
) -> None:
    """Write all files of a pair, or none: what is new is removed if one of them fails."""
    files = _files(folder, name)
    fresh = [path for path in files.values() if not path.exists()]
    z, y, x = (a + b for a, b in zip(stacks[1].origin_um, pair.origin_um, strict=True))
    try:
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        for kind, data in ((WIDEFIELD, pair.widefield), (CONFOCAL, pair.confocal)):
            write_stack(
                files[kind],
                data,
                pair.spacing_um,
                (z, y, x),
                channel_name=kind,
                overwrite=True,
                description={"registration": registration.report()},
            )
        save_transform(files["json"], registration, overwrite=True)
        draw_registration(files["png"], registration, pair, *stacks, name)
    except BaseException as error:
        for path in fresh:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = f"cannot write to {folder}: {error.strerror}. Give a folder that you may write to."
            raise InputError(reason) from None
        raise


def _write_summary(folder: Path, rows: tuple[Row, ...]) -> None:
    text = StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows(row.cells() for row in rows)
    path = folder / REGISTRATION / SUMMARY
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}. Give a folder that you may write to.") from None
    part = part_path(path)
    try:
        part.write_text(text.getvalue(), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
