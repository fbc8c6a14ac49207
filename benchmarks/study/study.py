"""What all parts of the study share: where it keeps things, how large it is, and how a part says what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.common.tables import Row
from benchmarks.study.methods import Itself, Method, Model
from benchmarks.study.pairs import TEST, test_pairs
from benchmarks.study.scoring import Ask, mean_row
from benchmarks.study.size import Size
from benchmarks.study.store import Store
from benchmarks.study.trainings import BASE, Training
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD

WIDE_FIELD, BUNDLED = "wide-field", "bundled model"
SCORES = ("rmse", "ssim", "rmse_fit", "ssim_fit")


@dataclass(frozen=True)
class Study:
    """Where the study keeps things, its size, and the seeds of its trainings; without seeds, what needs none."""

    store: Store
    size: Size
    seeds: tuple[int, ...] = ()

    def trained(
        self, variants: Sequence[str] = (BASE,), tests: str = TEST, every: int = 1, **facts: object
    ) -> Iterator[Ask]:
        """Ask for the answers of trainings, of all seeds; every so-manieth plane is kept."""
        for variant in variants:
            for seed in self.seeds:
                model = str(Training(variant, seed).model(self.store, self.size))
                yield self.ask(variant, Model(model, every), tests, seed=seed, **facts)

    def bundled(self, tests: str = TEST, every: int = 1, **facts: object) -> Ask:
        """Ask for the answers of the bundled model, which learned from other pairs in every sort of light."""
        return self.ask(BUNDLED, Model(every=every), tests, **facts)

    def itself(self, kind: str = WIDEFIELD, tests: str = TEST, **facts: object) -> Ask:
        """Ask for the stacks of the pairs themselves."""
        return self.ask(WIDE_FIELD if kind == WIDEFIELD else CONFOCAL, Itself(kind), tests, **facts)

    def ask(self, name: str, method: Method, tests: str, **facts: object) -> Ask:
        """Ask for the answers of a method to one set of test pairs."""
        row: Row = {**facts, "method": name, "seed": facts.get("seed", "")}
        return Ask(row, test_pairs(self.store, self.size, tests), method)


@dataclass(frozen=True)
class Part:
    """A table of the study.

    Attributes
    ----------
    file : str
        What its rows are written to, in the folder of tables.
    variants : tuple of str
        Trainings that it needs, of every seed.
    asks : callable
        The answers that it needs.
    rows : callable
        Its rows, once the trainings and the answers are there.
    """

    file: str
    rows: Callable[[Study], list[Row]]
    variants: tuple[str, ...] = ()
    asks: Callable[[Study], list[Ask]] = lambda _: []


def scored_part(
    file: str, asks: Callable[[Study], list[Ask]], names: Sequence[str], variants: tuple[str, ...] = (BASE,)
) -> Part:
    """A part whose rows are the means of its answers."""
    return Part(file, lambda study: [mean_row(study.store, ask, names) for ask in asks(study)], variants, asks)
