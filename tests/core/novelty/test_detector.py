"""What a model knows: stacks like its own are not called unlike, others are; it survives JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from napari_deep3d.core.errors import InputError
from napari_deep3d.core.novelty.detector import MIN_STACKS, NoveltyModel
from napari_deep3d.core.novelty.features import Features
from tests.helpers.novelty import SPACING, features_of, known, widefield


def others(count: int = 40) -> list[Features]:
    return [features_of(widefield(seed), SPACING) for seed in range(1000, 1000 + count)]


def test_it_survives_json() -> None:
    again = NoveltyModel.model_validate_json(known().model_dump_json())
    assert again == known()
    assert again.compare(others(1)[0]) == known().compare(others(1)[0])
    assert len(known().model_dump_json()) < 20_000


def test_stacks_like_its_own_are_seldom_called_unlike() -> None:
    assert np.mean([known().compare(features).is_unlike for features in others()]) <= 0.1


def test_noise_is_farther_than_any_of_them() -> None:
    farthest = max(known().compare(features).distance for features in others())
    noise = np.random.default_rng(0).poisson(5, (16, 64, 64))
    assert known().compare(features_of(noise, SPACING)).distance > max(1.0, farthest)


def test_the_farther_a_feature_the_farther_the_stack() -> None:
    features = others(1)[0]
    distances = [known().compare(replace(features, skewness=features.skewness - step)).distance for step in (1, 2, 4)]
    assert distances == sorted(distances)
    assert distances[-1] > 1
    assert known().compare(replace(features, skewness=features.skewness - 4)).deviations["skewness"] < -5


def test_what_was_not_measured_does_not_count() -> None:
    features = replace(others(1)[0], far_coarse=float("nan"))
    assert np.isfinite(known().compare(features).distance)
    assert NoveltyModel.fit([features] * 10).compare(features).distance < 1


def test_too_few_stacks_tell_nothing() -> None:
    with pytest.raises(InputError, match=f"at least {MIN_STACKS} are needed"):
        NoveltyModel.fit(others(MIN_STACKS - 1))


def test_few_and_equal_stacks_make_no_warning_of_every_hair() -> None:
    few = NoveltyModel.fit([features_of(widefield(seed), SPACING) for seed in range(MIN_STACKS)])
    assert np.mean([few.compare(features).is_unlike for features in others(20)]) <= 0.1


def test_what_does_not_fit_together_is_refused() -> None:
    values = json.loads(known().model_dump_json())
    damaged: list[dict[str, object]] = [
        {"names": ["noise"]},
        {"usual": [[0.0]]},
        {"given_low": [float("nan")] * 3},
        {"joint_limit": 0},
        {"correlation": np.ones_like(values["correlation"]).tolist()},
        {"quantiles": np.zeros_like(values["quantiles"]).tolist()},
    ]
    for change in damaged:
        with pytest.raises(ValidationError):
            NoveltyModel.model_validate(values | change)


def test_one_of_other_features_cannot_be_compared_with() -> None:
    assert known().can_compare
    assert not known().model_copy(update={"names": ("brightness", *known().names[1:])}).can_compare
