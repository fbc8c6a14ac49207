"""The ``train`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import FAILED, end, report, run
from napari_deep3d.core import InputError, parse_assignments, read_toml


def train(
    pairs: Annotated[
        Path,
        typer.Argument(
            help="Folder with 'widefield' and 'confocal', same names in both; with --unpaired of wide-field stacks."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder to write.")],
    preset: Annotated[str | None, typer.Option(help="laptop (unless said otherwise) or paper.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A setting NAME=VALUE; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="Name of the model; the run folder's by default.")] = "",
    start: Annotated[
        str,
        typer.Option(help="Model or model file to go on from; scratch by default, with --unpaired the bundled model."),
    ] = "",
    unpaired: Annotated[
        Path | None,
        typer.Option(help="Folder of confocal stacks of other fields; PAIRS is then a folder of wide-field stacks."),
    ] = None,
    minutes: Annotated[
        str | None, typer.Option(help="How long it may take, instead of iterations.", metavar="NUMBER")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run with its own settings.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train a model on registered pairs, or on stacks of different fields (--unpaired)."""
    if resume and (preset or config or settings or name or start or minutes is not None):
        raise InputError(
            "--resume continues with the run's own settings; leave all options but -o, --unpaired and --json out."
        )
    from napari_deep3d.api import train_config
    from napari_deep3d.jobs.train.train import train_model
    from napari_deep3d.jobs.train.unpaired import UnpairedFolders

    source = pairs if unpaired is None else UnpairedFolders(pairs, unpaired)
    limit = options.parse_minutes(minutes)
    chosen = train_config(preset or "laptop", read_toml(config) if config else {}, parse_assignments(settings or []))
    done = run(
        lambda stop: train_model(
            source, output, chosen, name=name, start=start, minutes=limit, resume=resume, stop=stop
        )
    )
    if done.first_process:
        report(done.report(), as_json)
    if done.reason:
        raise typer.Exit(FAILED)
    end(done.complete, left_out=len(done.skipped))
