"""The ``models`` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import report
from napari_deep3d.jobs.models import export_model, import_model, list_models, model_info

models = typer.Typer(help="The models at hand: list, info, import, export.", invoke_without_command=True)


@models.callback()
def default(context: typer.Context) -> None:
    """List the models if no other command is given."""
    if context.invoked_subcommand is None:
        show_list()


@models.command("list")
def show_list(as_json: options.Json = False) -> None:
    """List the models that can be used by name."""
    entries = list_models()
    if as_json:
        rows = [{"name": e.name, "path": str(e.path), "bundled": e.bundled} for e in entries]
        report({"models": rows}, as_json)
        return
    report({e.name: "bundled" if e.bundled else str(e.path) for e in entries}, as_json)


@models.command()
def info(
    name: Annotated[str, typer.Argument(help="Name of a model, or a model file.")], as_json: options.Json = False
) -> None:
    """Say what a model was trained on, its scores and limits."""
    about = model_info(name)
    values = about.model_dump(mode="json", by_alias=True)
    if not as_json and about.novelty is not None:
        values["known"] = f"how {about.novelty.stacks} stacks look"  # its numbers are not for reading
    report(values, as_json)


@models.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .safetensors model file.")],
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Check a model file and keep a copy that can be used by name."""
    entry = import_model(file, overwrite)
    report({"name": entry.name, "path": str(entry.path)}, as_json)


@models.command()
def export(
    name: Annotated[str, typer.Argument(help="Name of a model.")],
    file: Annotated[Path, typer.Argument(help="File to write, ending in .safetensors.")],
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Copy a model to a file, to give it to others."""
    report({"output": str(export_model(name, file, overwrite))}, as_json)
