"""Tables of measurements: kept as CSV, shown in Markdown.

A file of ``docs/data`` holds what one table of the documentation shows. Its first line, a comment, is the command that
measured it; ``python -m tools.results`` writes the tables onto the pages.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NOTHING = "-"
"""Stands where a table has no value."""


class Cell(str):
    """A value of a table: text, or a number to be shown in some format, with a space before a percent sign."""

    __slots__ = ()

    def __format__(self, form: str) -> str:
        """The text as it is without a format; a dash for what is missing or not a number."""
        if self in ("", "nan"):
            return NOTHING
        return format(float(self), form).replace("%", " %") if form else str(self)


class _Cells(dict[str, Cell]):
    """The values of a row by column; one that the row does not have is missing."""

    def __missing__(self, _: str) -> Cell:
        return Cell()


def markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], bold: Collection[str] = ()) -> str:
    """A table in Markdown.

    Parameters
    ----------
    rows
        Values by name; None and what is not a number are shown as a dash, and left out behind ±.
    columns
        Heading, and what stands below it: a format string of a row's values, such as ``{rmse:.4f} ± {spread:.4f}``.
    bold
        Rows to be set in bold, by what stands in their first column.
    """
    table = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = _Cells({name: Cell("" if value is None else value) for name, value in row.items()})
        texts = [form.format_map(cells).replace(f" ± {NOTHING}", "") for form in columns.values()]
        texts = [NOTHING if not any(letter.isalnum() for letter in text) else text for text in texts]
        if texts[0] in bold:
            texts = [f"**{text}**" for text in texts]
        table.append("| " + " | ".join(texts) + " |")
    return "\n".join(table)


def side_by_side(rows: Sequence[Mapping[str, Any]], by: str, over: str) -> list[Row]:
    """One row for each value of the column ``by``: the others as ``VALUE NAME``, VALUE that of the column ``over``."""
    lines: dict[str, Row] = {}
    for row in rows:
        line = lines.setdefault(row[by], {by: row[by]})
        line |= {f"{row[over]} {name}": value for name, value in row.items() if name not in (by, over)}
    return list(lines.values())


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV file as text by column; lines that begin with # are comments."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def write_rows(path: Path | None, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()) -> None:
    """Write rows as CSV, below the command that is at work as a comment.

    Parameters
    ----------
    path
        Nothing is written if it is None: if no file was asked for.
    rows
        Values by column; floats are written with six digits.
    key
        Columns that tell which rows are the same. With them, rows of the file that are not among the new ones stay.
    """
    if path is None:
        return
    written = [{name: _text(value) for name, value in row.items()} for row in rows]
    if key and path.exists():
        new = {tuple(row.get(name, "") for name in key): row for row in written}
        old = [new.pop(tuple(row.get(name, "") for name in key), row) for row in read_rows(path)]
        written = old + list(new.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {shlex.join(['python', *sys.orig_argv[1:]])}\n")
        columns = dict.fromkeys(name for row in written for name in row)
        writer = csv.DictWriter(file, list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(written)
    print(path)


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def add_table_option(parser: argparse.ArgumentParser) -> None:
    """Let a study write what the documentation shows of it."""
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="write what docs/results.md shows to this file, such as one of docs/data",
    )
