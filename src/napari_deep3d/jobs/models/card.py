"""The card of an exported model: how other programs must use it, where it fails, what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_deep3d.core import Shape, Spacing, format_spacing

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

PAPER = (
    'B. Li et al., "Deep-3D microscope: 3D volumetric microscopy of thick scattering samples using a wide-field '
    'microscope and machine learning", Optica Publishing Group, 2021'
)
"""Where the method is from. Models and code are others: the paper's authors published neither."""


@dataclass(frozen=True)
class TileEffect:
    """How much the answer changes where a program norms tile by tile; shares of the result's standard deviation.

    Attributes
    ----------
    shape
        Voxels (Z, Y, X) of a tile, which is normed by itself and sees its surroundings.
    of
        Voxels of the stack that was cut into them.
    mean, worst
        Root mean square of the difference over all tiles, and over the worst of them.
    """

    shape: Shape
    of: Shape
    mean: float
    worst: float


def how_to_use(info: ModelInfo, stride: Shape) -> str:
    """What a program must do before and after the network; plain sentences, a line each."""
    low, high = info.percentiles
    sizes = ", ".join(str(n) for n in stride)
    lines = [
        f"Input: a wide-field fluorescence stack, axes N, C, Z, Y, X, one channel, float32. Intensities: percentiles "
        f"{low:g} and {high:g} of the whole stack become 0 and 1; values beyond stay beyond.",
        f"Sizes: Z, Y, X must be multiples of {sizes}. Repeat the last voxels beyond the end, and cut the result.",
        f"Voxels (Z, Y, X): from {_between(info.spacing_min_um, info.spacing_max_um)}. "
        "Bring others to the nearest of these first, and the result back.",
        "Output: a confocal-like stack, same axes and size, 0 to about 1; set what is below 0 to 0.",
        f"Tiles: {' x '.join(str(n) for n in info.halo)} voxels around a tile change it. The norms within the network "
        "take their statistics from what it is given, so give it the whole stack where memory allows.",
    ]
    if info.z_step > 1:
        lines.insert(
            3,
            f"Planes: the model was trained on stacks of which one plane in {info.z_step} was kept and those between "
            "were interpolated linearly; interpolate planes between yours in the same way first.",
        )
    return "\n".join(lines)


def _between(low: Spacing, high: Spacing) -> str:
    return format_spacing(low) if low == high else f"{format_spacing(low)} to {format_spacing(high)}"


def model_card(info: ModelInfo, stride: Shape, tiles: TileEffect, difference: float, own_card: str = "") -> str:
    """The card in Markdown.

    Parameters
    ----------
    info
        What the model's file says of itself.
    stride
        Sizes (Z, Y, X) must be multiples of it.
    tiles, difference
        What was measured on the exported network: its tiles, and the largest difference from the program's own.
    own_card
        A card that comes with the model, in Markdown.
    """
    size, whole = (" x ".join(str(n) for n in shape) for shape in (tiles.shape, tiles.of))
    parts = [
        f"# {info.title or info.name}",
        info.description or "Confocal-like stacks from wide-field stacks.",
        "Exported by napari-deep3d. Its result is an estimate, not a measurement: texture finer than the wide-field "
        "image resolves is guessed. Do not count, measure or publish what only the prediction shows.",
        "## Use",
        "\n".join(f"- {line}" for line in how_to_use(info, stride).splitlines()),
        "## Tiles change the answer",
        "The network holds instance norms. A program that cuts a stack into tiles norms every tile by itself, so a "
        "voxel's value depends on the tile that it lies in, and neither halo nor blending removes that. Measured with "
        f"this model on the sample that comes with napari-deep3d: the quarters of its {whole} voxels, {size} each, "
        "normed by themselves though they see their surroundings, differ from the whole by "
        f"{tiles.mean:.0%} of its standard deviation (root mean square), the worst quarter by {tiles.worst:.0%}. "
        "Tiles without structure are the worst: their noise is raised. Larger tiles change less. The whole stack at "
        "once changes nothing, unless it is mirrored beyond its ends first, as bioimageio.core does if not told to "
        "skip_input_padding. napari-deep3d itself measures the statistics of the whole stack first: its tiles agree.",
        "## Training",
        _training(info),
        "## Validation",
        _validation(info, difference),
        "## Cite",
        f"The method: {PAPER}. Weights and code are not the paper's; its authors published neither.",
    ]
    if own_card:
        parts += ["---", own_card.strip()]
    return "\n\n".join(parts) + "\n"


def _training(info: ModelInfo) -> str:
    made = {
        name: info.training[name]
        for name in ("program", "pairs", "widefield_stacks", "confocal_stacks", "steps", "weights", "start")
        if info.training.get(name)
    }
    if not made:
        return "The model's file does not say how it was trained."
    return "\n".join(
        ["The last training, as the model's file tells it:", "", *(f"- {n}: {v}" for n, v in made.items())]
    )


def _validation(info: ModelInfo, difference: float) -> str:
    scores = [f"{name} {value:.4g}" for name, value in info.scores.items() if isinstance(value, int | float)]
    held_out = f"On its held-out pairs: {', '.join(scores)}." if scores else "The model's file tells no scores."
    return (
        f"{held_out} To judge it on data of yours, take a few fields with both microscopes, lay the stacks on each "
        "other, and compare the prediction with the confocal stack, and with the wide-field stack beside it (RMSE "
        "after the best scale and offset, SSIM): napari-deep3d's commands `register` and `evaluate` do so. The test "
        f"output in this package was computed with torch; onnxruntime differed from it by {difference:.1g} at most, "
        "where the brightest structures are about 1."
    )
