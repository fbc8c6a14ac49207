"""Examples of pages are run in their order, and one that fails is not passed over."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.examples.__main__ import PAGES, ROOT, SHORT, run_page

PAGE = """
```python
from pathlib import Path
name = "made"
```

```
no language: not run
```

```bash
echo one > first
cat before >> first
```

```python
Path(name).write_text(Path("first").read_text())
```
"""


def test_blocks_run_in_order_with_one_set_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(PAGE, "echo zero > before") == 3
    assert (tmp_path / "made").read_text().split() == ["one", "zero"]


def test_a_block_that_fails_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        run_page("```bash\nfalse\ntrue\n```\n")
    with pytest.raises(ZeroDivisionError):
        run_page("```python\n1 / 0\n```\n")


def test_the_pages_are_there_and_their_trainings_are_cut_short() -> None:
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    assert all(text.count("--minutes") == len(SHORT[0].findall(text)) for text in texts)
