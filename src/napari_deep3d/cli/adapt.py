"""The ``adapt`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import end, report, run
from napari_deep3d.cli.options import setting
from napari_deep3d.core import AdaptConfig

DEFAULT_MODEL, DEFAULT_MINUTES = (AdaptConfig.model_fields[name].default for name in ("model", "minutes"))
IN_FILE = "of the file, if it says so"


def adapt(
    stack: Annotated[Path, typer.Argument(help="Wide-field stack: TIFF, OME-Zarr, ND2, LIF, CZI or IMS.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder to write.")],
    numerical_aperture: Annotated[str | None, setting(AdaptConfig, "numerical_aperture", IN_FILE)] = None,
    immersion_index: Annotated[str | None, setting(AdaptConfig, "immersion_index", IN_FILE)] = None,
    emission_nm: Annotated[str | None, setting(AdaptConfig, "emission_nm", IN_FILE)] = None,
    deepest: Annotated[str, setting(AdaptConfig, "deepest")] = "last",
    minutes: Annotated[str, setting(AdaptConfig, "minutes")] = f"{DEFAULT_MINUTES:g}",
    model: Annotated[str, setting(AdaptConfig, "model")] = DEFAULT_MODEL,
    name: Annotated[str, typer.Option(help="Name of the adapted model; the run folder's by default.")] = "",
    channel: Annotated[int | None, typer.Option(help="Channel, counted from 0.")] = None,
    time: Annotated[int | None, typer.Option(help="Time point, counted from 0.")] = None,
    position: options.Position = None,
    axes: options.Axes = None,
    spacing: Annotated[str | None, setting(AdaptConfig, "spacing_um")] = None,
    device: Annotated[str, setting(AdaptConfig, "device")] = "auto",
    seed: Annotated[int, setting(AdaptConfig, "seed")] = 0,
    as_json: options.Json = False,
) -> None:
    """Adapt a model to the microscope and the samples of a stack, without a confocal microscope."""
    given = options.parse_given(
        numerical_aperture=numerical_aperture, immersion_index=immersion_index, emission_nm=emission_nm, minutes=minutes
    )
    own = {"model": model, "spacing_um": options.parse_spacing(spacing), "deepest": deepest}
    chosen = own | {"device": device, "seed": seed} | given
    from napari_deep3d.io import open_stack
    from napari_deep3d.jobs.adapt.adapt import adapt_model, settings_for

    opened = open_stack(stack, position, axes)
    volume, config = opened.volume(channel, time), settings_for(opened.known_optics(channel), chosen)
    done = run(lambda stop: adapt_model(volume, output, config, name=name, stop=stop))
    report({"result": done.sentence} | done.report(), as_json)
    end(done.complete)
