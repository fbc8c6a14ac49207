"""Nothing invented: what a model makes of empty images, and of the empty half of an image.

Usage: python -m benchmarks.prediction.invented [--model NAME_OR_FILE] [--table docs/data/invented.csv]

Empty images are even or uneven light with photon and read noise. Their intensities are stretched to 0..1 before the
model sees them, as those of every stack, so that noise looks as strong as structure: the hardest case. Of the
prediction:

- deviation, and height of its brightest voxels (99.9th percentile less median), as shares of those of a prediction of
  structure (beads and fibres, seen by a wide-field microscope with the same noise);
- share of voxels above 0.5;
- correlation of the predictions of two images with independent noise: anything but 0 is the model's own pattern, or
  the light's, which has one if it is uneven.

Half-empty images hold structure at one side. Height in the empty side, a few um from any structure, as a share of the
height at the other side; that of the wide-field image, where it is haze, for comparison.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import scipy.ndimage as ndi

from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict
from napari_deep3d.core import FloatArray, InputError, Shape, Spacing
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.core.simulation.psf import convolve, widefield_psf

SHAPE: Shape = (32, 128, 128)
SPACING_UM: Spacing = (0.4, 0.16, 0.16)
SCOPE = Microscope()
PHOTONS = (10, 100, 1000)
READ_NOISE, OFFSET = 2.0, 100.0
EMPTY_FROM_UM = 3.0
"""Distance from the last structure at which the empty side begins."""
COLUMNS = {
    "image": "{image}",
    "deviation, of structure's": "{deviation:.0%}",
    "height, of structure's": "{height:.0%}",
    "voxels above 0.5": "{above_half:.2%}",
    "correlation of two": "{correlation:.3f}",
    "height in wide-field": "{widefield_height:.0%}",
}


def expose(rng: np.random.Generator, photons: FloatArray, read_noise: float = READ_NOISE) -> FloatArray:
    return (rng.poisson(photons) + rng.normal(OFFSET, read_noise, photons.shape)).astype(np.float32)


def empty_images() -> Iterator[tuple[str, FloatArray, float]]:
    """Yield name, expected photons (Z, Y, X) and read noise."""
    for photons in PHOTONS:
        yield f"even light, {photons} photons", np.full(SHAPE, photons, np.float32), 0.0
    yield f"dark, read noise of {READ_NOISE:g}", np.zeros(SHAPE, np.float32), READ_NOISE
    slope = np.linspace(0.7, 1.3, SHAPE[2], dtype=np.float32)
    bowl = slope * np.linspace(1.1, 0.9, SHAPE[1], dtype=np.float32)[:, None]
    for photons in PHOTONS:
        yield f"uneven light, {photons} photons", np.broadcast_to(photons * bowl, SHAPE).copy(), READ_NOISE


def sample(rng: np.random.Generator, width: int) -> FloatArray:
    """Beads of 0.6 to 2 um and straight fibres in the first ``width`` columns; axes (Z, Y, X), 0 to 1."""
    z, y, x = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(SHAPE, SPACING_UM, strict=True)), indexing="ij", sparse=True
    )
    field = np.array([SHAPE[0], SHAPE[1], width]) * SPACING_UM
    density = np.zeros(SHAPE, np.float32)
    for _ in range(25):
        centre, radius = rng.uniform(0.1, 0.9, 3) * field, rng.uniform(0.3, 1.0)
        inside = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius**2
        density = np.maximum(density, np.float32(rng.uniform(0.4, 1)) * inside)
    for _ in range(10):
        steps = np.linspace(0, 1, 400)[:, None]
        path = rng.uniform(0, 1, (1, 3)) * (1 - steps) * field + rng.uniform(0, 1, (1, 3)) * steps * field
        index = np.minimum((path / SPACING_UM).astype(int), np.array([SHAPE[0], SHAPE[1], width]) - 1)
        density[tuple(index.T)] = np.maximum(density[tuple(index.T)], np.float32(rng.uniform(0.4, 1)))
    return np.asarray(ndi.gaussian_filter(density, 0.5), dtype=np.float32)


def widefield(rng: np.random.Generator, density: FloatArray, photons: float) -> FloatArray:
    """A wide-field image with ``photons`` at its brightest voxels, and a tenth of that as background."""
    image = convolve(density, widefield_psf(SCOPE, SPACING_UM, 2 * SHAPE[0] - 1))
    return expose(rng, photons * (image / np.percentile(image, 99.9) + 0.1).astype(np.float32))


def height(stack: FloatArray) -> float:
    """99.9th percentile less median."""
    return float(np.percentile(stack, 99.9) - np.median(stack))


def emptiness(name: str, first: FloatArray, second: FloatArray, structure: FloatArray) -> Row:
    """Measures of the predictions of two images of one emptiness, relative to a prediction of structure."""
    correlation = float(np.corrcoef(first.ravel(), second.ravel())[0, 1]) if first.std() and second.std() else 0.0
    return {
        "image": name,
        "deviation": float(first.std() / structure.std()),
        "height": height(first) / height(structure),
        "above_half": float((first > 0.5).mean()),
        "correlation": correlation,
    }


def half_empty(name: str, image: FloatArray, predicted: FloatArray, width: int) -> Row:
    """Height of the empty side relative to that of the side with structure, of a prediction and of its image."""
    start = width + int(np.ceil(EMPTY_FROM_UM / SPACING_UM[2]))
    shares = [height(stack[..., start:]) / height(stack[..., :width]) for stack in (predicted, image)]
    above = float((predicted[..., start:] > 0.5).mean())
    return {"image": name, "height": shares[0], "widefield_height": shares[1], "above_half": above}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="generalist")
    add_table_option(parser)
    chosen = parser.parse_args()
    rng = np.random.default_rng(20)

    def run(image: FloatArray) -> FloatArray:
        return np.asarray(predict(image, spacing_um=SPACING_UM, model=chosen.model).data)

    structure = run(widefield(rng, sample(rng, SHAPE[2]), PHOTONS[-1]))
    rows: list[Row] = []
    for name, photons, noise in empty_images():
        try:
            first, second = (run(expose(rng, photons, noise)) for _ in range(2))
            rows.append(emptiness(name, first, second, structure))
        except InputError as error:
            rows.append({"image": f"{name}: refused ({error})"})
    width = SHAPE[2] // 2
    for level in PHOTONS:
        image = widefield(rng, sample(rng, width), level)
        rows.append(half_empty(f"half empty, {level} photons", image, run(image), width))
    print(markdown(rows, COLUMNS))
    write_rows(chosen.table, rows)


if __name__ == "__main__":
    main()
