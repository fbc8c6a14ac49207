"""The ``napari-deep3d`` command: its commands put together. Each has a file of its own here."""

from __future__ import annotations

import io
import sys

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.adapt import adapt
from napari_deep3d.cli.console import BAD_INPUT, INTERRUPTED, report
from napari_deep3d.cli.demo import demo
from napari_deep3d.cli.evaluate import evaluate
from napari_deep3d.cli.models import models
from napari_deep3d.cli.pairs_from_sim import pairs_from_sim
from napari_deep3d.cli.predict import predict
from napari_deep3d.cli.register import register
from napari_deep3d.cli.simulate import simulate
from napari_deep3d.cli.train import train
from napari_deep3d.core import InputError, is_out_of_memory, reason

CHECK_NAME = "Check the name, and that you may read and write there."
OUT_OF_MEMORY = "the computer ran out of memory. Close other programs, take a smaller part, or crop the stack."

app = typer.Typer(
    name="napari-deep3d",
    help="Confocal-like volumes from a wide-field microscope.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def info(as_json: options.Json = False) -> None:
    """Versions, devices and number formats: what a bug report needs."""
    from napari_deep3d.jobs.info import describe_machine

    report(describe_machine(), as_json)


for command in (predict, register, pairs_from_sim, simulate, train, adapt, evaluate, demo):
    app.command()(command)
app.add_typer(models, name="models")


def main() -> None:
    """Run the command line: exit 0 done, 2 bad input or usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")  # names of files may hold what a terminal cannot show
    try:
        app(prog_name="napari-deep3d")
    except InputError as error:
        print(f"napari-deep3d: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(BAD_INPUT)
    except OSError as error:
        if not error.filename:  # of no file: a fault of the program
            raise
        print(f"napari-deep3d: cannot use {str(error.filename)[:300]}: {reason(error)}. {CHECK_NAME}", file=sys.stderr)  # noqa: T201
        sys.exit(BAD_INPUT)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print(f"napari-deep3d: {OUT_OF_MEMORY}", file=sys.stderr)  # noqa: T201
        sys.exit(BAD_INPUT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
