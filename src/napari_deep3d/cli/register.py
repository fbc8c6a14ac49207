"""The ``register`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import end, report, report_files, run
from napari_deep3d.cli.options import setting
from napari_deep3d.core import RegisterConfig

DEFAULT = RegisterConfig()
Channel = Annotated[int | None, typer.Option(help="Channel, counted from 0.")]
SpacingIfUnstated = Annotated[str | None, typer.Option(help="Voxel size Z,Y,X in um, if the file has none.")]


def register(
    confocal: Annotated[Path, typer.Argument(help="Confocal stack, or a folder of them.")],
    widefield: Annotated[Path, typer.Argument(help="Wide-field stack, or a folder with the same names.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Pairs folder to write or to add to.")],
    confocal_channel: Channel = None,
    widefield_channel: Channel = None,
    confocal_position: options.Position = None,
    widefield_position: options.Position = None,
    confocal_axes: options.Axes = None,
    widefield_axes: options.Axes = None,
    confocal_spacing: SpacingIfUnstated = None,
    widefield_spacing: SpacingIfUnstated = None,
    method: Annotated[str, setting(RegisterConfig, "method")] = DEFAULT.method,
    preset: Annotated[str, setting(RegisterConfig, "preset")] = DEFAULT.preset,
    transform: Annotated[str, setting(RegisterConfig, "transform")] = DEFAULT.transform,
    max_shift_um: Annotated[str | None, setting(RegisterConfig, "max_shift_um")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Align a confocal stack with its wide-field stack, or two folders of them, into a pairs folder to train on."""
    config = RegisterConfig.checked(
        method=method, preset=preset, transform=transform, max_shift_um=options.parse_sizes(max_shift_um)
    )
    spacings = (
        options.parse_spacing(confocal_spacing, "--confocal-spacing"),
        options.parse_spacing(widefield_spacing, "--widefield-spacing"),
    )
    from napari_deep3d.jobs.register import StackSource, register_folders, register_pair

    sources = (
        StackSource(confocal, confocal_channel, spacings[0], confocal_position, confocal_axes),
        StackSource(widefield, widefield_channel, spacings[1], widefield_position, widefield_axes),
    )
    if not all(source.is_folder_of_stacks for source in sources):
        made = run(lambda stop: register_pair(*sources, output, config, overwrite=overwrite, stop=stop))
        report(made.report(), as_json)
        return
    many = run(lambda stop: register_folders(*sources, output, config, overwrite=overwrite, stop=stop))
    report_files(many, as_json)
    end(many.complete, left_out=many.failed)
