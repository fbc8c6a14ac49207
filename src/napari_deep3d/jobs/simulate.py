"""Make a folder of simulated wide-field/confocal pairs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from napari_deep3d.core import Clock, InputError, Job, Notice, Shape, SimulateConfig, Spacing, Stop, Volume, never
from napari_deep3d.core.no_data.image_part import find_no_image, image_part
from napari_deep3d.core.simulation.imaging import MeasuredPsf, SampleKind, SceneBounds, simulate_pair
from napari_deep3d.io import check_folder, open_stack
from napari_deep3d.jobs.pairs import PairsFolder

KINDS: tuple[SampleKind, ...] = get_args(SampleKind)


@dataclass(frozen=True)
class Simulated:
    """A pairs folder that was written.

    Attributes
    ----------
    output, pairs : path, int
        The folder, and the number of its finished pairs.
    shape : tuple of int
        Voxels (Z, Y, X) of each of them.
    spacing_um : list of tuple of float
        Voxel size (Z, Y, X) of each of them in um.
    seed : int
        Start of the random numbers.
    """

    output: Path
    pairs: int
    shape: Shape
    spacing_um: list[Spacing]
    seed: int


def simulate_pairs(
    output: str | Path,
    config: SimulateConfig,
    *,
    confocal_stacks: Sequence[str | Path] = (),
    position: int | None = None,
    psfs: Sequence[str | Path] = (),
    bounds: SceneBounds | None = None,
    overwrite: bool = False,
    stop: Stop = never,
) -> Job[Simulated]:
    """Write simulated pairs to ``output/widefield`` and ``output/confocal``, as many at a time as there are processors.

    Parameters
    ----------
    output : path
        The pairs folder; made if it is not there, refused if it holds files and ``overwrite`` is false.
    config : SimulateConfig
        Number, shape (Z, Y, X), seed and kind. Pair i depends on the seed and i alone.
    confocal_stacks : sequence of path
        Files of real confocal stacks to take samples from, from where they are image.
    position : int, optional
        Which image of confocal files that hold several, counted from 0.
    psfs : sequence of path
        Files of measured wide-field PSFs.
    bounds : SceneBounds, optional
        Bounds of the random choices.
    overwrite : bool
        Whether files of the same names are replaced.
    stop : callable
        Says between pairs whether to stop; the finished ones are kept.

    Raises
    ------
    InputError
        If a file or the output cannot be used, or the kind is unknown.
    """
    kind = next((kind for kind in KINDS if kind == config.kind), None)
    if config.kind and kind is None:
        allowed = ", ".join(KINDS)
        raise InputError(f"there is no kind of sample {config.kind!r}; {allowed} are allowed. Choose one, or none.")
    stacks = list[Volume]()
    for path in confocal_stacks:
        stack, notice = _image_of(_read(path, position))
        stacks.append(stack)
        if notice:
            yield Notice(notice)
    measured = [MeasuredPsf(np.asarray(psf.data), psf.require_spacing_um()) for psf in map(_read, psfs)]
    folder = PairsFolder(check_folder(output, overwrite))

    def make(index: int) -> tuple[int, Spacing] | None:
        if stop():
            return None
        pair = simulate_pair(
            (config.seed, index),
            config.shape,
            confocal_stacks=stacks,
            measured_psfs=measured,
            kind=kind,
            bounds=bounds,
        )
        folder.write(
            f"pair_{index:04d}",
            pair.widefield,
            pair.confocal,
            pair.scene.spacing_um,
            overwrite=True,
            description={"simulated": pair.scene.description()},
        )
        return index, pair.scene.spacing_um

    clock, made = Clock(), dict[int, Spacing]()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(make, index) for index in range(config.pairs)]
        try:
            for future in as_completed(futures):
                done = future.result()
                if done is not None:
                    made[done[0]] = done[1]
                    yield clock.progress(len(made), config.pairs, f"simulated pair {len(made)} of {config.pairs}")
        finally:
            pool.shutdown(cancel_futures=True)
    return Simulated(folder.path, len(made), config.shape, [made[index] for index in sorted(made)], config.seed)


def _read(path: str | Path, position: int | None = None) -> Volume:
    """The stack of a file, all of it in memory."""
    volume = open_stack(path, position).volume()
    return Volume(np.asarray(volume.data[:, :, :]), volume.spacing_um, name=volume.name)


def _image_of(volume: Volume) -> tuple[Volume, str]:
    """The part of a stack that is image, what else is in it filled; and what was left out, or nothing, in words."""
    no_data = find_no_image(volume.data)
    if no_data is None:
        return volume, ""
    if no_data.is_everything:
        raise InputError(
            f"{volume.name} holds no image, only blank planes ({no_data.values_text}); a confocal stack to take "
            "samples from is needed. Give another file."
        )
    part = replace(volume, data=np.asarray(image_part(volume.data, no_data).data))
    return part, f"{volume.name}: {no_data.sentence}; they are left out."
