"""Prediction of an array and of a file, and registration, by this program; run as a process by `running`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.clock import Clock, measure, versions
from benchmarks.peers.given import CONFOCAL, SPACING_UM, STACK, WIDEFIELD
from benchmarks.peers.shift import of_shift
from napari_deep3d import predict
from napari_deep3d.core import PredictConfig, RegisterConfig, Volume, drain, never
from napari_deep3d.core.registration.register import register_volumes
from napari_deep3d.io import StackWriter
from napari_deep3d.jobs.predict.file import predict_file

MEMORY_BYTES = 2_000_000_000
"""That the prediction of a file is allowed, beside the program."""
WARM_UP = np.s_[:16, :64, :64]


def predict_array(folder: Path, clock: Clock) -> None:
    stack = np.load(folder / STACK)
    predict(stack[WARM_UP], spacing_um=SPACING_UM)
    clock.start()
    predict(stack, spacing_um=SPACING_UM)


def predict_zarr(folder: Path, clock: Clock) -> None:
    stack = np.load(folder / STACK, mmap_mode="r")
    predict(stack[WARM_UP], spacing_um=SPACING_UM)
    place = Path(tempfile.mkdtemp(dir=folder))  # goes with the folder
    source, result = (place / f"{kind}.ome.zarr" for kind in ("stack", "result"))
    with StackWriter(source, stack.shape, SPACING_UM, dtype=np.uint16) as writer:
        for z in range(stack.shape[0]):
            writer.data[z] = stack[z]
    clock.start()
    drain(predict_file(source, result, PredictConfig.checked(memory_bytes=MEMORY_BYTES)))


def register(folder: Path, clock: Clock) -> dict[str, Any]:
    confocal, widefield = (Volume(np.load(folder / name), SPACING_UM) for name in (CONFOCAL, WIDEFIELD))
    clock.start()
    return of_shift(drain(register_volumes(confocal, widefield, RegisterConfig(), never)).shift_voxels)


RUNS = {"array": predict_array, "zarr": predict_zarr, "register": register}

if __name__ == "__main__":
    variant, place, seconds = sys.argv[1:]
    measure(
        lambda clock: RUNS[variant](Path(place), clock), float(seconds), versions("napari-deep3d", "torch", "numpy")
    )
