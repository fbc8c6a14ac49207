"""Colours of curves, and what a plot's legend says of them."""

from __future__ import annotations

ORANGE, BLUE, PURPLE, GREEN, GREY = "#d06000", "#1a7fc0", "#b8628f", "#009068", "#808080"
"""About equally bright, so that each differs 3 : 1 from the background of napari's dark and of its light theme.

Who cannot tell some of them apart tells the curves by their lines: solid, dashed, dotted.
"""
SOLID, DASHED, DOTTED, DASH_DOTTED, DOT = "&#9644;", "- -", "&middot;&middot;&middot;", "-&middot;-", "&#9679;"
"""Marks of a legend, as HTML."""


def legend_entry(colour: str, mark: str, text: str) -> str:
    """An entry of a legend, as HTML: a mark in the curve's colour, and a text in the window's own, for legibility."""
    return f'<span style="color:{colour}"><b>{mark}</b></span>&nbsp;{text}'
