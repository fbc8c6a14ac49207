"""RLN, the Richardson-Lucy network (Li et al., Nat. Methods 19, 1427, 2022), with the weights that its authors publish.

They learned from volumes of mitochondria, iSIM's, and know nothing of wide-field light. The checkpoint is a graph of
TensorFlow 1.14, which today's TensorFlow still reads; here that of CSBDeep's environment
(``python -m benchmarks.peers.environments csbdeep``). Download the weights once:
``git clone https://github.com/MeatyPlus/Richardson-Lucy-Net runs/rln``
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from benchmarks.common.tables import Row
from benchmarks.peers.environments import ENVIRONMENTS
from benchmarks.study import rln_worker
from benchmarks.study.methods import Stored
from benchmarks.study.pairs import TEST, test_pairs
from benchmarks.study.scoring import mean_row
from benchmarks.study.store import Place
from benchmarks.study.study import SCORES, Part, Study

WEIGHTS = Path("runs/rln/Test_model_based_on_data")
TITLE = "RLN, its authors' weights"


def rows(study: Study) -> list[Row]:
    """One row; none, and a line why, where weights or environment are missing."""
    environment = ENVIRONMENTS["csbdeep"]
    if not (WEIGHTS / f"{rln_worker.CHECKPOINT}.meta").exists() or not environment.python.exists():
        print(
            f"{TITLE}: left out; {WEIGHTS} or {environment.folder} is missing; benchmarks/study/rln.py says what to do"
        )
        return []
    place = answered(study, environment.python)
    return [mean_row(study.store, study.ask(TITLE, Stored(str(place.path)), TEST), SCORES)]


def answered(study: Study, python: Path) -> Place:
    """Have the test stacks predicted."""
    tests = test_pairs(study.store, study.size, TEST)
    place = study.store.place("rln", "authors' weights", tests=tests.name)
    if not place.is_finished:
        place.path.mkdir(parents=True, exist_ok=True)
        folders = [str(folder.resolve()) for folder in (WEIGHTS, tests, place.path)]
        job = place.path / "job.json"
        job.write_text(json.dumps(dict(zip(("weights", "tests", "output"), folders, strict=True))), encoding="utf-8")
        alone = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        subprocess.run([str(python), str(Path(rln_worker.__file__).resolve()), str(job)], check=True, env=alone)
        place.finish()
    return place


PARTS = {"rln": Part("paper_deconvolution.csv", rows)}
