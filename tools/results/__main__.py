"""Write the tables of results into the documentation, or check that they say what the stored results say.

Usage: python -m tools.results            # writes them
       python -m tools.results --check    # says which table differs, and ends with 1 if one does

A table stands between two comments of a page, ``<!-- table: NAME -->`` and ``<!-- end -->``; what it shows of which
file of docs/data is said in tables.py.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.results.tables import DATA, TABLES

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r"(<!-- table: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """The pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def filled(text: str, data: Path = DATA) -> tuple[str, list[str]]:
    """A page with its tables written anew.

    Parameters
    ----------
    text
        The page.
    data
        Folder of the stored results.

    Returns
    -------
    The page, and the names of the tables that were different.

    Raises
    ------
    SystemExit
        If the page has a place for an unknown table, or a place that does not end.
    """
    changed = []

    def fill(place: re.Match[str]) -> str:
        opening, name, old, closing = place.groups()
        if name not in TABLES:
            raise SystemExit(f"there is no table {name!r}; known are: {', '.join(TABLES)}. Add it to tables.py.")
        new = f"\n{TABLES[name].markdown(data)}\n\n"
        if old != new:
            changed.append(name)
        return opening + new + closing

    page, found = PLACE.subn(fill, text)
    if found != text.count("<!-- table: "):
        raise SystemExit("a table of the page has no end: put <!-- end --> below every <!-- table: NAME -->.")
    return page, changed


def missing(texts: list[str]) -> Iterator[str]:
    """Tables that no page has a place for."""
    return (name for name in TABLES if not any(f"<!-- table: {name} -->" in text for text in texts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a table is not as stored")
    chosen = parser.parse_args()
    found = {page: page.read_text(encoding="utf-8") for page in pages()}
    problems = [f"table {name}: no page has a place for it" for name in missing(list(found.values()))]
    for page, text in found.items():
        new, changed = filled(text)
        if changed and not chosen.check:
            page.write_text(new, encoding="utf-8")
        does = "differs from the stored results; run: make results" if chosen.check else "written"
        lines = [f"{page.relative_to(ROOT)}: table {name} {does}" for name in changed]
        if chosen.check:
            problems += lines
        else:
            print(*lines, sep="\n", end="\n" if lines else "")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
