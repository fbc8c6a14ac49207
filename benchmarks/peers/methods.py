"""What is measured side by side: programs, how each is started, and what it needs."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.environments import ENVIRONMENTS

OURS = "this program"
EXTRA = "pip install 'napari-deep3d[benchmark]'"


@dataclass(frozen=True)
class Method:
    """A program in one setting.

    Attributes
    ----------
    part
        What it does: ``prediction`` or ``registration``; each has its own table.
    name
        As the tables have it; the first of a part is what the others are compared with.
    worker
        Module of this package that measures it, and what that is to measure.
    needs
        Module that has to be there, if it runs in this Python.
    environment
        Name of the environment it runs in, if it does not run in this Python.
    is_cut
        Whether it is stopped after ``--at-most`` seconds.
    """

    part: str
    name: str
    worker: tuple[str, str]
    needs: str = ""
    environment: str = ""
    is_cut: bool = True

    @property
    def python(self) -> Path:
        """The Python that runs it."""
        return ENVIRONMENTS[self.environment].python if self.environment else Path(sys.executable)

    def missing(self) -> str:
        """What to do before it can be measured; empty if nothing."""
        if self.environment:
            make = f"there is no {self.python}; python -m benchmarks.peers.environments {self.environment} makes it"
            return "" if self.python.exists() else make
        there = not self.needs or importlib.util.find_spec(self.needs)
        return "" if there else f"there is no {self.needs}; {EXTRA} brings it"


METHODS = (
    Method("prediction", OURS, ("ours", "array"), is_cut=False),
    Method("prediction", f"{OURS}, OME-Zarr to OME-Zarr", ("ours", "zarr"), is_cut=False),
    Method("prediction", "MONAI, default", ("sliding_window", "default"), needs="monai"),
    Method("prediction", "MONAI, careful", ("sliding_window", "careful"), needs="monai"),
    Method("prediction", "MONAI, careful, compiled", ("sliding_window", "compiled"), needs="monai"),
    Method("prediction", "CAREamics, its own U-Net", ("careamics_tiles", ""), environment="careamics"),
    Method("prediction", "CSBDeep, its own U-Net", ("csbdeep_tiles", ""), environment="csbdeep"),
    Method("prediction", "Richardson-Lucy, scikit-image", ("lucy", "scikit-image")),
    Method("prediction", "Richardson-Lucy, RedLionfish", ("lucy", "redlionfish"), environment="redlionfish"),
    Method("registration", OURS, ("ours", "register"), is_cut=False),
    Method("registration", "scikit-image", ("shift", "scikit-image")),
    Method("registration", "SimpleITK", ("shift", "simpleitk"), needs="SimpleITK"),
    Method("registration", "elastix", ("shift", "itk-elastix"), environment="itk-elastix"),
)
