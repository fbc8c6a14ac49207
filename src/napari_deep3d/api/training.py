"""Simulate pairs, train on pairs, adapt a model without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np

from napari_deep3d.api.settings import Array, File, OnEvent, TrainSettings
from napari_deep3d.core import (
    DEFAULT_MODEL,
    PRESETS,
    Deepest,
    Device,
    InputError,
    Shape,
    SimulateConfig,
    Spacing,
    Stop,
    TrainConfig,
    Volume,
    drain,
    merge,
    never,
)
from napari_deep3d.core.simulation.scene import SceneBounds
from napari_deep3d.io import open_stack
from napari_deep3d.jobs.adapt.adapt import AdaptResult, adapt_model, settings_for
from napari_deep3d.jobs.simulate import Simulated, simulate_pairs
from napari_deep3d.jobs.train.train import TrainResult, train_model
from napari_deep3d.jobs.train.unpaired import UnpairedFolders


def simulate(
    output: File,
    *,
    pairs: int = 8,
    shape: Shape = (48, 160, 160),
    seed: int = 0,
    kind: str = "",
    confocal_stacks: Sequence[File] = (),
    position: int | None = None,
    psfs: Sequence[File] = (),
    bounds: SceneBounds | None = None,
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **changes: Any,
) -> Simulated:
    """Write a folder of simulated wide-field/confocal pairs.

    Parameters
    ----------
    output : str or Path
        The pairs folder: ``widefield/NAME`` and ``confocal/NAME``.
    pairs, shape : int, (int, int, int)
        Number of pairs, and voxels (Z, Y, X) of each.
    seed : int
        Start of the random numbers; the same seed gives the same pairs.
    kind : str
        Kind of all samples; by default a mixture.
    confocal_stacks, psfs : sequences of str or Path
        Files of real confocal stacks to take samples from, and of measured wide-field PSFs.
    position : int, optional
        Which image of confocal files that hold several, counted from 0.
    bounds : SceneBounds, optional
        The bounds of every random choice, as an object whose fields a type checker knows.
    overwrite, on_event, stop
        As in :func:`predict`; overwrite for files of a folder in use.
    **changes
        Single bounds, which go before those of ``bounds``: any field of
        :class:`napari_deep3d.core.simulation.scene.SceneBounds`, such as ``photons=(500, 2000)`` or
        ``samples={"neurons": {"soma_um": (3, 8)}}``.

    Returns
    -------
    Simulated
        Where the pairs are, their number and shape, and the voxel size of each; fewer pairs if it was stopped.

    Raises
    ------
    InputError
        If something given cannot be used.
    """
    config = SimulateConfig.checked(pairs=pairs, shape=shape, seed=seed, kind=kind)
    job = simulate_pairs(
        output,
        config,
        confocal_stacks=confocal_stacks,
        position=position,
        psfs=psfs,
        bounds=merge(SceneBounds, {} if bounds is None else bounds.model_dump(exclude_unset=True), changes),
        overwrite=overwrite,
        stop=stop,
    )
    return drain(job, on_event)


def train(
    pairs: File,
    run: File,
    *,
    preset: Literal["laptop", "paper"] = "laptop",
    name: str = "",
    start: str = "",
    minutes: float | None = None,
    resume: bool = False,
    unpaired: File | None = None,
    on_event: OnEvent | None = None,
    stop: Stop = never,
    **settings: Unpack[TrainSettings],
) -> TrainResult:
    """Train a generator on a pairs folder, or on stacks of different fields.

    Parameters
    ----------
    pairs, run : str or Path
        Pairs folder to read, and run folder to write: settings, metrics, checkpoints and the model.
    preset : Literal['laptop', 'paper']
        "laptop" or "paper"; where the settings start from.
    name, start : str
        Name of the model, the run folder's by default; and a model or model file to go on from (``unpaired`` goes on
        from the bundled one unless this is "scratch").
    minutes : float, optional
        How long it may take, instead of a number of steps.
    resume : bool
        Whether to continue the run from its newest checkpoint, with its own settings.
    unpaired : str or Path, optional
        Folder of confocal stacks of other fields than those in ``pairs``, which is then a folder of wide-field stacks.
    on_event, stop
        As in :func:`predict`; other events are metrics and previews.
    **settings
        Any field of :class:`TrainSettings`; :class:`napari_deep3d.core.config.TrainConfig` says what each means.

    Returns
    -------
    TrainResult
        Where the model is, and its last figures; if it was stopped, ``complete`` is false.

    Raises
    ------
    InputError
        If something given cannot be used.
    """
    config = train_config(preset, settings)
    source = pairs if unpaired is None else UnpairedFolders(Path(pairs), Path(unpaired))
    job = train_model(source, run, config, name=name, start=start, minutes=minutes, resume=resume, stop=stop)
    return drain(job, on_event)


def adapt(
    stack: Array | File,
    run: File,
    *,
    numerical_aperture: float | None = None,
    immersion_index: float | None = None,
    emission_nm: float | None = None,
    deepest: Deepest = "last",
    minutes: float = 20.0,
    model: str = DEFAULT_MODEL,
    name: str = "",
    channel: int | None = None,
    time: int | None = None,
    position: int | None = None,
    axes: str | None = None,
    spacing_um: Spacing | None = None,
    device: Device = "auto",
    seed: int = 0,
    on_event: OnEvent | None = None,
    stop: Stop = never,
) -> AdaptResult:
    """Adapt a model to the microscope and the samples of a stack, without a confocal microscope.

    Parameters
    ----------
    stack : array, axes (Z, Y, X), or str or Path
        Wide-field stack, or the file that holds it.
    run : str or Path
        Run folder to write: settings, metrics and, if it has gained, the model.
    numerical_aperture, immersion_index, emission_nm : float, optional
        Of the objective, of its immersion, and the wavelength of the emitted light; what the file says by default.
    deepest : str
        Which plane lies deepest in the sample, "last" or "first".
    minutes : float
        How long it may take.
    model, name : str
        The model to adapt, and the name of what it becomes; the run folder's by default.
    channel, time, position, axes
        What of a file, as in :func:`predict`; ``time`` is a number.
    spacing_um : (float, float, float), optional
        Voxel size (Z, Y, X) in um; an array needs it.
    device, seed
        Where to compute, and the start of the random numbers.
    on_event, stop
        As in :func:`predict`.

    Returns
    -------
    AdaptResult
        The model, and its scores on held-out simulated pairs before and after; ``kept`` says whether it was written.

    Raises
    ------
    InputError
        If something given cannot be used, or is not known.
    StoppedError
        If it was stopped before there was anything to keep.
    """
    optics = {"numerical_aperture": numerical_aperture, "immersion_index": immersion_index, "emission_nm": emission_nm}
    given: dict[str, Any] = {key: value for key, value in optics.items() if value is not None}
    given |= {"minutes": minutes, "model": model, "spacing_um": spacing_um, "device": device, "seed": seed}
    given["deepest"] = deepest
    if isinstance(stack, str | Path):
        opened = open_stack(stack, position, axes)
        volume, known = opened.volume(channel, time), opened.known_optics(channel)
    else:
        volume, known = Volume(np.asarray(stack), spacing_um), {}
    return drain(adapt_model(volume, run, settings_for(known, given), name=name, stop=stop), on_event)


def train_config(preset: str, *settings: Mapping[str, Any]) -> TrainConfig:
    """Settings of a training: those of a preset, changed by further ones, later ones winning."""
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}; {', '.join(PRESETS)} are allowed. Choose one of them.")
    return merge(TrainConfig, PRESETS[preset], *settings)
