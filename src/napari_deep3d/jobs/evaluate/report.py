"""The report of evaluations: one HTML file that holds its pictures and opens without a network."""

from __future__ import annotations

import json
import os
import platform
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from html import escape
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path

import numpy as np

from napari_deep3d.core import EvaluateConfig, InputError, format_spacing, writing
from napari_deep3d.jobs.evaluate.evaluate import CONFOCAL, PREDICTION, TITLES, WIDEFIELD, Evaluation
from napari_deep3d.jobs.evaluate.figures import Picture
from napari_deep3d.jobs.evaluate.model import CHECKSUM, NOT_STATED, model_facts

ENDINGS = (".html", ".htm")
PACKAGES = ("napari-deep3d", "numpy", "scipy", "scikit-image", "microssim")
MAX_TEXT = 2000
"""Letters of what a file says of itself that are shown."""


@dataclass(frozen=True)
class Measure:
    """What a figure is called in the report, what it says, and whether more or less is better ("" for neither)."""

    title: str
    meaning: str
    better: str


MEASURES = {
    "rmse": Measure("RMSE", "root mean squared difference from confocal; the prediction as it is", "less"),
    "ssim": Measure("SSIM", "structural similarity to confocal, 3D, windows of 7 voxels, data range 1", "more"),
    "rmse_fit": Measure("RMSE, fitted", "the same after the scale and offset that fit best", "less"),
    "ssim_fit": Measure("SSIM, fitted", "the same after the scale and offset that fit best", "more"),
    "micro_ssim": Measure("MicroSSIM", "structural similarity for micrographs, mean over planes", "more"),
    "frc_um": Measure(
        "agrees down to, x-y (um)", "period at which the Fourier ring correlation with confocal is 1/7", "less"
    ),
    "fsc_um": Measure("agrees down to, 3D (um)", "the same by Fourier shell correlation, in all directions", "less"),
    "resolution_xy_um": Measure("resolution x-y (um)", "by decorrelation analysis; of the stack by itself", ""),
    "resolution_z_um": Measure("resolution z (um)", "by decorrelation analysis; of the stack by itself", ""),
    "contrast_to_noise": Measure(
        "contrast to noise", "of structures (those of the confocal stack, if there is one) against the rest", "more"
    ),
    "sharpness_signal": Measure("sharpness, signal (1/px)", "slope in the sharpest 32 x 32 patch, mean of planes", ""),
    "sharpness_background": Measure("sharpness, background (1/px)", "slope in the least sharp patch", ""),
    "high_frequency_sum": Measure("high-frequency power", "lateral power above half the Nyquist frequency", ""),
    "high_frequency_share": Measure("high-frequency share", "the same as a share of all lateral power", ""),
}
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}img{max-width:100%}figure{margin:1.5em 0}
figcaption{color:#555;font-size:13px}.note{background:#fff6dd;padding:.4em .8em;border-left:4px solid #e69f00}
td:first-child{white-space:nowrap}
.wide{overflow-x:auto}.small{color:#555;font-size:13px}"""


def check_report(path: str | Path, overwrite: bool = False) -> Path:
    """Refuse (InputError), before any work is done, a name under which a report could not be written."""
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(
            f"cannot write {path}: its ending is {path.suffix or 'missing'}; .html is needed. Give the report this one."
        )
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}. Make it first, or give another one.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: you may not write into {path.parent}. Give a folder of your own.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, and is not replaced. Give another name.")
    if (path.exists() or path.is_symlink()) and not overwrite:
        raise InputError(f"{path} exists and is not replaced. Give another name, or allow it with --overwrite.")
    return path


def incomplete_report(path: Path) -> Path:
    """A free name beside ``path`` for the report of an evaluation that was stopped."""
    names = (f"{path.stem}-incomplete{'' if n == 1 else n}{path.suffix}" for n in range(1, 10_000))
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())


