"""A form made from the fields of a config."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_deep3d.core.config import RegisterConfig, SimulateConfig, TrainConfig
from napari_deep3d.gui.shared.config_form import ConfigForm, FormRow

FIELDS = SimulateConfig.model_fields | RegisterConfig.model_fields | TrainConfig.flat_fields()
WORDS = [("blur", "psf"), ("detail", "cross-correlation"), ("as they are", "plain-cross-correlation")]
ROWS = {
    "pairs": FormRow("Pairs"),
    "method": FormRow("Method", "Leave it", choices=WORDS),
    "learning_rate": FormRow("Rate", decimals=5),
}


@pytest.fixture
def form(qtbot: Any) -> ConfigForm:
    made = ConfigForm(FIELDS, ROWS, {"Other": QLineEdit()})
    qtbot.addWidget(made)
    return made


def test_fields_have_the_bounds_defaults_and_descriptions_of_the_config(form: ConfigForm) -> None:
    pairs, method, rate = (form.fields[name] for name in ROWS)
    assert (pairs.value, pairs.native.minimum(), pairs.native.maximum()) == (8, 1, 10_000)
    assert pairs.tooltip == "Number of pairs"
    assert (method.value, method.tooltip) == ("psf", "Leave it")
    assert [method.native.itemText(i) for i in range(3)] == [text for text, _ in WORDS]
    assert (rate.value, rate.native.decimals()) == (1e-3, 5)
    assert form.values() == {}


def test_what_differs_and_is_enabled_counts(form: ConfigForm, qtbot: Any) -> None:
    with qtbot.waitSignal(form.changed):
        form.fields["method"].value = "cross-correlation"
    form.fields["pairs"].value = 9
    assert form.values() == {"pairs": 9, "method": "cross-correlation"}
    form.enable("pairs", False, "Decided elsewhere")
    assert form.values() == {"method": "cross-correlation"}
    assert form.fields["pairs"].tooltip == "Decided elsewhere"
    form.enable("pairs", True, "Decided elsewhere")
    assert form.fields["pairs"].tooltip == "Number of pairs"


def test_the_wheel_changes_no_field(form: ConfigForm) -> None:
    for name in ROWS:
        native, value = form.fields[name].native, form.fields[name].value
        no_button, no_key = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
        place, down = QPointF(5, 5), QPoint(0, -120)
        wheel = QWheelEvent(place, place, down, down, no_button, no_key, Qt.ScrollPhase.NoScrollPhase, False)
        QApplication.sendEvent(native, wheel)
        assert not wheel.isAccepted()
        assert form.fields[name].value == value
