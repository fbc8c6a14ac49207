"""The figures of a training so far, for the curves of one that is resumed."""

from __future__ import annotations

import csv
from pathlib import Path

from napari_deep3d.core.events import Metrics
from napari_deep3d.jobs.run_folder import METRICS_FILE


def past_metrics(run: Path, last_step: int) -> list[Metrics]:
    """Read what a run has measured up to a step; what cannot be read is left out, since it is only looked at."""
    try:
        with (run / METRICS_FILE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    found = []
    for row in rows:
        try:
            step = int(row["step"])
            values = {name: float(value) for name, value in row.items() if name and name != "step" and value}
        except (KeyError, TypeError, ValueError):
            continue
        if step <= last_step:
            found.append(Metrics(step, values))
    return found
