"""The ``models`` commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import report, run
from napari_deep3d.core import InputError
from napari_deep3d.jobs.models.store import import_model, list_models, model_info

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
    file: Annotated[Path, typer.Argument(help="Model file (.safetensors), or an exported model (.onnx, .zip).")],
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Check a model file, or an exported model, and keep a copy that can be used by name."""
    entry = import_model(file, overwrite)
    report({"name": entry.name, "path": str(entry.path)}, as_json)


@models.command()
def export(
    name: Annotated[str, typer.Argument(help="Name of a model, or a model file.")],
    file: Annotated[Path | None, typer.Argument(hidden=True)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write: .safetensors, .onnx or .zip.")
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="safetensors (a copy, the program's own), onnx (for other programs) or bioimageio (a package for "
            "bioimage.io); by the ending if not given.",
        ),
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="Who made the model, for a package; once for each of several.")
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="Licence of a package, such as CC-BY-4.0.")
    ] = "",
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Write a model to a file for others: a copy, ONNX, or a package of bioimage.io."""
    target = output or file  # a second word was the only way once
    if target is None or (output and file):
        raise InputError("one file to write is needed: -o FILE, ending in .safetensors, .onnx or .zip.")
    from napari_deep3d.jobs.models.export import export_model

    done = run(
        lambda stop: export_model(
            name, target, file_format, authors=author or (), licence=licence, overwrite=overwrite, stop=stop
        )
    )
    measured = {"largest_difference": done.largest_difference, "tile_difference": done.tile_difference}
    report({"output": str(done.output)} | {key: value for key, value in measured.items() if value is not None}, as_json)
