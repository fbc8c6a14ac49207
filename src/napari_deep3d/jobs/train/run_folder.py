"""The folder of a training: its settings, figures, checkpoints and models, and how to find one again."""

from __future__ import annotations

import csv
import os
import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import tomli_w

from napari_deep3d.core import Event, InputError, Metrics, TrainConfig, read_toml, reason, writing

FORMAT_VERSION = 3
RUN_FILE, CONFIG_FILE, METRICS_FILE = "run.toml", "config.toml", "metrics.csv"
MODEL_FILE, LAST_FILE = "model.safetensors", "last.safetensors"
CHECKPOINTS, PAIRS = "checkpoints", "pairs"
FOLDER_VARIABLE = "NAPARI_DEEP3D_RUNS"
GO_ON_REMEDY = "The last checkpoint is kept: make room, then go on with --resume (Resume in the window)."
LOSSES = ("loss", "l1", "l2", "correlation", "gan", "vgg", "cycle", "blur", "discriminator", "learning_rate")
COLUMNS = ("step", *LOSSES, "validation_rmse", "validation_ssim", "widefield_rmse", "widefield_ssim")


@dataclass(frozen=True)
class RunInfo:
    """A training that was begun.

    ``name`` is that of its model, ``start`` the model that it began from, empty for none; ``pairs`` is the pairs
    folder, or that of the wide-field stacks where ``confocal`` is a folder of confocal stacks of other fields.
    """

    path: Path
    name: str
    pairs: Path
    start: str
    steps_done: int
    iterations: int
    config: TrainConfig
    confocal: Path | None = None

    @property
    def complete(self) -> bool:
        """Whether all steps are done."""
        return self.steps_done >= self.iterations


def runs_folder() -> Path:
    """Where the window keeps trainings: $NAPARI_DEEP3D_RUNS, or the user's data folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else platformdirs.user_data_path("napari-deep3d") / "runs"


def write_run(
    folder: Path, config: TrainConfig, name: str, pairs: Path, start: str, confocal: Path | None = None
) -> None:
    """Write what a run is, so that it can be resumed; ``pairs`` within the folder are noted as such."""
    inside = pairs.resolve().is_relative_to(folder.resolve())
    where = pairs.resolve().relative_to(folder.resolve()) if inside else pairs.resolve()
    about = {"format_version": FORMAT_VERSION, "name": name, "pairs": str(where), "start": start}
    if confocal is not None:
        about["confocal"] = str(confocal.resolve())
    for name_of_file, text in ((CONFIG_FILE, config.to_toml()), (RUN_FILE, tomli_w.dumps(about))):
        with writing(folder / name_of_file, "Give a folder that you may write to.") as part:
            part.write_text(text, encoding="utf-8")
    (folder / CHECKPOINTS).mkdir(exist_ok=True)


def end_run(folder: Path, config: TrainConfig, steps: int) -> TrainConfig:
    """Note that a run is complete after fewer steps than it was to make; the settings that say so."""
    ended = config.changed(iterations=steps)
    with writing(folder / CONFIG_FILE, GO_ON_REMEDY) as part:
        part.write_text(ended.to_toml(), encoding="utf-8")
    return ended


def read_run(folder: str | Path) -> RunInfo:
    """Read what a run is and how far it has come; no voxels, no weights, no torch.

    InputError if the folder is not a run, or one of another version.
    """
    folder = Path(folder)
    if not (folder / CONFIG_FILE).is_file():
        raise InputError(
            f"{folder} is not a run folder to resume: it has no {CONFIG_FILE}. Give the folder of an earlier training, "
            "or start a new one."
        )
    about = read_toml(folder / RUN_FILE) if (folder / RUN_FILE).is_file() else {}
    version = about.get("format_version", 1)
    if version != FORMAT_VERSION:
        raise InputError(
            f"{folder} is a run folder of version {version}; this program resumes version {FORMAT_VERSION}. Resume it "
            f"with the napari-deep3d that began it, or start a new run from its {MODEL_FILE} (--start)."
        )
    config = TrainConfig.checked(**read_toml(folder / CONFIG_FILE))
    steps = newest_step(folder / CHECKPOINTS)
    name, pairs = str(about.get("name", folder.name)), folder / str(about.get("pairs", PAIRS))
    start, confocal = str(about.get("start", "")), about.get("confocal")
    other = None if confocal is None else Path(str(confocal))
    return RunInfo(folder, name, pairs, start, steps, config.optimizer.iterations, config, other)


def list_unfinished(folder: str | Path | None = None) -> list[RunInfo]:
    """List the trainings of a folder that were begun and not ended, the newest first."""
    root = runs_folder() if folder is None else Path(folder)
    found = []
    for path in sorted(root.glob(f"*/{RUN_FILE}"), key=lambda file: -file.stat().st_mtime):
        try:
            run = read_run(path.parent)
        except (InputError, tomllib.TOMLDecodeError):
            continue
        if not run.complete and run.steps_done:
            found.append(run)
    return found


def newest_step(folder: Path) -> int:
    """Steps that the newest checkpoint of a folder has, by its name; 0 if there is none."""
    steps = [path.stem.removeprefix("step_") for path in folder.glob("step_*.safetensors")]
    return max((int(step) for step in steps if step.isdigit()), default=0)


class MetricsFile:
    """Writes metrics to a CSV file, a row per step; rows of steps that a crash lost and that are made again go."""

    def __init__(self, path: Path, first_step: int) -> None:
        self._path, self._begun = path, False
        self._keep_to(first_step)

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if not isinstance(event, Metrics):
            return
        values = {name: f"{value:.6g}" for name, value in event.values.items() if name in COLUMNS}
        try:
            if not self._begun:  # fewer rows than at first, where the newest checkpoint was damaged
                is_first = "loss" in event.values or not event.step  # of its step
                self._keep_to(event.step - 1 if is_first else event.step)
                self._begun = True
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, COLUMNS, restval="").writerow({"step": event.step, **values})
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {reason(error)}. {GO_ON_REMEDY}") from None

    def _keep_to(self, step: int) -> None:
        kept = [row for row in _rows(self._path) if int(row["step"]) <= step]
        with writing(self._path, GO_ON_REMEDY) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(kept)


def read_metrics(run: Path, last_step: int) -> list[Metrics]:
    """Read what a run has measured up to a step, to look at: what cannot be read is left out."""
    try:
        rows = _rows(run / METRICS_FILE)
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    found = []
    for row in rows:
        step = int(row.pop("step"))
        with suppress(ValueError):
            values = {name: float(value) for name, value in row.items() if value}
            if step <= last_step:
                found.append(Metrics(step, values))
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    """The whole rows of a metrics file; a last one that was cut off, and what was damaged, is left out."""
    if not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", "replace")
    found = []
    with suppress(csv.Error):
        for row in csv.DictReader(text[: text.rfind("\n") + 1].splitlines()):
            is_whole = None not in row.values() and None not in row
            if is_whole and re.fullmatch("[0-9]{1,18}", row.get("step", "")):
                found.append({name: value for name, value in row.items() if name in COLUMNS})
    return found
