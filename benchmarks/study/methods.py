"""What answers are compared: each makes a stack (Z, Y, X) of the wide-field one of a pair, on a scale from 0 to 1."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.richardson_lucy import best_richardson_lucy, richardson_lucy
from benchmarks.common.scene_files import microscopes_of, read_scene
from benchmarks.common.scores import scaled
from napari_deep3d import predict
from napari_deep3d.core import DEFAULT_MODEL, FloatArray
from napari_deep3d.jobs.pairs import CONFOCAL, WIDEFIELD, PairsFolder

TRIED = (2, 4, 8, 12, 16, 24, 32)
"""Accelerated iterations of which the truth chooses the best."""


class Method(Protocol):
    """Something that answers a pair; equal ones give equal answers."""

    def answer(self, pairs: PairsFolder, name: str, /) -> FloatArray:
        """The stack that it makes of a pair, by the name of its files."""
        ...


@dataclass(frozen=True)
class Itself:
    """One of the stacks of the pair, as it is: ``widefield``, or ``confocal`` for what only it has."""

    kind: str

    def answer(self, pairs: PairsFolder, name: str) -> FloatArray:
        """The stack."""
        return scaled(stack(pairs, self.kind, name))


@dataclass(frozen=True)
class Model:
    """A model, by name or file; ``every`` is 2 or 4 where so many planes make one, the others interpolated before."""

    model: str = DEFAULT_MODEL
    every: int = 1

    def answer(self, pairs: PairsFolder, name: str) -> FloatArray:
        """Its prediction."""
        volume = pairs.volume(WIDEFIELD, name)
        sparse = interpolated(np.asarray(volume.data[:, :, :]), self.every)
        return np.asarray(predict(sparse, spacing_um=volume.require_spacing_um(), model=self.model).data)


@dataclass(frozen=True)
class RichardsonLucy:
    """Richardson-Lucy, told the true microscope.

    So many classical iterations with the PSF of the middle of the sample, as users run it; or, with 0, at its best: of
    accelerated iterations and PSFs of three depths those that the confocal stack shows to be best.
    """

    iterations: int = 0

    def answer(self, pairs: PairsFolder, name: str) -> FloatArray:
        """Its estimate."""
        scene = read_scene(pairs.file(WIDEFIELD, name))
        scopes, image = microscopes_of(scene), stack(pairs, WIDEFIELD, name)
        if not self.iterations:
            truth = scaled(stack(pairs, CONFOCAL, name))
            return scaled(best_richardson_lucy(image, truth, scopes, scene.spacing_um, TRIED)[1])
        middle = scopes[len(scopes) // 2]
        run = richardson_lucy(image, middle, scene.spacing_um, (self.iterations,), accelerated=False)
        return scaled(next(run)[1])


@dataclass(frozen=True)
class Stored:
    """Answers of another program, which it left in a folder as NAME.npy."""

    folder: str

    def answer(self, _: PairsFolder, name: str) -> FloatArray:
        """What the program left."""
        return scaled(np.load(Path(self.folder) / f"{name}.npy"))


def stack(pairs: PairsFolder, kind: str, name: str) -> FloatArray:
    """Voxels of one stack of a pair, axes (Z, Y, X)."""
    return np.asarray(pairs.volume(kind, name).data[:, :, :], dtype=np.float32)


def interpolated(data: NDArray[Any], every: int) -> NDArray[Any]:
    """Keep every so-manieth plane of a stack (Z, Y, X), and interpolate linearly between; below the last, repeat it."""
    if every == 1:
        return data
    kept = np.asarray(data[::every], dtype=np.float32)
    place = np.minimum(np.arange(len(data)) / every, len(kept) - 1)
    below = np.floor(place).astype(int)
    above = np.minimum(below + 1, len(kept) - 1)
    share = (place - below).astype(np.float32)[:, None, None]
    return np.asarray((1 - share) * kept[below] + share * kept[above])


def key_of(method: Any) -> dict[str, Any]:
    """What a method's answers depend on; of a model in a run folder, the folder's name says it."""
    values = asdict(method)
    for name in ("model", "folder"):
        if "/" in str(values.get(name, "")):
            path = Path(values[name])
            values[name] = path.name if name == "folder" else f"{path.parent.name}/{path.name}"
    return {"kind": type(method).__name__} | values
