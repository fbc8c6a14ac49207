"""How fast a step of training is, against a plain float32 loop, and how close to what the processor can do.

Usage: python -m benchmarks.training.speed [--pairs FOLDER] [--steps 4] [--device cpu]
           [--table docs/data/training_speed.csv]

The plain loop is what one writes first: the same networks, losses and optimisers, PyTorch's default layout, float32,
the step's three backward passes one after another. All rows alternate within one run, since the machine is shared;
the peak is the rate of a 2048 x 2048 matrix product in the number format of the row. Memory comes from a process of
its own for each row.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.scores import PERCENTILES
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import simulate
from napari_deep3d.core import TrainConfig
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.nn.devices import choose_device, training_precision
from napari_deep3d.nn.discriminator import Discriminator
from napari_deep3d.nn.generator import Generator
from napari_deep3d.nn.losses import PerceptualLoss, discriminator_loss, generator_loss, l1_loss
from napari_deep3d.nn.patches import TrainingPair, draw_batch
from napari_deep3d.nn.trainer import Trainer

PATCH = (48, 96, 96)
LOSSES: dict[str, dict[str, Any]] = {"L1": {"weight_gan": 0.0, "weight_vgg": 0.0}, "L1, GAN, VGG": {}}
LOOPS = {"plain loop": "", "float32, channels last": "float32", "default, channels last": "auto"}
"""Loop, and the number format that is asked for; PyTorch's own memory layout and float32 without one."""
PEAK_SIZE = 2048
COLUMNS = {
    "losses": "{losses}",
    "loop": "{loop}",
    "s a step": "{seconds_per_step:.2f}",
    "times the plain loop": "{times_plain:.1f}",
    "share of the peak": "{share_of_peak:.0%}",
    "peak memory, GB": "{memory_gb:.1f}",
}


def config_of(losses: str, device: str) -> TrainConfig:
    return TrainConfig.checked(patch=PATCH, batch_size=1, iterations=1000, device=device, **LOSSES[losses])


class PlainLoop:
    """The loop without anything that makes it fast."""

    def __init__(self, config: TrainConfig, pairs: list[TrainingPair]) -> None:
        self.config, self.pairs, self.device = config, pairs, choose_device(config.runtime.device)
        torch.manual_seed(0)
        self.generator = Generator(config.network.width).to(self.device)
        self.perceptual = PerceptualLoss().to(self.device)
        self.optimiser = torch.optim.AdamW(self.generator.parameters(), lr=config.optimizer.learning_rate)
        self.discriminator = Discriminator(config.network.discriminator_width).to(self.device)
        self.judge = torch.optim.AdamW(self.discriminator.parameters(), lr=config.optimizer.discriminator_learning_rate)

    def step(self, step: int) -> None:
        """Make one update."""
        batch = draw_batch(self.pairs, self.config, step)
        seen = torch.from_numpy(batch.network_input).to(self.device)
        confocal = torch.from_numpy(batch.confocal).to(self.device)
        prediction = self.generator(seen)
        loss = self.config.losses.weight_l1 * l1_loss(prediction, confocal)
        if self.config.losses.weight_gan:
            loss = loss + generator_loss(self.discriminator(prediction)) + self._texture(prediction, confocal)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        if self.config.losses.weight_gan:
            verdicts = self.discriminator(prediction.detach()), self.discriminator(confocal)
            self.judge.zero_grad()
            discriminator_loss(*verdicts).backward()  # type: ignore[no-untyped-call]
            self.judge.step()

    def _texture(self, prediction: Tensor, confocal: Tensor) -> Tensor:
        depth = prediction.shape[2]
        planes = torch.arange(0, depth, round(1 / self.config.losses.vgg_share))
        seen, wanted = prediction[:, :, planes], confocal[:, :, planes]
        return self.config.losses.weight_vgg * torch.as_tensor(self.perceptual(seen, wanted))


def maker(loop: str, losses: str, pairs: list[TrainingPair], device: str) -> Callable[[int], None]:
    config = config_of(losses, device)
    if not LOOPS[loop]:
        return PlainLoop(config, pairs).step
    return Trainer(config.changed(precision=LOOPS[loop]), pairs).step


def peak_rate(dtype: torch.dtype, device: torch.device) -> float:
    a = torch.randn(PEAK_SIZE, PEAK_SIZE).to(device, dtype)
    return max(2 * PEAK_SIZE**3 / seconds_of(lambda: a @ a, device) for _ in range(5))


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Time until the device has done what it was given, not only until it was given it."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peak_memory(device: torch.device) -> float:
    """Peak memory of this process in bytes, on a GPU that of the GPU; it does not count that of the process before."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device))
    status = Path("/proc/self/status").read_text()
    return 1024 * float(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def memory_of(loop: str, losses: str, folder: Path, device: str) -> float:
    """Peak memory of three steps in a process of its own, in bytes."""
    module = [sys.executable, "-m", "benchmarks.training.speed", "--device", device]
    command = [*module, "--pairs", str(folder), "--memory", loop, losses]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(folder: Path, steps: int, device_name: str) -> list[Row]:
    """Time all loops in turn."""
    device = choose_device(device_name)
    pairs = prepare_pairs(PairsFolder(folder).load(), PERCENTILES)
    kinds = [(loop, losses) for losses in LOSSES for loop in LOOPS]
    makers = {kind: maker(*kind, pairs, device_name) for kind in kinds}
    flop: dict[str, int] = {}
    for losses in LOSSES:
        with FlopCounterMode(display=False) as counter:
            makers["plain loop", losses](0)
        flop[losses] = counter.get_total_flops()
    seconds: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
    peaks: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    for step in range(steps + 1):
        for kind, make in makers.items():
            seconds[kind].append(seconds_of(partial(make, step), device))
        for dtype, found in peaks.items():
            found.append(peak_rate(dtype, device))
    print(f"patch {PATCH}, batch 1, {torch.get_num_threads()} threads; peaks (GFLOP/s):", end=" ")
    print({str(dtype): round(float(np.median(found)) / 1e9) for dtype, found in peaks.items()})
    rows: list[Row] = []
    for (loop, losses), found in seconds.items():
        typical = float(np.median(found[1:]))
        ratio = float(np.median(np.array(seconds["plain loop", losses][1:]) / np.array(found[1:])))
        rate = flop[losses] / typical
        dtype = torch.float32
        if LOOPS[loop] == "auto":
            dtype = training_precision(device, config_of(losses, device_name))
        share = rate / float(np.median(peaks[dtype]))
        memory = memory_of(loop, losses, folder, device_name) / 1e9
        about = {"losses": losses, "loop": loop.replace("default", f"default ({str(dtype).removeprefix('torch.')})")}
        speed = {"seconds_per_step": typical, "times_plain": ratio, "share_of_peak": share, "memory_gb": memory}
        rows.append(about | speed)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", nargs=2, metavar=("LOOP", "LOSSES"))
    add_table_option(parser)
    chosen = parser.parse_args()
    if chosen.memory:
        loop, losses = chosen.memory
        make = maker(loop, losses, prepare_pairs(PairsFolder(chosen.pairs).load(), PERCENTILES), chosen.device)
        for step in range(3):
            make(step)
        print(peak_memory(choose_device(chosen.device)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if chosen.pairs is None:
            simulate(folder, pairs=2, shape=(64, 128, 128), seed=3, overwrite=True)
        rows = compare(chosen.pairs or Path(folder), chosen.steps, chosen.device)
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
