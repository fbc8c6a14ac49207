"""How the package is built, in numbers: run on two commits to see what a change of structure did.

    python -m tools.release.structure [CHECKOUT]

- files and lines of ``src``; entries at the top level of ``core`` and ``gui``
- import edges: pairs of modules of the package of which one imports the other, at any place in the file
- private helpers used once: functions and methods whose name begins with an underscore and stands only once in their
  file besides their definition, as a share of all functions; *tiny* ones have at most two statements
- length of functions (signature, docstring and body), median and 90th percentile
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PACKAGE = "napari_deep3d"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, nargs="?", default=Path())
    root = parser.parse_args().checkout / "src" / PACKAGE
    files = sorted(root.rglob("*.py"))
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    functions = [(path, node) for path in files for node in ast.walk(trees[path]) if isinstance(node, Function)]
    lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for _, node in functions]
    once = [node for path, node in functions if is_used_once(node.name, texts[path])]
    edges = {(path, module) for path in files for module in imported(trees[path], root)}
    print(f"files {len(files)}, lines {sum(text.count(chr(10)) for text in texts.values())}")
    for room in ("core", "gui"):
        names = sorted(p.name for p in (root / room).iterdir() if p.name not in ("__init__.py", "__pycache__"))
        print(f"entries of {room}: {len(names)} ({', '.join(names)})")
    print(f"import edges {len(edges)}, {len(edges) / len(files):.2f} a file")
    tiny = sum(statements(node) <= 2 for node in once)
    print(f"private helpers used once {len(once)} of {len(functions)} ({len(once) / len(functions):.0%}), tiny {tiny}")
    print(f"lines of a function: median {np.median(lengths):.0f}, 90th percentile {np.percentile(lengths, 90):.0f}")


def is_used_once(name: str, text: str) -> bool:
    """Whether a private name stands once in a file besides its definition."""
    if not name.startswith("_") or name.endswith("__"):
        return False
    return len(re.findall(rf"\b{name}\b", text)) == 2


def statements(node: Function) -> int:
    """Number of statements of a function, its docstring not counted."""
    return len(node.body) - (ast.get_docstring(node) is not None)


def imported(tree: ast.Module, root: Path) -> Iterator[str]:
    """The modules of the package that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            module = str(node.module)
            for alias in node.names:
                below = root.parent / Path(*module.split("."), alias.name)
                yield f"{module}.{alias.name}" if below.is_dir() or below.with_suffix(".py").exists() else module


if __name__ == "__main__":
    main()
