"""Evaluate predictions in files: one stack, or two folders of stacks with the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from napari_deep3d.core import (
    Clock,
    EvaluateConfig,
    Event,
    InputError,
    Job,
    Notice,
    Progress,
    Stop,
    StoppedError,
    mapped,
    never,
)
from napari_deep3d.io import stack_name
from napari_deep3d.jobs.evaluate.evaluate import PREDICTION, SCORES, WIDEFIELD, Evaluation, evaluate_volumes
from napari_deep3d.jobs.evaluate.figures import Picture, draw_evaluation
from napari_deep3d.jobs.evaluate.report import check_report, incomplete_report, write_report, write_summary
from napari_deep3d.jobs.pairs import pair_up, stacks_in
from napari_deep3d.jobs.register import StackSource


@dataclass(frozen=True)
class EvaluatedFile:
    """One evaluation, and its report if there is one."""

    evaluation: Evaluation
    output: Path | None

    def report(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {"output": None if self.output is None else str(self.output)} | self.evaluation.report()

    def lines(self) -> dict[str, object]:
        """The same for people."""
        return self.evaluation.lines() | ({} if self.output is None else {"output": str(self.output)})


@dataclass(frozen=True)
class EvaluatedFolder:
    """Evaluations of many, by name; ``problems`` says of the others why there is none."""

    evaluations: tuple[Evaluation, ...]
    problems: dict[str, str]
    output: Path | None
    complete: bool

    def report(self) -> dict[str, object]:
        """Plain values for JSON: means over the stacks, and all of each in ``summary``."""
        means = self._means(PREDICTION)
        if any(WIDEFIELD in found.stacks for found in self.evaluations):
            means[WIDEFIELD] = self._means(WIDEFIELD)
        rows = [found.report() for found in self.evaluations]
        rows += [{"name": name, "problem": problem} for name, problem in self.problems.items()]
        return {
            "output": None if self.output is None else str(self.output),
            "stacks": len(self.evaluations),
            "failed": len(self.problems),
            **means,
            "summary": rows,
        }

    def lines(self) -> dict[str, object]:
        """A line for each stack and their means, for people."""
        lines: dict[str, object] = {found.name: _told(found.stacks[PREDICTION].figures) for found in self.evaluations}
        lines |= self.problems
        lines["mean"] = _told(self._means(PREDICTION))
        return lines | {"failed": len(self.problems), "output": None if self.output is None else str(self.output)}

    def _means(self, role: str) -> dict[str, object]:
        """Means over the stacks, and by depth where all have the same planes."""
        found = [each for each in self.evaluations if role in each.stacks]
        if not found:
            return {}
        figures = [each.stacks[role].figures for each in found]
        means: dict[str, object] = {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}
        if all(np.array_equal(each.z_um, found[0].z_um) for each in found):
            depth = [each.stacks[role].by_depth for each in found]
            by_depth = {name: np.mean([each[name] for each in depth], axis=0).tolist() for name in depth[0]}
            means["by_depth"] = {"z_um": found[0].z_um.tolist()} | by_depth
        else:
            means["by_depth"] = None
        return means


def _told(figures: Mapping[str, object]) -> dict[str, object]:
    """Of all figures those that fit on a line: how close it is to confocal, or else what the stack shows by itself."""
    names = SCORES if SCORES[0] in figures else ("resolution_xy_um", "resolution_z_um", "contrast_to_noise")
    return {name: figures[name] for name in names if name in figures}


def evaluate_file(
    prediction: StackSource,
    confocal: StackSource | None = None,
    widefield: StackSource | None = None,
    output: str | Path | None = None,
    config: EvaluateConfig | None = None,
    *,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[EvaluatedFile]:
    """Evaluate one prediction, by itself without a confocal stack; write its report if ``output`` names one (.html).

    Raises
    ------
    InputError
        As :func:`~napari_deep3d.jobs.evaluate.evaluate.evaluate_volumes`, or if a file cannot be read or written.
    StoppedError
        If it was stopped; nothing is written then.
    """
    path = None if output is None else check_report(output, overwrite)
    found = yield from _evaluate(prediction, confocal, widefield, config, stop)
    if path is not None:
        yield Progress(1, 1, "drawing the report")
        write_report(path, found, draw_evaluation(found, stop))
    return EvaluatedFile(replace(found, sections={}), path)


def evaluate_folders(
    predictions: StackSource,
    confocals: StackSource | None = None,
    widefields: StackSource | None = None,
    output: str | Path | None = None,
    config: EvaluateConfig | None = None,
    *,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[EvaluatedFolder]:
    """Evaluate every prediction of a folder against the confocal stack of the same name; one that fails stops no other.

    Without a folder of confocal stacks each is measured by itself. The report (.html) has a table of all, and pictures
    of the best, the middle and the worst one. Stopped before the end, it has what is finished, and ``-incomplete`` in
    its name.

    Raises
    ------
    InputError
        If the folders hold no two stacks of one name, none could be evaluated, or the report cannot be written.
    StoppedError
        If it was stopped before one was finished.
    """
    path, config = None if output is None else check_report(output, overwrite), config or EvaluateConfig()
    sets, alone = _sets(predictions, confocals, widefields)
    for file in sorted(alone):
        yield Notice(f"{file} has no partner of that name in the other folder; it is left out.")
    found, pictures, problems, clock = list[Evaluation](), dict[str, list[Picture]](), dict[str, str](), Clock()
    complete = True
    for number, sources in enumerate(sets):
        where = f"stack {number + 1} of {len(sets)}"
        overall = partial(_as_part, clock=clock, number=number, total=len(sets), where=where)
        try:
            made = yield from mapped(_evaluate(*sources, config, stop), overall)
            if path is not None:
                pictures[made.name] = draw_evaluation(made, stop)
            found.append(replace(made, sections={}))
        except StoppedError:
            complete = False
            break
        except (InputError, OSError) as error:
            problems[sources[0].name] = str(error)
            yield Notice(f"{where}, {sources[0].path.name}: {error}")
    if not found and not complete:
        raise StoppedError
    if not found:
        first = next(iter(problems.values()))
        raise InputError(f"none of the {len(sets)} stacks could be evaluated; the first: {first}")
    if path is not None:
        path = path if complete else incomplete_report(path)
        note = "" if complete else f"Stopped: {len(found) + len(problems)} of {len(sets)} stacks."
        write_summary(path, found, {name: pictures[name] for name in _shown(found)}, problems, config, note)
    return EvaluatedFolder(tuple(found), problems, path, complete)


def _sets(
    predictions: StackSource, confocals: StackSource | None, widefields: StackSource | None
) -> tuple[list[tuple[StackSource, StackSource | None, StackSource | None]], set[str]]:
    """What belongs together: prediction, confocal, wide-field; and the names of files without a partner."""
    if confocals is not None:
        pairs, alone = pair_up(predictions.path, confocals.path)
    else:
        pairs, alone = [(path.name, path.name) for path in stacks_in(predictions.path)], set[str]()
    if not pairs:
        raise InputError(f"{predictions.path} holds no stack; TIFF files or OME-Zarr folders are needed.")
    if widefields is not None and not widefields.is_folder_of_stacks:
        raise InputError(f"{widefields.path} is no folder of stacks; give one with the names of the predictions.")
    raw = {} if widefields is None else {stack_name(path): path.name for path in stacks_in(widefields.path)}
    sets = [
        (
            predictions.within(own),
            None if confocals is None else confocals.within(other),
            # What is not there is told of when it is its turn.
            None if widefields is None else widefields.within(raw.get(stack_name(Path(own)), own)),
        )
        for own, other in pairs
    ]
    return sets, alone


def _evaluate(
    prediction: StackSource,
    confocal: StackSource | None,
    widefield: StackSource | None,
    config: EvaluateConfig | None,
    stop: Stop,
) -> Job[Evaluation]:
    for other in (confocal, widefield):
        if other is not None and _place(other) == _place(prediction):
            raise InputError(
                f"{prediction.path} is given twice, as prediction and to compare with. Give another stack."
            )
    truth, raw = (None if source is None else source.volume() for source in (confocal, widefield))
    about = prediction.opened().description
    return (yield from evaluate_volumes(prediction.volume(), truth, raw, config, provenance=about, stop=stop))


def _place(source: StackSource) -> tuple[object, ...]:
    return source.path.resolve(), source.channel, source.position, source.time


def _shown(found: Sequence[Evaluation]) -> list[str]:
    """Names of the best, the middle and the worst one, by RMSE after the fit; without a confocal stack by name."""
    order = sorted(found, key=lambda each: each.stacks[PREDICTION].figures.get("rmse_fit", 0.0))
    return list(dict.fromkeys(order[place].name for place in (0, len(order) // 2, len(order) - 1)))


def _as_part(event: Event, clock: Clock, number: int, total: int, where: str) -> Event:
    """An event of one stack as one of all: its progress is a share of theirs."""
    if isinstance(event, Progress):
        return clock.progress(number + event.fraction, total, f"{where}: {event.message}")
    return event
