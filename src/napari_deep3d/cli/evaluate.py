"""The ``evaluate`` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import end, report_files, run
from napari_deep3d.cli.options import setting
from napari_deep3d.core import EvaluateConfig, InputError, parse_numbers

DEFAULT = EvaluateConfig()
Channel = Annotated[int | None, typer.Option(help="Channel, counted from 0.")]


def evaluate(
    prediction: Annotated[Path, typer.Argument(help="Prediction, or a folder of them.")],
    confocal: Annotated[
        Path | None, typer.Argument(help="Confocal stack, or a folder with the same names; without it, less is told.")
    ] = None,
    widefield: Annotated[
        Path | None, typer.Option(help="Wide-field stack, or a folder with the same names: measured, too.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Report to write: .html.")] = None,
    prediction_channel: Channel = None,
    confocal_channel: Channel = None,
    widefield_channel: Channel = None,
    time: Annotated[int | None, typer.Option(help="Time point of files that hold several, counted from 0.")] = None,
    axes: options.Axes = None,
    spacing: Annotated[str | None, setting(EvaluateConfig, "spacing_um")] = None,
    percentiles: Annotated[str, setting(EvaluateConfig, "percentiles")] = "0.1,99.9",
    micro_ssim: Annotated[bool, setting(EvaluateConfig, "micro_ssim", flag="--micro-ssim")] = DEFAULT.micro_ssim,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Measure how good a prediction is, beside its confocal and its wide-field stack, and write a report."""
    config = EvaluateConfig.checked(
        spacing_um=options.parse_spacing(spacing), percentiles=_parse_percentiles(percentiles), micro_ssim=micro_ssim
    )
    from napari_deep3d.jobs.evaluate.file import evaluate_file, evaluate_folders
    from napari_deep3d.jobs.register import StackSource

    own = StackSource(prediction, prediction_channel, axes=axes, time=time)
    other = None if confocal is None else StackSource(confocal, confocal_channel, axes=axes, time=time)
    raw = None if widefield is None else StackSource(widefield, widefield_channel, axes=axes, time=time)
    if not own.is_folder_of_stacks:
        done = run(lambda stop: evaluate_file(own, other, raw, output, config, overwrite=overwrite, stop=stop))
        report_files(done, as_json)
        return
    many = run(lambda stop: evaluate_folders(own, other, raw, output, config, overwrite=overwrite, stop=stop))
    report_files(many, as_json)
    end(many.complete, left_out=len(many.problems))


def _parse_percentiles(text: str) -> tuple[float, ...]:
    numbers = parse_numbers(text, 2)
    if numbers is None:
        raise InputError(
            f'--percentiles got {text!r}; two numbers are needed, such as 0.1,99.9, or with decimal commas "0,1;99,9".'
        )
    return tuple(numbers)
