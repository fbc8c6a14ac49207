"""A model as a package of bioimage.io: description, weights as ONNX, test and sample stacks, a cover and the card."""

from __future__ import annotations

import re
import shutil
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import tifffile
from matplotlib.image import imsave
from pydantic import ValidationError

from napari_deep3d.core import FloatArray, InputError, Shape, Spacing, reason, zyx
from napari_deep3d.jobs.models.card import PAPER

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

WEIGHTS = "weights.onnx"
PAPER_URL = (
    "https://search.crossref.org/?q=Deep-3D+microscope+3D+volumetric+microscopy+of+thick+scattering+samples+"
    "using+a+wide-field+microscope+and+machine+learning"
)
"""Finds the paper by its title; bioimage.io wants an address."""
MAX_WEIGHTS_BYTES = 2**31 - 1
COVER_PIXELS = 384
TOLERANCE = 1e-3
"""Difference from the test output that is allowed to other computers, as a share of the brightest voxel."""
SCALE_STEP_UM = 2.0**-16
"""Voxel sizes are rounded to it: bioimage.io multiplies and divides by them, and wants whole voxels back exactly."""
UNIT = "micrometer"
TAGS = ["3d", "fluorescence-light-microscopy", "image-restoration", "deconvolution", "confocal", "unet"]


@dataclass(frozen=True)
class Sample:
    """A wide-field stack as it comes from the camera, and what the program makes of it; axes (Z, Y, X)."""

    widefield: FloatArray
    predicted: FloatArray


