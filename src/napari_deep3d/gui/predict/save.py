"""Saving a result with its voxel size, place and provenance, in a worker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from napari.layers import Image
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_deep3d.core import InputError, Job, Progress, Stop
from napari_deep3d.gui.shared import AMBER, RED, Cancelled, Failed, Line, RunButton, stack_up
from napari_deep3d.io import SavableStack, check_output, layer_stack, save_stack
from napari_deep3d.jobs.predict.file import uncertainty_path

FILTERS = {"OME-TIFF (*.ome.tif)": ".ome.tif", "OME-Zarr (*.ome.zarr)": ".ome.zarr"}
"""What the dialog offers, and the ending that a name without one gets."""
LARGE_ENDING = ".ome.zarr"
"""Of a file that is shown while it grows: it has levels, so that also much of it is shown at once."""
ENDINGS = (".tif", ".tiff", ".zarr")
TOO_LARGE = "The result is too large for the memory"
"""Why a file is asked for."""
TIP = "Save the result, and the estimated error beside it, with voxel size and position, as OME-TIFF or OME-Zarr"
STOP_TIP = "Stop saving; no file is left behind"
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')
"""Characters that are not allowed in file names on some system."""


class SaveResult(QWidget):
    """The button *Save result...*; what is saved are the layers of the last prediction."""

    def __init__(self) -> None:
        super().__init__()
        self._source: Image | None = None
        self._layers: tuple[Image, ...] = ()
        self.run_button, self.message = RunButton("Save result...", TIP, stop_tip=STOP_TIP), Line()
        self.run_button.asked.connect(self._on_asked)
        stack_up(self, self.run_button, self.message)
        self.run_button.allow(False)

    def offer(self, source: Image | None, layers: Sequence[Image] = ()) -> None:
        """Offer to save a result, and its uncertainty if there is one; nothing without a source."""
        self._source, self._layers = source, tuple(layers)
        self.message.show_text("")
        self.run_button.allow(bool(self._layers))

    def proposal(self) -> Path:
        """The proposed file: in the folder of the source, named as the result."""
        path = None if self._source is None else self._source.source.path
        folder = Path(path).parent if path is not None and Path(path).parent.is_dir() else Path.home()
        name = self._layers[0].name if self._layers else "result"
        return folder / f"{UNSAFE.sub('_', name).strip(' .')}.ome.tif"

    def ask_for_file(self, source: Image, why: str = TOO_LARGE) -> Path | None:
        """Ask where a result goes that needs a file, and say why; None if the user chose none that can be made."""
        path = None if source.source.path is None else Path(source.source.path)
        folder = path.parent if path is not None and path.parent.is_dir() else Path.home()
        proposal = folder / f"{UNSAFE.sub('_', f'{source.name} (confocal-like)').strip(' .')}{LARGE_ENDING}"
        name, _ = QFileDialog.getSaveFileName(
            self, f"{why}: choose a file for it", str(proposal), f"OME-Zarr (*{LARGE_ENDING})"
        )
        if not name:
            return None
        file = Path(name)
        if file.suffix.lower() != ".zarr":
            file = file.with_name(file.name + LARGE_ENDING)
        try:
            return check_output(file)
        except InputError as error:
            self.message.show_text(str(error).replace(", or allow it with --overwrite", ""), RED)
            return None

    def close_run(self) -> None:
        """Stop saving, as when the window closes."""
        self.run_button.close_run()

    def _on_asked(self) -> None:
        name, chosen = QFileDialog.getSaveFileName(self, "Save result", str(self.proposal()), ";;".join(FILTERS))
        if not name:
            return
        path = Path(name)
        is_asked = path.is_file()  # the dialog has asked whether that may be replaced
        if path.suffix.lower() not in ENDINGS:
            path, is_asked = path.with_name(path.name + FILTERS.get(chosen, ".ome.tif")), False
        paths = [path, uncertainty_path(path)][: len(self._layers)]
        there = [each for each in paths if each.exists() and not (is_asked and each == path)]
        if there and not self._may_replace(there):
            return
        try:
            for each in paths:
                check_output(each, overwrite=True)
            stacks = [layer_stack(*layer.as_layer_data_tuple()[:2]) for layer in self._layers]
        except InputError as error:
            self.message.show_text(str(error), RED)
            return
        self.message.show_text("")
        job = partial(_save_all, paths, stacks)
        self.run_button.start(f"Deep3D saves {path.name}", job, partial(self._on_ended, paths, stacks))

    def _may_replace(self, paths: Sequence[Path]) -> bool:
        names = " and ".join(path.name for path in paths)
        asked = QMessageBox.question(self, "Save result", f"{names} exists already. Replace?")
        return asked == QMessageBox.StandardButton.Yes

    def _on_ended(self, paths: Sequence[Path], stacks: Sequence[SavableStack], end: object) -> None:
        if isinstance(end, Failed):
            self.message.show_text(end.sentence("Saving"), RED)
        elif isinstance(end, Cancelled):
            self.message.show_text("Stopped; nothing was saved.", AMBER)
        else:
            notice = next((stack.notice for stack in stacks if stack.notice), "")
            names = " and ".join(path.name for path in paths)
            self.message.show_text(f"Saved as {names} in {paths[0].parent}. {notice}".strip(), AMBER if notice else "")


def _save_all(paths: Sequence[Path], stacks: Sequence[SavableStack], stop: Stop) -> Job[Path]:
    """Write stacks one after the other; a job."""
    for path, stack in zip(paths, stacks, strict=True):
        yield Progress(0, 1, f"saving {path.name}")
        yield from save_stack(path, stack.voxels, stack.facts, overwrite=True, stop=stop)
    return paths[0]
