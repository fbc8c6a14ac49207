"""Stacks with borders that are no image: predictions with and without leaving these out, against confocal.

Usage: python -m benchmarks.prediction.borders [--samples thick nucleus simulated] [--table docs/data/borders.csv]

Eight kinds of border are put on stacks with a confocal truth: the bundled thick sample, the real nucleus (if it is at
hand) and five simulated stacks. Compared is, within what is still image, the correlation with confocal: of the
prediction of the untouched stack, and of that with the border, what is no image taken for image and left out. At the
edge, in the image up to 8 pixels (or 2 planes) from what is none, the RMS difference from the prediction of the
untouched stack, as a share of its standard deviation there: a seam would show in it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from benchmarks.common.nucleus_pair import CONFOCAL, SHIFT, WIDEFIELD
from benchmarks.common.real_files import NUCLEUS, WHOLE
from benchmarks.common.tables import Row, add_table_option, markdown, write_rows
from napari_deep3d import predict, simulate
from napari_deep3d.core import Box, FloatArray, Shape, Spacing, Stack, find_no_data, shape_of
from napari_deep3d.data import THICK_CONFOCAL, THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.predict import network_input

Mask = NDArray[np.bool_]
SAMPLES = ("thick", "nucleus", "simulated")
MIDDLE = Box(*np.s_[8:48, 16:144, 16:144])
"""Of the thick sample, so that all takes less than ten minutes on one processor."""
SIMULATED_SHAPE: Shape = (24, 96, 96)
SIMULATED_STACKS, SEED = 5, 8000
BAND, PLANES_APART = 8, 4
"""Width of the band at the edge in pixels; a plane counts as so many."""
COLUMNS = {
    "sample": "{sample}",
    "border": "{border}",
    "no image": "{share:.0%}",
    "untouched": "{untouched:.3f}",
    "before": "{before:.3f}",
    "after": "{after:.3f}",
    "edge before": "{edge_before:.2f}",
    "edge after": "{edge_after:.2f}",
}


@dataclass(frozen=True)
class Sample:
    """A wide-field stack and its confocal truth on the same grid, axes (Z, Y, X)."""

    name: str
    widefield: NDArray[np.uint16]
    confocal: FloatArray
    spacing_um: Spacing


def samples(chosen: list[str]) -> Iterator[Sample]:
    """The samples of some kinds."""
    if "thick" in chosen:
        yield _pair("thick", THICK_WIDEFIELD, THICK_CONFOCAL, MIDDLE)
    if "nucleus" in chosen and NUCLEUS.exists():
        file = open_stack(NUCLEUS)
        volume, confocal = file.volume(WIDEFIELD), np.asarray(file.volume(CONFOCAL).data[:, :, :], dtype=np.float32)
        moved = ndi.shift(confocal, SHIFT, order=1, mode="nearest")
        yield Sample("nucleus", np.asarray(volume.data[:, :, :]), moved, volume.require_spacing_um())
    if "simulated" in chosen:
        with tempfile.TemporaryDirectory() as folder:
            simulate(folder, pairs=SIMULATED_STACKS, shape=SIMULATED_SHAPE, seed=SEED)
            for path in sorted((Path(folder) / "widefield").iterdir()):
                yield _pair("simulated", path, Path(folder) / "confocal" / path.name)


def _pair(name: str, widefield: Path, confocal: Path, part: Box = WHOLE) -> Sample:
    volume = open_stack(widefield).volume()
    truth = np.asarray(open_stack(confocal).volume().data[part], dtype=np.float32)
    return Sample(name, np.asarray(volume.data[part]), truth, volume.require_spacing_um())


def borders(shape: Shape) -> Iterator[tuple[str, Mask, float, int]]:
    """Kinds of border: name, where a stack (Z, Y, X) is no image, what is there, and voxels added around y and x."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    planes, rows, columns = shape

    def whole(mask: Mask) -> Mask:
        return np.broadcast_to(mask, shape)

    def frame(width: int) -> Mask:
        return whole((y < width) | (y >= rows - width) | (x < width) | (x >= columns - width))

    across = np.abs(x - columns / 2) + np.abs(y - rows / 2)
    yield "frame of zeros, 1 px", frame(1), 0, 0
    yield "shift by 5 and 7 px", whole((y < 5) | (x < 7)), 0, 0
    yield "dead column", whole(x == columns // 3), 0, 0
    yield "dropped plane", whole(z == planes // 2), 0, 0
    yield "padding", np.zeros(shape, bool), 0, min(rows, columns) // 2
    yield "corners of a rotation", whole(across > 0.4 * (rows + columns)), 0, 0
    yield "deskewed, NaN", whole((y < z) | (y >= rows - planes + z)), np.nan, 0
    yield "frame of 65535, 3 px", frame(3), 65535, 0


def compare(sample: Sample) -> Iterator[Row]:
    """Rows of a sample, one for each kind of border."""
    untouched = predict(sample.widefield, spacing_um=sample.spacing_um, device="cpu").data
    for name, blank, value, added in borders(shape_of(sample.widefield)):
        stack = sample.widefield.astype(np.float32 if np.isnan(value) else np.uint16)
        stack[blank] = value
        stack = np.pad(stack, [(0, 0), (added, added), (added, added)])
        inner = np.s_[:, added : added + blank.shape[1], added : added + blank.shape[2]]
        image = np.pad(~blank, [(0, 0), (added, added), (added, added)])
        row: Row = {"sample": sample.name, "border": name, "share": 1 - float(image.mean())}
        near = _near(image)[inner]
        row["untouched"] = _correlation(untouched[~blank], sample.confocal[~blank])
        for when, find in (("before", _nothing_found), ("after", find_no_data)):
            with mock.patch.object(network_input, "find_no_data", find):
                predicted = predict(stack, spacing_um=sample.spacing_um, device="cpu").data[inner]
            difference = (predicted - untouched)[near].astype(np.float64)
            row[when] = _correlation(predicted[~blank], sample.confocal[~blank])
            row[f"edge_{when}"] = float(np.sqrt((difference**2).mean()) / untouched[near].std())
        yield row


def _nothing_found(stack: Stack, on_plane: Callable[[NDArray[np.generic]], None]) -> None:
    """Take all of a stack for image."""
    for z in range(stack.shape[0]):
        on_plane(np.asarray(stack[z]))


def _near(image: Mask) -> Mask:
    """Image that lies near what is none."""
    distance = ndi.distance_transform_edt(image, sampling=(PLANES_APART, 1, 1))
    near: Mask = image & (distance <= BAND)
    return near


def _correlation(first: FloatArray, second: FloatArray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", nargs="+", choices=SAMPLES, default=list(SAMPLES))
    add_table_option(parser)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for sample in samples(chosen.samples):
        rows += compare(sample)
        print(markdown(rows[-8:], COLUMNS), flush=True)
    # Of the simulated stacks the mean.
    means: list[Row] = [row for row in rows if row["sample"] != "simulated"]
    for border in dict.fromkeys(row["border"] for row in rows):
        alike = [row for row in rows if row["border"] == border and row["sample"] == "simulated"]
        if alike:
            numbers = {
                name: float(np.mean([row[name] for row in alike]))
                for name in alike[0]
                if name not in ("sample", "border")
            }
            means.append({"sample": "simulated", "border": border} | numbers)
    loss = [max(0.0, row["untouched"] - row["after"]) for row in rows]
    print(f"largest loss of correlation: {max(loss):.4f}")
    write_rows(chosen.table, means)


if __name__ == "__main__":
    main()
