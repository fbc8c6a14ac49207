"""Pictures of the Compare panel for the docs: the bundled sample, predicted, in x-z with its profiles, and in numbers.

Usage: python -m tools.figures.compare_window [--folder docs/images]

Writes compare.png (x-z, a line across a structure), compare_numbers.png (all three sections, the difference, the
measures) and compare_export.png (what *Picture...* saves of that). It needs a screen; without one:
xvfb-run -a -s "-screen 0 1400x900x24" python -m tools.figures.compare_window
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import napari
import numpy as np
from skimage.io import imread, imsave

from napari_deep3d.contributions import thick_pair
from napari_deep3d.core import PredictConfig, drain
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from tools.figures.train_window import settle, wait_until

SIZE = (1280, 800)
POINT_UM = (18.0, 24.0, 22.5)
"""Where the crosshair is: in a nucleus that the line goes through."""
LINE_UM = ((10.0, 24.0, 22.0), (24.0, 24.0, 23.0))
WIDTH_UM = 0.5


def open_window() -> tuple[Any, Any]:
    """The viewer with the sample and its prediction, and the Compare panel."""
    from napari_deep3d.jobs.predict import predict_volume

    viewer = napari.Viewer(show=False)
    for data, properties, _ in thick_pair():
        viewer.add_image(data, **properties)
    found = drain(predict_volume(open_stack(THICK_WIDEFIELD).volume(), PredictConfig()))
    place = {"scale": found.spacing_um, "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
    viewer.add_image(np.asarray(found.data), name="thick sample, wide-field (confocal-like)", **place)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    viewer.show()
    viewer.window.resize(*SIZE)  # after showing it, which restores the size of the last session
    widget.show_panel("Compare")
    settle()
    return viewer, widget.compare_panel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    viewer, panel = open_window()

    def save(name: str) -> None:
        settle()
        viewer.screenshot(str(folder / name), canvas_only=False, flash=False)
        print(folder / name)

    # 1. x-z, with profiles along a line.
    panel.enter()
    panel.view.set_point(POINT_UM)
    panel.view.set_line(LINE_UM, 1)
    panel.profile.width_um.setValue(WIDTH_UM)
    save("compare.png")

    # 2. All three sections, the difference and the measures.
    choices = panel.choices
    choices.orientation.setCurrentText("all three")
    choices.difference.setChecked(True)
    panel.tabs.setCurrentWidget(panel.numbers)
    wait_until(lambda: panel.numbers.numbers is not None and len(panel.view.pictures) == 4)
    panel.view.set_line(None)
    save("compare_numbers.png")

    # 3. What is saved of it, at half its size.
    path = folder / "compare_export.png"
    path.unlink(missing_ok=True)
    panel.export.save_picture(path)
    wait_until(path.exists)
    imsave(path, imread(path)[::2, ::2, :3], check_contrast=False)
    print(path)
    viewer.close()


if __name__ == "__main__":
    main()
