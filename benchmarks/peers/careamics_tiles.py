"""CAREamics' prediction in tiles, with its own U-Net as it comes; run by the Python of its own environment."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.clock import Clock, measure, versions
from benchmarks.peers.given import STACK

TILE, OVERLAP = (32, 256, 256), (8, 48, 48)


def predict(folder: Path, clock: Clock, work: str) -> None:
    from careamics import CAREamist  # type: ignore[import-not-found]
    from careamics.config.factories import create_advanced_care_config  # type: ignore[import-not-found]
    from pytorch_lightning import Callback  # type: ignore[import-not-found]

    class Steps(Callback):
        """Counts the tiles."""

        def on_predict_batch_end(self, trainer: Any, *_: Any) -> None:
            clock.step(int(trainer.num_predict_batches[0]))

    stack = np.load(folder / STACK)
    config = create_advanced_care_config(
        experiment_name="speed",
        data_type="array",
        axes="ZYX",
        patch_size=(16, 64, 64),
        batch_size=1,
        num_epochs=1,
        num_workers=0,
        n_val_patches=1,
        trainer_params={"limit_train_batches": 1, "accelerator": "cpu"},
    )
    care = CAREamist(config, work_dir=work, callbacks=[Steps()], enable_progress_bar=False)
    some = stack[:32, :64, :64].astype(np.float32)
    care.train(train_data=some, train_data_target=some)  # one step: it predicts with a checkpoint only
    care.predict(some, batch_size=1, tile_size=(16, 64, 64), tile_overlap=(8, 16, 16))
    clock.start()
    care.predict(stack, batch_size=1, tile_size=TILE, tile_overlap=OVERLAP)


if __name__ == "__main__":
    _, place, seconds = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        measure(lambda clock: predict(Path(place), clock, work), float(seconds), versions("careamics", "torch"))
