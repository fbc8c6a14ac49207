"""The section *Advanced* of a panel: a folded form, made from the fields of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_origin

from magicgui.widgets import create_widget
from magicgui.widgets.bases import ValueWidget
from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QComboBox, QWidget
from superqt import QCollapsible

from napari_deep3d.gui.shared.number_field import CountField, NumberField
from napari_deep3d.gui.shared.widgets import let_wheel_scroll_panel, make_form, stack_up

FIELD_WIDTH = 70
ADVANCED_TIP = "Show or hide the settings that few need"
BOUNDS = {"ge": "low", "gt": "low", "le": "high", "lt": "high"}


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

    _is_made = False

    def __init__(
        self, fields: Mapping[str, FieldInfo], rows: Mapping[str, FormRow], further: Mapping[str, QWidget] | None = None
    ) -> None:
        super().__init__("Advanced")
        self._infos, self._rows = {name: fields[name] for name in rows}, dict(rows)
        self.fields = {name: _make_field(self._infos[name], row) for name, row in rows.items()}
        for field in self.fields.values():
            field.changed.connect(lambda _value: self.changed.emit())
        content = QWidget()
        natives = {row.label: self.fields[name].native for name, row in rows.items()}
        stack_up(content, make_form(natives | dict(further or {})))
        self.setContent(content)
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(0, 0, 0, 0)
        self.toggleButton().setToolTip(ADVANCED_TIP)
        self._is_made = True
        self._draw_arrows()
        self.collapse(animate=False)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Draw the arrows in the text colour of napari's theme, which the user may change."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange and self._is_made:
            self._draw_arrows()

    def _draw_arrows(self) -> None:
        self.setExpandedIcon("▼")
        self.setCollapsedIcon("▶")

    def values(self) -> dict[str, Any]:
        """Return what differs from the defaults and can be chosen now, by the names of the fields."""
        return {
            name: field.value
            for name, field in self.fields.items()
            if field.enabled and field.value != self._infos[name].default
        }

    def prefer(self, values: Mapping[str, Any]) -> None:
        """Show the values of napari's preferences, by name, where there are fields for them."""
        for name in values.keys() & self.fields.keys():
            self.fields[name].value = values[name]

    def enable(self, name: str, is_enabled: bool, reason: str = "") -> None:
        """Let a field be chosen, or not; its tool tip says why not."""
        self.fields[name].enabled = is_enabled
        self.fields[name].tooltip = reason if reason and not is_enabled else _tip(self._infos[name], self._rows[name])


class NumberRow(QObject):
    """A number within its bounds, with the members of a magicgui widget.

    magicgui's own fields for numbers read only the system's decimal mark, and drop the other one.

    Attributes
    ----------
    native : NumberField or CountField
        The widget.
    changed : Signal
        With the new value.
    """

    changed = Signal(object)

    def __init__(self, info: FieldInfo, row: FormRow) -> None:
        super().__init__()
        self.native = _number_field(info, row)
        self.native.valueChanged.connect(self.changed.emit)

    @property
    def value(self) -> float:
        """What is chosen."""
        return self.native.value()

    @value.setter
    def value(self, value: float) -> None:
        self.native.setValue(value)  # type: ignore[arg-type]

    @property
    def enabled(self) -> bool:
        """Whether it can be chosen."""
        return self.native.isEnabled()

    @enabled.setter
    def enabled(self, is_enabled: bool) -> None:
        self.native.setEnabled(is_enabled)

    @property
    def tooltip(self) -> str:
        """The text under the mouse."""
        return self.native.toolTip()

    @tooltip.setter
    def tooltip(self, text: str) -> None:
        self.native.setToolTip(text)


def _make_field(info: FieldInfo, row: FormRow) -> NumberRow | ValueWidget[Any]:
    """Make a widget that takes what a field of a config takes: a number within its bounds, or one of a few words."""
    field: NumberRow | ValueWidget[Any]
    if get_origin(info.annotation) is Literal:
        options = {"choices": list(row.choices)} if row.choices else {}
        field = cast(ValueWidget[Any], create_widget(annotation=info.annotation, options=options))
        box = cast(QComboBox, field.native)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        let_wheel_scroll_panel(box)
    else:
        field = NumberRow(info, row)
    field.native.setMinimumWidth(FIELD_WIDTH)
    field.value = info.default
    field.tooltip = _tip(info, row)
    return field


def _number_field(info: FieldInfo, row: FormRow) -> NumberField | CountField:
    bounds: dict[str, Any] = {}
    for rule in info.metadata:
        bounds |= {bound: getattr(rule, key) for key, bound in BOUNDS.items() if getattr(rule, key, None) is not None}
    return CountField(**bounds) if info.annotation is int else NumberField(**bounds, decimals=row.decimals)


def _tip(info: FieldInfo, row: FormRow) -> str:
    text = row.tip or info.description or ""
    return text[:1].upper() + text[1:]
