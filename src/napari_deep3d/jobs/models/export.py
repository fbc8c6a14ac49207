"""Export a model: a copy of its file, ONNX for other programs, or a package of bioimage.io."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import (
    Box,
    FloatArray,
    InputError,
    Job,
    Progress,
    Shape,
    Stop,
    StoppedError,
    finish,
    intensity_range,
    never,
    normalise,
    writing,
    zyx,
)
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.models.card import TileEffect, how_to_use, model_card
from napari_deep3d.jobs.models.store import (
    SUFFIX,
    check_target,
    copy_model,
    find_model,
    list_models,
    model_info,
    open_model,
)

if TYPE_CHECKING:
    from napari_deep3d.jobs.models.bioimageio_package import Sample
    from napari_deep3d.nn.folded_network import FoldedNetwork
    from napari_deep3d.nn.generator import Generator
    from napari_deep3d.nn.model_file import ModelInfo

Format = Literal["safetensors", "onnx", "bioimageio"]
ENDINGS: dict[Format, str] = {"safetensors": SUFFIX, "onnx": ".onnx", "bioimageio": ".zip"}
DEVELOPERS, LICENCE = "The napari-deep3d developers", "BSD-3-Clause"
"""Of the bundled models."""
MAX_DIFFERENCE = 1e-3
"""Between torch and onnxruntime, as a share of the brightest voxel: more is a fault."""
TEST_SHAPE: Shape = (32, 128, 128)
"""Voxels (Z, Y, X) of the test stack in a package, if the halo does not need more."""
REMEDY = "Choose a folder that you may write to, or make room."


@dataclass(frozen=True)
class ExportedModel:
    """What was exported.

    Attributes
    ----------
    output
        The file.
    file_format
        ``safetensors``, ``onnx`` or ``bioimageio``.
    largest_difference
        Between the exported network and torch on a sample, where the brightest structures are about 1; None for a copy.
    tile_difference
        How much the answer changes if the sample is cut into quarters, as a share of its standard deviation: root mean
        square over all. None where it was not measured.
    """

    output: Path
    file_format: Format
    largest_difference: float | None = None
    tile_difference: float | None = None


def export_model(
    name: str,
    output: str | Path,
    file_format: str | None = None,
    *,
    authors: Sequence[str] = (),
    licence: str = "",
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[ExportedModel]:
    """Export a model given by name or path.

    Parameters
    ----------
    name
        Name of a model, or a model file.
    output
        File to write, ending in ``.safetensors``, ``.onnx`` or ``.zip``.
    file_format
        The format; by default the one of the ending.
    authors, licence
        For a package: who made the model, and the SPDX identifier of its licence. Bundled models have theirs.
    overwrite
        Whether a file of that name may be replaced.
    stop
        Asked between the steps; nothing is written when it is true.

    Yields
    ------
    Progress

    Raises
    ------
    InputError
        If something given cannot be used, a library is missing, or the exported network does not agree with torch.
    StoppedError
        If it was stopped.
    """
    target = Path(output)
    chosen = _format_of(target, file_format)
    if chosen == "safetensors":
        return ExportedModel(copy_model(name, target, overwrite), chosen)
    source = find_model(name)
    info = model_info(str(source))
    check_target(target, overwrite)
    _check_libraries(chosen)
    if info.network_input != "stack":
        raise InputError(
            f"the model {info.name} sees a plane and the distance from it, which only napari-deep3d prepares; models "
            f"that see stacks can be exported as {chosen}. Share its file: --format safetensors."
        )
    if chosen == "bioimageio":
        authors, licence = _makers(source, info, authors, licence)

    def step(done: int, message: str) -> Progress:
        if stop():
            raise StoppedError
        return Progress(done, 4, message)

    from napari_deep3d.jobs.models import bioimageio_package as package
    from napari_deep3d.nn.generator import STRIDE
    from napari_deep3d.nn.onnx_file import write_onnx

    with tempfile.TemporaryDirectory() as name_of_folder, writing(target, REMEDY) as part:
        folder = Path(name_of_folder)
        yield step(0, "exporting the network")
        generator, _ = open_model(str(source))
        onnx = folder / package.WEIGHTS
        write_onnx(onnx, generator, info, how_to_use(info, STRIDE))
        yield step(1, "comparing it with torch")
        sample, difference = _compared(onnx, generator, info)
        if chosen == "onnx":
            shutil.copyfile(onnx, part)
            return ExportedModel(target, chosen, difference)
        yield step(2, "measuring what tiles change")
        tiles = measure_tiles(generator, info)
        yield step(3, "packing and testing the package")
        card = model_card(info, STRIDE, tiles, difference, _own_card(source))
        package.write_package(part, onnx, info, STRIDE, sample, card, authors, licence, folder)
        failure = package.check_package(part)
        if failure:
            raise InputError(f"bioimage.io's own test refuses the package, and nothing was written. It says: {failure}")
    return ExportedModel(target, chosen, difference, tiles.mean)


def _format_of(target: Path, file_format: str | None) -> Format:
    """The format that was named, or that of the ending; InputError if there is none, or they do not fit."""
    if file_format is not None and file_format not in ENDINGS:
        raise InputError(f"there is no format {file_format!r}; {', '.join(ENDINGS)} are allowed. Give one of them.")
    fitting = [each for each, ending in ENDINGS.items() if file_format in (None, each) and ending == target.suffix]
    if fitting:
        return fitting[0]
    endings = ", ".join(f"{ending} ({each})" for each, ending in ENDINGS.items() if file_format in (None, each))
    raise InputError(f"{target} does not end in {endings}; exported models do. Give such a name.")


def _check_libraries(chosen: Format) -> None:
    from napari_deep3d.nn.onnx_file import library

    names = ["onnx", "onnxscript", "onnxruntime"]
    for name in [*names, "bioimageio.spec", "bioimageio.core"] if chosen == "bioimageio" else names:
        library(name)


def _makers(source: Path, info: ModelInfo, authors: Sequence[str], licence: str) -> tuple[list[str], str]:
    """Who made a model, and under which licence it is."""
    if _is_bundled(source):
        return list(authors) or [DEVELOPERS], licence or LICENCE
    if not [author for author in authors if author.strip()]:
        raise InputError(
            f"a package says who made it, and the file of {info.name} does not. Give --author 'NAME', once for each; "
            "and --licence, if others may use it."
        )
    return list(authors), licence


def _is_bundled(source: Path) -> bool:
    return any(entry.bundled and entry.path == source for entry in list_models())


def _own_card(source: Path) -> str:
    card = source.with_name("README.md")
    return card.read_text(encoding="utf-8") if _is_bundled(source) and card.is_file() else ""


def _compared(onnx: Path, generator: Generator, info: ModelInfo) -> tuple[Sample, float]:
    """A test stack with what torch predicts of it, and the largest difference of onnxruntime's from that.

    InputError if they differ by more than :data:`MAX_DIFFERENCE`.
    """
    import torch

    from napari_deep3d.jobs.models.bioimageio_package import Sample, least_size
    from napari_deep3d.nn.generator import STRIDE
    from napari_deep3d.nn.onnx_file import run_onnx

    shape = zyx(max(pair) for pair in zip(TEST_SHAPE, least_size(info.halo, STRIDE), strict=True))
    widefield = _cut(_bundled_stack(), shape)
    stack = normalise(widefield, intensity_range(widefield, info.percentiles))
    with torch.no_grad():
        predicted = generator(torch.from_numpy(stack)[None, None])[0, 0].numpy()
    difference = float(np.abs(run_onnx(onnx, stack) - predicted).max())
    allowed = MAX_DIFFERENCE * float(np.abs(predicted).max())
    if not difference <= allowed:
        raise InputError(
            f"the exported network differs from the model by {difference:.2g}, {allowed:.2g} is allowed, so nothing "
            "was written. It is a fault of torch's exporter or of onnxruntime: install other versions of them."
        )
    return Sample(widefield.astype(np.float32), np.maximum(predicted, 0)), difference


def _bundled_stack() -> NDArray[np.generic]:
    return np.asarray(open_stack(THICK_WIDEFIELD).volume().data)


def _cut(stack: NDArray[np.generic], shape: Shape) -> NDArray[np.generic]:
    """The middle of a stack; mirrored beyond its ends where it is smaller."""
    short = [max(0, want - have) for want, have in zip(shape, stack.shape, strict=True)]
    padded = np.pad(stack, [(n // 2, n - n // 2) for n in short], mode="symmetric")
    return padded[Box.centred(shape, zyx(padded.shape))]


def _measured(generator: Generator, piece: FloatArray) -> FoldedNetwork:
    """The program's own network, on the processor, with the norm statistics of a piece of a stack."""
    import torch

    from napari_deep3d.nn.folded_network import FoldedNetwork

    return FoldedNetwork(generator, [piece], torch.device("cpu"), torch.float32)


def measure_tiles(generator: Generator, info: ModelInfo) -> TileEffect:
    """How much the bundled sample's prediction changes if each quarter of it is normed by itself.

    A quarter sees what surrounds it, so nothing but the statistics differs.
    """
    from napari_deep3d.nn.generator import STRIDE

    data = _bundled_stack()
    stack = normalise(data, intensity_range(data, info.percentiles))
    shape = zyx(stack.shape)
    whole = _measured(generator, stack)(stack)
    depth, height, width = shape[0], shape[1] // 2, shape[2] // 2
    variance, shares = float(whole.var()) or 1.0, []
    for y, x in product((0, height), (0, width)):
        quarter = Box.at((0, y, x), (depth, height, width))
        seen = quarter.grown(info.halo, shape).snapped(STRIDE, shape)
        own = finish(_measured(generator, stack[quarter]).steps(stack[seen], quarter.relative_to(seen)))
        shares.append(float(np.mean((own - whole[quarter]) ** 2)) / variance)
    return TileEffect((depth, height, width), shape, float(np.sqrt(np.mean(shares))), float(np.sqrt(max(shares))))
