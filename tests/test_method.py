"""The page on the method gives the numbers that the code has."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from napari_deep3d.core.config import PRESETS, TrainConfig
from napari_deep3d.core.intensity import SAMPLED_VOXELS
from napari_deep3d.core.resampling import TOLERANCE as SPACING_TOLERANCE
from napari_deep3d.core.tiling import BLEND, CHEAP
from napari_deep3d.data import VGG16
from napari_deep3d.jobs.models.store import model_info
from napari_deep3d.jobs.predict.cost import FREE_SHARE
from napari_deep3d.jobs.train.trained_model import LARGEST_HALO
from napari_deep3d.nn.discriminator import CHANNELS, SLOPE, Discriminator
from napari_deep3d.nn.folded_network import MAX_COLUMN, SAMPLE_VOXELS, WHOLE_VOXELS, sample_boxes
from napari_deep3d.nn.generator import MAX_CHANNEL_FACTOR, POOLING, STRIDE, Generator
from napari_deep3d.nn.inference import HALO_TOLERANCE
from napari_deep3d.nn.losses import VGG_LAYERS
from napari_deep3d.nn.patches import DISTANCE_UNIT_UM
from napari_deep3d.nn.slabs import MOST_THREADS, SLAB_VOXELS

PAGE = " ".join((Path(__file__).parents[1] / "docs" / "method.md").read_text(encoding="utf-8").split())
CONFIG = SimpleNamespace(**TrainConfig().flat())


def in_words(sizes: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in sizes)


def millions(network: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


@pytest.mark.parametrize(
    "said",
    [
        f"width w = {CONFIG.width} by default; {millions(Generator()):.1f} million weights",
        ", ".join(in_words(factor) for factor in POOLING),
        f"w, 2w, 4w, {MAX_CHANNEL_FACTOR}w, {MAX_CHANNEL_FACTOR}w",
        f"no multiple of {STRIDE} voxels are padded",
        f"{in_words(PRESETS['paper']['patch'][::-1])} (x, y, z)",
        f"in units of {DISTANCE_UNIT_UM:g} um",
        f"a LeakyReLU of slope {SLOPE}",
        f"({CHANNELS[0]}, {2 * CHANNELS[0]} in the first block, doubled up to {CHANNELS[-1]}, {2 * CHANNELS[-1]})",
        f"an eighth of the channels ({millions(Discriminator(1 / 8)):.0f} million)",
        f"lambda = {CONFIG.weight_l1:g} and zeta = {CONFIG.weight_vgg:g}",
        f"relu{VGG_LAYERS[-1]}",
        f"({VGG16.stat().st_size / 1e6:.1f} MB)",
        f"percentiles {CONFIG.percentiles[0]} and {CONFIG.percentiles[1]} (",
        f"above {SAMPLED_VOXELS / 1e6:g} million voxels",
        f"`blank_share`, {CONFIG.blank_share * 100:g} %",
        f"up to {WHOLE_VOXELS / 1e6:g} million voxels (`WHOLE_VOXELS`",
        "at most {} x {} x {} voxels".format(*MAX_COLUMN),
        f"{SAMPLE_VOXELS / 1e6:g} million voxels together (`SAMPLE_VOXELS`)",
        f"on a processor {SLAB_VOXELS['cpu']:,} voxels of the first level for each of 2 to {MOST_THREADS} threads",
        f"around its core, {BLEND[0]} planes and {BLEND[1]} pixels",
        f"a multiple of {STRIDE} voxels",
        f"in steps of {STRIDE[0]} planes and {STRIDE[1]} pixels (at most {LARGEST_HALO[0]} and {LARGEST_HALO[1]})",
        f"within {HALO_TOLERANCE * 100:g} % of the result's standard deviation",
        f"with {SPACING_TOLERANCE * 100:g} % of tolerance",
    ],
)
def test_numbers(said: str) -> None:
    assert said in PAGE


def test_numbers_given_in_words() -> None:
    assert CONFIG.discriminator_width == 1 / 8
    assert CONFIG.vgg_share == 1 / 4
    assert FREE_SHARE == 1 / 2
    assert pytest.approx(1.1) == CHEAP
    assert "no more than a tenth more computing" in PAGE
    assert len(sample_boxes((MAX_COLUMN[0], 1024, 1024))) == 4
    assert len(sample_boxes((MAX_COLUMN[0] // 2, 1024, 1024))) > 4
    assert "a random quarter of the planes" in PAGE
    assert "half of the free memory" in PAGE
    assert "four of that size" in PAGE


def test_halo_of_the_bundled_model() -> None:
    planes, pixels, _ = model_info("generalist").halo
    assert f"bundled model's halo is {planes} planes and {pixels} pixels" in PAGE


def test_published_discriminator() -> None:
    with torch.device("meta"):
        assert millions(Discriminator(1.0)) == pytest.approx(260, rel=0.02)
    assert "about 260 million parameters" in PAGE


def test_modules_exist() -> None:
    source = Path(__file__).parents[1] / "src" / "napari_deep3d"
    named = {word.strip("`(),.;") for word in PAGE.split() if "/" in word and word.rstrip("`(),.;").endswith(".py")}
    assert named
    assert {name for name in named if not (source / name).is_file()} == set()
