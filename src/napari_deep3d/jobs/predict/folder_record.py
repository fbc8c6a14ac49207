"""What a folder of predictions notes of itself: of each result what it was made from, and a table for people."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from napari_deep3d.core import BatchRow, PredictConfig, writing
from napari_deep3d.io import open_stack, readable, remove
from napari_deep3d.jobs.models.store import model_info, model_sha256
from napari_deep3d.jobs.predict.folder_items import Item, Wanted

TABLE, RECORD = "predictions.csv", "predictions.json"
COLUMNS = ("file", "image", "state", "reason", "seconds", "output")
THERE = "its result is there"
DIGEST_LETTERS = 12
REMEDY = "Make room, or give a folder that you may write to."


class Source(BaseModel):
    """What a result was made from: size and newest change of the input's files, and all settings that change it."""

    model_config = ConfigDict(frozen=True)

    input_bytes: int
    input_changed_ns: int
    settings: dict[str, JsonValue]

    @classmethod
    def of(cls, item: Item, settings: Mapping[str, JsonValue]) -> Source:
        """What the result of an item is made from now; OSError if the files cannot be looked at."""
        size, changed_ns = 0, 0
        for path in item.files:
            for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
                found = file.stat()
                size += 0 if file.is_dir() else found.st_size
                changed_ns = max(changed_ns, found.st_mtime_ns)
        return cls(input_bytes=size, input_changed_ns=changed_ns, settings=dict(settings))


def settings_of(config: PredictConfig, wanted: Wanted) -> dict[str, JsonValue]:
    """The settings that change a result; the model with a mark of what is in its file.

    InputError if there is no such model, or it cannot be used.
    """
    return {
        "model": f"{model_info(config.model).name} ({model_sha256(config.model)[:DIGEST_LETTERS]})",
        "quality": config.resolved_quality,
        "deepest": config.deepest,
        "uncertainty": config.uncertainty,
        "spacing_um": None if config.spacing_um is None else list(config.spacing_um),
        "precision": config.precision,
        "axes": wanted.axes,
    }


class Made(BaseModel):
    """A result that a batch made, and what it was made from; ``note`` is what to know of it.

    ``left_out`` is the number of time points that show nothing.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    image: str
    output: str
    source: Source
    seconds: float
    note: str = ""
    left_out: int = 0


class Record(BaseModel):
    """The results in a folder by their names, and by the same names the unfinished parts of others."""

    made: dict[str, Made] = {}
    parts: dict[str, list[str]] = {}

    @classmethod
    def read(cls, folder: Path) -> Record:
        """Read what a folder notes of itself; nothing, if there is no such note or it was damaged."""
        try:
            return cls.model_validate_json((folder / RECORD).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def write(self, folder: Path) -> None:
        """Write it, unless it says so already; InputError if it cannot be written."""
        _write(folder / RECORD, json.dumps(self.model_dump(mode="json"), indent=1) + "\n")

    def judge(self, item: Item, row: BatchRow, source: Source) -> BatchRow:
        """What is to be done: still ``waiting``, or ``skipped`` or ``outdated`` and why."""
        there = [target.exists() for target in item.targets]
        if not any(there):
            return row
        made = self.made.get(row.output)
        if not all(there):
            fault = f"{item.targets[there.index(False)].name} is missing beside it"
        elif made is None:
            fault = _unlike_its_description(item, source)
        elif made.file != row.file:
            fault = f"it was made from {made.file}"
        elif made.source != source:
            fault = _change(made.source, source)
        else:
            fault = ""
        if fault:
            return replace(row, state="outdated", reason=f"{row.output} is there and kept, but {fault}")
        return replace(row, state="skipped", reason=THERE)

    def note(self, made: Made, folder: Path) -> None:
        """Note a result that is whole, and remove unfinished parts of it."""
        self.made[made.output] = made
        for name in self.parts.pop(made.output, []):
            if Path(name).name == name and "-incomplete" in name:  # nobody else's file, whatever the record says
                with suppress(OSError):
                    remove(folder / name)

    def as_it_is(self, row: BatchRow) -> BatchRow:
        """The row of a result that is there, as when it was made."""
        made = self.made.get(row.output)
        if row.state != "skipped" or made is None:
            return row
        return replace(row, state="done", reason=made.note, seconds=made.seconds)


def write_table(folder: Path, rows: Iterable[BatchRow]) -> None:
    """Write the table, unless it says so already; InputError if it cannot be written."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows(cells(row) for row in rows)
    _write(folder / TABLE, text.getvalue())


def cells(row: BatchRow) -> list[object]:
    """Values of the table's columns."""
    seconds = "" if row.seconds is None else round(row.seconds, 2)
    return [row.file, row.image, row.state, row.reason, seconds, row.output]


def _write(path: Path, text: str) -> None:
    data = text.encode()
    try:
        if path.read_bytes() == data:
            return
    except OSError:
        pass
    with writing(path, REMEDY) as part:
        part.write_bytes(data)


def _change(old: Source, new: Source) -> str:
    """What is different now."""
    if (old.input_bytes, old.input_changed_ns) != (new.input_bytes, new.input_changed_ns):
        return "its input has changed since"
    names = sorted(old.settings.keys() | new.settings.keys())
    changes = [(name, old.settings.get(name), new.settings.get(name)) for name in names]
    told = [f"{name} was {_told(was)}, is {_told(now)} now" for name, was, now in changes if was != now]
    return f"it was made with other settings: {'; '.join(told)}"


def _told(value: JsonValue) -> str:
    return "not given" if value is None else str(value)


def _unlike_its_description(item: Item, source: Source) -> str:
    """Why a result of which nothing is noted is another one than would be made now; empty if it is the same."""
    try:
        found = open_stack(item.targets[0])
        changed_ns = item.targets[0].stat().st_mtime_ns
    except Exception as error:  # of a file that somebody else put there, anything
        return f"it is none of these results ({error})"
    about, settings = found.description or {}, source.settings
    expected: dict[str, Any] = {name: settings[name] for name in ("quality", "deepest")}
    expected |= {"model": str(settings["model"]).rpartition(" (")[0], "input": readable(item.path.name)}
    if any(about.get(name) != value for name, value in expected.items()):
        return "nothing is noted of how it was made"
    spacing: Any = settings["spacing_um"]
    if spacing is not None and not np.allclose(spacing, found.spacing_um or 0):
        return "it was made with another voxel size"
    return "its input has changed since" if changed_ns < source.input_changed_ns else ""
