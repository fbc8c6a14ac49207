"""Shows a registration, and lets a person move its peak."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_deep3d.gui.register.nudge import Nudge
from napari_deep3d.gui.register.peak import Peak
from napari_deep3d.gui.register.profile_plots import ProfilePlots
from napari_deep3d.gui.shared.widgets import AMBER, RED, Line

NO_PROFILES = "Read from a file, which keeps no profiles; estimate the shift to see them."


class PeakView(QWidget):
    """The shift in words, the plots, and what moves the peak.

    Attributes
    ----------
    moved
        Signal, with the :class:`Peak` as the user moved it.
    """

    moved = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._peak: Peak | None = None
        self.shift, self.refusal, self.notices = Line("font-weight: bold;"), Line(RED), Line(AMBER)
        self.no_profiles = Line()
        self.plots = ProfilePlots()
        self.plots.moved.connect(self._on_moved)
        self.nudge = Nudge(self)
        self.nudge.nudged.connect(self._on_nudged)
        self.back_button = QPushButton("Back to the estimate")
        self.back_button.clicked.connect(self._on_back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        widgets = (self.shift, self.refusal, self.notices, self.no_profiles, self.plots, self.nudge, self.back_button)
        for widget in widgets:
            layout.addWidget(widget)

    def show_peak(self, peak: Peak) -> None:
        """Show a registration as it stands."""
        self._peak = peak
        registration = peak.registration
        self.shift.show_text(peak.text())
        self.refusal.show_text(registration.refusal)
        self.notices.show_text("\n".join(registration.notices))
        self.no_profiles.show_text("" if peak.has_profiles else NO_PROFILES)
        self.plots.setVisible(peak.has_profiles)
        if peak.has_profiles:
            self.plots.show_profiles(peak.estimate, registration.shift_um)
        self.back_button.setEnabled(peak.is_by_hand)

    def _on_moved(self, axis: int, shift_um: float) -> None:
        if self._peak is not None:
            self._tell(self._peak.moved_to(axis, shift_um))

    def _on_nudged(self, axis: int, voxels: float) -> None:
        if self._peak is not None:
            self._tell(self._peak.nudged(axis, voxels))

    def _on_back(self) -> None:
        if self._peak is not None:
            self._tell(self._peak.back())

    def _tell(self, peak: Peak) -> None:
        self.show_peak(peak)
        self.moved.emit(peak)
