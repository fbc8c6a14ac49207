"""A prediction in files that was interrupted, at whatever moment, and is gone on with.

It grows under a name with ``-incomplete`` in it, which it loses when it is whole. Beside it lies a hidden folder with
what is needed to go on: what the prediction is made of, and how many tiles are in the files. Tiles are *added* to what
is there, so one that is half written must not be added again: what its box will hold is written down first, and put
there once more when the prediction is gone on with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, JsonValue, ValidationError

from napari_deep3d.core import FloatArray, InputError, Shape, TileDone, keep_on_disk, reason, writing
from napari_deep3d.core.tiling import TilePlan
from napari_deep3d.io import StackWriter, remove
from napari_deep3d.jobs.predict.predict import Output
from napari_deep3d.jobs.predict.series import PreparedSeries

FORMAT_VERSION = 1
STATE_FILE, TILE_FILE, LOCK_FILE, TILES_FOLDER = "state.json", "tile.npz", "lock", "tiles"
SHARED_FOLDER = "cluster"
MAKE_ROOM = "Make room, or give a folder on another disk."
MAX_TOLD = 30
"""Letters of a value that a user is told; longer ones are digests."""
Index = tuple[int | slice, ...]
ENDINGS = (".ome", ".tif", ".tiff", ".zarr")


def split_name(path: Path) -> tuple[str, str]:
    """The name of a stack's file and its ending, such as ``.ome.tif``."""
    suffix = "".join(s for s in path.suffixes[-2:] if s.lower() in ENDINGS)
    return path.name.removesuffix(suffix), suffix


def incomplete_path(path: Path) -> Path:
    """Name beside ``path`` under which a result lies while it is not whole."""
    stem, suffix = split_name(path)
    return path.with_name(f"{stem}-incomplete{suffix}")


class WrittenBox(BaseModel):
    """What is known of a box of a result that a worker has written, for the figures about the whole.

    ``total``, ``squares`` and ``voxels`` are of the tiles' cores; ``squared_difference`` and ``overlapping`` of where
    two tiles overlap; ``uncertainty`` is the sum of the uncertainty.
    """

    total: float = 0.0
    squares: float = 0.0
    voxels: int = 0
    squared_difference: float = 0.0
    overlapping: int = 0
    uncertainty: float = 0.0
    brightest: float = 0.0


class State(BaseModel):
    """What is noted of a prediction under way; each mapping is by time point.

    Attributes
    ----------
    made_of
        All that the result depends on, by its name for people.
    tiles, measured_voxels
        Voxels (Z, Y, X) of a tile, and the most that are measured at once: both may come from the memory that was free.
    done
        Number of tiles that are in the files.
    uncertainty_sum
        Of all voxels of all time points so far.
    written
        On a cluster: the boxes that workers have written, by level and number of the box.
    """

    version: int = FORMAT_VERSION
    made_of: dict[str, JsonValue]
    tiles: dict[int, Shape]
    measured_voxels: dict[int, float]
    done: dict[int, int]
    uncertainty_sum: float = 0.0
    written: dict[int, dict[str, WrittenBox]] = {}


@dataclass(frozen=True)
class NotedTile:
    """What the files will hold at a place when a tile is in them.

    Attributes
    ----------
    time, number : int
        Time point, and how many of its tiles come before.
    place : tuple
        Index in the files.
    values : list of array, axes (Z, Y, X)
        For each file, float32.
    uncertainty_sum : float
        Of all voxels of all time points, this tile included.
    """

    time: int
    number: int
    place: Index
    values: list[FloatArray]
    uncertainty_sum: float

    def write(self, path: Path) -> None:
        """Write it down."""
        # An index is written as a start without a stop.
        edges = np.array([(part.start, part.stop) if isinstance(part, slice) else (part, -1) for part in self.place])
        counts, spread = np.array([self.time, self.number]), np.array(self.uncertainty_sum)
        with path.open("wb") as file:
            np.savez(file, *self.values, counts=counts, edges=edges, spread=spread)

    @classmethod
    def read(cls, path: Path, files: int) -> NotedTile:
        """Read what was written for a number of files; InputError if it is damaged."""
        try:
            with np.load(path) as noted:
                place = tuple(int(a) if b < 0 else slice(int(a), int(b)) for a, b in noted["edges"])
                values = [noted[f"arr_{index}"] for index in range(files)]
                time, number = (int(count) for count in noted["counts"])
                return cls(time, number, place, values, float(noted["spread"]))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise InputError(f"{path} is damaged ({reason(error)}). Delete its folder to begin anew.") from error


