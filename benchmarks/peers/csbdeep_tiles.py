"""CSBDeep's prediction in tiles, with its own U-Net as it comes; run by the Python of its own environment."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.clock import Clock, measure, versions
from benchmarks.peers.given import STACK

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
WIDTH = 256
"""Of a tile in Y and X, before its halo; a tile is as deep as the stack."""


def predict(folder: Path, clock: Clock) -> None:
    from csbdeep.internals import predict as internals  # type: ignore[import-not-found]
    from csbdeep.models import CARE, Config  # type: ignore[import-not-found]

    stack = np.load(folder / STACK)
    tiles = (1, *(math.ceil(size / WIDTH) for size in stack.shape[1:]))
    care = CARE(Config("ZYX", 1, 1), "speed", basedir=None)
    care.predict(stack[:16, :64, :64].astype(np.float32), "ZYX")
    direct = internals.predict_direct

    def counted(*words: Any, **options: Any) -> Any:
        found = direct(*words, **options)
        clock.step(math.prod(tiles))
        return found

    internals.predict_direct = counted
    clock.start()
    care.predict(stack.astype(np.float32), "ZYX", n_tiles=tiles)


if __name__ == "__main__":
    _, place, seconds = sys.argv[1:]
    measure(lambda clock: predict(Path(place), clock), float(seconds), versions("csbdeep", "tensorflow-cpu"))
