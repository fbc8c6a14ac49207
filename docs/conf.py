"""How the pages become a site: ``make docs``. They are plain Markdown, and can be read without it."""

import re
import tomllib
from pathlib import Path

ABOUT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY = ABOUT["urls"]["Repository"]

project, release = ABOUT["name"], ABOUT["version"]
author = copyright = ABOUT["authors"][0]["name"]  # noqa: A001
extensions = [
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_external_toc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.typer",
]
external_toc_path = "toc.yml"
myst_heading_anchors = 3
autodoc_typehints = "none"  # they stand in the docstrings, with axes and units
autodoc_member_order = "bysource"
napoleon_google_docstring = False

highlight_language = "none"  # of blocks that name none: folders, formulas

html_theme = "furo"
html_title = f"{project} {release}"
html_theme_options = {"source_repository": REPOSITORY, "source_branch": "main", "source_directory": "docs/"}


def list_settings(_app, _what, _name, _obj, _options, lines):
    """Make a list of the settings that stand as ``name : meaning`` below ``**settings``; else they run together."""
    below = False
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        below = line.startswith("**settings") or (below and indent > 0)
        if below and indent > 0:
            setting = re.match(r" {4}(\w+) : (.*)", line)
            lines[i] = f"    * ``{setting[1]}``: {setting[2]}" if setting else f"      {line.strip()}"


def setup(app):
    """Connect the above, before napoleon reads the docstrings."""
    app.connect("autodoc-process-docstring", list_settings, priority=400)
