"""Pictures of the Compare panel for the docs: the bundled sample and the real nucleus, predicted.

Usage: python -m tools.figures.compare_window [--folder docs/images] [--nucleus STACK]

Writes of the sample compare.png (x-z, a line across a structure), compare_numbers.png (all three sections, the
difference, the measures) and compare_export.png (what *Picture...* saves of that); of the nucleus compare_nucleus.png
(x-z, the difference, the measures), its stacks laid on each other as Register finds. It needs a screen; without one:
xvfb-run -a -s "-screen 0 1400x900x24" python -m tools.figures.compare_window
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import napari
from skimage.io import imread, imsave

from benchmarks.common.nucleus_pair import CONFOCAL, WIDEFIELD
from benchmarks.common.real_files import NUCLEUS
from napari_deep3d import predict, register
from napari_deep3d.contributions import thick_pair
from napari_deep3d.core import Volume
from napari_deep3d.data import THICK_WIDEFIELD
from napari_deep3d.io import open_stack
from tools.figures.train_window import settle, wait_until

SIZE = (1280, 800)
PLACE: dict[str, Any] = {"units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
POINT_UM = (18.0, 24.0, 22.5)
"""Where the crosshair is: in a nucleus that the line goes through."""
LINE_UM = ((10.0, 24.0, 22.0), (24.0, 24.0, 23.0))
WIDTH_UM = 0.5


def open_window(layers: list[tuple[Any, dict[str, Any]]]) -> tuple[Any, Any]:
    """The viewer with these layers, voxels and properties, and the Compare panel."""
    viewer = napari.Viewer(show=False)
    for data, properties in layers:
        viewer.add_image(data, **properties)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-deep3d", "Deep3D")
    dock.show()
    viewer.show()
    viewer.window.resize(*SIZE)  # after showing it, which restores the size of the last session
    widget.show_panel("Compare")
    settle()
    return viewer, widget.compare_panel


def thick_sample() -> list[tuple[Any, dict[str, Any]]]:
    """The bundled sample and its prediction."""
    volume = open_stack(THICK_WIDEFIELD).volume()
    pair = [(data, properties) for data, properties, _ in thick_pair()]
    return [*pair, _predicted(volume, "thick sample, wide-field (confocal-like)")]


def nucleus(file: Path) -> list[tuple[Any, dict[str, Any]]]:
    """The real nucleus, its prediction, and its confocal stack where Register finds that it lies."""
    stack = open_stack(file)
    confocal, widefield = (stack.volume(channel) for channel in (CONFOCAL, WIDEFIELD))
    found = register(
        confocal.data[:, :, :],
        widefield.data[:, :, :],
        confocal_spacing_um=confocal.spacing_um,
        widefield_spacing_um=widefield.spacing_um,
    )
    place = PLACE | {"scale": widefield.spacing_um}
    return [
        (widefield.data[:, :, :], place | {"name": "nucleus, wide-field"}),
        (confocal.data[:, :, :], place | {"name": "nucleus, confocal", "translate": found.report()["shift_um"]}),
        _predicted(widefield, "nucleus, wide-field (confocal-like)"),
    ]


def _predicted(volume: Volume, name: str) -> tuple[Any, dict[str, Any]]:
    found = predict(volume.data[:, :, :], spacing_um=volume.spacing_um)
    return found.data, PLACE | {"name": name, "scale": found.spacing_um}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--nucleus", type=Path, default=NUCLEUS)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    picture_sample(chosen.folder)
    picture_nucleus(chosen.folder, chosen.nucleus)


def picture_nucleus(folder: Path, file: Path) -> None:
    """Save the picture of the real nucleus."""
    viewer, panel = open_window(nucleus(file))
    panel.enter()
    panel.choices.difference.setChecked(True)
    panel.tabs.setCurrentWidget(panel.numbers)
    wait_until(lambda: is_measured(panel))
    save(viewer, folder / "compare_nucleus.png")
    viewer.close()


def is_measured(panel: Any) -> bool:
    """Whether the numbers and the difference are there, and drawn."""
    pictures = panel.view.pictures
    is_drawn = len(pictures) == 4 and pictures[-1].images[0].image is not None
    return is_drawn and panel.numbers.numbers is not None


def save(viewer: Any, path: Path) -> None:
    """Save a picture of the window once it has settled."""
    settle()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(path)


def picture_sample(folder: Path) -> None:
    """Save the pictures of the bundled sample."""
    viewer, panel = open_window(thick_sample())

    # 1. x-z, with profiles along a line.
    panel.enter()
    panel.view.set_point(POINT_UM)
    panel.view.set_line(LINE_UM, 1)
    panel.profile.width_um.setValue(WIDTH_UM)
    save(viewer, folder / "compare.png")

    # 2. All three sections, the difference and the measures.
    choices = panel.choices
    choices.orientation.setCurrentText("all three")
    choices.difference.setChecked(True)
    panel.tabs.setCurrentWidget(panel.numbers)
    wait_until(lambda: is_measured(panel))
    panel.view.set_line(None)
    save(viewer, folder / "compare_numbers.png")

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
