"""When a stack is unlike what the model knows, a plain sentence says in what, and another what to do."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.explain import FAR_FEATURES, GROUPS, Novelty, assess
from napari_deep3d.core.novelty.features import FEATURE_NAMES
from tests.helpers.novelty import SPACING, features_of, known, widefield


def notice(stack: np.ndarray) -> str:
    return assess(stack, SPACING, known()).notice


def test_of_a_stack_like_the_model_s_nothing_is_said() -> None:
    said = [assess(widefield(seed), SPACING, known()) for seed in range(2000, 2020)]
    assert np.mean([likeness.is_unlike for likeness in said]) <= 0.1
    assert {likeness.notice for likeness in said if not likeness.is_unlike} == {""}


STACK = widefield(3000).astype(np.float64)
RNG = np.random.default_rng(0)
WRONG = {
    "noise": (RNG.poisson(5, STACK.shape), "hardly more than noise"),
    "inverted": (STACK.max() - STACK, "dark on bright, as in transmitted light"),
    "absorption": (1000 * np.exp(-1.5 * STACK / STACK.max()) + RNG.normal(0, 10, STACK.shape), "transmitted light"),
    "repeated": (np.repeat(STACK[8:9], 16, axis=0), "planes hardly differ"),
    "overexposed": (np.minimum(STACK, np.quantile(STACK, 0.8)), "overexposed"),
    "smoothed": (ndi.gaussian_filter(STACK, (0, 2, 2)), "hardly any noise|less fine detail"),
    "shuffled": (RNG.permutation(STACK, axis=0), "in common|brightness changes"),
    "swapped": (STACK.transpose(1, 0, 2), "axes|rows and columns"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_input_is_told_by_its_name(kind: str) -> None:
    stack, words = WRONG[kind]
    said = notice(stack)
    assert re.search(words, said), said
    assert said.startswith("This stack is unlike those the model learned from: ")
    assert assess(stack, SPACING, known()).distance >= 1


def test_a_plane_repeated_is_told_whatever_the_model_knows_of_planes_that_are_alike() -> None:
    """Where the model knows stacks whose planes are much alike, that they are the same is no large deviation."""
    features = [features_of(widefield(seed), SPACING) for seed in range(40)]
    alike = [replace(f, **dict.fromkeys(FAR_FEATURES, 2.5 + 0.01 * index)) for index, f in enumerate(features[::3])]
    said = assess(np.repeat(STACK[8:9], 16, axis=0), SPACING, NoveltyModel.fit(features + alike)).notice
    assert "planes hardly differ" in said


def test_the_report_is_plain() -> None:
    assert Novelty(0.5).report() == {"distance": 0.5, "threshold": 1.0, "unlike_in": []}
    assert len(assess(STACK.max() - STACK, SPACING, known()).report()["unlike_in"]) == 1  # type: ignore[arg-type]


def test_every_deviation_has_words() -> None:
    assert {name for signs, _ in GROUPS for name in signs} == set(FEATURE_NAMES[2:])
    for _, reason in GROUPS:
        assert reason.remedy.endswith(".")
        assert not reason.what.endswith(".")


@pytest.mark.parametrize("shape", [(4, 16, 16), (4, 16, 300), (5, 200, 20)])
def test_small_stacks_are_judged_too(shape: tuple[int, int, int]) -> None:
    stack = widefield(4000, shape).astype(np.float64)
    for voxels in (stack, -stack, np.zeros(shape), np.full(shape, np.nan)):
        assert np.isfinite(assess(voxels, (0.5, 0.2, 0.3), known()).distance)
