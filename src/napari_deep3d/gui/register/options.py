"""How to register: what may differ between the stacks; folded: the method, and how far to look."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox, QWidget

from napari_deep3d.core.config import RegisterConfig
from napari_deep3d.gui.shared import Choice, ConfigForm, FormRow, let_wheel_scroll_panel, make_form, stack_up

TRANSFORMS = [
    ("shift only", "shift"),
    ("shift, rotation and magnification", "similarity"),
    ("all linear changes", "affine"),
]
METHODS = FormRow(
    "Method",
    "Leave it at PSF; the others are for comparison (cross-correlation)",
    choices=[
        ("blur between the stacks (PSF)", "psf"),
        ("match of the fine structure", "cross-correlation"),
        ("match of the stacks as they are", "plain-cross-correlation"),
    ],
)
NO_LIMIT_UM = 10_000.0
"""As far as a config allows: no limit along an axis where another one has one."""


class RegisterOptions(QWidget):
    """A row that all see, and a folded section."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = Choice("Shift only is right for two microscopes on one stand; rotation needs large stacks")
        self.transform.fill(TRANSFORMS, "shift")
        self.max_shift_z, self.max_shift_xy = _max_shift_field("z"), _max_shift_field("x, y")
        limits = {"Shift z up to": self.max_shift_z, "Shift x, y up to": self.max_shift_xy}
        self.advanced = ConfigForm(RegisterConfig.model_fields, {"method": METHODS}, limits)
        stack_up(self, make_form({"Allow for": self.transform}), self.advanced)

    def config(self) -> RegisterConfig:
        """Return the choices as a checked config."""
        z_um, xy_um = self.max_shift_z.value() or NO_LIMIT_UM, self.max_shift_xy.value() or NO_LIMIT_UM
        is_limited = min(z_um, xy_um) < NO_LIMIT_UM
        return RegisterConfig.checked(
            transform=self.transform.currentData(),
            max_shift_um=(z_um, xy_um, xy_um) if is_limited else None,
            **self.advanced.values(),
        )


def _max_shift_field(axis: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(0, 1000)
    field.setMinimumWidth(90)
    field.setDecimals(1)
    field.setSpecialValueText("no limit")
    field.setSuffix(" um")
    field.setToolTip(f"Set it along {axis} if you know how far the stacks can be apart, and the estimate is wrong")
    let_wheel_scroll_panel(field)
    return field
