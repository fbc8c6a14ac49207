"""Predict wide-field stacks with the published weights of RLN; run by a Python that has TensorFlow.

Usage: PYTHON rln_worker.py JOB.json

The job names ``weights`` (the folder of the checkpoint), ``tests`` (a pairs folder) and ``output``, to which NAME.npy
go. Stacks are brought to a scale as in the authors' script: their 0.01st and 99.5th percentile become 0 and 1. They
are predicted whole.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

CHECKPOINT = "model.ckpt"
PERCENTILES = (0.01, 99.5)
SHAPE, STACK, IS_TRAINING = "input/Placeholder:0", "input/Placeholder_1:0", "input/Placeholder_3:0"
PREDICTION = "update/Mean_3:0"
"""Of the authors' graph: sizes (Z, Y, X), voxels, and the mean over the last channels."""
BATCH = 4
"""The graph takes so many stacks at a time."""


def scaled(stack: Any) -> Any:
    """A stack (Z, Y, X) between its percentiles, sizes even by repeating the last voxels: the graph halves it once."""
    low, high = np.percentile(stack, PERCENTILES)
    even = [(0, n % 2) for n in stack.shape]
    return np.pad((stack - low) / (high - low + 1e-20), even, mode="edge").astype(np.float32)


def main() -> None:
    import tensorflow.compat.v1 as tf

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    weights, tests, output = (Path(job[name]) for name in ("weights", "tests", "output"))
    tf.disable_v2_behavior()
    saver = tf.train.import_meta_graph(str(weights / f"{CHECKPOINT}.meta"), clear_devices=True)
    with tf.Session() as session:
        saver.restore(session, str(weights / CHECKPOINT))
        for path in sorted((tests / "widefield").iterdir()):
            recorded = np.asarray(tifffile.imread(path), dtype=np.float32)
            stack = scaled(recorded)
            given = {SHAPE: stack.shape, STACK: np.stack([stack] * BATCH), IS_TRAINING: False}
            found = session.run(PREDICTION, feed_dict=given)[0, ..., 0]
            whole = tuple(slice(n) for n in recorded.shape)
            np.save(output / f"{path.name}.npy", np.asarray(found, dtype=np.float32)[whole])
            print(path.name, flush=True)


if __name__ == "__main__":
    main()
