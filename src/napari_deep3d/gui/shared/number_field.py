"""Fields for numbers: both decimal marks mean the same on every system, and what was understood is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QValidator
from qtpy.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QSpinBox, QToolTip, QWidget

from napari_deep3d.core import split_quantity
from napari_deep3d.gui.shared.widgets import let_wheel_scroll_panel
from napari_deep3d.io import um_per_unit

GB_PER_UNIT = {"b": 1e-9, "kb": 1e-6, "mb": 1e-3, "gb": 1.0, "tb": 1e3}
UNITS: dict[str, Callable[[str], float | None]] = {
    "um": um_per_unit,
    "GB": lambda unit: GB_PER_UNIT.get(unit.casefold()),
}
"""How many of a field's own unit are in a unit that is typed behind the number."""

if TYPE_CHECKING:
    _Base = QAbstractSpinBox
else:
    _Base = object


class _TypedNumber(_Base):
    """What both kinds of field have in common.

    Qt's own fields drop a character that they do not expect, so that 0.5 typed on a German system becomes 5. Here any
    text may be typed; it is read as a whole, and what cannot be read leaves the value as it was, with a word.
    """

    refused = Signal(str)
    """The text that was typed is no number here; with a sentence that says why."""

    unit = ""
    ending = ""
    """What is shown behind the number."""

    def _set_up(self) -> None:
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        let_wheel_scroll_panel(self)

    def validate(self, text: str | None, place: int) -> tuple[QValidator.State, str, int]:
        """Let everything be typed; only a number within the bounds is taken."""
        number, _ = self._read(text or "")
        state = QValidator.State.Intermediate if number is None else QValidator.State.Acceptable
        return state, text or "", place

    def fixup(self, text: str | None) -> str:
        """Say why a text is not taken; the field then shows the last value again."""
        _, problem = self._read(text or "")
        if text and problem:
            QToolTip.showText(self.mapToGlobal(self.rect().bottomLeft()), problem, self)
            self.refused.emit(problem)
        return text or ""

    def _read(self, text: str) -> tuple[float | None, str]:
        """Read what stands in the field: the number, or None and why it is not taken."""
        special, typed = self.specialValueText(), self._without_suffix(text)
        if special and typed in ("", special):
            return self._bounds()[0], ""
        typed = typed.removeprefix(special).strip()
        number, unit = split_quantity(typed)
        factor = 1.0 if not unit else UNITS[self.unit](unit) if self.unit in UNITS else None
        if number is None or factor is None:
            return None, self._refusal(typed, f"{'a length' if self.unit == 'um' else 'a number'} is needed")
        number *= factor
        low, high = self._bounds()
        shown = f"{typed} {self.unit}".strip() if not unit else typed
        if not low <= number <= high:
            return None, self._refusal(shown, f"{low:g} to {high:g}{f' {self.unit}' if self.unit else ''} is allowed")
        if not self._is_possible(number):
            return None, self._refusal(shown, "a whole number is needed")
        return number, ""

    def _without_suffix(self, text: str) -> str:
        return text.strip().removesuffix(self.ending.strip()).strip()

    def _refusal(self, typed: str, needed: str) -> str:
        example = self._example()
        return f"{typed!r} is not taken: {needed}, such as {example}."

    def _bounds(self) -> tuple[float, float]:
        raise NotImplementedError

    def _is_possible(self, _number: float) -> bool:
        return True

    def _example(self) -> str:
        raise NotImplementedError


class NumberField(_TypedNumber, QDoubleSpinBox):
    """A field for a number with decimals.

    Both ``0.5`` and ``0,5`` may be typed or pasted, with or without a unit (``200 nm``). It shows a point, as all
    texts of the panels do. The value is taken with Enter or when the field is left; the wheel scrolls the panel.

    Parameters
    ----------
    low, high : float
        What is allowed.
    unit : str
        Shown behind the number: ``um``, ``GB``, or none.
    decimals : int
        How many are kept.
    at_low : str
        What to show instead of the lowest value, such as ``auto``.
    tip : str
        Tool tip.
    """

    def __init__(
        self,
        low: float = 0,
        high: float = 100,
        unit: str = "",
        decimals: int = 3,
        at_low: str = "",
        tip: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._set_up()
        self.unit = unit
        self.setDecimals(decimals)
        self.setRange(low, high)
        self.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.ending = f" {unit}" if unit else ""
        self.setSuffix(self.ending)
        self.setSpecialValueText(at_low)
        self.setToolTip(tip)

    def valueFromText(self, text: str | None) -> float:  # noqa: N802
        """The number that stands in the field."""
        number, _ = self._read(text or "")
        return self.value() if number is None else number

    def textFromValue(self, value: float) -> str:  # noqa: N802
        """The number as it is shown, with a point."""
        text = f"{value:.{self.decimals()}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    def _bounds(self) -> tuple[float, float]:
        return self.minimum(), self.maximum()

    def _example(self) -> str:
        return "0.2, 0,2 or 200 nm" if self.unit == "um" else "0.5 or 0,5"


class CountField(_TypedNumber, QSpinBox):
    """A field for a whole number; ``1.5`` and ``1,000`` are refused.

    Parameters are as of :class:`NumberField`; ``ending`` is shown behind the number.
    """

    def __init__(
        self, low: int = 0, high: int = 2**31 - 1, tip: str = "", ending: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._set_up()
        self.ending = ending
        self.setSuffix(ending)
        self.setRange(low, high)
        self.setToolTip(tip)

    def valueFromText(self, text: str | None) -> int:  # noqa: N802
        """The number that stands in the field."""
        number, _ = self._read(text or "")
        return self.value() if number is None else round(number)

    def textFromValue(self, value: int) -> str:  # noqa: N802
        """The number without marks of thousands."""
        return str(value)

    def _read(self, text: str) -> tuple[float | None, str]:
        typed = self._without_suffix(text)
        if "." in typed or "," in typed:  # thousands or a fraction: it could be either
            return None, self._refusal(typed, "a whole number without marks is needed")
        return super()._read(text)

    def _bounds(self) -> tuple[float, float]:
        return self.minimum(), self.maximum()

    def _is_possible(self, number: float) -> bool:
        return number == round(number)

    def _example(self) -> str:
        return str(max(self.minimum(), min(self.maximum(), 1000)))
