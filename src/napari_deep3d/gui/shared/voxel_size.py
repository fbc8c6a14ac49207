"""Asks for the voxel size of a layer that has none."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QPushButton, QWidget
from superqt.utils import signals_blocked

from napari_deep3d.core import Spacing, format_spacing
from napari_deep3d.gui.shared.stack_selection import StackSelection
from napari_deep3d.gui.shared.widgets import AMBER, Line, make_form, stack_up

WHY = "The model needs it to tell blur from structure."


class VoxelSize(QWidget):
    """Fields for the voxel size in um, with the reason, and a button that writes it to the layer.

    Parameters
    ----------
    session : StackSelection
        The choice of a stack whose voxel size is asked for.
    why : str
        What needs it.
    button : str
        Text of the button that writes it to the layer too.

    Attributes
    ----------
    apply_requested
        Signal: the size in the session is to be written to the layer now.
    """

    apply_requested = Signal()

    def __init__(self, session: StackSelection, why: str = WHY, button: str = "Predict confocal") -> None:
        super().__init__()
        self._session, self._why = session, why
        self.reason = Line(AMBER)
        self.z_um, self.xy_um = self._field("distance between planes"), self._field("size of a pixel")
        self.apply_button = QPushButton("Set voxel size")
        self.apply_button.setToolTip(f"Write the voxel size to the layer now; {button} does so too")
        self.apply_button.clicked.connect(self.apply_requested)
        form = make_form({"Voxel size z": self.z_um, "Voxel size x, y": self.xy_um})
        stack_up(self, self.reason, form, self.apply_button)

    def refresh(self) -> None:
        """Show what is known of the voxel size."""
        self.reason.show_text(self._reason())
        spacing_um = self._session.spacing_um
        self.apply_button.setEnabled(spacing_um is not None)
        if spacing_um is not None:
            for field, size in ((self.z_um, spacing_um[0]), (self.xy_um, spacing_um[2])):
                if abs(field.value() - size) > 0.5e-4:
                    with signals_blocked(field):
                        field.setValue(size)

    def clear(self) -> None:
        """Empty the fields, as for another layer."""
        for field in (self.z_um, self.xy_um):
            with signals_blocked(field):
                field.setValue(0)

    def _reason(self) -> str:
        session, file = self._session, self._session.file
        if session.spacing_um is None:
            return f"This layer has no voxel size. {self._why} Enter it in um; the microscope's software shows it."
        size = format_spacing(session.spacing_um)
        if file is not None and file.spacing_um == session.spacing_um:
            return f"napari did not take over the voxel size; the file says {size}. {self._why}"
        return f"This layer is in pixels. {self._why} Check that {size} is right."

    def _field(self, tip: str) -> QDoubleSpinBox:
        field = QDoubleSpinBox()
        field.setDecimals(4)
        field.setRange(0, 100)
        field.setSingleStep(0.01)
        field.setSpecialValueText("?")
        field.setSuffix(" um")
        field.setToolTip(f"Voxel size in um: {tip}")
        field.setKeyboardTracking(False)
        field.valueChanged.connect(self._on_edited)
        return field

    def _on_edited(self, _value: float) -> None:
        z, xy = self.z_um.value(), self.xy_um.value()
        spacing_um: Spacing | None = (z, xy, xy) if z >= 0.001 and xy >= 0.001 else None
        self._session.update(spacing_um=spacing_um)
