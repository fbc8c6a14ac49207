"""What is compared, and how it is seen: the ticked stacks, section, contrast, reference."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, get_args

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QSizePolicy, QWidget

from napari_deep3d.core import InputError
from napari_deep3d.gui.compare.roles import CONFOCAL, ERROR, PREDICTION, role, stack_shape, titles
from napari_deep3d.gui.compare.sections import View
from napari_deep3d.gui.compare.stacks import ComparedStack, with_common_limits
from napari_deep3d.gui.shared import (
    Choice,
    LayerChecklist,
    Line,
    find_axes,
    full_data,
    image_layers,
    make_form,
    stack_up,
)

if TYPE_CHECKING:
    from napari import Viewer

MAX_TICKED = 4
MIN_SHARE = 0.1
"""Of a common range of values that each stack must take up: with less it would be nearly black, or flat."""
CONTRASTS = [("automatic for each", "each"), ("the same for all", "common"), ("as set in the layers", "layers")]
CONTRAST_TIP = "The same for all is for stacks with the same kind of values"
SECTION_TIP = "x-z and y-z show the depth: there wide-field is blurred most"
REFERENCE_TIP = "What the others are measured against, and what is subtracted in the difference: a confocal stack"
DIFFERENCE_TIP = (
    "Beside the stacks, prediction minus reference, after the best scale and offset: "
    "brown where the prediction is brighter, blue where it is darker, white where they agree"
)
LARGER_TIP = "Hide napari's lists of layers as long as the stacks are side by side"
NO_REFERENCE = "none"


class CompareChoices(QWidget):
    """The list of stacks to tick, and the choices below it."""

    changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._is_users = False  # the ticks, since the user set one
        self.list = LayerChecklist("Tick two or more stacks; they are shown in this order", height=66)
        self.list.itemChanged.connect(self._on_tick)
        self.orientation, self.contrast, self.reference = (
            Choice(SECTION_TIP),
            Choice(CONTRAST_TIP),
            Choice(REFERENCE_TIP),
        )
        self.orientation.fill([(name, name) for name in get_args(View)], "x-z")
        self.contrast.fill(CONTRASTS, "each")
        self.orientation.currentIndexChanged.connect(self.changed)
        self.reference.currentIndexChanged.connect(self.changed)
        self.contrast.currentIndexChanged.connect(self._on_contrast)
        self.difference, self.larger = QCheckBox("Difference map"), QCheckBox("Larger pictures")
        self.difference.setToolTip(DIFFERENCE_TIP)
        self.difference.toggled.connect(self.changed)
        self.larger.setToolTip(LARGER_TIP)
        self.larger.setChecked(True)
        self.note = Line()
        form = make_form({"Section": self.orientation, "Contrast": self.contrast, "Reference": self.reference})
        ticks = QHBoxLayout()
        ticks.addWidget(self.difference)
        ticks.addWidget(self.larger)
        stack_up(self, self.list, form, ticks, self.note).setSpacing(5)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def ticked(self) -> list[Image]:
        """Return the ticked layers, in the order of napari's list from its bottom."""
        return self.list.ticked()

    def tick(self, source: Image, result: Image) -> None:
        """Tick a stack and its prediction, with what has as many voxels, such as a confocal stack."""
        shape, images = full_data(result).shape, self._images()
        alike = [layer for layer in images if full_data(layer).shape == shape]
        chosen = [source, result, *(layer for layer in alike if layer not in (source, result))]
        self.list.fill(images, chosen[:MAX_TICKED])
        self._fill_references()

    def take_layers(self, is_active: bool) -> None:
        """List the viewer's stacks anew; new ones are ticked where the user has not chosen, or is looking."""
        images, known = self._images(), self.list.layers()
        ticked = [layer for layer in self.ticked() if layer in images]
        new = [layer for layer in images if layer not in known]
        self._is_users = self._is_users and len(ticked) > 1
        if images and not self._is_users and not is_active:  # what belongs to the newest: of the same size
            alike = [layer for layer in images if stack_shape(layer) == stack_shape(images[-1])]
            if len(alike) > 1:
                new = [layer for layer in alike if layer in new or not set(ticked) & set(alike)]
                ticked = [layer for layer in ticked if layer in alike]
        self.list.fill(images, [*ticked, *new[: max(0, MAX_TICKED - len(ticked))]])
        self._fill_references()

    def with_contrast(self, stacks: list[ComparedStack]) -> list[ComparedStack]:
        """The stacks, whose limits are automatic, with one contrast for all if that is chosen and shows all of them."""
        widths = {stack: stack.limits[1] - stack.limits[0] for stack in stacks}
        common = with_common_limits(stacks)
        least, most = min(widths, key=widths.__getitem__), max(widths, key=widths.__getitem__)
        reason = ""
        if widths[least] < MIN_SHARE * (common[0].limits[1] - common[0].limits[0]):
            spans = [f"{stack.title} {stack.limits[0]:.3g} to {stack.limits[1]:.3g}" for stack in (least, most)]
            reason = f"The same contrast for all would hide some: {', '.join(spans)}."
        entry, model = self.contrast.findData("common"), self.contrast.model()
        if isinstance(model, QStandardItemModel) and (item := model.item(entry)) is not None:
            item.setEnabled(not reason)
            item.setToolTip(reason or CONTRAST_TIP)
        if reason and self.contrast.currentData() == "common":
            self.contrast.choose("each")
            self.note.show_text(f"{reason} Each has its own.")
        return common if self.contrast.currentData() == "common" else stacks

    def reference_of(self, stacks: Sequence[ComparedStack]) -> ComparedStack | None:
        """The stack that the others are compared with; None if there is none."""
        layer = self.reference.currentData()
        return next((stack for stack in stacks if stack.layer is layer), None) if layer is not None else None

    def judged(self, stacks: Sequence[ComparedStack]) -> list[ComparedStack]:
        """The stacks that are compared with the reference, or judged by themselves: all others but errors."""
        reference = self.reference_of(stacks)
        return [stack for stack in stacks if stack is not reference and stack.role != ERROR]

    def _images(self) -> list[Image]:
        stacks = []
        for layer in image_layers(self._viewer.layers):
            with suppress(InputError):
                find_axes(layer)
                stacks.append(layer)
        return stacks

    def _fill_references(self) -> None:
        """Offer the ticked stacks as reference; by default the confocal one."""
        layers = self.ticked()
        named, chosen = titles(layers), self.reference.currentData()
        offered = [layer for layer in layers if role(layer) not in (PREDICTION, ERROR)]
        if chosen not in offered:
            chosen = next((layer for layer in offered if role(layer) == CONFOCAL), None)
        self.reference.fill([*((named[layer], layer) for layer in offered), (NO_REFERENCE, None)], chosen)

    def _on_tick(self, _item: object = None) -> None:
        self._is_users = True
        self._fill_references()
        self.changed.emit()

    def _on_contrast(self, _index: int) -> None:
        self.note.show_text("")
        self.changed.emit()
