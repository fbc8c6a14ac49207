"""Adapting a model to a stack: pairs of its microscope and samples, a training, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage as ndi
from safetensors.numpy import load_file

from napari_deep3d.core import (
    AdaptConfig,
    InputError,
    Metrics,
    Progress,
    StoppedError,
    TimeLimit,
    Volume,
    drain,
)
from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.features import measure_features
from napari_deep3d.jobs.adapt import adapt
from napari_deep3d.jobs.adapt import pairs as adapt_pairs
from napari_deep3d.jobs.adapt import training as adapt_training
from napari_deep3d.jobs.adapt.adapt import adapt_model, settings_for
from napari_deep3d.jobs.adapt.pairs import Candidate, Look, PairMaker, bounds_of, chosen, parts_of
from napari_deep3d.jobs.models.store import model_info

SPACING_UM = (0.5, 0.2, 0.2)
WATER = {"numerical_aperture": 1.1, "immersion_index": 1.333, "emission_nm": 600.0}
SHAPE = (12, 48, 48)


@pytest.fixture
def volume() -> Volume:
    """A blurred and noisy stack of spots."""
    rng = np.random.default_rng(0)
    spots = np.zeros(SHAPE, np.float32)
    spots.ravel()[rng.integers(0, spots.size, 60)] = 1
    light = ndi.gaussian_filter(spots, (2, 2, 2), mode="wrap")
    return Volume(rng.poisson(200 * light / light.max() + 20).astype(np.uint16), SPACING_UM, name="spots")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few and as small pairs as there can be."""
    monkeypatch.setattr(adapt_training, "GRACE_SECONDS", 20.0)
    monkeypatch.setattr(adapt_pairs, "MIN_PAIRS", 5)
    monkeypatch.setattr(adapt_pairs, "CAMERAS", 2)
    monkeypatch.setattr(adapt_pairs, "PAIR", SHAPE)


def config(model: Path | str = "generalist", **changes: Any) -> AdaptConfig:
    return AdaptConfig.checked(**{"model": str(model), "minutes": 0.01, "device": "cpu"} | WATER | changes)


def test_every_scene_is_of_the_microscope() -> None:
    known, rng = config(numerical_aperture=1.3), np.random.default_rng(0)
    for _ in range(30):
        scope = bounds_of(known).draw(rng, "nuclei").microscope
        assert scope.immersion_index == 1.333
        assert scope.numerical_aperture == pytest.approx(1.3, rel=adapt_pairs.PLAY)
        assert scope.numerical_aperture < 1.333
        assert scope.emission_um == pytest.approx(0.6, rel=adapt_pairs.PLAY)