class Unfinished:
    """What is kept of a prediction in files while it is under way.

    Parameters
    ----------
    targets : sequence of Path
        Names of the whole files.
    source : Path or None
        The file that is predicted from, if it is one.

    Attributes
    ----------
    paths : list of Path
        Where the files grow.

    Raises
    ------
    InputError
        If something else has such a name.
    """

    def __init__(self, targets: Sequence[Path], source: Path | None = None) -> None:
        self.paths = [incomplete_path(target) for target in targets]
        self._target, self._source = targets[0], source
        self._folder = targets[0].with_name(f".{targets[0].name}.unfinished")
        self._lock = FileLock(self._folder / LOCK_FILE, timeout=0, thread_local=False)
        self._state: State | None = None
        for path in self.paths:
            if path.exists() and not (self._folder / STATE_FILE).exists():
                raise InputError(
                    f"{path} exists, and is no prediction that can be gone on with; a result grows under this name. "
                    "Rename or delete it, or give another output."
                )

    @property
    def tiles_folder(self) -> Path:
        """Where the workers of a cluster keep tiles that are not in the files yet."""
        return self._folder / TILES_FOLDER

    def written(self, time: int) -> Mapping[str, WrittenBox]:
        """The boxes of a time point that workers have written, by level and number."""
        return {} if self._state is None else self._state.written.get(time, {})

    def set_tiles(self, time: int, count: int) -> None:
        """Note how many tiles of a time point workers have computed in all."""
        if self._state is not None and self.done(time) != count:
            self._state = self._state.model_copy(update={"done": self._state.done | {time: count}})
            self._write(self._state)

    def note_parts(self, tiles: Mapping[int, int], boxes: Mapping[int, Mapping[str, WrittenBox]]) -> None:
        """Note how many more tiles workers have computed, and what boxes they have written, by time point."""
        if self._state is None:
            return  # the files were removed meanwhile
        done = self._state.done | {time: self.done(time) + count for time, count in tiles.items()}
        written = self._state.written | {time: {**self.written(time), **found} for time, found in boxes.items()}
        spread = sum(box.uncertainty for found in boxes.values() for box in found.values())
        update = {"done": done, "written": written, "uncertainty_sum": self.uncertainty_sum + spread}
        self._state = self._state.model_copy(update=update)
        self._write(self._state)

    @property
    def tiles_done(self) -> int:
        """Number of tiles that are finished, of all time points."""
        return 0 if self._state is None else sum(self._state.done.values())

    @property
    def uncertainty_sum(self) -> float:
        """Of all voxels so far."""
        return 0.0 if self._state is None else self._state.uncertainty_sum

    def done(self, time: int) -> int:
        """Number of tiles of a time point that are finished."""
        return 0 if self._state is None else self._state.done.get(time, 0)

    @contextmanager
    def under_way(
        self, series: PreparedSeries, made_of: Mapping[str, JsonValue], overwrite: bool
    ) -> Iterator[PreparedSeries]:
        """Begin a prediction, or go on with it, in the ``with`` block; whatever ends that, finished tiles are kept.

        Parameters
        ----------
        series : PreparedSeries
            What is to be predicted.
        made_of : mapping
            All that the result depends on, by its name for people.
        overwrite : bool
            Whether an unfinished prediction that is made of something else may be replaced.

        Yields
        ------
        PreparedSeries
            The same, in the tiles that it was begun with.

        Raises
        ------
        InputError
            If it may not be, if it is damaged, or if another program is at it.
        """
        with self.held():
            try:
                yield self._begin(series, dict(made_of), overwrite)
            except InputError as error:
                if not self.tiles_done:
                    raise
                raise InputError(f"{error} {self._kept}") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other programs from it in the ``with`` block, which may lie in another one; InputError if one is at it.

        At its end what nobody needs is removed.
        """
        try:
            self._folder.mkdir(exist_ok=True)
            self._lock.acquire()
        except Timeout:
            message = f"another program is predicting {self._target}. Wait for its end, or give another output."
            raise InputError(message) from None
        except OSError as error:
            raise InputError(f"cannot write {self._target}: {reason(error)}. {MAKE_ROOM}") from None
        try:
            yield
        finally:
            self._lock.release()
            if not self._lock.is_locked:
                self._clear_up()

    @contextmanager
    def shared_folder(self) -> Iterator[Path]:
        """A new folder for what workers of a cluster need, within the block; InputError if it cannot be made."""
        folder = self._folder / SHARED_FOLDER
        try:
            remove(folder)
            folder.mkdir()
        except OSError as error:
            raise InputError(f"cannot write {self._target}: {reason(error)}. {MAKE_ROOM}") from None
        try:
            yield folder
        finally:
            with suppress(OSError):
                remove(folder)

    @property
    def _kept(self) -> str:
        return f"What is finished is kept as {self.paths[0]}: the same command goes on from there."

    def _begin(self, series: PreparedSeries, made_of: dict[str, JsonValue], overwrite: bool) -> PreparedSeries:
        state = self._read()
        if state is not None and any(state.done.values()) and all(path.exists() for path in self.paths):
            differing = _differing(state.made_of, made_of)
            if not differing:
                self._state = state
                usable = {
                    time: prepared.in_tiles_of(state.tiles[time], state.measured_voxels[time])
                    for time, prepared in series.usable.items()
                }
                return replace(series, usable=usable)
            if not overwrite:
                raise InputError(
                    f"{self.paths[0]} is an unfinished prediction of something else; not the same are "
                    f"{', '.join(differing)}. Give what it was begun with to go on, give another output, or begin anew "
                    "with --overwrite."
                )
        for path in self.paths:
            remove(path)
        (self._folder / TILE_FILE).unlink(missing_ok=True)
        remove(self.tiles_folder)
        plans = {time: prepared.plan for time, prepared in series.usable.items()}
        self._state = State(
            made_of=made_of,
            tiles={time: plan.tile for time, plan in plans.items()},
            measured_voxels={time: plan.measured_voxels for time, plan in plans.items()},
            done=dict.fromkeys(plans, 0),
        )
        self._write(self._state)
        return series

    def _clear_up(self) -> None:
        """Remove what nobody needs: the files of a prediction without a tile, the notes of one that is whole."""
        with suppress(OSError):
            if self._state is not None and not self.tiles_done:
                for path in self.paths:
                    remove(path)
            is_whole = self._state is not None and not any(path.exists() for path in self.paths)
            if is_whole or not (self._folder / STATE_FILE).exists():
                remove(self._folder)

    def _read(self) -> State | None:
        file = self._folder / STATE_FILE
        if not file.exists():
            return None
        try:
            state = State.model_validate_json(file.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError):
            state = None
        if state is None or state.version != FORMAT_VERSION:
            raise InputError(
                f"{self.paths[0]} cannot be gone on with: its notes in {file} are damaged, or of another version of "
                "napari-deep3d. Delete both to begin anew."
            )
        return state

    def _write(self, state: State) -> None:
        with writing(self._folder / STATE_FILE, MAKE_ROOM) as part:
            part.write_text(state.model_dump_json(), encoding="utf-8")
            keep_on_disk(part)
        keep_on_disk(self._folder)

    # Tiles

    def check_there(self) -> None:
        """Refuse (InputError) to go on with files that somebody removed, and that a library would make anew in part."""
        for path in (*self.paths, self._folder / STATE_FILE):
            is_zarr = path.suffix.lower() == ".zarr"
            if not (path / "zarr.json" if is_zarr else path).exists():
                self._state = None
                if is_zarr:
                    remove(path)
                raise InputError(
                    f"{path} was removed or renamed while it was written: nothing is kept. Begin again, and leave the "
                    "output in its place."
                )
        if self._source is not None and not self._source.exists():
            raise InputError(f"{self._source} was removed or renamed while it was read. Put it back.")

    def add(self, time: int, place: Index, files: Sequence[StackWriter], tile: TileDone) -> None:
        """Add a tile to the files, at a place in them, in a way that can be broken off anywhere and gone on with."""
        self.check_there()
        parts = [part for part in (tile.values, tile.uncertainty) if part is not None]
        spread = 0.0 if tile.uncertainty is None else float(tile.uncertainty.sum(dtype=np.float64))
        try:
            values = [file.data[place] + part for file, part in zip(files, parts, strict=True)]
            noted = NotedTile(time, self.done(time), place, values, self.uncertainty_sum + spread)
            with writing(self._folder / TILE_FILE, MAKE_ROOM) as part_file:
                noted.write(part_file)
                keep_on_disk(part_file)
            keep_on_disk(self._folder)
            self._put(noted, files)
        except OSError as error:
            raise InputError(f"cannot write {self.paths[0]}: {reason(error)}. {MAKE_ROOM}") from error

    def finish_tile(self, files: Sequence[StackWriter]) -> None:
        """Put the tile into the files that was noted when the prediction was broken off, and is not there for sure."""
        file = self._folder / TILE_FILE
        if not file.exists():
            return
        noted = NotedTile.read(file, len(files))
        if noted.number == self.done(noted.time):
            self._put(noted, files)
        file.unlink(missing_ok=True)

    def _put(self, noted: NotedTile, files: Sequence[StackWriter]) -> None:
        for file, voxels in zip(files, noted.values, strict=True):
            file.data[noted.place] = voxels
            file.data.flush(noted.place)
        assert self._state is not None
        done = self._state.done | {noted.time: noted.number + 1}
        state = self._state.model_copy(update={"done": done, "uncertainty_sum": noted.uncertainty_sum})
        self._write(state)
        self._state = state
        (self._folder / TILE_FILE).unlink(missing_ok=True)


def _differing(before: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> list[str]:
    """What of two predictions is not the same, in words."""
    words = []
    for name in {**before, **now}:
        then, is_now = before.get(name), now.get(name)
        if then != is_now:
            is_digest = isinstance(is_now, list | str) and len(str(is_now)) > MAX_TOLD
            words.append(name if is_digest else f"{name} ({_told(then)} before, {_told(is_now)} now)")
    return words


def _told(value: JsonValue) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True, kw_only=True)
class GrowingOutput(Output):
    """Files that a prediction grows in; where there is no next tile yet, the edge of the last one fades to 0."""

    files: tuple[StackWriter, ...]
    unfinished: Unfinished

    @classmethod
    def of(cls, files: Sequence[StackWriter], unfinished: Unfinished) -> GrowingOutput:
        """Of the opened files of the prediction and, if it is asked for, its uncertainty."""
        unfinished.finish_tile(files)
        stacks = [file.data for file in files]
        uncertainty = stacks[1] if len(stacks) > 1 else None
        return cls(prediction=stacks[0], uncertainty=uncertainty, files=tuple(files), unfinished=unfinished)

    @property
    def tiles_done(self) -> int:
        """Number of tiles that are in it already."""
        return self.unfinished.done(self.time or 0)

    def add(self, tile: TileDone) -> None:
        """Add a finished tile; InputError if it cannot be written."""
        self.unfinished.add(self.time or 0, self.place(tile.region), self.files, tile)

    def even_out(self, layout: TilePlan, tiles: int) -> None:
        """Leave the edge as it is: the tiles that are missing will be added to it."""
