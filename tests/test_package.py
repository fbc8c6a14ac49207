"""The package as a whole: light imports, public names, files it ships, and documentation that keeps its word."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import metadata
from importlib.resources import files
from pathlib import Path

import pytest
import typer

import napari_deep3d
from napari_deep3d.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
HEAVY = {"torch", "qtpy", "PyQt6", "PySide6", "napari", "tifffile", "zarr", "scipy", "skimage", "matplotlib"}
IMPORT_SECONDS = 0.3
PROGRAMS = {
    *("napari-deep3d", "napari", "npe2", "python", "python3", "pip", "pytest", "make", "git", "cd", "source"),
    *("conda", "mamba", "uv", "pipx", "sh", "for", "do", "done", "export", "mkdir", "ls", "sudo", "apt-get", "docker"),
    *("torchrun", "ruff", "mypy", "curl", "wget", "unzip", "echo", "[", "continue", "break", "dask"),
}
VGG = "data/vgg16_conv1_1-conv3_3_fp16.safetensors"
PREFIX = r"\w+=.*|do|then|else|[{}]"
"""What may stand before a command."""
OWN_ADDRESS = r"https://(github|raw\.githubusercontent)\.com/napari-deep3d/napari-deep3d/(blob/|raw/)?main/"
"""Addresses of files as they are on the main branch."""
MEASURE = """
import sys, time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start, *sorted({{name.partition('.')[0] for name in sys.modules}}))
"""


def imported(module: str) -> tuple[float, set[str]]:
    """Seconds that an import takes in a new process, and the top-level modules there afterwards."""
    words = subprocess.run(
        [sys.executable, "-c", MEASURE.format(module=module)], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    return float(words[0]), set(words[1:])


@pytest.mark.slow
def test_import_is_light_and_quick() -> None:
    runs = [imported("napari_deep3d") for _ in range(3)]
    assert not HEAVY & runs[0][1]
    assert min(seconds for seconds, _ in runs) < IMPORT_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("module", ["napari_deep3d.cli", "napari_deep3d.api", "napari_deep3d.io"])
def test_import_of_commands_is_light(module: str) -> None:
    _, modules = imported(module)
    assert not {"torch", "qtpy", "PyQt6", "PySide6", "napari"} & modules


@pytest.mark.parametrize("words", [["--help"], ["models", "list"], ["predict", "no.tif", "-o", "out.tif"]])
def test_commands_that_compute_nothing_load_no_torch(words: list[str]) -> None:
    code = (
        "import sys\nfrom napari_deep3d.cli import main\n"
        "try:\n    main()\nfinally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.splitlines()[-1] == "False"


def test_public_names() -> None:
    assert set(napari_deep3d.__all__) >= {"InputError", "predict", "register", "simulate", "train"}
    for name in napari_deep3d.__all__:
        found = getattr(napari_deep3d, name)
        assert callable(found)
        assert found.__doc__
        assert name in dir(napari_deep3d)
    with pytest.raises(AttributeError, match="no_such_name"):
        napari_deep3d.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    "name", ["napari.yaml", "data/samples/thick_widefield.tif", "data/samples/thick_confocal.tif", VGG]
)
def test_shipped_files(name: str) -> None:
    assert files("napari_deep3d").joinpath(name).is_file()


def test_typed_as_it_says() -> None:
    says = "Typing :: Typed" in (metadata("napari-deep3d").get_all("Classifier") or [])
    assert files("napari_deep3d").joinpath("py.typed").is_file() == says


def test_the_manifest_at_the_top_is_the_package_s() -> None:
    top = ROOT / "napari.yaml"
    assert top.read_bytes() == files("napari_deep3d").joinpath("napari.yaml").read_bytes()


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^( *)(`{3,}).*?^\1\2 *$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "code", text)


def links(page: Path) -> Iterator[str]:
    """Targets of links and pictures that lead to no other server, or to this repository."""
    text = prose(page)
    found = re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", text)
    found += re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    found += re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, flags=re.MULTILINE)
    for target in found:
        if own := re.match(OWN_ADDRESS, target):
            yield os.path.relpath(ROOT / target[own.end() :], page.parent)
        elif not re.match(r"[a-z][a-z0-9+.-]*:|//", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings can be linked to."""
    headings = re.findall(r"^#+ +(.+?) *#*$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_every_page_is_on_the_site_and_in_its_index() -> None:
    folder = ROOT / "docs"
    pages = {page.relative_to(folder).with_suffix("").as_posix() for page in folder.rglob("*.md")} - {"index"}
    listed = set(re.findall(r"^ *- file: (\S+)", (folder / "toc.yml").read_text(encoding="utf-8"), flags=re.MULTILINE))
    index = set(links(folder / "index.md"))
    assert pages <= listed
    assert {page for page in pages if not any(target.startswith(f"{page}.") for target in index)} == set()


def test_every_public_name_is_in_the_reference() -> None:
    listed = re.findall(
        r"^\.\. auto(?:function|exception):: (\S+)", (ROOT / "docs" / "api.rst").read_text(), re.MULTILINE
    )
    assert set(napari_deep3d.__all__) <= set(listed)


def test_version_and_addresses_are_the_same_everywhere() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    newest = re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest is not None
    assert newest[1] == about["version"]
    assert f"\nversion: {about['version']}\n" in citation
    assert f"  version: {about['version']}\n" in recipe
    assert about["urls"]["Repository"] in citation
    assert about["urls"]["Repository"] in recipe


def test_the_recipe_needs_what_the_package_needs() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    run = recipe.partition("  run:\n")[2].partition("\ntests:")[0]
    names = {"dask[array]": "dask", "torch": "pytorch", "matplotlib": "matplotlib-base"}
    needed = {re.sub(r"^[\w\[\]-]+", lambda name: names.get(name[0], name[0]), line) for line in about["dependencies"]}
    listed = {line.strip().removeprefix("- ").replace(" ", "") for line in run.splitlines() if "- " in line}
    assert needed <= listed


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """The code blocks of a page in one of the languages."""
    text = page.read_text(encoding="utf-8")
    for indent, language, code in re.findall(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```", text, flags=re.DOTALL | re.MULTILINE):
        if language in languages:
            yield "".join(line.removeprefix(indent) for line in code.splitlines(keepends=True))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_python_blocks_compile(page: Path) -> None:
    for code in blocks(page, "python", "py", "pycon"):
        source = doctest.script_from_examples(code) if ">>>" in code else code
        tree = ast.parse(source, str(page))
        compile(tree, str(page), "exec")
        for module, name in names_used(tree):
            assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


def names_used(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Names of this package that a piece of code imports or looks up."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_deep3d"):
            yield from ((node.module or "", alias.name) for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "napari_deep3d":
            yield "napari_deep3d", node.attr


def commands(page: Path) -> Iterator[list[str]]:
    """The command lines of a page, as words."""
    for code in blocks(page, "bash", "sh", "shell", "console"):
        lines = code.replace("\\\n", " ").splitlines()
        if any(line.startswith("$ ") for line in lines):  # the others are output
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in lines:
            for part in re.split(r"\s(?:&&|\|\||\|)\s|;", line):
                words = shlex.split(part, comments=True)
                while words and re.fullmatch(PREFIX, words[0]):
                    words.pop(0)
                if words:
                    yield words


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_command_lines_are_known(page: Path) -> None:
    for words in commands(page):
        program = words[0].removeprefix(".venv/bin/")
        assert program in PROGRAMS, shlex.join(words)
        if program == "napari-deep3d":
            check_options(words[1:])
        if program == "make":
            check_targets(words[1:])


def check_options(words: list[str]) -> None:
    """Every command and option of a line exists."""
    command = typer.main.get_command(app)
    words = list(words)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, words
        command = command.commands[words.pop(0)]
    known = {"--help"}.union(*(parameter.opts for parameter in command.params))
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known, f"unknown: {used - known}"


def check_targets(words: list[str]) -> None:
    """Every target of a line of make exists."""
    targets = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {word for word in words if "=" not in word and not word.startswith("-")} <= set(targets)


def test_the_checks_of_pages_see_what_is_wrong(tmp_path: Path) -> None:
    """A page with one mistake of each kind."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A title: here\n[a](missing.md) [b](#a-title-here) [c](#nowhere) [d](https://example.org)\n"
        "![e](https://raw.githubusercontent.com/napari-deep3d/napari-deep3d/main/docs/images/missing.png)\n"
        "```bash\nnapari-deep3d predict a.tif -o b.tif --colour red  # note\n```\n"
        '```sh\nout="x/$(basename "$f")"\n[ -e a ] && { pip list; break; }\n```\n'
        "```console\n$ napari-deep3d models list\ngeneralist: bundled\n```\n"
        "```python\nimport napari_deep3d\nnapari_deep3d.sharpen('[x](y.md)')\n```\n"
    )
    *near, picture = links(page)
    assert near == ["missing.md", "#a-title-here", "#nowhere"]
    assert (tmp_path / picture).resolve() == ROOT / "docs" / "images" / "missing.png"
    assert anchors(page) == {"a-title-here"}
    first, test, listing, end, second = commands(page)
    assert (test[0], listing[0], end[0]) == ("[", "pip", "break")
    with pytest.raises(AssertionError, match="--colour"):
        check_options(first[1:])
    check_options(second[1:])
    with pytest.raises(AssertionError, match="no sharpen"):
        test_python_blocks_compile(page)