def write_report(path: Path, evaluation: Evaluation, pictures: Sequence[Picture]) -> Path:
    """Write the report of one evaluation, whole or not at all; what is there is replaced."""
    found = evaluation
    size = " x ".join(str(n) for n in found.region.shape)
    names = "; ".join(f"{TITLES[role]}: {name}" for role, name in found.names.items())
    body = [
        f"<h1>Evaluation of {escape(found.name)}</h1>",
        f"<p>{size} voxels (Z, Y, X) of {escape(format_spacing(found.spacing_um))}. {escape(names)}.</p>",
        *(f'<p class="note">{escape(notice)}</p>' for notice in found.notices),
        _figures_table(found),
        *map(_picture, pictures),
        "<details><summary>By depth, in numbers</summary>" + _depth_table(found) + "</details>",
        _about(found.config),
        "<h2>How the prediction came about</h2>",
        _provenance(found.provenance),
        *(line for used in _models([found]) for line in _model(*used)),
    ]
    return _write(path, f"Evaluation of {found.name}", body)


def write_summary(
    path: Path,
    evaluations: Sequence[Evaluation],
    pictures: Mapping[str, Sequence[Picture]],
    problems: Mapping[str, str],
    config: EvaluateConfig,
    note: str = "",
) -> Path:
    """Write the report of many evaluations: tables, what could not be measured and why, pictures of some, by name."""
    roles = [role for role in (PREDICTION, WIDEFIELD) if any(role in found.stacks for found in evaluations)]
    body = [
        f"<h1>Evaluation of {len(evaluations)} predictions</h1>",
        f'<p class="note">{escape(note)}</p>' if note else "",
        *(f"<h2>{TITLES[role].capitalize()}</h2>{_summary_table(evaluations, role)}" for role in roles),
    ]
    if problems:
        rows = [[_cell(name), _cell(problem)] for name, problem in problems.items()]
        body.append("<h2>Left out</h2>" + _table(["name", "why"], rows))
    for found in evaluations:
        if found.name in pictures:
            body += [f"<h2>{escape(found.name)}</h2>", *map(_picture, pictures[found.name])]
    body.append(_about(config))
    models = _models(evaluations)
    told = ", ".join(dict.fromkeys(name for name, _ in models)) or NOT_STATED
    body += ["<h2>How the predictions came about</h2>", f"<p>Model: {escape(told)}.</p>"]
    body += [line for used in models for line in _model(*used)]
    return _write(path, f"Evaluation of {len(evaluations)} predictions", body)


def _write(path: Path, title: str, body: Iterable[str]) -> Path:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    text = "\n".join(["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>", ""])
    with writing(path, "Give a folder that you may write to.") as part:
        part.write_text(text, encoding="utf-8", errors="replace")
    return path


def _figures_table(found: Evaluation) -> str:
    """The figures of each stack; of prediction and wide-field the better one is bold."""
    roles, rows = list(found.stacks), []
    for name, measure in MEASURES.items():
        values = {role: found.stacks[role].figures[name] for role in roles if name in found.stacks[role].figures}
        if values:
            best = _best({role: value for role, value in values.items() if role != CONFOCAL}, measure.better)
            cells = [_number(values.get(role), role == best) for role in roles]
            rows.append([_cell(measure.title), *cells, f'<td class="small">{escape(measure.meaning)}</td>'])
    return _table(["", *(TITLES[role] for role in roles), ""], rows)


def _best(values: Mapping[str, float], better: str) -> str:
    known = {role: value for role, value in values.items() if isfinite(value)}
    if len(known) < 2 or not better:
        return ""
    return (min if better == "less" else max)(known, key=lambda role: known[role])


def _depth_table(found: Evaluation) -> str:
    columns = [
        (f"{TITLES[role]}: {name.replace('_', ' ')}", values)
        for role, stack in found.stacks.items()
        for name, values in stack.by_depth.items()
    ]
    rows = [
        [_number(float(z_um)), *(_number(float(values[z])) for _, values in columns)]
        for z, z_um in enumerate(found.z_um)
    ]
    return _table(["z (um)", *(title for title, _ in columns)], rows)


