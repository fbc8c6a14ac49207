"""The demo: the main job on the bundled sample, and its result in napari where there is a screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from napari_deep3d.cli import options
from napari_deep3d.cli.console import report, run

WINDOW_SECONDS = 180
"""How long napari may take to draw its window on a virtual screen."""


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path("demo"),
    as_json: options.Json = False,
) -> None:
    """Run the main job on the bundled sample and show it, in napari where there is a screen."""
    from napari_deep3d.jobs.demo import run_demo

    made = run(lambda stop: run_demo(output, stop=stop))
    window = show_result(made.prediction_file, has_screen())
    report(made.report() | {"window": window}, as_json)


def show_result(prediction: Path, on_screen: bool, start: Callable[[list[str]], object] = subprocess.Popen) -> str:
    """Show a prediction in napari: on the screen, or without one as a picture of the window.

    ``start`` starts a program, for a window on the screen. Returned is ``opened``, the picture's path, or why there is
    none.
    """
    command = [sys.executable, "-m", "napari_deep3d.gui.demo_window", str(prediction)]
    if on_screen:
        start(command)
        return "opened"
    picture = prediction.with_name("napari.png")
    virtual = shutil.which("xvfb-run")
    if virtual is None:
        return "no screen, and no virtual one (install the package xvfb): no picture of the window"
    command = [virtual, "-a", "-s", "-screen 0 1400x900x24", *command, "--picture", str(picture)]
    try:
        subprocess.run(command, check=True, timeout=WINDOW_SECONDS, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return f"napari did not open on a virtual screen within {WINDOW_SECONDS} s"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no message"]
        return f"napari did not open on a virtual screen: {lines[-1]}"
    return str(picture)


def has_screen() -> bool:
    """Whether a window can be opened."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
