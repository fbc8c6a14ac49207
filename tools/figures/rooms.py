"""The picture of the package's rooms in docs/architecture.md, drawn from the source as it stands.

    python -m tools.figures.rooms [-o docs/images/rooms.svg]

A floor for each layer; a room for each package, with its files; below a room, the rooms that its files import.
"""

from __future__ import annotations

import argparse
import ast
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from tools.release.structure import PACKAGE, imported

ROOT = Path(__file__).parents[2] / "src" / PACKAGE
FLOORS = (
    (
        "the window and the commands",
        ("gui", "gui.predict", "gui.register", "gui.train", "gui.compare", "gui.shared", "cli"),
    ),
    ("the doors", ("", "api")),
    (
        "jobs: events out, a result at the end",
        ("jobs", "jobs.adapt", "jobs.predict", "jobs.train", "jobs.evaluate", "jobs.models"),
    ),
    ("torch; file formats", ("nn", "io")),
    (
        "numpy, scipy, scikit-image",
        (
            "core",
            "core.simulation",
            "core.registration",
            "core.structured_light",
            "core.no_data",
            "core.novelty",
            "core.evaluation",
        ),
    ),
)
"""The layers from above, and the rooms on each."""
INSIDE = ("core.simulation.samples", "core.config")
"""Packages that are shown within the room above them, as one entry."""
COLOURS = ("#e3f2fd", "#ede7f6", "#fff8e1", "#fbe9e7", "#e8f5e9")
LINE, CHARACTER, PADDING, GAP = 0.155, 0.068, 0.14, 0.18
"""Inches: height of a line, width of a character, margin within a room, distance of rooms."""
FEW_ROOMS, FEW_ROWS, ROWS = 2, 5, 9
"""Files below each other in a room: fewer where a floor has few rooms, which may then be wide."""


@dataclass(frozen=True)
class Room:
    """A package: its name, its files, and the rooms that they import."""

    name: str
    files: tuple[str, ...]
    uses: tuple[str, ...]
    rows: int

    @property
    def title(self) -> str:
        """What stands on its door."""
        return self.name or PACKAGE

    @property
    def columns(self) -> list[list[str]]:
        """Its files, side by side."""
        count = -(-len(self.files) // self.rows)
        height = -(-len(self.files) // max(1, count))
        return [list(self.files[i * height : (i + 1) * height]) for i in range(count)]

    @property
    def width(self) -> float:
        """In inches."""
        columns = sum(max(map(len, column), default=0) + 2 for column in self.columns)
        return max(columns, len(self.title) * 1.35) * CHARACTER + 2 * PADDING

    @property
    def height(self) -> float:
        """In inches."""
        lines = max(map(len, self.columns), default=0) + 1.6 + len(self.note)
        return lines * LINE + 2 * PADDING

    @property
    def note(self) -> list[str]:
        """Which rooms it uses, in lines that fit into it."""
        text = f"uses {', '.join(self.uses)}" if self.uses else ""
        return textwrap.wrap(text, int((self.width - 2 * PADDING) / (CHARACTER * 0.82)), break_long_words=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=ROOT.parents[1] / "docs" / "images" / "rooms.svg")
    draw(read_floors(), parser.parse_args().output)


def read_floors() -> list[tuple[str, list[Room]]]:
    """The rooms of each floor, as the source has them."""
    names = [name for _, rooms in FLOORS for name in rooms]
    return [
        (title, [_room(name, names, FEW_ROWS if len(rooms) <= FEW_ROOMS else ROWS) for name in rooms])
        for title, rooms in FLOORS
    ]


def _room(name: str, names: Sequence[str], rows: int) -> Room:
    folder = ROOT / Path(*name.split(".")) if name else ROOT
    own = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    within = [inside for inside in INSIDE if inside.rpartition(".")[0] == name and _path(inside).is_dir()]
    nested = [path for inside in within for path in sorted(_path(inside).glob("*.py"))]
    used = {_owner(module, names) for path in [*own, *nested] for module in imported(ast.parse(path.read_text()), ROOT)}
    files = [path.stem for path in own] + [f"{inside.rpartition('.')[2]}/" for inside in within]
    return Room(name, tuple(sorted(files)), tuple(room for room in names if room in used - {name, ""}), rows)


def _path(name: str) -> Path:
    return ROOT / Path(*name.split("."))


def _owner(module: str, names: Sequence[str]) -> str:
    """The room that a module lies in."""
    inner = module.removeprefix(PACKAGE).removeprefix(".")
    return max((name for name in names if name and f"{inner}.".startswith(f"{name}.")), key=len, default="")


def draw(floors: Sequence[tuple[str, list[Room]]], path: Path) -> None:
    """Draw the floors above each other, the lowest layer at the bottom."""
    width = max(sum(room.width + GAP for room in rooms) for _, rooms in floors) + GAP
    heights = [max(room.height for room in rooms) + 0.42 for _, rooms in floors]
    total = sum(heights) + GAP * (len(floors) + 1)
    figure = Figure(figsize=(width + 2 * GAP, total))
    FigureCanvasAgg(figure)
    axis: Any = figure.add_axes((0, 0, 1, 1))
    axis.set_xlim(0, width + 2 * GAP)
    axis.set_ylim(total, 0)
    axis.axis("off")
    top = GAP
    for (title, rooms), height, colour in zip(floors, heights, COLOURS, strict=True):
        _box(axis, (GAP, top, width, height), colour, "#b0bec5")
        axis.text(2 * GAP, top + 0.2, title, fontsize=8.5, color="#546e7a", va="center", style="italic")
        left = 2 * GAP
        for room in rooms:
            _draw_room(axis, room, left, top + 0.34, height - 0.42)
            left += room.width + GAP
        top += height + GAP
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_room(axis: Any, room: Room, left: float, top: float, height: float) -> None:
    _box(axis, (left, top, room.width, height), "white", "#455a64")
    axis.text(left + PADDING, top + PADDING, room.title, fontsize=9.5, weight="bold", va="top")
    column_left = left + PADDING
    for column in room.columns:
        for line, name in enumerate(column):
            axis.text(
                column_left, top + PADDING + (line + 1.5) * LINE, name, fontsize=7.5, family="monospace", va="top"
            )
        column_left += (max(map(len, column)) + 2) * CHARACTER
    for number, text in enumerate(reversed(room.note)):
        below = top + height - PADDING - number * LINE
        axis.text(left + PADDING, below, text, fontsize=6.5, color="#78909c", va="bottom")


def _box(axis: Any, place: tuple[float, float, float, float], fill: str, edge: str) -> None:
    left, top, width, height = place
    style = "round,pad=0,rounding_size=0.06"
    axis.add_patch(
        FancyBboxPatch((left, top), width, height, boxstyle=style, facecolor=fill, edgecolor=edge, linewidth=0.8)
    )


if __name__ == "__main__":
    main()
