"""The ``napari-deep3d`` command."""

from napari_deep3d.cli.app import main

__all__ = ["main"]
