"""The paper's tables and figures in kind, on simulated thick tissue; what differs stands in docs/results.md.

Usage: python -m benchmarks.study [--parts NAME ...] [--seeds 0 1 2] [--cores 2] [--folder runs/paper]
           [--tables docs/data] [--images docs/images] [--steps 4000] [--training 31] [--tests 8]
       python -m benchmarks.study --estimate     # how long the trainings would take, from a few steps
       python -m benchmarks.study --no-seeds     # only what needs no training: the bundled model, Richardson-Lucy

Parts: scores (test RMSE and SSIM); planes (every 2nd and 4th plane, Fig. 9); samples (other samples and haze); depth
(Fig. 1, 5); networks (3D, 2D, DeepZ+, Fig. 6); losses (Fig. 7); registered (Fig. 8, trainings); registration (Fig. 8,
errors); deconvolution; rln (weights to download); care (CAREamics, in an environment of its own, which care_venv
makes); curves, settling (when the GAN settles); pictures (Fig. 1, 3, 5 to 8: reports in FOLDER/pictures, sheets in
--images). Last come the orders that the paper claims, from all tables that are there.

Pairs, trainings, answers and scores are kept in FOLDER by what they depend on; a training that was ended goes on where
it was. So the command may be ended and given again, also with more parts or seeds. --cores says how many trainings and
answers run at a time, each on one core; pairs are simulated on all processors.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.common.tables import write_rows
from benchmarks.study import answers, by_depth, care, pictures, registration_error, rln, settling
from benchmarks.study.estimate import estimated
from benchmarks.study.orders import orders
from benchmarks.study.scoring import score_all
from benchmarks.study.size import Size
from benchmarks.study.store import Store
from benchmarks.study.study import Part, Study
from benchmarks.study.trainings import Training, make_all

PARTS: dict[str, Part] = (
    answers.PARTS | by_depth.PARTS | registration_error.PARTS | settling.PARTS | care.PARTS | rln.PARTS
)
PICTURES = "pictures"
KEY = ("method", "seed", "planes", "sample", "pair", "depth_um", "step")
"""Columns that tell rows apart: rows of other seeds stay in a table."""
ORDERS = "paper_orders.csv"


def run(study: Study, names: list[str], cores: int, tables: Path, images: Path) -> None:
    """Make the parts: their trainings, their answers, their tables."""
    parts = {name: PARTS[name] for name in names if name != PICTURES}
    variants = dict.fromkeys(variant for part in parts.values() for variant in part.variants)
    make_all([Training(variant, seed) for seed in study.seeds for variant in variants], study.store, study.size, cores)
    asks = {(ask.tests, ask.method): ask for part in parts.values() for ask in part.asks(study)}
    score_all(study.store, asks.values(), cores)
    for part in parts.values():
        rows = part.rows(study)
        if rows:
            write_rows(tables / part.file, rows, key=[name for name in KEY if name in rows[0]])
    if PICTURES in names:
        print(*pictures.write(study, study.store.root / PICTURES, images), sep="\n")
    found = orders(tables)
    if found:
        write_rows(tables / ORDERS, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = Size()
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, PICTURES], default=[*PARTS, PICTURES], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--no-seeds", action="store_true", help="only what needs no training")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--folder", type=Path, default=Path("runs/paper"), help="for all that is kept")
    parser.add_argument(
        "--tables", type=Path, default=Path("runs/paper/tables"), help="docs/data for the documentation"
    )
    parser.add_argument(
        "--images", type=Path, default=Path("runs/paper/pictures"), help="docs/images for the documentation"
    )
    parser.add_argument("--steps", type=int, default=size.settings["iterations"])
    parser.add_argument("--training", type=int, default=size.training, help="pairs to train on")
    parser.add_argument("--tests", type=int, default=size.tests, help="pairs to test with")
    parser.add_argument("--registrations", type=int, default=size.registrations, help="thin and thick pairs each")
    parser.add_argument("--estimate", action="store_true", help="say how long the trainings would take, and end")
    chosen = parser.parse_args()
    size = Size(
        training=chosen.training,
        tests=chosen.tests,
        others=max(1, chosen.tests // 2),
        registrations=chosen.registrations,
        settings=size.settings | {"iterations": chosen.steps},
    )
    study = Study(Store(chosen.folder), size, () if chosen.no_seeds else tuple(chosen.seeds))
    if chosen.estimate:
        estimated(
            study,
            dict.fromkeys(v for name in chosen.parts if name in PARTS for v in PARTS[name].variants),
            chosen.cores,
        )
    else:
        run(study, chosen.parts, chosen.cores, chosen.tables, chosen.images)


if __name__ == "__main__":
    main()
