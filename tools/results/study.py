"""The tables of the study of the paper (benchmarks/study): means and spread over the seeds, the paper's own beside.

A table whose results are not there yet is no table of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.common.tables import Row, side_by_side
from tools.results.table import DATA, Change, Table

PAPER = {"scores": (0.0575, 0.7673), "1": (0.0575, 0.7673), "2": (0.0598, 0.7343), "4": (0.0657, 0.6652)}
"""RMSE and SSIM that the paper gives for its test set, and for every 2nd and 4th plane of it."""
PAPER_SAMPLES = {
    "neurons, less haze": (0.0695, 0.7153),
    "neurons, more haze": (0.0544, 0.7501),
    "nuclei, less haze": (0.1106, 0.6712),
    "nuclei, more haze": (0.0923, 0.6527),
}
"""The same of its other slices (GFP, DAPI) with less and more background."""
METHODS = {
    "wide-field": "wide-field",
    "bundled model": "bundled model",
    "L1+GAN+VGG": "trained here (L1, GAN, VGG)",
    "2D": "the same in 2D",
    "DeepZ+": "DeepZ+",
    "every 2nd plane": "trained on every 2nd plane",
    "every 4th plane": "trained on every 4th plane",
}
NO_VALUE = ("", None)


def over_seeds(*by: str) -> Change:
    """One row for each value of some columns: mean of the others over the seeds, and ``NAME_spread``, its deviation."""

    def change(rows: list[Row]) -> list[Row]:
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(row[name] for name in by), []).append(row)
        return [dict(zip(by, key, strict=True)) | _means(group, by) for key, group in groups.items()]

    return change


def every(steps: int) -> Change:
    """As :func:`over_seeds` by method and step, at every so many steps."""
    return lambda rows: over_seeds("method", "step")([row for row in rows if int(row["step"]) % steps == 0])


def _means(rows: Sequence[Mapping[str, Any]], by: Sequence[str]) -> Row:
    found: Row = {"number": len(rows)}
    for name in rows[0]:
        values = [float(row[name]) for row in rows if name not in (*by, "seed") and _is_number(row[name])]
        if values:
            found[name] = float(np.mean(values))
            found[f"{name}_spread"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return found


def _is_number(value: object) -> bool:
    try:
        return value not in NO_VALUE and np.isfinite(float(str(value)))
    except ValueError:
        return False


def beside_paper(column: str, figures: Mapping[str, tuple[float, float]], then: Change) -> Change:
    """Rows changed, with the paper's RMSE and SSIM for what stands in a column, in the rows of our own trainings."""

    def change(rows: list[Row]) -> list[Row]:
        found = []
        for row in then(rows):
            rmse, ssim = figures.get(row.get(column, "scores"), (None, None)) if _is_ours(row) else (None, None)
            found.append(row | {"paper_rmse": rmse, "paper_ssim": ssim})
        return found

    return change


def _is_ours(row: Row) -> bool:
    return row["method"] not in ("wide-field", "bundled model") and not row["method"].startswith("every")


