"""The orders that the paper claims, and whether they hold here: by seed or pair, from the tables of the other parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.tables import Row, read_rows
from benchmarks.study.answers import INSIDE
from benchmarks.study.study import WIDE_FIELD
from benchmarks.study.trainings import BASE

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Claim:
    """That one row of a table is above another, or below it with ``smaller``, in a column; seed by seed.

    ``first`` and ``second`` say what stands in the rows' columns; ``by`` is what takes the place of the seed.
    """

    text: str
    file: str
    column: str
    first: Mapping[str, str]
    second: Mapping[str, str]
    smaller: bool = False
    by: str = "seed"

    def row(self, rows: Rows) -> Row | None:
        """By how much it holds, mean and spread over the seeds, and in how many; None if nothing was measured."""
        first, second = (self._values(rows, wanted) for wanted in (self.first, self.second))
        sign = -1.0 if self.smaller else 1.0
        # A row without a seed, such as that of wide-field, stands beside all.
        seeds = sorted((first.keys() | second.keys()) - {""}) or [""]
        pairs = [(first.get(seed, first.get("")), second.get(seed, second.get(""))) for seed in seeds]
        by = np.array([sign * (a - b) for a, b in pairs if a is not None and b is not None])
        if not by.size:
            return None
        spread = float(by.std(ddof=1)) if by.size > 1 else None
        held = f"{int((by > 0).sum())} of {by.size}"
        return {"claim": self.text, "column": self.column, "by": float(by.mean()), "spread": spread, "held": held}

    def _values(self, rows: Rows, wanted: Mapping[str, str]) -> dict[str, float]:
        """Values by seed, means where several rows fit, such as bands of depth."""
        fitting = [row for row in rows if all(row.get(k) == v for k, v in wanted.items()) and row.get(self.column)]
        seeds = dict.fromkeys(row.get(self.by, "") for row in fitting)
        return {s: float(np.mean([float(r[self.column]) for r in fitting if r.get(self.by, "") == s])) for s in seeds}


def of(method: str, **more: str) -> dict[str, str]:
    """What stands in a row of a method."""
    return {"method": method} | more


CLAIMS = (
    Claim("prediction is closer than wide-field", "paper_scores.csv", "ssim_fit", of(BASE), of(WIDE_FIELD)),
    *(
        Claim(
            f"{few} is worse than {more}",
            "paper_planes.csv",
            column,
            of(BASE, planes=fewer),
            of(BASE, planes=most),
            smaller=column == "ssim_fit",
        )
        for few, more, fewer, most in (
            ("every 2nd plane", "every plane", "2", "1"),
            ("every 4th plane", "every 2nd", "4", "2"),
        )
        for column in ("rmse_fit", "ssim_fit")
    ),
    *(
        Claim(
            f"{name}: interpolation inside training is better",
            "paper_planes.csv",
            "rmse_fit",
            of(name, planes=str(every)),
            of(BASE, planes=str(every)),
            smaller=True,
        )
        for every, name in INSIDE.items()
    ),
    Claim("3D is better than 2D", "paper_networks.csv", "rmse_fit", of(BASE), of("2D"), smaller=True),
    Claim("2D is better than DeepZ+", "paper_networks.csv", "rmse_fit", of("2D"), of("DeepZ+"), smaller=True),
    Claim("the GAN adds high frequencies", "paper_losses.csv", "high_frequencies", of("L1+GAN"), of("L1")),
    Claim("VGG adds high frequencies", "paper_losses.csv", "high_frequencies", of(BASE), of("L1+GAN")),
    Claim(
        "registered by PSF trains better than not registered",
        "paper_registered.csv",
        "rmse_fit",
        of("registered by PSF"),
        of("not registered"),
        smaller=True,
    ),
    Claim(
        "registered by PSF trains better than by cross-correlation",
        "paper_registered.csv",
        "rmse_fit",
        of("registered by PSF"),
        of("registered by cross-correlation"),
        smaller=True,
    ),
    *(
        Claim(
            f"{sample}: PSF is more exact along z than cross-correlation",
            "paper_registration.csv",
            "z_um",
            of("PSF", sample=sample),
            of("cross-correlation", sample=sample),
            smaller=True,
            by="pair",
        )
        for sample in ("thin", "thick")
    ),
    Claim(
        "thick: the PSF is sharper along z than the cross-correlation",
        "paper_registration.csv",
        "width_um",
        of("PSF", sample="thick"),
        of("cross-correlation", sample="thick"),
        smaller=True,
        by="pair",
    ),
)


def orders(tables: Path) -> list[Row]:
    """A row for each claim whose table is there."""
    rows = {c.file: read_rows(tables / c.file) for c in CLAIMS if (tables / c.file).exists()}
    return [row for claim in CLAIMS if claim.file in rows and (row := claim.row(rows[claim.file])) is not None]
