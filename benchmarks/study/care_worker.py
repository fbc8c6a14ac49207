"""Train CAREamics' supervised CARE on pairs for some minutes, and predict other stacks; run by its own Python alone.

Usage: PYTHON care_worker.py JOB.json

The job names ``pairs`` and ``tests`` (pairs folders), ``output`` (a folder, to which NAME.npy go), ``minutes``,
``seed``, ``patch``, ``batch`` and ``threads``. Settings are CAREamics' own (mean absolute error, Adam, flips and
turns), but for the size of patch and batch, that the network keeps its size by padding, and the time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

ALIGNED = 4
"""Sizes of a stack that is predicted as a whole: multiples of so much, for the network halves it twice."""


def stacks(folder: Path) -> dict[str, Any]:
    """Voxels (Z, Y, X) of the files of a folder, by name."""
    return {path.name: np.asarray(tifffile.imread(path), dtype=np.float32) for path in sorted(folder.iterdir())}


def padded(stack: Any) -> Any:
    """A stack, mirrored at its ends to sizes that the network can halve."""
    return np.pad(stack, [(0, -n % ALIGNED) for n in stack.shape], mode="reflect")


def main() -> None:
    import torch
    from careamics import CAREamist  # type: ignore[import-not-found]
    from careamics.config.factories import create_advanced_care_config  # type: ignore[import-not-found]

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    pairs, tests, output = (Path(job[name]) for name in ("pairs", "tests", "output"))
    hours, minutes = divmod(job["minutes"], 60)
    config = create_advanced_care_config(
        experiment_name="care",
        data_type="array",
        axes="ZYX",
        patch_size=job["patch"],
        batch_size=job["batch"],
        num_epochs=100_000,
        num_workers=0,
        n_val_patches=4,
        seed=job["seed"] + 1,  # which must be above 0
        trainer_params={"max_time": {"hours": int(hours), "seconds": round(60 * minutes)}, "accelerator": "auto"},
    )
    care = CAREamist(config, work_dir=output / "run", enable_progress_bar=False)
    began = time.perf_counter()
    widefield, confocal = (list(stacks(pairs / kind).values()) for kind in ("widefield", "confocal"))
    care.train(train_data=widefield, train_data_target=confocal)
    seconds = time.perf_counter() - began
    for name, stack in stacks(tests / "widefield").items():
        found = care.predict(padded(stack), batch_size=1, tile_overlap=None)[0][0]
        z, y, x = stack.shape
        np.save(output / f"{name}.npy", np.squeeze(found)[:z, :y, :x].astype(np.float32))
    facts = {"seconds": seconds, "steps": int(care.trainer.global_step)}
    (output / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main()
