"""The adapt command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_deep3d.core import AdaptConfig, Job, Progress, Stop, Volume
from napari_deep3d.core.novelty.explain import Novelty
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.adapt import adapt
from napari_deep3d.jobs.adapt.adapt import AdaptResult
from tests.helpers.cli import SPACING_UM, Run, contents
from tests.helpers.ome_files import image, ome, write_pages

LENS = ("--numerical-aperture", "1,1", "--immersion-index", "1.333", "--emission-nm", "600")
KEYS = {"model", "kept", "before", "after", "iterations", "seconds", "iterations_per_second", "loss", "validation"}


def test_it_says_what_came_of_it(run: Run, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[Volume, AdaptConfig, str]]()

    def adapted(volume: Volume, folder: Path, config: AdaptConfig, *, name: str, stop: Stop) -> Job[AdaptResult]:
        asked.append((volume, config, name))
        yield Progress(1, 2, "simulated 3 pairs of this microscope", 60)
        scores = {"rmse": 0.1, "ssim": 0.7}
        told = [*(scores,) * 3, 30, 4, 100, 600.0, 0.4, float("nan"), Novelty(0.9), None]
        return AdaptResult(name, folder / "model.safetensors", True, folder, *told, complete=not stop())

    monkeypatch.setattr(adapt, "adapt_model", adapted)
    done = run("adapt", recording, "-o", tmp_path / "run", *LENS, "--minutes", "2,5", "--name", "mine", "--json")
    assert done.code == 0, done.err
    assert "simulated 3 pairs" in done.err
    ((volume, config, name),) = asked
    assert (volume.spacing_um, name) == (SPACING_UM, "mine")
    assert config == AdaptConfig(numerical_aperture=1.1, immersion_index=1.333, emission_nm=600, minutes=2.5)
    told = done.json
    assert told.keys() >= KEYS
    assert told["before"] == told["after"] == {"rmse": 0.1, "ssim": 0.7}
    assert (told["kept"], told["loss"], told["model"]) == (True, None, str(tmp_path / "run" / "model.safetensors"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "does not say the numerical aperture"),
        (("--numerical-aperture", "x"), "--numerical-aperture got 'x'"),
        ((*LENS, "--numerical-aperture", "1.4"), "numerical_aperture 1.4 is not below immersion_index 1.333"),
        ((*LENS, "--emission-nm", "0.52"), "emission_nm is 0.52"),
        ((*LENS, "--minutes", "0"), "minutes is 0"),
        ((*LENS, "--model", "nobody"), "there is no model 'nobody'"),
    ],
)
def test_bad_input(run: Run, recording: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    before = contents(tmp_path)
    assert message in run("adapt", recording, "-o", tmp_path / "run", *words).message
    assert contents(tmp_path) == before


def test_a_stack_that_is_too_small(run: Run, tmp_path: Path) -> None:
    path = write_stack(tmp_path / "small.tif", np.eye(32, dtype=np.uint16)[None].repeat(8, axis=0), SPACING_UM)
    assert "at least 12 planes of 48 x 48" in run("adapt", path, "-o", tmp_path / "run", *LENS).message


def test_what_the_file_says_need_not_be_told(run: Run, tmp_path: Path) -> None:
    shape = (4, 32, 32)
    objective = '<Instrument ID="Instrument:0"><Objective ID="Objective:0" LensNA="1.3" Immersion="Oil"/></Instrument>'
    text = ome(objective, image((1, 1, *shape))).replace("<Channel ", '<Channel EmissionWavelength="605" ')
    path = write_pages(tmp_path / "cell.ome.tif", np.ones(shape, np.uint16), text)
    assert "4 planes of 32 x 32" in run("adapt", path, "-o", tmp_path / "run").message
