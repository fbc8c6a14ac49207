"""The ``pairs-from-sim`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import end, report, report_files, run
from napari_deep3d.cli.options import setting
from napari_deep3d.core import GridFramesConfig

DEFAULT = GridFramesConfig()


def pairs_from_sim(
    raw: Annotated[Path, typer.Argument(help="Raw frames taken through a grid, or a folder of such files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Pairs folder to write or to add to.")],
    phases: Annotated[int, setting(GridFramesConfig, "phases")] = DEFAULT.phases,
    angles: Annotated[int, setting(GridFramesConfig, "angles")] = DEFAULT.angles,
    layout: Annotated[str, setting(GridFramesConfig, "layout")] = DEFAULT.layout,
    keep_brightness: Annotated[
        bool, typer.Option("--keep-brightness", help="Leave the frames as bright as they are.")
    ] = False,
    channel: Annotated[int | None, typer.Option(help="Colour of a file that holds several, from 0.")] = None,
    time: Annotated[int | None, typer.Option(help="Time point of a file that holds several, from 0.")] = None,
    position: options.Position = None,
    axes: options.Axes = None,
    spacing: Annotated[str | None, setting(GridFramesConfig, "spacing_um")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Make pairs to train on from raw frames of a structured-light microscope (ApoTome, OS-SIM, 3D-SIM)."""
    config = GridFramesConfig.checked(
        phases=phases,
        angles=angles,
        layout=layout,
        even_brightness=not keep_brightness,
        spacing_um=options.parse_spacing(spacing),
    )
    from napari_deep3d.jobs.grid_frames import pair_from_frames, pairs_from_frames
    from napari_deep3d.jobs.register import StackSource

    source = StackSource(raw, channel, None, position, axes, time)
    if not source.is_folder_of_stacks:
        made = run(lambda stop: pair_from_frames(source, output, config, overwrite=overwrite, stop=stop))
        report(made.report(), as_json)
        return
    many = run(lambda stop: pairs_from_frames(source, output, config, overwrite=overwrite, stop=stop))
    report_files(many, as_json)
    end(many.complete, left_out=len(many.problems))
