"""Typing numbers, with the system's decimal mark and with the other one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QLocale, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractSpinBox

from napari_deep3d.gui.shared import CountField, NumberField


@pytest.fixture(params=["C", "de_DE", "fr_FR"])
def locale(request: pytest.FixtureRequest) -> Iterator[str]:
    """The system's language while fields are made and used."""
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def type_into(field: QAbstractSpinBox, text: str) -> None:
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.108", 0.108),
        ("0,108", 0.108),
        ("1,024", 1.024),
        ("200 nm", 0.2),
        ("0,2 µm", 0.2),
        ("0.0002 mm", 0.2),
        ("0.5 um", 0.5),
        (".5", 0.5),
        ("?", 0.0),
    ],
)
def test_what_is_understood_is_shown(qtbot: Any, locale: str, text: str, value: float) -> None:
    field = NumberField(0, 100, "um", decimals=4, at_low="?")
    qtbot.addWidget(field)
    type_into(field, text)
    assert field.value() == pytest.approx(value)
    assert field.text() == (f"{value:g} um" if value else "?")


@pytest.mark.parametrize("text", ["1,024.5", "1.024,5", "0.5.2", "108", "-1", "abc", "200 s", "1 000"])
def test_what_is_not_understood_leaves_the_value_and_says_so(qtbot: Any, locale: str, text: str) -> None:
    field = NumberField(0, 100, "um", decimals=4)
    qtbot.addWidget(field)
    field.setValue(0.3)
    with qtbot.waitSignal(field.refused) as refused:
        type_into(field, text)
    assert (field.value(), field.text()) == (0.3, "0.3 um")
    assert text in refused.args[0]


def test_whole_numbers_take_no_marks(qtbot: Any, locale: str) -> None:
    field = CountField(1, 100_000)
    qtbot.addWidget(field)
    type_into(field, "2000")
    assert (field.value(), field.text()) == (2000, "2000")
    for text in ("1.5", "1,000", "1.000", "200000"):
        with qtbot.waitSignal(field.refused):
            type_into(field, text)
        assert field.value() == 2000


def test_memory_takes_its_units(qtbot: Any, locale: str) -> None:
    field = NumberField(0, 1024, "GB", at_low="auto")
    qtbot.addWidget(field)
    for text, value in (("1,5", 1.5), ("800 MB", 0.8), ("2gb", 2.0), ("auto", 0.0)):
        type_into(field, text)
        assert field.value() == pytest.approx(value)


@pytest.mark.slow
def test_every_field_of_the_dock_takes_both_marks(dock: Any, viewer: Any, locale: str) -> None:
    viewer.add_image(np.arange(2 * 8 * 24 * 24, dtype=np.uint16).reshape(2, 8, 24, 24))
    fields = dock.findChildren(QAbstractSpinBox)
    assert len(fields) >= 12
    counts = [field for field in fields if isinstance(field, CountField)]
    numbers = [field for field in fields if isinstance(field, NumberField)]
    assert len(counts) + len(numbers) == len(fields), "a field of Qt's own drops the other decimal mark"
    for field in numbers:
        low, high = field.minimum(), field.maximum()
        wanted = round(low + 0.37 * (min(high, 2.0) - low), field.decimals())
        shown = []
        for text in (f"{wanted:f}", f"{wanted:f}".replace(".", ",")):
            field.setValue(low)
            type_into(field, text)
            shown.append((field.value(), field.text()))
        assert shown[0] == shown[1], field.toolTip()
        assert shown[0][0] == pytest.approx(wanted), field.toolTip()
