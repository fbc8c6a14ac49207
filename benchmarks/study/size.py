"""How large the study is: numbers of pairs, voxels, steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmarks.common.real_files import ROOT
from napari_deep3d.core import Shape, read_toml

CONFIGS = ROOT / "configs" / "study" / "paper"


@dataclass(frozen=True)
class Size:
    """Of everything that is made.

    Attributes
    ----------
    training, tests, others : int
        Pairs to train on, to test with, and of each other sort of sample; the paper has 31 and 8.
    shape : Shape
        Voxels (Z, Y, X) of a pair; 36 um of depth.
    margin : Shape
        Voxels (Z, Y, X) by which stacks of a pair may be displaced, either way.
    registrations : int
        Pairs of known shift, thin and thick each.
    registration_shape : Shape
        Voxels of the thick ones; 38 um of depth, as in the paper.
    settings : mapping
        Of a training.
    """

    training: int = 31
    tests: int = 8
    others: int = 4
    shape: Shape = (72, 128, 128)
    margin: Shape = (4, 8, 8)
    registrations: int = 16
    registration_shape: Shape = (76, 128, 128)
    settings: dict[str, Any] = field(default_factory=lambda: read_toml(CONFIGS / "training.toml"))
