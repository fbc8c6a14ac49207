"""Before a prediction: a word if the stack is unlike what the model knows, and never a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core.config import PredictConfig, TrainConfig
from napari_deep3d.core.events import Event, Notice, drain
from napari_deep3d.core.novelty.detector import MIN_STACKS
from napari_deep3d.core.volume import Volume
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.pairs import PairsFolder
from napari_deep3d.jobs.predict.network_input import novelty_of
from napari_deep3d.jobs.predict.predict import Prediction, predict_volume
from napari_deep3d.jobs.train.train import train_model
from napari_deep3d.jobs.train.trained_model import fit_novelty_model
from napari_deep3d.nn.model_file import read_info
from tests.helpers.novelty import SPACING, known, widefield

Make = Callable[..., Path]
GOOD = widefield(5000)
NEGATIVE = GOOD.max() - GOOD


def predict(data: Any, model: Path) -> tuple[Prediction, list[str]]:
    events: list[Event] = []
    config = PredictConfig.checked(model=str(model), device="cpu", precision="float32")
    result = drain(predict_volume(Volume(data, SPACING, name="mine"), config), events.append)
    return result, [event.message for event in events if isinstance(event, Notice)]


def test_unlike_stack_is_predicted_with_a_warning(make_model: Make) -> None:
    result, notices = predict(NEGATIVE, make_model(novelty=known()))
    assert result.complete
    assert result.novelty is not None
    assert result.novelty.notice in notices
    about = json.loads(json.dumps(result.provenance()))
    assert "transmitted light" in " ".join(about["warnings"])
    assert about["likeness"]["distance"] > about["likeness"]["threshold"]


def test_of_a_stack_like_the_models_nothing_is_said(make_model: Make) -> None:
    result, notices = predict(GOOD, make_model(novelty=known()))
    assert result.provenance()["likeness"] == {"distance": pytest.approx(0.5, abs=0.5), "threshold": 1, "unlike_in": []}
    assert notices == []


@pytest.mark.parametrize("value", [0, 65_535])
def test_a_chosen_stack_is_compared_without_what_is_no_image(make_model: Make, value: int) -> None:
    config = PredictConfig.checked(model=str(make_model(novelty=known())))
    image = GOOD.astype(np.uint16)
    framed = np.pad(image, ((0, 0), (9, 9), (9, 9)), constant_values=value)
    assert novelty_of(Volume(framed, SPACING), config) == novelty_of(Volume(image, SPACING), config)


@pytest.mark.parametrize("value", [0, 65_535])
def test_nothing_is_said_of_a_chosen_stack_that_shows_nothing(make_model: Make, value: int) -> None:
    config = PredictConfig.checked(model=str(make_model(novelty=known())))
    assert novelty_of(Volume(np.full_like(GOOD, value, np.uint16), SPACING), config) is None


@pytest.mark.parametrize("other", [None, known().model_copy(update={"names": ("other", *known().names[1:])})])
def test_a_model_that_does_not_say_what_it_knows_is_used_all_the_same(make_model: Make, other: Any) -> None:
    result, notices = predict(NEGATIVE, make_model(novelty=other))
    assert (result.novelty, notices) == (None, [])
    assert result.provenance()["likeness"] is None


def test_a_stated_voxel_size_counts(make_model: Make) -> None:
    config = PredictConfig.checked(model=str(make_model(novelty=known())), spacing_um=SPACING)
    assert novelty_of(Volume(GOOD, None), config) == novelty_of(Volume(GOOD, SPACING), config)


def stacks(count: int) -> list[Volume]:
    return [Volume(widefield(seed), SPACING) for seed in range(count)]


def test_few_stacks_tell_nothing() -> None:
    assert fit_novelty_model(stacks(MIN_STACKS - 1)) is None
    assert fit_novelty_model([*stacks(MIN_STACKS - 1), Volume(GOOD, None)]) is None
    enough = fit_novelty_model(stacks(MIN_STACKS + 4), max_stacks=MIN_STACKS)
    assert enough is not None
    assert enough.stacks == MIN_STACKS


def test_what_a_model_of_few_planes_sees() -> None:
    learned = fit_novelty_model(stacks(MIN_STACKS), z_step=2)
    assert learned is not None
    assert learned.given_low[0] == learned.given_high[0] == pytest.approx(np.log10(2 * SPACING[0]), abs=1e-5)


@pytest.fixture
def many_pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    for kind in ("widefield", "confocal"):
        (folder / kind).mkdir(parents=True)
        for seed in range(MIN_STACKS):
            write_stack(folder / kind / f"{seed}.tif", widefield(seed, (8, 32, 32)), SPACING)
    return folder


def test_a_training_puts_it_into_the_model(many_pairs: Path, tmp_path: Path, train_config: TrainConfig) -> None:
    trained = drain(train_model(many_pairs, tmp_path / "run", train_config.changed(iterations=1)))
    found = read_info(trained.model).novelty
    assert found is not None
    assert found == fit_novelty_model([pair.widefield for pair in PairsFolder(many_pairs).load()])
    assert found.stacks == MIN_STACKS


def test_a_training_on_few_pairs_does_not(pairs_folder: Path) -> None:
    assert fit_novelty_model([pair.widefield for pair in PairsFolder(pairs_folder).load()]) is None