def _summary_table(evaluations: Sequence[Evaluation], role: str) -> str:
    """A row for each pair, their mean and standard deviation."""
    shown = [found for found in evaluations if role in found.stacks]
    names = [name for name in MEASURES if name in shown[0].stacks[role].figures]
    values = np.array([[found.stacks[role].figures[name] for name in names] for found in shown])
    rows = [[_cell(found.name), *map(_number, line)] for found, line in zip(shown, values.tolist(), strict=True)]
    means = {"mean": values.mean(axis=0)}
    if len(shown) > 1:
        means["standard deviation"] = values.std(axis=0, ddof=1)
    for title, line in means.items():
        rows.append([_cell(title), *(_number(value, bold=True) for value in line.tolist())])
    return _table(["", *(MEASURES[name].title for name in names)], rows)


def _about(config: EvaluateConfig) -> str:
    """The settings, what the measures mean, and the versions."""
    low, high = config.percentiles
    settings = {
        "written on": date.today().isoformat(),
        "percentiles": f"{low:g} and {high:g}",
        "voxel size given": config.spacing_um or "no",
    }
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return (
        "<h2>Settings and versions</h2>"
        f"<p>The {low:g}th and {high:g}th percentile of the confocal stack become 0 and 1, and so do those of the "
        "wide-field stack; the prediction is compared as it is, and after a fit of scale and offset by least squares. "
        "What a stack shows by itself (resolution, sharpness, power) is told on its own percentiles, and is no proof "
        "that what is sharp is true.</p>"
        + _table(["setting", ""], [[_cell(k), _cell(v)] for k, v in settings.items()])
        + _table(["package", "version"], [[_cell(k), _cell(v)] for k, v in versions.items()])
    )


def _provenance(about: Mapping[str, object]) -> str:
    if not about:
        return "<p>The file of the prediction does not say.</p>"
    rows = []
    for name, value in about.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        rows.append([_cell(name.replace("_", " ")), _cell(text[:MAX_TEXT])])
    return _table(["", ""], rows)


def _models(evaluations: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """Names and checksums of the models that made the predictions, as far as their files say, each once."""
    made_with = [found.provenance for found in evaluations if found.provenance.get("model")]
    return sorted({(str(about["model"]), str(about.get("model_sha256") or "")) for about in made_with})


def _model(name: str, sha256: str) -> tuple[str, str]:
    """What the model of a name was trained on, and how, and whether it is the one with a checksum."""
    facts, title = model_facts(name), f"<h2>The model {escape(name)}</h2>"
    if not facts:
        return title, "<p>No model of that name was on the computer that wrote this report, so no more can be said.</p>"
    if sha256 and sha256 != facts[CHECKSUM]:
        return title, (
            "<p>The model of that name on the computer that wrote this report is another than the one that made the "
            f"prediction, whose file had the SHA-256 checksum {escape(sha256)}. So no more can be said.</p>"
        )
    which = "the model that made the prediction (its checksum is the same)" if sha256 else "the model of that name"
    note = (
        f"<p>What the file of {which} says, on the computer that wrote this report. Pairs, steps and loss are those of "
        "its last training; what it was trained on before stands with the model it was trained on from.</p>"
    )
    return title, note + _table(["", ""], [[_cell(k), _cell(v[:MAX_TEXT])] for k, v in facts.items()])


def _picture(picture: Picture) -> str:
    source = b64encode(picture.png).decode("ascii")
    caption = escape(picture.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{source}"><figcaption>{caption}</figcaption></figure>'
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in header)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _cell(value: object) -> str:
    return f"<td>{escape(str(value))}</td>"


def _number(value: float | None, bold: bool = False) -> str:
    text = "" if value is None else f"{value:.4g}" if isfinite(value) else "-"
    return f'<td class="n">{f"<b>{text}</b>" if bold and text else text}</td>'
