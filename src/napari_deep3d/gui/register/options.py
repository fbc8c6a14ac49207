"""How to register: what may differ between the stacks; folded: the method, and how far to look."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QWidget
from superqt import QCollapsible

from napari_deep3d.core.config import RegisterConfig
from napari_deep3d.gui.shared.widgets import Choice

TRANSFORMS = [
    ("shift only", "shift"),
    ("shift, rotation and magnification", "similarity"),
    ("all linear changes", "affine"),
]
METHODS = [
    ("blur between the stacks (PSF)", "psf"),
    ("match of the fine structure", "cross-correlation"),
    ("match of the stacks as they are", "plain-cross-correlation"),
]


class RegisterOptions(QWidget):
    """A row that all see, and a folded section."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = Choice("Shift only is right for two microscopes on one stand; rotation needs large stacks")
        self.transform.fill(TRANSFORMS, "shift")
        self.method = Choice("Leave it at PSF; the others are for comparison (cross-correlation)")
        self.method.fill(METHODS, "psf")
        self.reach = [self._field(axis) for axis in ("z", "x, y")]
        content = QWidget()
        advanced = QFormLayout(content)
        advanced.addRow("Method", self.method)
        advanced.addRow("Shift z up to", self.reach[0])
        advanced.addRow("Shift x, y up to", self.reach[1])
        self.advanced = QCollapsible("Advanced")
        self.advanced.setContent(content)
        self.advanced.collapse(animate=False)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        for layout in (form, advanced):
            layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Allow for", self.transform)
        form.addRow(self.advanced)

    def config(self) -> RegisterConfig:
        """Return the choices as a checked config."""
        z, xy = (field.value() for field in self.reach)
        wide = 10_000.0  # as far as a config allows: no limit along this axis
        most = (z or wide, xy or wide, xy or wide) if z or xy else None
        return RegisterConfig.checked(
            transform=self.transform.currentData(), method=self.method.currentData(), max_shift_um=most
        )

    def _field(self, axis: str) -> QDoubleSpinBox:
        field = QDoubleSpinBox()
        field.setRange(0, 1000)
        field.setMinimumWidth(90)
        field.setDecimals(1)
        field.setSpecialValueText("no limit")
        field.setSuffix(" um")
        field.setToolTip(f"Set it along {axis} if you know how far the stacks can be apart, and the estimate is wrong")
        return field