def registration_summary(rows: list[Row]) -> list[Row]:
    """Of each sample and method: errors along z, share of the pairs within half a plane, width of the profile."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["sample"], row["method"]), []).append(row)
    found = []
    for (sample, method), group in groups.items():
        z_um, planes, width = (np.array([float(r[n]) for r in group]) for n in ("z_um", "z_planes", "width_um"))
        line = {"sample": sample, "method": method, "pairs": len(group), "within": float(np.mean(planes <= 0.5))}
        found.append(line | {"median": np.median(z_um), "worst": z_um.max(), "width": np.median(width)})
    return found


SPREAD = "{{{0}:.4f}} ± {{{0}_spread:.4f}}"
COARSE = "{{{0}:.3f}} ± {{{0}_spread:.3f}}"
SCORES = {
    "RMSE": SPREAD.format("rmse"),
    "SSIM": COARSE.format("ssim"),
    "RMSE, scaled": SPREAD.format("rmse_fit"),
    "SSIM, scaled": COARSE.format("ssim_fit"),
}
SHARPNESS = {
    "high lateral frequencies": "{high_frequencies:.2f} ± {high_frequencies_spread:.2f}",
    "high axial frequencies": "{axial_high_frequencies:.2f} ± {axial_high_frequencies_spread:.2f}",
}
OF_PAPER = {"the paper's": "{paper_rmse:.4f}, {paper_ssim:.3f}"}
METHOD = {"": "{method}"}
STUDY = {
    "paper-scores": Table(
        "paper_scores.csv", METHOD | SCORES | OF_PAPER, beside_paper("-", PAPER, over_seeds("method")), METHODS
    ),
    "paper-planes": Table(
        "paper_planes.csv",
        {"planes kept": "{planes}"} | METHOD | SCORES | OF_PAPER,
        beside_paper("planes", PAPER, over_seeds("planes", "method")),
        {"1": "all", "2": "every 2nd", "4": "every 4th"},
    ),
    "paper-samples": Table(
        "paper_samples.csv",
        {"sample": "{sample}"} | METHOD | SCORES | OF_PAPER,
        beside_paper("sample", PAPER_SAMPLES, over_seeds("sample", "method")),
    ),
    "paper-depth": Table(
        "paper_depth.csv",
        {
            "depth, um": "{depth_um}",
            "RMSE: wide-field": "{wide-field rmse_fit:.3f}",
            "bundled model": "{bundled model rmse_fit:.3f}",
            "trained here": COARSE.format("L1+GAN+VGG rmse_fit"),
            "sharpness of signal: wide-field": "{wide-field sharpness_signal:.3f}",
            "confocal": "{confocal sharpness_signal:.3f}",
            "bundled": "{bundled model sharpness_signal:.3f}",
            "trained": COARSE.format("L1+GAN+VGG sharpness_signal"),
            "of background": "{wide-field sharpness_background:.4f}, {confocal sharpness_background:.4f}, "
            "{bundled model sharpness_background:.4f}, {L1+GAN+VGG sharpness_background:.4f}",
        },
        lambda rows: side_by_side(over_seeds("depth_um", "method")(rows), "depth_um", "method"),
    ),
    "paper-networks": Table("paper_networks.csv", METHOD | SCORES | SHARPNESS, over_seeds("method"), METHODS),
    "paper-losses": Table("paper_losses.csv", METHOD | SCORES | SHARPNESS, over_seeds("method")),
    "paper-registered": Table("paper_registered.csv", METHOD | SCORES | SHARPNESS, over_seeds("method")),
    "paper-registration": Table(
        "paper_registration.csv",
        {
            "sample": "{sample}",
            "told by": "{method}",
            "pairs": "{pairs}",
            "median error along z, um": "{median:.3f}",
            "worst": "{worst:.2f}",
            "within half a plane": "{within:.0%}",
            "width of its profile along z, um": "{width:.1f}",
        },
        registration_summary,
    ),
    "paper-deconvolution": Table("paper_deconvolution.csv", METHOD | SCORES, over_seeds("method"), METHODS),
    "paper-care": Table(
        "paper_care.csv",
        METHOD | {"minutes": "{minutes:.0f}", "steps": "{steps:.0f}"} | SCORES,
        over_seeds("method"),
    ),
    "paper-settling": Table(
        "paper_settling.csv",
        METHOD
        | {
            "seed": "{seed}",
            "steps": "{steps}",
            "discriminator": "{discriminator settled}",
            "GAN": "{gan settled}",
            "L1": "{l1 settled}",
            "held-out RMSE": "{validation_rmse settled}",
        },
    ),
    "paper-curves": Table(
        "paper_curves.csv",
        METHOD
        | {
            "step": "{step}",
            "discriminator": COARSE.format("discriminator"),
            "GAN": COARSE.format("gan"),
            "L1": SPREAD.format("l1"),
            "held-out RMSE": SPREAD.format("validation_rmse"),
        },
        every(500),
    ),
    "paper-orders": Table(
        "paper_orders.csv",
        {"the paper's order": "{claim}", "in": "{column}", "by": "{by:.4f} ± {spread:.4f}", "holds": "{held}"},
    ),
}
MEASURED = {name: table for name, table in STUDY.items() if (DATA / table.file).exists()}
"""Those whose results are there."""
