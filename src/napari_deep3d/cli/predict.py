"""The ``predict`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import end, report, run
from napari_deep3d.cli.options import setting
from napari_deep3d.core import PredictConfig

DEFAULT = PredictConfig()


def predict(
    stack: Annotated[
        Path, typer.Argument(help="Wide-field stack: TIFF, OME-Zarr, ND2, LIF, CZI or IMS; or a folder of them.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Result: .tif, .tiff or .zarr; of a folder of stacks a folder.")
    ],
    model: Annotated[str, setting(PredictConfig, "model")] = DEFAULT.model,
    channel: Annotated[int | None, typer.Option(help="Channel, counted from 0.")] = None,
    time: Annotated[str | None, typer.Option(help="Time point, counted from 0, or all.")] = None,
    position: options.Position = None,
    axes: options.Axes = None,
    spacing: Annotated[str | None, setting(PredictConfig, "spacing_um")] = None,
    device: Annotated[str, setting(PredictConfig, "device")] = DEFAULT.device,
    precision: Annotated[str, setting(PredictConfig, "precision")] = DEFAULT.precision,
    tile: Annotated[str, setting(PredictConfig, "tile")] = "auto",
    memory: Annotated[str | None, setting(PredictConfig, "memory_bytes", "a unit may follow, such as 2GB")] = None,
    scheduler: Annotated[
        str | None, setting(PredictConfig, "scheduler", "the result is .zarr, in a folder that all of them see")
    ] = None,
    quality: Annotated[str, setting(PredictConfig, "quality")] = DEFAULT.quality,
    deepest: Annotated[str, setting(PredictConfig, "deepest")] = DEFAULT.deepest,
    uncertainty: Annotated[
        bool, setting(PredictConfig, "uncertainty", "written to NAME-uncertainty", flag="--uncertainty")
    ] = DEFAULT.uncertainty,
    file_format: Annotated[str, typer.Option("--format", help="Results of a folder of stacks (tif, zarr).")] = "tif",
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Predict a confocal-like stack from a wide-field stack, or from each stack of a folder."""
    config = PredictConfig.checked(
        model=model,
        spacing_um=options.parse_spacing(spacing),
        device=device,
        precision=precision,
        tile=options.parse_tile(tile),
        memory_bytes=options.parse_memory(memory),
        scheduler=scheduler,
        quality=quality,
        deepest=deepest,
        uncertainty=uncertainty,
    )
    when = options.parse_time(time)
    from napari_deep3d.jobs.predict.file import predict_file
    from napari_deep3d.jobs.predict.folder import is_folder_of_stacks

    if is_folder_of_stacks(stack, output):
        from napari_deep3d.cli.predict_folder import predict_stacks
        from napari_deep3d.jobs.predict.folder_items import Wanted

        wanted = Wanted(channel, when, position, axes)
        predict_stacks(stack, output, config, wanted, file_format, overwrite, as_json)
        return
    done = run(
        lambda stop: predict_file(
            stack,
            output,
            config,
            channel=channel,
            time=when,
            position=position,
            axes=axes,
            overwrite=overwrite,
            stop=stop,
        )
    )
    made = done.prediction
    about = made.provenance() | {"seconds": made.seconds, "tile_mismatch": made.tile_mismatch}
    beside = {} if done.uncertainty is None else {"uncertainty": str(done.uncertainty)}
    place = {"shape": list(done.shape), "spacing_um": list(made.spacing_um)}
    report({"output": str(done.output)} | beside | place | about, as_json)
    end(made.complete, left_out=len(made.skipped))
