"""Run the Python and shell blocks of pages from top to bottom, in an empty folder with the files that they speak of.

Usage: python -m tools.examples                  # all pages of PAGES
       python -m tools.examples docs/python.md   # these

Trainings are cut to seconds: it is tested that the lines work, not what comes of them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from napari_deep3d.data import THICK_CONFOCAL, THICK_WIDEFIELD

ROOT = Path(__file__).parents[2]
PAGES = {
    "docs/python.md": "",
    "docs/few_pairs.md": f"""
        mkdir -p raw/confocal raw/widefield
        for number in 1 2 5; do
            cp '{THICK_CONFOCAL}' raw/confocal/field_$number.tif
            cp '{THICK_WIDEFIELD}' raw/widefield/field_$number.tif
        done
    """,
    "docs/publish.md": f"cp '{THICK_WIDEFIELD}' stack.tif",
}
"""The pages, and the shell lines that make the files that a reader would have."""
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHORT = (re.compile(r"--minutes 15\b"), "--set iterations=2 --set patch=24,64,64")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help=f"by default {', '.join(PAGES)}")
    for page in parser.parse_args().pages or PAGES:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["NAPARI_DEEP3D_MODELS"] = str(Path(folder) / "models of the user")
            os.chdir(folder)
            blocks = run_page((ROOT / page).read_text(encoding="utf-8"), PAGES.get(page, ""))
            os.chdir(ROOT)
        print(f"{page}: {blocks} blocks, {time.perf_counter() - start:.0f} s")


def run_page(text: str, preparation: str = "") -> int:
    """Run the blocks of a page in the current folder, those in Python with one set of names; return how many.

    What a block raises, or CalledProcessError for a shell block that fails, ends it.
    """
    _run_shell(preparation)
    names: dict[str, object] = {"__name__": "__main__"}
    found = BLOCK.findall(text)
    for number, (language, code) in enumerate(found, start=1):
        if language == "bash":
            _run_shell(SHORT[0].sub(SHORT[1], code))
        else:
            exec(compile(code, f"block {number}", "exec"), names)
    return len(found)


def _run_shell(code: str) -> None:
    """Run shell lines up to the first that fails; this Python's programs are found first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    subprocess.run(["bash", "-ec", code], check=True, env=os.environ | {"PATH": path})


if __name__ == "__main__":
    main()
