"""The commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import BAD_INPUT, FAILED, INTERRUPTED, Display, Interruption, report
from napari_deep3d.cli.demo import demo as show_the_demo
from napari_deep3d.cli.models import models
from napari_deep3d.core.config import (
    DEFAULT_MODEL,
    PredictConfig,
    RegisterConfig,
    SimulateConfig,
    merge,
    parse_assignments,
    read_toml,
)
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.events import StoppedError

app = typer.Typer(
    name="napari-deep3d",
    help="Confocal-like volumes from a wide-field microscope.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(models, name="models")


def main() -> None:
    """Run the command line: exit 0 done, 2 bad input or usage, 130 interrupted."""
    try:
        app(prog_name="napari-deep3d")
    except InputError as error:
        print(f"napari-deep3d: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@app.command()
def predict(
    stack: Annotated[Path, typer.Argument(help="Wide-field stack: OME-TIFF, ImageJ TIFF or OME-Zarr.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Result: .tif, .tiff or .zarr.")],
    model: Annotated[str, typer.Option(help="Name of a model, or a model file.")] = DEFAULT_MODEL,
    channel: Annotated[int | None, typer.Option(help="Channel, counted from 0.")] = None,
    time: Annotated[str | None, typer.Option(help="Time point, counted from 0, or all.")] = None,
    spacing: Annotated[str | None, typer.Option(help="Voxel size Z,Y,X in um.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    tile: Annotated[str, typer.Option(help="auto, or voxels Z,Y,X computed at a time.")] = "auto",
    memory: Annotated[str | None, typer.Option(help="Memory to stay within, such as 2GB.")] = None,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Also write NAME-uncertainty: the error to expect; takes 4 x as long.")
    ] = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Predict a confocal-like stack from a wide-field stack."""
    config = PredictConfig.checked(
        model=model,
        spacing_um=options.parse_spacing(spacing),
        device=device,
        precision=precision,
        tile=options.parse_tile(tile),
        memory_bytes=options.parse_memory(memory),
        uncertainty=uncertainty,
    )
    when = options.parse_time(time)
    from napari_deep3d.jobs.predict_file import predict_file

    interruption = Interruption()
    with interruption.listening():
        job = predict_file(
            stack, output, config, channel=channel, time=when, overwrite=overwrite, stop=interruption.stop
        )
        done = Display().run(job)
    made = done.prediction
    about = made.provenance() | {"seconds": made.seconds, "tile_mismatch": made.tile_mismatch}
    beside = {} if done.uncertainty is None else {"uncertainty": str(done.uncertainty)}
    place = {"shape": list(done.shape), "spacing_um": list(made.spacing_um)}
    report({"output": str(done.output)} | beside | place | about, as_json)
    _end(made.complete)


