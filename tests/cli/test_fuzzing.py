"""Damaged and strange files of every kind, given to the commands: one message, and nothing else happens.

Forty of them by default; NAPARI_DEEP3D_FUZZ=1000 tries more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")]
CHECKOUT = Path(__file__).parents[2]
CASES = int(os.environ.get("NAPARI_DEEP3D_FUZZ", "40"))


def test_damaged_files(tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    words = [sys.executable, "-m", "tests.helpers.fuzzing", "0", str(CASES), str(report)]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, timeout=60 + 20 * CASES, check=False)
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    last = {row["number"]: row for row in rows}
    assert [row for row in last.values() if row["problem"]] == []
    assert done.returncode == 0, done.stderr
    assert sorted(last) == list(range(CASES))
    assert {row["code"] for row in last.values()} == {0, 2}
