"""The tables of the measurements beside other programs (benchmarks/peers): a column for each size."""

from __future__ import annotations

from benchmarks.common.tables import Row, side_by_side
from benchmarks.peers.__main__ import SHAPES
from benchmarks.peers.table import named
from tools.results.table import Change, Table

STACKS = [named(shape.split(",")) for shape in SHAPES]
FULL_FIGURES_BELOW_S = 10


def beside(ratio: bool = False, error: bool = False) -> Change:
    """One row for each program, with a cell for each stack.

    Parameters
    ----------
    ratio
        Whether to tell how many times as long it takes as the program of the file's first row.
    error
        Whether to tell the error of the shift.
    """

    def change(rows: list[Row]) -> list[Row]:
        base = {row["stack"]: row["seconds"] for row in rows if row["method"] == rows[0]["method"]}
        cells = [
            {"method": row["method"], "stack": row["stack"], "": _cell(row, base.get(row["stack"]), ratio, error)}
            for row in rows
        ]
        return [{name.strip(): text for name, text in row.items()} for row in side_by_side(cells, "method", "stack")]

    return change


def _cell(row: Row, base: str | None, ratio: bool, error: bool) -> str:
    if row["why"]:
        return str(row["why"])
    seconds = float(row["seconds"])
    parts = [f"{'' if float(row['share']) >= 1 else '~'}{seconds:.{1 if seconds < FULL_FIGURES_BELOW_S else 0}f} s"]
    if ratio and base:
        parts[0] += f" ({seconds / float(base):.1f})"
    parts.append(f"{float(row['peak_gb']):.1f} GB")
    return ", ".join([*parts, *([f"{float(row['error_voxels']):.2f}"] if error else [])])


CELLS = {"program": "{method}"} | {stack: f"{{{stack}}}" for stack in STACKS}
PEERS = {
    "peers-prediction": Table("peers_prediction.csv", CELLS, beside(ratio=True), bold=["this program"]),
    "peers-registration": Table("peers_registration.csv", CELLS, beside(error=True), bold=["this program"]),
    "peers-versions": Table("peers_versions.csv", {"": "{what}", "versions": "{version}"}),
}