@app.command()
def register(
    confocal: Annotated[Path, typer.Argument(help="Confocal stack, or a folder of them.")],
    widefield: Annotated[Path, typer.Argument(help="Wide-field stack, or a folder with the same names.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Pairs folder to write or to add to.")],
    confocal_channel: Annotated[int | None, typer.Option(help="Channel, counted from 0.")] = None,
    widefield_channel: Annotated[int | None, typer.Option(help="Channel, counted from 0.")] = None,
    confocal_spacing: Annotated[str | None, typer.Option(help="Voxel size Z,Y,X in um, if the file has none.")] = None,
    widefield_spacing: Annotated[str | None, typer.Option(help="Voxel size Z,Y,X in um, if the file has none.")] = None,
    method: Annotated[str, typer.Option(help="psf, cross-correlation or plain-cross-correlation.")] = "psf",
    preset: Annotated[str, typer.Option(help="default, or paper: Eq. 3 as printed, for comparison.")] = "default",
    transform: Annotated[str, typer.Option(help="shift, similarity or affine.")] = "shift",
    max_shift_um: Annotated[str | None, typer.Option(help="Largest shift Z,Y,X in um.")] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Align a confocal stack with its wide-field stack, or two folders of them, into a pairs folder to train on."""
    config = RegisterConfig.checked(
        method=method, preset=preset, transform=transform, max_shift_um=options.parse_sizes(max_shift_um)
    )
    spacings = options.parse_spacing(confocal_spacing), options.parse_spacing(widefield_spacing)
    from napari_deep3d.jobs.register import StackSource, register_folders, register_pair

    sources = (
        StackSource(confocal, confocal_channel, spacings[0]),
        StackSource(widefield, widefield_channel, spacings[1]),
    )
    interruption = Interruption()
    if all(source.is_folder_of_stacks for source in sources):
        with interruption.listening():
            many = Display().run(
                register_folders(*sources, output, config, overwrite=overwrite, stop=interruption.stop)
            )
        report(many.report() if as_json else many.lines(), as_json)
        _end(many.complete)
        if many.failed:
            raise typer.Exit(BAD_INPUT)
        return
    with interruption.listening():
        try:
            made = Display().run(register_pair(*sources, output, config, overwrite=overwrite, stop=interruption.stop))
        except StoppedError:
            raise typer.Exit(INTERRUPTED) from None
    report(made.report(), as_json)


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Pairs folder to write.")],
    pairs: Annotated[int, typer.Option(help="Number of pairs.")] = 8,
    shape: Annotated[str, typer.Option(help="Voxels Z,Y,X of each pair.")] = "48,160,160",
    seed: Annotated[int, typer.Option(help="Start of the random numbers.")] = 0,
    confocal: Annotated[
        list[Path] | None, typer.Option("--from", help="Real confocal stack to take samples from; may be repeated.")
    ] = None,
    psf: Annotated[list[Path] | None, typer.Option(help="Measured wide-field PSF; may be repeated.")] = None,
    kind: Annotated[str, typer.Option(help="Kind of all samples; by default a mixture.")] = "",
    config: Annotated[
        Path | None, typer.Option(help="TOML file of bounds; those of samples in tables, such as samples.neurons.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A bound NAME=VALUE, such as samples.neurons.soma_um=[3,8]; may be repeated."),
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Make simulated wide-field/confocal pairs to train on."""
    chosen = SimulateConfig.checked(pairs=pairs, shape=options.parse_shape(shape, "--shape"), seed=seed, kind=kind)
    given = read_toml(config) if config else {}, parse_assignments(settings or [])
    from napari_deep3d.core.simulation.scene import SceneBounds
    from napari_deep3d.jobs.simulate import simulate_pairs

    bounds = merge(SceneBounds, *given)
    interruption = Interruption()
    with interruption.listening():
        job = simulate_pairs(
            output,
            chosen,
            confocal_stacks=confocal or (),
            psfs=psf or (),
            bounds=bounds,
            overwrite=overwrite,
            stop=interruption.stop,
        )
        made = Display().run(job)
    report(
        {
            "output": str(made.output),
            "pairs": made.pairs,
            "shape": list(made.shape),
            "spacing_um": [list(spacing) for spacing in made.spacing_um],
            "seed": made.seed,
        },
        as_json,
    )
    _end(made.pairs == chosen.pairs)


@app.command()
def train(
    pairs: Annotated[Path, typer.Argument(help="Folder with 'widefield' and 'confocal', same names in both.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder to write.")],
    preset: Annotated[str | None, typer.Option(help="laptop (unless said otherwise) or paper.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A setting NAME=VALUE; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="Name of the model; the run folder's by default.")] = "",
    start: Annotated[str, typer.Option(help="Model or model file to go on from; from scratch by default.")] = "",
    minutes: Annotated[float | None, typer.Option(help="How long it may take, instead of iterations.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run with its own settings.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train a model on registered pairs."""
    if resume and (preset or config or settings or name or start or minutes is not None):
        raise InputError("--resume continues with the run's own settings; leave all options but -o and --json out.")
    from napari_deep3d.api import train_config
    from napari_deep3d.jobs.train import train_model

    chosen = train_config(preset or "laptop", read_toml(config) if config else {}, parse_assignments(settings or []))
    interruption = Interruption()
    with interruption.listening():
        job = train_model(
            pairs, output, chosen, name=name, start=start, minutes=minutes, resume=resume, stop=interruption.stop
        )
        try:
            done = Display().run(job)
        except StoppedError:
            raise typer.Exit(INTERRUPTED) from None
    if done.first_process:
        report(done.report(), as_json)
    if done.reason:
        raise typer.Exit(FAILED)
    _end(done.complete)


@app.command()
def info(as_json: options.Json = False) -> None:
    """Versions, devices and number formats: what a bug report needs."""
    from napari_deep3d.jobs.info import describe_machine

    report(describe_machine(), as_json)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("demo"),
    as_json: options.Json = False,
) -> None:
    """Run the main job on the bundled sample and show it, in napari where there is a screen."""
    show_the_demo(output, as_json)


def _end(complete: bool) -> None:
    if not complete:
        raise typer.Exit(INTERRUPTED)
