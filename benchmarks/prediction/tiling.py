"""Which way of tiling keeps what the network can do? Trains small networks and compares the candidates.

Usage: python -m benchmarks.prediction.tiling data/train [--steps 250] [--table docs/data/tile_norms_published.csv]
       python -m benchmarks.prediction.tiling data/train --only-model generalist --stacks 1
           [--table docs/data/tile_norms_bundled.csv]

Three trainings of equal length: instance norm on 12-plane patches (as published), instance norm on patches of mixed
depth, batch norm on mixed depth. Each is then used on held-out pairs in every way that makes sense for it. The table is
that of the first one, or of the only model.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d.core import FloatArray, Shape, TileDone, TrainConfig, finish
from napari_deep3d.core.evaluation.metrics import fit_scale, rmse, ssim
from napari_deep3d.core.resampling import ModelGrid
from napari_deep3d.core.tiling import plan_tiles
from napari_deep3d.jobs.models.store import find_model
from napari_deep3d.jobs.pairs import PairsFolder, prepare_pairs
from napari_deep3d.nn.folded_network import FoldedNetwork, fold_norms, predict_and_measure
from napari_deep3d.nn.generator import EPSILON, STRIDE, Generator, ResidualBlock, StackNorm, norms
from napari_deep3d.nn.inference import BoxPredictor, at_once, predict_tiles
from napari_deep3d.nn.model_file import load_model
from napari_deep3d.nn.patches import TrainingPair, draw_batch
from napari_deep3d.nn.trainer import Trainer
from napari_deep3d.nn.training import split_pairs

Network = Callable[[FloatArray], FloatArray]
CPU, FLOAT = torch.device("cpu"), torch.float32
HALO: Shape = (16, 32, 32)
MIXED = ((12, 64, 64), (24, 64, 64), (48, 64, 64), (64, 64, 64))
PUBLISHED = ((12, 64, 64),)
COLUMNS = {
    "norm statistics": "{norm_statistics}",
    "RMSE": "{rmse:.3f}",
    "SSIM": "{ssim:.3f}",
    "tile mismatch": "{tile_mismatch:.3f}",
    "change with the tile": "{change:.3f}",
}


class LocalNorm(nn.Module):
    """Mean and variance of a window around each voxel, from a coarse grid, interpolated (kernelised norm)."""

    def __init__(self, norm: StackNorm, window: Shape) -> None:
        super().__init__()
        self.norm, self.window = norm, window

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, Z, Y, X)."""
        kernel = [min(w, n) for w, n in zip(self.window, x.shape[2:], strict=True)]
        stride = [max(1, k // 2) for k in kernel]
        mean = F.avg_pool3d(x, kernel, stride)
        square = F.avg_pool3d(x * x, kernel, stride)
        mean, square = (F.interpolate(m, size=x.shape[2:], mode="trilinear") for m in (mean, square))
        gain = self.norm.weight.view(1, -1, 1, 1, 1) * torch.rsqrt((square - mean**2).clamp(min=0) + EPSILON)
        return (x - mean) * gain + self.norm.bias.view(1, -1, 1, 1, 1)


def localised(generator: Generator, window: Shape) -> Generator:
    """A copy whose norms look at a window of the given size at full resolution."""
    local = copy.deepcopy(generator)
    names = {"stem": (1, 1, 1)}
    steps = [(2, 2, 2), (4, 4, 4), (4, 8, 8), (4, 16, 16)]
    names |= {f"downs.{i}": step for i, step in enumerate(steps)}
    names |= {f"ups.{i}.block": step for i, step in enumerate([steps[2], steps[1], steps[0], (1, 1, 1)])}
    for name, step in names.items():
        block = local.get_submodule(name)
        assert isinstance(block, ResidualBlock)
        assert isinstance(block.norm, StackNorm)
        z, y, x = (max(1, w // s) for w, s in zip(window, step, strict=True))
        block.norm = LocalNorm(block.norm, (z, y, x))
    return local


def as_network(generator: nn.Module) -> Network:
    """A generator as a function of arrays, norms as they are."""

    def run(stack: FloatArray) -> FloatArray:
        with torch.no_grad():
            out: Tensor = generator(torch.from_numpy(np.ascontiguousarray(stack))[None, None])
        return out[0, 0].numpy()

    return run


def tiled(network: Network, stack: FloatArray, tile: Shape, halo: Shape) -> tuple[FloatArray, float]:
    """Prediction of a normalised stack by tiles, and its tile mismatch."""
    shape: Shape = (stack.shape[0], stack.shape[1], stack.shape[2])
    predictor = BoxPredictor(at_once(network), lambda box: stack[box], ModelGrid(shape), halo, STRIDE)
    out = np.zeros(shape, np.float32)
    job = predict_tiles(predictor, plan_tiles(shape, tile))
    while True:
        try:
            event = next(job)
        except StopIteration as end:
            return out, float(end.value.mismatch)
        if isinstance(event, TileDone):
            out[event.region] += event.values


def train(pairs: list[TrainingPair], patches: tuple[Shape, ...], steps: int, pooled: bool) -> Generator:
    """A small network after a short training."""
    config = TrainConfig.checked(
        iterations=steps,
        patch=patches,
        width=8,
        batch_size=1 if patches == MIXED else 5,
        weight_gan=0,
        weight_vgg=0,
        ema=0,
        seed=1,
    )
    trainer = Trainer(config, pairs)
    for norm in norms(trainer.generator):
        norm.pooled = pooled
    for step in range(steps):
        trainer.step(step)
    return trainer.generator.eval()


def population(generator: Generator, pairs: list[TrainingPair], patches: tuple[Shape, ...]) -> Generator:
    """Batch norm at test time: statistics averaged over training patches, the same for every stack."""
    config = TrainConfig.checked(iterations=1, patch=patches, batch_size=1, seed=2)
    gathered = [
        finish(predict_and_measure(generator, torch.from_numpy(draw_batch(pairs, config, step).network_input)))[1]
        for step in range(24)
    ]
    mean = [
        (torch.stack([m for m, _ in layer]).mean(0), torch.stack([v for _, v in layer]).mean(0))
        for layer in zip(*gathered, strict=True)
    ]
    return fold_norms(generator, mean)


def compare(
    name: str, ways: dict[str, Callable[[FloatArray, Shape], tuple[FloatArray, float]]], pairs: list[TrainingPair]
) -> list[Row]:
    """RMSE, SSIM, tile mismatch and dependence on the tile, where there are tiles, of every way of predicting."""
    lines: list[Row] = []
    for way, predict in ways.items():
        rows = []
        for pair in pairs:
            widefield, truth = pair.crop_widefield(pair.whole), pair.crop_confocal(pair.whole)
            tiles: tuple[Shape, ...] = ((64, 64, 64), (64, 96, 96))
            results = [predict(widefield, tile) for tile in tiles]
            main = results[-1][0]
            change = max(float(np.sqrt(((r - main) ** 2).mean()) / main.std()) for r, _ in results[:-1])
            fitted = fit_scale(main, truth)
            rows.append((rmse(fitted, truth), ssim(fitted, truth), max(m for _, m in results), change))
        error, likeness, mismatch, change = np.mean(rows, axis=0).tolist()
        line = {"norm_statistics": way, "rmse": error, "ssim": likeness}
        lines.append(line | {"tile_mismatch": mismatch or None, "change": change or None})
    print(f"\n{name}\n\n{markdown(lines, COLUMNS)}", flush=True)
    return lines


def ways_for(generator: Generator) -> dict[str, Callable[[FloatArray, Shape], tuple[FloatArray, float]]]:
    """The candidates for a network with instance norm."""
    local = as_network(localised(generator, (48, 96, 96)))

    def frozen(stack: FloatArray, tile: Shape) -> tuple[FloatArray, float]:
        return tiled(FoldedNetwork(generator, [stack], CPU, FLOAT), stack, tile, HALO)

    def columns(stack: FloatArray, tile: Shape) -> tuple[FloatArray, float]:
        pieces = [stack[:, y : y + 64, x : x + 64] for y in (0, 80) for x in (0, 80)]
        return tiled(FoldedNetwork(generator, pieces, CPU, FLOAT), stack, tile, HALO)

    return {
        "of each tile of 12 x 64 x 64, as published": lambda s, _: tiled(
            as_network(generator), s, (8, 48, 48), (2, 8, 8)
        ),
        "of each tile": lambda s, t: tiled(as_network(generator), s, t, HALO),
        "whole stack in one pass, no tiles": lambda s, _: (as_network(generator)(s), 0.0),
        "of the whole stack, frozen": frozen,
        "of four columns together, frozen": columns,
        "of a window of 48 x 96 x 96 around each voxel": lambda s, t: tiled(local, s, t, HALO),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--stacks", type=int, default=2)
    parser.add_argument("--only-model", metavar="NAME", help="a trained model (of mixed depth) instead of trainings")
    add_table_option(parser)
    chosen = parser.parse_args()
    training, held_out = split_pairs(
        prepare_pairs(PairsFolder(chosen.pairs).load(), (0.1, 99.9)), TrainConfig.checked(seed=2026)
    )
    tests = held_out[4 : 4 + chosen.stacks]
    if chosen.only_model:
        ways = ways_for(load_model(find_model(chosen.only_model))[0])
        write_rows(chosen.table, compare(chosen.only_model, ways, tests))
        return
    published = ways_for(train(training, PUBLISHED, chosen.steps, pooled=False))
    write_rows(chosen.table, compare("instance norm, 12 planes", published, tests))
    mixed = ways_for(train(training, MIXED, chosen.steps, pooled=False))
    compare("instance norm, mixed depth", mixed, tests)
    batch = train(training, MIXED, chosen.steps, pooled=True)
    fixed = as_network(population(batch, training, MIXED))
    compare("batch norm, mixed depth", {"of the training": lambda s, t: tiled(fixed, s, t, HALO)}, tests)


if __name__ == "__main__":
    main()
