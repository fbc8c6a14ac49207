"""What is drawn can be read in napari's dark and in its light theme."""

from __future__ import annotations

from typing import Any

import pytest
from napari.utils.theme import get_theme
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QApplication, QLabel, QPushButton

from napari_deep3d.gui.shared import AMBER, RED, ConfigForm, Plot

TEXT_CONTRAST = 4.5
"""Of texts, as the Web Content Accessibility Guidelines ask."""


def luminance(colour: QColor) -> float:
    parts = (colour.redF(), colour.greenF(), colour.blueF())
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: QColor, second: QColor) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", [AMBER, RED])
def test_texts_of_notices(style: str) -> None:
    rules = dict(rule.strip().split(": ") for rule in style.strip(" ;").split(";"))
    assert contrast(QColor(rules["background"]), QColor(rules["color"])) >= TEXT_CONTRAST


@pytest.mark.slow
def test_axes_of_plots_and_arrows_follow_the_theme(dock: Any, viewer: Any) -> None:
    plots, forms = dock.findChildren(Plot), dock.findChildren(ConfigForm)
    assert len(plots) >= 5
    assert len(forms) == 4
    for theme in ("light", "dark"):
        viewer.theme = theme
        QApplication.processEvents()
        background = QColor(get_theme(theme).background.as_hex())
        for plot in plots:
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                assert contrast(axis.textPen().color(), background) >= TEXT_CONTRAST
                assert contrast(axis.pen().color(), background) >= TEXT_CONTRAST
            assert contrast(QColor(plot.getAxis("bottom").labelStyle["color"]), background) >= TEXT_CONTRAST
        for form in forms:
            image = form.collapsedIcon().pixmap(16, 16).toImage()
            drawn = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
            assert max(contrast(colour, background) for colour in drawn if colour.alpha() > 200) >= TEXT_CONTRAST


@pytest.mark.slow
def test_fields_stand_below_each_other_and_buttons_say_what_they_do(dock: Any, viewer: Any, stack: Any) -> None:
    viewer.add_image(stack)
    panel = dock.predict_panel
    dock.grab()  # lays everything out
    fields = (panel.stack.chooser.layer_choice, panel.model.choice, panel.voxel_size.z_um, panel.voxel_size.xy_um)
    lefts = {field.mapTo(panel, field.rect().topLeft()).x() for field in fields}
    assert len(lefts) == 1
    labels = [label for label in panel.findChildren(QLabel) if label.text() in ("Stack", "Model")]
    assert len({label.mapTo(panel, label.rect().topLeft()).x() for label in labels}) == 1
    for name in ("predict_panel", "register_panel", "train_panel"):
        buttons = getattr(dock, name).findChildren(QPushButton)
        texts = {"Predict confocal", "Save result...", "Estimate shift", "Start training", "Advanced"}
        named = [button for button in buttons if button.text() in texts]
        assert len(named) >= 2
        assert all(button.toolTip() for button in named), [button.text() for button in named if not button.toolTip()]