@pytest.mark.parametrize("shape", [SHAPE, (100, 300, 500)])
def test_parts_are_spread_over_the_stack_and_together_all_of_a_small_one(shape: tuple[int, int, int]) -> None:
    stack = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    parts = parts_of(Volume(stack, SPACING_UM))
    held = {float(part.data[0, 0, 0]) for part in parts}
    assert len(held) == len(parts)
    if shape == SHAPE:
        np.testing.assert_array_equal(np.asarray(parts[0].data), stack)
    else:
        assert all(part.shape == adapt_pairs.PART for part in parts)
        assert max(float(np.asarray(part.data)[-1, -1, -1]) for part in parts) == stack[(100 + 64) // 2 - 1, -1, -1]


def test_a_stack_looks_like_itself_and_less_so_with_more_noise(volume: Volume) -> None:
    rng = np.random.default_rng(1)
    stacks = [rng.poisson(volume.data / rng.uniform(0.5, 2)).astype(np.float32) for _ in range(10)]
    novelty = NoveltyModel.fit([measure_features(stack, SPACING_UM) for stack in stacks])
    look, voxels = Look.of(volume, novelty), np.asarray(volume.data, np.float32)
    noisy, noisier = (voxels + sigma * rng.standard_normal(SHAPE, np.float32) for sigma in (30, 90))
    assert look.distance(voxels) == 0
    assert 0 < look.distance(noisy) < look.distance(noisier)


def test_the_camera_is_chosen_by_the_look(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapt_pairs, "CAMERAS", 5)
    seen = list[float]()

    class Brighter(Look):
        def distance(self, stack: Any) -> float:
            seen.append(1 / float(stack.mean()))
            return seen[-1]

    novelty: Any = None
    maker = PairMaker(Brighter(np.zeros(1), SPACING_UM, novelty), [volume], SPACING_UM, SHAPE, config())
    made = maker.make(0, "own")
    assert len(seen) == 5
    assert made.distance == min(seen) == pytest.approx(1 / made.widefield.mean())
    assert made.spacing_um == SPACING_UM
    assert made.confocal.shape == made.widefield.shape == SHAPE
    again = maker.make(0, "own")
    np.testing.assert_array_equal(made.widefield, again.widefield)


def test_the_pairs_that_look_most_alike_are_chosen_and_others_held_out() -> None:
    nothing = np.zeros(SHAPE, np.uint16)
    made = [
        Candidate(number, origin, nothing, nothing, SPACING_UM, float(number))
        for origin in ("own", "generic", "usual")
        for number in range(20)
    ]
    own = chosen(made)
    names = {pair.name for pair in own.pairs}
    assert len(names) == len(own.pairs) == 12 + 12 + 20
    assert {"own_0011", "generic_0011", "usual_0019"} <= names
    assert not names & {"own_0012", "generic_0012"}
    assert set(own.held_out) < names
    assert {name.split("_")[0] for name in own.held_out} == {"own", "generic"}


def test_samples_have_their_deepest_plane_last(
    tiny_model: Path, volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack that is upside down gives the samples of the stack that is not."""
    seen = list[list[Volume]]()

    def note(_: Volume, samples: list[Volume], *__: object) -> None:
        seen.append(samples)
        raise StoppedError

    monkeypatch.setattr(adapt, "_own_pairs", note)
    upside_down = replace(volume, data=volume.data[::-1])
    for stack, deepest in ((volume, "last"), (upside_down, "first")):
        with pytest.raises(StoppedError):
            drain(adapt_model(stack, tmp_path / deepest, config(tiny_model, deepest=deepest)))
    for first, second in zip(*seen, strict=True):
        np.testing.assert_allclose(first.data, second.data, atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("gains", [True, False])
def test_a_model_is_kept_only_if_it_gains(
    tiny_model: Path, volume: Volume, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, gains: bool
) -> None:
    monkeypatch.setattr(adapt, "MIN_GAIN", -1.0 if gains else 1.0)
    monkeypatch.setattr(adapt, "MIN_SSIM_GAIN", -1.0 if gains else 1.0)
    events = list[object]()
    done = drain(adapt_model(volume, tmp_path / "run", config(tiny_model)), events.append)
    assert done.complete
    assert done.kept == gains
    assert (tmp_path / "run" / "model.safetensors").exists() == gains
    assert done.before.keys() == done.after.keys() == done.widefield.keys() == {"rmse", "ssim"}
    assert all(np.isfinite([*done.before.values(), *done.after.values()]))
    first = next(event for event in events if isinstance(event, Metrics))
    assert done.before["rmse"] == first.values["validation_rmse"]
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions)
    if gains:
        assert (done.name, done.model) == ("run", tmp_path / "run" / "model.safetensors")
        assert model_info(str(done.model)).name == "run"
        old, new = (load_file(path)["head.weight"] for path in (tiny_model, done.model))
        assert not np.array_equal(old, new)
        assert "better" in done.sentence
    else:
        assert (done.name, done.model) == ("tiny", tiny_model)
        assert "stays as it was" in done.sentence
    assert done.report()["kept"] == gains


@pytest.mark.slow
def test_stopped_after_a_test_what_was_gained_is_kept(
    tiny_model: Path, volume: Volume, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt, "MIN_GAIN", -1.0)
    monkeypatch.setattr(adapt, "MIN_SSIM_GAIN", -1.0)
    tested = list[Metrics]()

    def note(event: object) -> None:
        if isinstance(event, Metrics) and event.step and "validation_rmse" in event.values:
            tested.append(event)

    done = drain(adapt_model(volume, tmp_path / "run", config(tiny_model), stop=lambda: bool(tested)), note)
    assert not done.complete
    assert done.kept
    assert done.after["rmse"] == tested[-1].values["validation_rmse"]
    assert model_info(str(done.model)).name == "run"


@pytest.mark.slow
def test_stopped_before_anything_can_be_kept(tiny_model: Path, volume: Volume, tmp_path: Path, quick: None) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 40

    with pytest.raises(StoppedError):
        drain(adapt_model(volume, tmp_path / "run", config(tiny_model), stop=stop))
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_what_a_file_says_is_taken_unless_it_was_given() -> None:
    found = settings_for(WATER | {"numerical_aperture": 0.8}, {"numerical_aperture": 1.2})
    assert (found.numerical_aperture, found.immersion_index, found.emission_nm) == (1.2, 1.333, 600)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"numerical_aperture": 1.4}, "numerical_aperture 1.4 is not below immersion_index 1.333"),
        ({"emission_nm": 0.52}, "emission_nm is 0.52"),
        ({"emission_nm": 5200}, "emission_nm is 5200"),
        ({"immersion_index": 2.0}, "immersion_index is 2"),
        ({"minutes": 0}, "minutes is 0"),
    ],
)
def test_settings_that_cannot_be(given: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings_for(WATER, given)


def test_what_nobody_said_is_asked_for() -> None:
    with pytest.raises(InputError, match="does not say the refractive index of the immersion"):
        settings_for({"numerical_aperture": 1.1, "emission_nm": 600}, {})


Change = Callable[[Volume], Volume]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: replace(v, data=np.zeros(SHAPE, np.uint16)), "constant|no image"),
        (lambda v: replace(v, data=np.asarray(v.data)[:6]), "6 planes of 48 x 48"),
        (lambda v: replace(v, spacing_um=None), "voxel size"),
    ],
)
def test_stacks_that_cannot_be_adapted_to(
    tiny_model: Path, volume: Volume, tmp_path: Path, change: Change, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        drain(adapt_model(change(volume), tmp_path / "run", config(tiny_model)))
    assert not (tmp_path / "run").exists()


def test_a_run_folder_in_use_is_refused_before_anything_is_computed(
    tiny_model: Path, volume: Volume, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="already holds files"):
        drain(adapt_model(volume, tmp_path / "run", config(tiny_model)))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_models_for_comparison_are_refused(make_model: Callable[..., Path], volume: Volume, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be"):
        drain(adapt_model(volume, tmp_path / "run", config(make_model(z_step=2))))


def test_pairs_end_with_their_time(volume: Volume, quick: None) -> None:
    job = adapt_pairs.simulate_own_pairs(volume, [volume], config(), None, TimeLimit(0), lambda: False)
    own = drain(job)
    assert len(own.pairs) >= 4
    assert len(own.held_out) == 2
