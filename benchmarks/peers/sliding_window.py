"""MONAI's sliding window with this program's network: as it comes, and as a careful user would set it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.peers.clock import Clock, measure, versions
from benchmarks.peers.given import STACK
from napari_deep3d.jobs.models.store import find_model
from napari_deep3d.nn.model_file import load_model

OVERLAP = 0.25
WINDOWS = {"default": (12, 128, 128), "careful": (48, 256, 256), "compiled": (48, 256, 256)}
"""Default: a window as trainings have it, in float32, and constant weights. Others: bfloat16, Gaussian weights."""


def predict(variant: str, folder: Path, clock: Clock) -> None:
    from monai.data.utils import dense_patch_slices
    from monai.inferers import sliding_window_inference

    stack = np.load(folder / STACK)
    generator = load_model(find_model("generalist"))[0].eval()
    careful, window = variant != "default", WINDOWS[variant]
    if careful:
        generator = generator.to(memory_format=torch.channels_last_3d)
    network = torch.compile(generator) if variant == "compiled" else generator
    steps = tuple(int(size * (1 - OVERLAP)) for size in window)
    total = len(dense_patch_slices([max(n, w) for n, w in zip(stack.shape, window, strict=True)], window, steps))

    def answer(part: Tensor) -> Tensor:
        if careful:
            part = part.to(memory_format=torch.channels_last_3d)
        with torch.autocast("cpu", torch.bfloat16, enabled=careful):
            found = torch.as_tensor(network(part)).float()
        clock.step(total)
        return found

    with torch.inference_mode():
        answer(torch.zeros(1, 1, *window))
        clock.start()
        tensor = torch.from_numpy(stack.astype(np.float32))[None, None]
        tensor /= tensor.max()
        mode = "gaussian" if careful else "constant"
        sliding_window_inference(tensor, window, 1, answer, overlap=OVERLAP, mode=mode)


if __name__ == "__main__":
    variant, place, seconds = sys.argv[1:]
    measure(lambda clock: predict(variant, Path(place), clock), float(seconds), versions("monai", "torch"))
