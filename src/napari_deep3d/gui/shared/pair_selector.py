"""Which two stacks to register: the wide-field and the confocal layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget

from napari_deep3d.core import InputError
from napari_deep3d.gui.shared.geometry import LayerPair
from napari_deep3d.gui.shared.layers import image_layers, is_named_confocal, split_channels
from napari_deep3d.gui.shared.stack_selection import StackSelection
from napari_deep3d.gui.shared.stack_selector import StackPart
from napari_deep3d.gui.shared.widgets import RED, Line, stack_up

if TYPE_CHECKING:
    from napari import Viewer

WHY = "Two stacks can be brought to one scale only with it."
ONE_LAYER = "A second stack is needed: open the confocal stack of this sample, or its wide-field stack."
SAME_LAYER = "The same layer is chosen twice; choose the other microscope's stack, or open it."
SPLIT = "Split the channels into layers"
PairGuess = Callable[[list[Image]], tuple[Image | None, Image | None]]
"""Tells which of the image layers are likely the wide-field and the confocal one."""


class PairSelector(QWidget):
    """The choice of both stacks; until the user chooses, they are guessed from the layers' names.

    Parameters are as of :class:`StackPart`.
    """

    changed = Signal()
    """Another pair may be chosen now."""

    def __init__(
        self, viewer: Viewer, guess: PairGuess | None = None, why: str = WHY, button: str = "Estimate shift"
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._is_guess = True
        guess = self._guess_pair = guess or guess_pair
        tip = "The {} stack of the sample"
        self.widefield = StackPart(
            viewer,
            StackSelection(),
            "Wide-field",
            tip.format("wide-field"),
            lambda images: guess(images)[0],
            why,
            button,
        )
        self.confocal = StackPart(
            viewer, StackSelection(), "Confocal", tip.format("confocal"), lambda images: guess(images)[1], why, button
        )
        self.problem = Line(RED)
        self.split_button = QPushButton(SPLIT)
        self.split_button.setToolTip("For a layer that holds the wide-field and the confocal stack as channels")
        self.split_button.clicked.connect(self._on_split)
        stack_up(self, self.widefield, self.confocal, self.problem, self.split_button)
        for part in (self.widefield, self.confocal):
            part.choice.changed.connect(self._on_changed)
            part.chooser.layer_choice.activated.connect(self.keep)
        self._inserted = viewer.layers.events.inserted
        self._inserted.connect(self._guess)
        self._guess()

    def layers(self) -> tuple[Image | None, Image | None]:
        """Return the wide-field and the confocal layer."""
        return self.widefield.choice.layer, self.confocal.choice.layer

    def pair(self) -> LayerPair | None:
        """Return the pair, or None while it cannot be registered; the reason is shown."""
        pair, problem = None, ""
        widefield, confocal = self.widefield.stack(), self.confocal.stack()
        if None not in self.layers() and self.layers()[0] == self.layers()[1]:
            problem = SAME_LAYER
        elif widefield is not None and confocal is not None:
            try:
                pair = LayerPair(confocal, widefield)
            except InputError as error:
                problem = str(error)
        self.problem.show_text(problem)
        self.split_button.setVisible((bool(problem) or None in self.layers()) and self._channels() is not None)
        return pair

    def hint(self) -> str:
        """What is missing, in a sentence."""
        count = len(image_layers(self._viewer.layers))
        return ONE_LAYER if count == 1 else ""

    def keep(self, _index: int = 0) -> None:
        """Stay with the chosen layers, whatever is opened."""
        self._is_guess = False

    def apply_spacing(self) -> None:
        """Write voxel sizes to layers that have none."""
        for part in (self.widefield, self.confocal):
            part.apply_spacing()

    def disconnect_viewer(self) -> None:
        """Forget the viewer."""
        self._inserted.disconnect(self._guess)
        for part in (self.widefield, self.confocal):
            part.choice.changed.disconnect(self._on_changed)
            part.disconnect_viewer()

    def _guess(self, _event: object = None) -> None:
        if not self._is_guess:
            return
        guesses = self._guess_pair(image_layers(self._viewer.layers))
        for part, layer in zip((self.widefield, self.confocal), guesses, strict=True):
            if layer is not None and part.choice.layer != layer:
                part.choice.choose_layer(layer)

    def _channels(self) -> tuple[StackPart, int] | None:
        """Find a chosen layer that holds channels, and the axis along which they lie."""
        for part in (self.widefield, self.confocal):
            axis = part.channel_axis()
            if axis is not None:
                return part, axis
        return None

    def _on_split(self) -> None:
        found = self._channels()
        if found is None or found[0].choice.layer is None:
            return
        part, axis = found
        part.apply_spacing()
        layers = split_channels(self._viewer, part.choice.layer, part.choice.axes(), axis)
        for chosen, layer in zip((self.widefield, self.confocal), layers, strict=False):
            chosen.choice.choose_layer(layer)

    def _on_changed(self) -> None:
        if self.layers() == (None, None):
            self._is_guess = True
        self.changed.emit()


def guess_pair(images: list[Image]) -> tuple[Image | None, Image | None]:
    """Tell the wide-field and the confocal layer by their names, else take the first ones that are left."""
    widefield = confocal = None
    for layer in reversed(images):
        name = layer.name.lower()
        if "confocal" not in name and any(word in name for word in ("wide-field", "widefield", "wide field")):
            widefield = layer
        if is_named_confocal(layer):
            confocal = layer
    rest = [layer for layer in images if layer not in (confocal, widefield)]
    if widefield is None:
        widefield = rest.pop(0) if rest else None
    if confocal is None:
        confocal = rest.pop(0) if rest else None
    return widefield, confocal