def least_size(halo: Shape, stride: Shape) -> Shape:
    """The smallest stack that has voxels left within a halo, in multiples of the stride."""
    return zyx((2 * around // n + 1) * n for around, n in zip(halo, stride, strict=True))


def write_package(
    path: Path,
    onnx: Path,
    info: ModelInfo,
    stride: Shape,
    sample: Sample,
    card: str,
    authors: Sequence[str],
    licence: str,
    folder: Path,
) -> None:
    """Write the package, a ``.zip`` file.

    Parameters
    ----------
    path
        File to write.
    onnx
        The exported network.
    info, stride, card
        Header of the model, multiples of sizes that the network takes, and the documentation in Markdown.
    sample
        To test the package with, and to show what it does; at least of :func:`least_size`.
    authors, licence
        Names of those who made the model, and the SPDX identifier of its licence, or none.
    folder
        An empty folder for what is packed.

    Raises
    ------
    InputError
        If bioimage.io does not take an author's name or the licence.
    """
    from bioimageio.spec import ValidationContext, save_bioimageio_package
    from bioimageio.spec.model import v0_5

    from napari_deep3d.nn.onnx_file import OPSET

    files = _write_parts(folder, sample, card)
    with ValidationContext(known_files={PAPER_URL: None}), warnings.catch_warnings():  # nothing is asked of a server
        warnings.simplefilter("ignore")  # of the libraries about their own notation
        try:
            described = v0_5.ModelDescr(
                name=_package_name(info),
                description=_shortened(
                    info.description or info.title or "Confocal-like stacks from wide-field stacks."
                ),
                authors=[v0_5.Author(name=name) for name in authors],
                license=licence or None,
                cite=[v0_5.CiteEntry(text=PAPER, url=PAPER_URL)],
                documentation=v0_5.FileDescr(source=files["README.md"]),
                covers=[v0_5.FileDescr(source=files["cover.png"])],
                tags=TAGS,
                inputs=[_input(v0_5, info, stride, files)],
                outputs=[_output(v0_5, info, files)],
                weights=v0_5.WeightsDescr(onnx=v0_5.OnnxWeightsDescr(source=onnx, opset_version=OPSET)),
                config=v0_5.Config(bioimageio=_about(v0_5, info, float(sample.predicted.max()))),
            )
        except ValidationError as error:
            raise _refusal(error, authors, licence) from error
        save_bioimageio_package(described, output_path=path)


def _refusal(error: ValidationError, authors: Sequence[str], licence: str) -> InputError:
    """Why bioimageio.spec does not take a description: what the user gave, or else libraries that do not fit."""
    wrong = {str(part) for each in error.errors() for part in each["loc"]}
    if error.title == "Author" or wrong & {"license", "authors"}:
        return InputError(
            f"bioimage.io does not take these authors or this licence: {', '.join(authors)}; {licence or 'none'}. Give "
            "plain names, and a licence by its SPDX identifier, such as CC-BY-4.0 or BSD-3-Clause."
        )
    from napari_deep3d.nn.onnx_file import INSTALL

    found = ", ".join(f"{name} {version(name)}" for name in ("bioimageio.spec", "pydantic"))
    return InputError(f"the libraries installed here ({found}) do not fit each other. Install those that do: {INSTALL}")


def _write_parts(folder: Path, sample: Sample, card: str) -> dict[str, Path]:
    """The files beside the weights, by name."""
    names = ("README.md", "cover.png", "test_input.npy", "test_output.npy", "sample_input.tif", "sample_output.tif")
    files = {name: folder / name for name in names}
    files["README.md"].write_text(card, encoding="utf-8")
    for stack, kind in ((sample.widefield, "input"), (sample.predicted, "output")):
        np.save(files[f"test_{kind}.npy"], stack[None, None])
        tifffile.imwrite(files[f"sample_{kind}.tif"], stack)
    imsave(files["cover.png"], _cover(sample), cmap="gray")
    return files


def _cover(sample: Sample) -> FloatArray:
    """The middle plane as wide-field and prediction show it, side by side, twice as wide as high."""
    middle, side = sample.widefield.shape[0] // 2, min(sample.widefield.shape[1:])
    halves = []
    for stack in (sample.widefield, sample.predicted):
        plane = stack[middle, :side, :side]
        low, high = np.percentile(plane, (0.5, 99.8))
        scaled = np.clip((plane - low) / max(high - low, 1e-6), 0, 1)
        halves.append(np.kron(scaled, np.ones((max(1, COVER_PIXELS // side),) * 2)))
    return np.concatenate(halves, axis=1).astype(np.float32)


def _scales(info: ModelInfo) -> Spacing:
    return zyx(max(1, round(um / SCALE_STEP_UM)) * SCALE_STEP_UM for um in info.spacing_um)


def _input(v0_5: Any, info: ModelInfo, stride: Shape, files: dict[str, Path]) -> Any:
    low, high = info.percentiles
    least = least_size(info.halo, stride)
    axes = [
        v0_5.SpaceInputAxis(id=axis, size=v0_5.ParameterizedSize(min=size, step=step), unit=UNIT, scale=scale)
        for axis, size, step, scale in zip("zyx", least, stride, _scales(info), strict=True)
    ]
    scaling = v0_5.ScaleRangeKwargs(min_percentile=low, max_percentile=high, axes=("channel", "z", "y", "x"))
    return v0_5.InputTensorDescr(
        id="widefield",
        description="wide-field fluorescence stack",
        axes=[v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=["widefield"]), *axes],
        data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        preprocessing=[v0_5.ScaleRangeDescr(kwargs=scaling)],
        test_tensor=v0_5.FileDescr(source=files["test_input.npy"]),
        sample_tensor=v0_5.FileDescr(source=files["sample_input.tif"]),
    )


def _output(v0_5: Any, info: ModelInfo, files: dict[str, Path]) -> Any:
    axes = []
    for axis, halo, scale in zip("zyx", info.halo, _scales(info), strict=True):
        common = {"id": axis, "unit": UNIT, "scale": scale}
        common["size"] = v0_5.SizeReference(tensor_id="widefield", axis_id=axis)
        axes.append(v0_5.SpaceOutputAxisWithHalo(halo=halo, **common) if halo else v0_5.SpaceOutputAxis(**common))
    return v0_5.OutputTensorDescr(
        id="confocal",
        description="confocal-like stack, 0 to about 1",
        axes=[v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=["confocal"]), *axes],
        data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        postprocessing=[v0_5.ClipDescr(kwargs=v0_5.ClipKwargs(min=0.0))],
        test_tensor=v0_5.FileDescr(source=files["test_output.npy"]),
        sample_tensor=v0_5.FileDescr(source=files["sample_output.tif"]),
    )


def _about(v0_5: Any, info: ModelInfo, brightest: float) -> Any:
    return v0_5.BioimageioConfig(
        reproducibility_tolerance=[v0_5.ReproducibilityTolerance(absolute_tolerance=TOLERANCE * brightest)],
        architecture_type="residual 3D U-Net",
        architecture_description=f"generator of WFCON-Net, width {info.width}, instance norms",
        modality="wide-field fluorescence microscopy",
        task="image restoration",
        out_of_scope_use="Transmitted light; counting or measuring what only the prediction shows; concentrations.",
    )


def _package_name(info: ModelInfo) -> str:
    """A name of letters and digits that bioimage.io takes, 5 to 64 of them."""
    plain = " ".join(re.sub(r"[^A-Za-z0-9_+() -]+", " ", info.name).split())
    return f"Confocal-like from wide-field ({plain or 'model'})"[:64]


def _shortened(text: str, most: int = 500) -> str:
    return text if len(text) <= most else text[: most - 4].rpartition(" ")[0] + " ..."


def check_package(path: Path) -> str:
    """Let bioimage.io's own test look at a package; why it failed, or nothing if it passed."""
    from bioimageio.core import test_model
    from bioimageio.spec import ValidationContext

    with ValidationContext(known_files={PAPER_URL: None}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        summary = test_model(path, weight_format="onnx")
    return "" if summary.status == "passed" else summary.format()


def unpack_weights(path: Path, folder: Path) -> Path:
    """Take the exported network out of a package into a folder; InputError if there is none."""
    target = folder / WEIGHTS
    try:
        with ZipFile(path) as package:
            found = [entry for entry in package.infolist() if entry.filename == WEIGHTS]
            if not found:
                raise InputError(
                    f"{path} holds no {WEIGHTS}; a package that napari-deep3d exported is needed. Models of other "
                    "programs cannot be used."
                )
            if found[0].file_size > MAX_WEIGHTS_BYTES:
                raise InputError(f"{path} says it holds a network of more than 2 GB. Get the file again.")
            with package.open(found[0]) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InputError(f"{path} is truncated or no package ({reason(error)}). Get the file again.") from None
    return target
