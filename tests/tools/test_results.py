"""The tables of the documentation say what is stored, and are written where a page has a place for them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common.tables import Row, markdown, read_rows, side_by_side, write_rows
from benchmarks.study.__main__ import ORDERS, PARTS
from benchmarks.study.orders import CLAIMS
from tools.results.__main__ import filled, main, missing, pages
from tools.results.study import STUDY, beside_paper, over_seeds, registration_summary
from tools.results.tables import DATA, TABLES

PAGE = "# Page\n\n<!-- table: turns -->\n\n| old |\n|---|\n\n<!-- end -->\n\nText.\n"


def test_the_pages_say_what_is_stored(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["results", "--check"])
    main()
    assert capsys.readouterr().out == ""


def test_every_stored_result_is_shown() -> None:
    assert {path.relative_to(DATA).as_posix() for path in DATA.rglob("*.csv")} == {t.file for t in TABLES.values()}


def test_every_stored_result_names_its_command() -> None:
    for path in DATA.glob("*.csv"):
        assert re.match(r"# .*(python -m benchmarks\.|benchmarks/)", path.read_text(encoding="utf-8")), path.name


def test_every_section_of_results_says_what_it_was_measured_with() -> None:
    page = (DATA.parent / "results.md").read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", page, flags=re.MULTILINE)[1:]
    said = ""
    for section in sections:
        title, _, text = section.partition("\n")
        said = title if text.startswith("\n*Measured with: ") else said
        assert said == title or "<!-- table" not in text or title in ("Confidence", "Speed of registration"), title


def test_tables_are_written_into_their_places(tmp_path: Path) -> None:
    write_rows(tmp_path / "turns.csv", [{"turns": 4, "rmse": 0.5, "ssim": 0.75, "rank_correlation": float("nan")}])
    page, changed = filled(PAGE, tmp_path)
    assert changed == ["turns"]
    assert "| old |" not in page
    assert "\n| **4 (used)** | **0.5000** | **0.750** | **-** |\n" in page
    assert page.startswith("# Page\n\n<!-- table: turns -->\n\n| turns | RMSE |")
    assert page.endswith("|\n\n<!-- end -->\n\nText.\n")
    assert filled(page, tmp_path) == (page, [])


def test_a_changed_result_is_noticed(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "turns.csv").read_text(encoding="utf-8")
    (tmp_path / "turns.csv").write_text(text.replace("0.424", "0.425"), encoding="utf-8")
    texts = [page.read_text(encoding="utf-8") for page in pages()]
    assert [name for text in texts for name in filled(text, tmp_path)[1]] == ["turns"]


def test_places_that_cannot_be_filled_are_refused() -> None:
    with pytest.raises(SystemExit, match="there is no table 'turn'"):
        filled(PAGE.replace("table: turns", "table: turn"))
    with pytest.raises(SystemExit, match="has no end"):
        filled(PAGE.replace("<!-- end -->", ""))
    assert "turns" not in list(missing([PAGE]))
    assert "tiles" in list(missing([PAGE]))


def test_numbers_are_shown_as_a_format_says_and_what_is_missing_as_a_dash() -> None:
    rows: list[Row] = [{"a": 0.5, "b": float("nan"), "d": "1.23456", "e": 0.54}, {"a": 0.25, "b": None, "c": "text"}]
    columns = {"A": "{a:.1f} ± {b:.1f}", "B": "{b:.1f}, {f}", "C": "{c}", "D": "{d}", "E": "{e:.0%}"}
    assert markdown(rows, columns, bold=["0.2"]).splitlines()[2:] == [
        "| 0.5 | - | - | 1.23456 | 54 % |",
        "| **0.2** | **-** | **text** | **-** | **-** |",
    ]


def test_rows_side_by_side() -> None:
    rows = [{"stack": "a", "by": "x", "n": 1}, {"stack": "a", "by": "y", "n": 2}, {"stack": "b", "by": "y", "n": 3}]
    assert side_by_side(rows, "stack", "by") == [{"stack": "a", "x n": 1, "y n": 2}, {"stack": "b", "y n": 3}]


def test_rows_of_others_stay_where_a_key_tells_them_apart(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.csv"
    write_rows(path, [{"name": "old", "value": 1.0}, {"name": "new, and more", "value": 2.0}], key=["name"])
    write_rows(path, [{"name": "new, and more", "value": 1 / 3}, {"name": "newest", "more": None}], key=["name"])
    assert read_rows(path) == [
        {"name": "old", "value": "1", "more": ""},
        {"name": "new, and more", "value": "0.333333", "more": ""},
        {"name": "newest", "value": "", "more": ""},
    ]
    write_rows(path, [{"name": "alone"}])
    assert read_rows(path) == [{"name": "alone"}]
    write_rows(None, [{"name": "nowhere"}])


def test_rows_of_seeds_become_their_mean_and_spread() -> None:
    rows: list[Row] = [
        {"method": "L1", "seed": "0", "stacks": "2", "rmse": "0.1", "note": "a"},
        {"method": "L1", "seed": "1", "stacks": "2", "rmse": "0.3", "note": "b"},
        {"method": "wide-field", "seed": "", "stacks": "2", "rmse": "0.5", "note": ""},
    ]
    ours, widefield = beside_paper("method", {"L1": (0.2, 0.9), "wide-field": (1, 1)}, over_seeds("method"))(rows)
    assert ours == pytest.approx(
        {"method": "L1", "number": 2, "stacks": 2, "stacks_spread": 0, "rmse": 0.2, "rmse_spread": np.sqrt(0.02)}
        | {"paper_rmse": 0.2, "paper_ssim": 0.9}
    )
    assert widefield["rmse"] == 0.5
    assert widefield["rmse_spread"] is None
    assert widefield["paper_rmse"] is None


def test_every_table_of_the_study_shows_what_its_part_writes() -> None:
    files = {part.file for part in PARTS.values()} | {ORDERS}
    assert {table.file for table in STUDY.values()} == files
    assert {claim.file for claim in CLAIMS} <= files


def test_registration_errors_by_sample_and_method() -> None:
    rows: list[Row] = [
        {"sample": "thick", "method": "PSF", "z_um": z, "z_planes": str(2 * float(z)), "width_um": "1"}
        for z in ("0.1", "0.2", "0.6")
    ]
    assert registration_summary(rows) == [
        {"sample": "thick", "method": "PSF", "pairs": 3, "within": 2 / 3, "median": 0.2, "worst": 0.6, "width": 1}
    ]
