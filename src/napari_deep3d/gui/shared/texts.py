"""Sentences and figures as the panels show them."""

from __future__ import annotations

from napari_deep3d.core import Progress, Shape, Spacing, Volume, format_spacing


def format_seconds(seconds: float) -> str:
    """Time for people: ``20 s``, ``4 min``, ``2 h 10 min``.

    Examples
    --------
    >>> format_seconds(7500)
    '2 h 5 min'
    """
    if seconds < 1:
        return "less than 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def format_facts(volume: Volume) -> str:
    """One line about a stack, axes Z, Y, X: ``76 x 2048 x 2048, 0.5 x 0.108 x 0.108 um``."""
    return format_size(volume.shape, volume.spacing_um)


def format_size(shape: Shape, spacing_um: Spacing | None) -> str:
    """Size and voxel size of a stack, axes Z, Y, X: ``76 x 2048 x 2048, 0.5 x 0.108 x 0.108 um``."""
    z, y, x = shape
    spacing = "voxel size unknown" if spacing_um is None else format_spacing(spacing_um)
    return f"{z} x {y} x {x}, {spacing}"


def format_progress(progress: Progress) -> str:
    """How far it is and how long it will take: ``40 %, 12 s left``; before, what it does."""
    if progress.done == 0:
        return progress.message
    share = f"{100 * progress.fraction:.0f} %"
    if progress.seconds_left is None:
        return share
    return f"{share}, {format_seconds(progress.seconds_left)} left"


def format_rate(voxels_per_second: float) -> str:
    """Speed for people: ``1.3 million voxels/s``."""
    if voxels_per_second >= 1e5:
        return f"{voxels_per_second / 1e6:.3g} million voxels/s"
    return f"{voxels_per_second:,.0f} voxels/s"


def format_memory(needed_bytes: float, free_bytes: float) -> str:
    """What it takes of what is free: ``2.1 GB of 18 GB free memory``."""
    return f"{needed_bytes / 1e9:.1f} GB of {free_bytes / 1e9:.3g} GB free memory"
