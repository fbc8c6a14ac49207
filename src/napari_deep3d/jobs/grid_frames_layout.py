"""Where the frames of a grid stack lie in a file: as time points, as channels, or as planes in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_deep3d.core import FloatArray, FrameLayout, GridFramesConfig, InputError, Spacing, Stack, Volume
from napari_deep3d.io import StackFile
from napari_deep3d.jobs.register import StackSource

PLANE_OF: dict[FrameLayout, Callable[[int, int, int, int, int, int], int]] = {
    "zap": lambda z, a, p, _planes, angles, phases: (z * angles + a) * phases + p,
    "azp": lambda z, a, p, planes, _angles, phases: (a * planes + z) * phases + p,
    "apz": lambda z, a, p, planes, _angles, phases: (a * phases + p) * planes + z,
}
"""Plane of the file that holds plane z at angle a and phase p, of so many planes, angles and phases."""


@dataclass(frozen=True)
class RawFrames:
    """Frames taken through a grid, still on disk.

    Attributes
    ----------
    name : str
        What the user calls the file.
    layout : FrameLayout
        How they lie in it.
    spacing_um, origin_um : (float, float, float)
        Voxel size, and position of the first voxel, (Z, Y, X).
    shape : (int, int, int)
        Voxels (Z, Y, X) of each of the images that they give.
    where : sequence
        By plane, angle and phase: the stack that holds the frame, and its plane.
    notices : tuple of str
        What the user should know of how the file was read.
    """

    name: str
    layout: FrameLayout
    spacing_um: Spacing
    origin_um: Spacing
    shape: tuple[int, int, int]
    where: Sequence[Sequence[Sequence[tuple[Stack, int]]]]
    notices: tuple[str, ...]

    def plane(self, z: int) -> FloatArray:
        """All frames of a plane, axes (angle, phase, Y, X)."""
        frames = [[np.asarray(stack[index], dtype=np.float32) for stack, index in angle] for angle in self.where[z]]
        return np.stack([np.stack(angle) for angle in frames])


def open_frames(source: StackSource, config: GridFramesConfig) -> RawFrames:
    """Open a file of raw frames; voxels stay on disk.

    InputError if it cannot be read, does not hold so many frames, or states no voxel size and none is given.
    """
    file = source.opened()
    layout = _layout_of(file, source, config)
    in_planes = layout in PLANE_OF
    volumes = _volumes(file, source, layout, config.frames)
    first = volumes[0]
    held = first.shape[0]
    if in_planes and held % config.frames:
        raise _unfit(file, config, f"{held} planes are not a multiple of that")
    planes = held // config.frames if in_planes else held

    def place(z: int, a: int, p: int) -> tuple[Stack, int]:
        if not in_planes:
            return volumes[a * config.phases + p].data, z
        return first.data, PLANE_OF[layout](z, a, p, planes, config.angles, config.phases)

    shape = (planes, *first.shape[1:])
    spacing_um = config.spacing_um or source.spacing_um or first.spacing_um
    blank = np.broadcast_to(np.float32(0), shape)  # is checked as any other stack is
    facts = Volume(blank, spacing_um, first.origin_um, file.name, first.notices)
    where = [[[place(z, a, p) for p in range(config.phases)] for a in range(config.angles)] for z in range(planes)]
    return RawFrames(file.name, layout, facts.require_spacing_um(), first.origin_um, facts.shape, where, facts.notices)


def _layout_of(file: StackFile, source: StackSource, config: GridFramesConfig) -> FrameLayout:
    """The layout asked for, or the first that fits: time points, channels, planes in turn."""
    if config.layout != "auto":
        return config.layout
    if file.n_times == config.frames:
        return "time"
    if file.n_channels == config.frames:
        return "channel"
    is_chosen = (file.n_times == 1 or source.time is not None) and (file.n_channels == 1 or source.channel is not None)
    if is_chosen and file.data.shape[2] % config.frames == 0:
        return "zap"
    raise _unfit(file, config, "neither the time points nor the channels are so many, nor the planes a multiple")


def _volumes(file: StackFile, source: StackSource, layout: FrameLayout, frames: int) -> list[Volume]:
    """The stack of each frame, or the one that holds all of them in its planes."""
    if layout == "time":
        _check_count(file, "time points", file.n_times, frames)
        return [file.volume(source.channel, index) for index in range(frames)]
    time = source.time if file.n_times > 1 else None
    if layout == "channel":
        _check_count(file, "channels", file.n_channels, frames)
        return [file.volume(index, time) for index in range(frames)]
    return [file.volume(source.channel, time)]


def _check_count(file: StackFile, what: str, count: int, frames: int) -> None:
    if count != frames:
        raise InputError(
            f"{file.name} holds {count} {what}, but {frames} frames are asked for (angles times phases). Correct "
            "--phases, --angles or --layout."
        )


def _unfit(file: StackFile, config: GridFramesConfig, why: str) -> InputError:
    times, channels, planes = file.data.shape[:3]
    return InputError(
        f"{file.name} holds {times} time points, {channels} channels and {planes} planes; {config.frames} frames a "
        f"plane were looked for ({config.angles} angles x {config.phases} phases): {why}. Correct --phases and "
        "--angles; choose one of several colours with --channel; or say what the pages are with --axes, such as "
        f"--axes Z,T{config.frames} for frames in turn."
    )
