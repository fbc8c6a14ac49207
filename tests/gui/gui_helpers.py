"""A prediction that goes on when it is told to, and where the tests' layers lie."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from napari_deep3d.core.config import PredictConfig
from napari_deep3d.core.events import Clock, Job, Stop, TileDone, never
from napari_deep3d.core.volume import Volume

SPACING_UM = (0.5, 0.2, 0.2)
PLACE = {"scale": SPACING_UM, "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}


class FakePrediction:
    """A prediction in four slabs along y: slab i holds i + 1. It waits for ``gate`` before each."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(1000)
        self.error: Exception | None = None
        self.error_at = 0
        self.threads: list[threading.Thread] = []
        self.volumes: list[Volume] = []
        self.work: Callable[[], object] = lambda: None

    def hold(self) -> None:
        """Wait before the first slab."""
        self.gate = threading.Semaphore(0)

    def __call__(self, volume: Volume, config: PredictConfig, out: Any, stop: Stop = never) -> Job[Any]:
        from napari_deep3d.jobs.predict import Prediction

        self.threads.append(threading.current_thread())
        self.volumes.append(volume)
        clock, done = Clock(), 0
        for i in range(4):
            while not self.gate.acquire(timeout=0.01) and not stop():
                pass
            if stop():
                break
            if self.error is not None and i == self.error_at:
                raise self.error
            self.work()
            rows = volume.shape[1] // 4
            region = (slice(None), slice(i * rows, (i + 1) * rows), slice(None))
            values = np.full_like(out[region], i + 1)
            out[region] += values
            done += 1
            yield TileDone(region, values)
            yield clock.progress(done, 4, f"tile {done} of 4")
        return Prediction(
            data=out,
            spacing_um=volume.known_spacing_um,
            origin_um=volume.origin_um,
            model=config.model,
            device="cpu",
            precision="float32",
            tile=(8, 8, 40),
            halo=(0, 0, 0),
            seconds=2.0,
            voxels_per_second=1.5e6,
            tile_mismatch=0.008,
            notices=("one thing to know",),
            complete=done == 4,
            intensity_range=(100.0, 1120.0),
        )
