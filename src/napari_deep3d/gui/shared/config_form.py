"""The section *Advanced* of a panel: a folded form, made from the fields of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from magicgui.widgets import create_widget
from magicgui.widgets.bases import ValueWidget
from pydantic.fields import FieldInfo
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QWidget
from superqt import QCollapsible

from napari_deep3d.gui.shared.widgets import let_wheel_scroll_panel, make_form, stack_up

FIELD_WIDTH = 70
MAX_INT = 2**31 - 1
BOUNDS = {"ge": "min", "gt": "min", "le": "max", "lt": "max"}


@dataclass(frozen=True)
class FormRow:
    """How a field of a config is shown."""

    label: str
    tip: str = ""
    """By default the field's own description."""
    decimals: int = 3
    choices: Sequence[tuple[str, Any]] = ()
    """Words for the values of a field that has few; by default the values themselves."""


class ConfigForm(QCollapsible):
    """A folded form.

    Parameters
    ----------
    fields : mapping of str to FieldInfo
        Fields of one config or of several, by name.
    rows : mapping of str to FormRow
        Those to show, in this order.
    further : mapping of str to QWidget
        Rows below that are no fields, by label.
    """

    changed = Signal()
    """The user changed a field."""

    def __init__(
        self, fields: Mapping[str, FieldInfo], rows: Mapping[str, FormRow], further: Mapping[str, QWidget] | None = None
    ) -> None:
        super().__init__("Advanced")
        self._infos, self._rows = {name: fields[name] for name in rows}, dict(rows)
        self.fields = {name: make_field(self._infos[name], row) for name, row in rows.items()}
        for field in self.fields.values():
            field.changed.connect(lambda _value: self.changed.emit())
        content = QWidget()
        natives = {row.label: self.fields[name].native for name, row in rows.items()}
        stack_up(content, make_form(natives | dict(further or {})))
        self.setContent(content)
        self.collapse(animate=False)

    def values(self) -> dict[str, Any]:
        """Return what differs from the defaults and can be chosen now, by the names of the fields."""
        return {
            name: field.value
            for name, field in self.fields.items()
            if field.enabled and field.value != self._infos[name].default
        }

    def enable(self, name: str, is_enabled: bool, reason: str = "") -> None:
        """Let a field be chosen, or not; its tool tip says why not."""
        self.fields[name].enabled = is_enabled
        self.fields[name].tooltip = reason if reason and not is_enabled else _tip(self._infos[name], self._rows[name])


def make_field(info: FieldInfo, row: FormRow) -> ValueWidget[Any]:
    """Make a widget that takes what a field of a config takes; the wheel scrolls the panel, not the value."""
    options: dict[str, Any] = {"tooltip": _tip(info, row)}
    for rule in info.metadata:
        options |= {bound: getattr(rule, key) for key, bound in BOUNDS.items() if getattr(rule, key, None) is not None}
    if info.annotation is int:
        options.setdefault("max", MAX_INT)
    if row.choices:
        options["choices"] = list(row.choices)
    field = cast(ValueWidget[Any], create_widget(annotation=info.annotation, options=options))
    native = field.native
    if isinstance(native, QDoubleSpinBox):
        native.setDecimals(row.decimals)
        native.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
    if isinstance(native, QComboBox):
        native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    native.setMinimumWidth(FIELD_WIDTH)
    let_wheel_scroll_panel(native)
    field.value = info.default
    return field


def _tip(info: FieldInfo, row: FormRow) -> str:
    text = row.tip or info.description or ""
    return text[:1].upper() + text[1:]
