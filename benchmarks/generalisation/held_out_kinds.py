"""The gap between known and unknown: models trained without a group of pairs against one trained on everything.

Usage: python -m benchmarks.generalisation.held_out_kinds [--bounds FILE.toml]
           [--minutes 14 | --steps N] [--pairs 120] [--tests 60] [--test-bounds FILE.toml]
           [--table docs/data/held_out_kinds.csv]

For each group (neurons; vessels or membranes; air lenses; strong haze; dense fields) a small generator is trained from
random weights for the same time on one core, on as many pairs of which none belongs to the group; another one on pairs
of every group. All are scored on the held-out pairs of the group. The gap is what the RMSE, as a share of wide-field's,
grows by without it. With ``--bounds`` the pairs are those of another simulator, such as configs/held-out/before.toml:
its name is that of the file. The tests are of the same simulator, or of that of ``--test-bounds``.

What is finished is in FOLDER/trainings.csv and is not repeated. Six trainings of 14 minutes, two at a time, and their
tests take about an hour on two cores. Where other programs share the cores, give --steps: as many minutes would not be
as much training.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.real_files import ROOT
from benchmarks.common.scores import PERCENTILES
from benchmarks.common.tables import Row, add_table_option, markdown, read_rows, write_rows
from benchmarks.generalisation.held_out_groups import GROUPS, describe, link_pairs, training_sets
from benchmarks.training.choose import share_and_scores
from napari_deep3d import predict, simulate, train
from napari_deep3d.core import Shape, read_toml
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs

SETTINGS = ROOT / "configs" / "held-out" / "training.toml"
SHAPE: Shape = (48, 128, 128)
TRAINING_SEED, TEST_SEED = 6100, 6200
EVERYTHING = ""
KEY = ("simulator", "tests", "budget", "without")
COLUMNS = {
    "simulator": "{simulator}",
    "held out": "{group}",
    "tests": "{stacks}",
    "trained on everything": "{known:.0%}",
    "without the group": "{unknown:.0%}",
    "gap": "{gap:.0%}",
}


def simulated(folder: Path, pairs: int, seed: int, bounds: Path | None) -> Path:
    """Simulate pairs within bounds, unless the folder has them all."""
    if not folder.exists() or len(PairsFolder(folder).names()) < pairs:
        simulate(folder, pairs=pairs, shape=SHAPE, seed=seed, overwrite=True, **(read_toml(bounds) if bounds else {}))
    return folder


def shares(folder: Path, model: Path) -> dict[str, float]:
    """RMSE of a model's predictions as a share of wide-field's, by pair."""
    found = {}
    for pair in prepare_pairs(PairsFolder(folder).load(), PERCENTILES):
        stack = np.asarray(pair.widefield.data[pair.whole])
        image = predict(stack, spacing_um=pair.spacing_um, model=str(model)).data
        found[pair.name] = share_and_scores(pair, image)[0]
    return found


def trained(without: str, pairs: Path, tests: Path, run: Path, minutes: float, steps: int | None) -> Row:
    """Train on one core, for some minutes or steps, and give the mean share of every group of test pairs."""
    torch.set_num_threads(1)
    settings = read_toml(SETTINGS)
    if steps is None:
        made = train(pairs, run, minutes=minutes, **settings)
    else:
        made = train(pairs, run, **settings | {"iterations": steps})
    found, row = shares(tests, made.model), Row(without=without, steps=made.iterations)
    for group, within in GROUPS.items():
        mine = [found[pair.name] for pair in describe(tests) if within(pair)]
        row |= {f"{group} stacks": len(mine), f"{group} share": float(np.mean(mine)) if mine else float("nan")}
    return row | {"all share": float(np.mean(list(found.values())))}


def gaps(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the gap of every group whose two trainings are finished, simulator by simulator."""
    known = {tuple(row[name] for name in KEY[:-1]): row for row in rows if row["without"] == EVERYTHING}
    for row in rows:
        whole, group = known.get(tuple(row[name] for name in KEY[:-1])), row["without"]
        if whole is None or group == EVERYTHING or not row[f"{group} share"]:
            continue
        with_it, without_it = float(whole[f"{group} share"]), float(row[f"{group} share"])
        facts = {name: row[name] for name in ("simulator", "tests", "budget")}
        yield facts | {
            "group": group,
            "stacks": row[f"{group} stacks"],
            "known": with_it,
            "unknown": without_it,
            "gap": without_it / with_it - 1,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bounds", type=Path, help="of the pairs, as for simulate --config")
    parser.add_argument("--test-bounds", type=Path, help="of the tests, instead of the same")
    parser.add_argument("--minutes", type=float, default=14.0, help="of each training")
    parser.add_argument("--steps", type=int, help="of each training, instead of minutes")
    parser.add_argument("--pairs", type=int, default=120, help="of which the sets to train on are taken")
    parser.add_argument("--tests", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path("runs/held-out"))
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    add_table_option(parser)
    chosen = parser.parse_args()
    simulator, test_bounds = _name(chosen.bounds), chosen.test_bounds or chosen.bounds
    budget = f"{chosen.minutes:g} min" if chosen.steps is None else f"{chosen.steps} steps"
    facts = {"simulator": simulator, "tests": _name(test_bounds), "budget": budget}
    table = chosen.folder / "trainings.csv"
    done = {tuple(row[name] for name in KEY) for row in read_rows(table)} if table.exists() else set()

    # 1. The pairs: one set for all trainings, one for all tests.
    pairs = simulated(chosen.folder / f"{simulator}-pairs", chosen.pairs, TRAINING_SEED, chosen.bounds)
    tests = simulated(chosen.folder / f"{facts['tests']}-tests", chosen.tests, TEST_SEED, test_bounds)

    described = describe(pairs)
    sets = training_sets(described)
    tested = describe(tests)
    for group, within in GROUPS.items():
        known = sum(within(pair) for pair in described if pair.name in sets[EVERYTHING])
        print(f"{group}: {known} of {len(sets[EVERYTHING])} pairs of everything, {sum(map(within, tested))} tests")

    # 2. The trainings, each on one core.
    context = get_context("spawn")
    with ProcessPoolExecutor(chosen.cores, mp_context=context) as pool:
        tasks = []
        for without, names in sets.items():
            if (*facts.values(), without) in done:
                continue
            name = f"{simulator}-{without.replace(' ', '-') or 'everything'}"
            own, run = chosen.folder / "sets" / name, chosen.folder / f"{name}-{budget.replace(' ', '-')}"
            for left in (own, run):  # by a call that did not end, or of other pairs
                shutil.rmtree(left, ignore_errors=True)
            link_pairs(pairs, names, own)
            given = (own, tests, run, chosen.minutes, chosen.steps)
            tasks.append(pool.submit(trained, without, *given))
        for task in as_completed(tasks):
            row = facts | task.result()
            print(row, flush=True)
            write_rows(table, [row], KEY)

    # 3. What each group's absence costs.
    lines = list(gaps(read_rows(table)))
    write_rows(chosen.table, lines)
    print("\n" + markdown(lines, COLUMNS))


def _name(bounds: Path | None) -> str:
    return bounds.stem if bounds else "today"


if __name__ == "__main__":
    main()
