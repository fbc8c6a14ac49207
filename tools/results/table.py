"""A table of a page: which columns of which file of docs/data, in which words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common.tables import Row, markdown, read_rows

DATA = Path(__file__).parents[2] / "docs" / "data"
Change = Callable[[list[Row]], list[Row]]


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes
    ----------
    file
        Where its rows are, in the folder of stored results.
    columns
        Heading, and format string of a row's values below it (see :func:`benchmarks.common.tables.markdown`).
    change
        What is made of the file's rows before they are shown.
    words
        Words for values of the rows' first column, in the order in which they are shown; rows with other values follow.
    bold
        Rows in bold, by what is shown in the first column.
    """

    file: str
    columns: Mapping[str, str]
    change: Change = list
    words: Mapping[str, str] = field(default_factory=dict)
    bold: Collection[str] = ()

    def markdown(self, data: Path) -> str:
        """The table, from the file of a folder."""
        rows = self.change(read_rows(data / self.file))
        first = next(iter(rows[0]))
        order = list(self.words)
        rows.sort(key=lambda row: order.index(row[first]) if row[first] in order else len(order))
        return markdown(
            [row | {first: self.words.get(row[first], row[first])} for row in rows], self.columns, self.bold
        )
