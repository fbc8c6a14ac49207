"""Reading what a simulated file says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.common.scene_files import SceneFile, microscopes_of, read_scene
from napari_deep3d import simulate
from napari_deep3d.core.simulation.microscope import Microscope
from napari_deep3d.io import write_stack

SPACING_UM = (0.5, 0.2, 0.2)
MICROSCOPE = {"numerical_aperture": 0.9, "immersion_index": 1.333, "depth_um": 4.0, "aberrations": [0.1, 0.0]}


def written(path: Path, scene: dict[str, object]) -> SceneFile:
    write_stack(path, np.ones((8, 16, 16), np.uint16), SPACING_UM, description=scene)
    return read_scene(path)


def test_a_scene_in_groups_is_read(tmp_path: Path) -> None:
    scene = {
        "kind": 'membranes & "others" <1>',
        "spacing_um": list(SPACING_UM),
        "thickness_um": 30.0,
        "microscope": MICROSCOPE,
        "tissue": {"mean_free_path_um": 60.0},
        "camera": {"photons": 100},
    }
    found = written(tmp_path / "a.ome.tif", {"simulated": scene})
    assert found.kind == scene["kind"]
    assert (found.spacing_um, found.thickness_um, found.mean_free_path_um) == (SPACING_UM, 30.0, 60.0)
    depths = [8.5, 19.0, 29.5]
    assert microscopes_of(found) == [Microscope(0.9, 1.333, depth_um=d, aberrations=(0.1, 0.0)) for d in depths]


def test_what_simulate_writes_is_read(tmp_path: Path) -> None:
    simulate(tmp_path / "pairs", pairs=1, shape=(8, 32, 32), seed=3)
    found = read_scene(tmp_path / "pairs" / "widefield" / "pair_0000.ome.tif")
    assert found.kind
    assert found.thickness_um > 0
    assert microscopes_of(found)


@pytest.mark.parametrize("scene", [{}, {"other": 1}])
def test_a_file_that_says_nothing_is_refused(tmp_path: Path, scene: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="does not say how it was simulated"):
        written(tmp_path / "a.ome.tif", scene)


@pytest.mark.parametrize(
    ("free_path_um", "haze"), [(1e6, "clear"), (150, "weak"), (149, "medium"), (50, "medium"), (49, "strong")]
)
def test_haze_follows_the_mean_free_path(free_path_um: float, haze: str) -> None:
    assert SceneFile("nuclei", SPACING_UM, 10, free_path_um, {}).haze.startswith(haze)


def test_a_microscope_with_an_unknown_value_is_no_true_one() -> None:
    scene = SceneFile("nuclei", SPACING_UM, 10, 1e6, MICROSCOPE | {"unheard_of": 1})
    with pytest.raises(TypeError, match="unheard_of"):
        microscopes_of(scene)


def test_one_depth_will_do_where_indices_are_the_same() -> None:
    scene = SceneFile("nuclei", SPACING_UM, 10, 1e6, {"immersion_index": 1.333, "sample_index": 1.334})
    assert [scope.depth_um for scope in microscopes_of(scene)] == [5.0]


def test_a_measured_psf_is_not_made_up_for() -> None:
    with pytest.raises(ValueError, match="measured PSF"):
        microscopes_of(SceneFile("nuclei", SPACING_UM, 10, 1e6, MICROSCOPE, measured_psf=True))
