"""CAREamics' supervised CARE: the pairs of the base training, for as long on as many cores; on the same test pairs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from benchmarks.common.tables import Row
from benchmarks.study import care_worker
from benchmarks.study.care_venv import FOLDER, python_of
from benchmarks.study.methods import Stored
from benchmarks.study.pairs import ALIGNED, TEST, test_pairs, training_pairs
from benchmarks.study.scoring import mean_row
from benchmarks.study.store import Place
from benchmarks.study.study import SCORES, Part, Study
from benchmarks.study.trainings import BASE, Training

PATCH, BATCH = (16, 64, 64), 8
"""CAREamics advises batches of at least eight patches, for its batch norms."""
CARE = "CARE (CAREamics)"


def rows(study: Study) -> list[Row]:
    """A row for each seed; none, and a line why, where its environment is missing."""
    python = python_of(FOLDER)
    if not python.exists():
        print(f"{CARE} is left out: there is no {FOLDER}; python -m benchmarks.study.care_venv makes it")
        return []
    found = []
    for seed in study.seeds:
        try:
            place = answered(study, seed, python)
        except subprocess.CalledProcessError as error:
            print(f"{CARE} is left out: it ended with {error.returncode}; above is what it said")
            return []
        facts = place.facts()
        ask = study.ask(CARE, Stored(str(place.path)), TEST, seed=seed, minutes=facts["minutes"], steps=facts["steps"])
        found.append(mean_row(study.store, ask, SCORES))
    return found


def answered(study: Study, seed: int, python: Path, minutes: float | None = None) -> Place:
    """Train and predict with one seed; by default for the time that the base training of that seed took."""
    if minutes is None:
        minutes = float(Training(BASE, seed).place(study.store, study.size).facts()["seconds"]) / 60
    pairs, tests = training_pairs(study.store, study.size, ALIGNED), test_pairs(study.store, study.size, TEST)
    given = {"seed": seed, "patch": PATCH, "batch": BATCH, "minutes": round(minutes, 2), "threads": 1}
    place = study.store.place("care", f"seed {seed}", pairs=pairs.name, tests=tests.name, **given)
    if not place.is_finished:
        place.path.mkdir(parents=True, exist_ok=True)
        job = place.path / "job.json"
        folders = {"pairs": pairs, "tests": tests, "output": place.path}
        job.write_text(json.dumps(given | {k: str(v.resolve()) for k, v in folders.items()}), encoding="utf-8")
        alone = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        command = [str(python), str(Path(care_worker.__file__).resolve()), str(job)]
        subprocess.run(command, check=True, env=alone | {"OMP_NUM_THREADS": "1"})
        place.finish(minutes=given["minutes"], **json.loads((place.path / "facts.json").read_text(encoding="utf-8")))
    return place


PARTS = {"care": Part("paper_care.csv", rows, (BASE,))}
