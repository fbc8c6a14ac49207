"""Scenes: drawn within their bounds, told as plain values."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_deep3d.core.config import Config, merge, parse_assignments
from napari_deep3d.core.errors import InputError
from napari_deep3d.core.simulation.camera import CameraBounds, DetectorBounds
from napari_deep3d.core.simulation.microscope import OpticsBounds
from napari_deep3d.core.simulation.samples import SampleBounds
from napari_deep3d.core.simulation.samples.neurons import NeuronsBounds
from napari_deep3d.core.simulation.scattering import ScatteringBounds
from napari_deep3d.core.simulation.scene import SceneBounds

BOUNDS = SceneBounds()
DOCS = Path(__file__).parents[3] / "docs"


def within(value: float, bounds: tuple[float, float]) -> bool:
    return bool(bounds[0] * (1 - 1e-9) <= value <= bounds[1] * (1 + 1e-9))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32))
def test_scene_stays_within_the_bounds(seed: int) -> None:
    scene = BOUNDS.draw(np.random.default_rng(seed), "neurons")
    scope, tissue, camera, stage = scene.microscope, scene.tissue, scene.camera, scene.stage
    optics = BOUNDS.optics
    ((low, high),) = (
        each.numerical_aperture for each in optics.objectives.values() if each.immersion_index == scope.immersion_index
    )
    assert low <= scope.numerical_aperture <= high < scope.immersion_index
    z, y, x = scene.spacing_um
    assert y == x
    assert z >= y
    assert optics.pixel_um[0] <= y <= optics.pixel_um[1]
    assert optics.step_um[0] <= z <= optics.step_um[1]
    assert 0 < scope.excitation_um < scope.emission_um
    assert np.linalg.norm(scope.aberrations) <= optics.aberration_waves[1]
    if np.isfinite(tissue.mean_free_path_um):
        assert within(tissue.mean_free_path_um, BOUNDS.tissue.mean_free_path_um)
        assert within(tissue.absorption_um, BOUNDS.tissue.absorption_um)
    for value, bounds in (
        (scope.sample_index, optics.sample_index),
        (scope.emission_um, optics.emission_um),
        (scope.pinhole_airy, optics.pinhole_airy),
        (tissue.anisotropy, BOUNDS.tissue.anisotropy),
        (tissue.collected, BOUNDS.tissue.collected),
        (camera.photons, BOUNDS.camera.photons),
        (camera.read_noise, BOUNDS.camera.read_noise),
        (scene.confocal.photons, BOUNDS.confocal.confocal_photons),
        (scene.compensated, BOUNDS.confocal.compensated),
    ):
        assert within(value, bounds)
    for value, first, second in (
        (scene.thickness_um, BOUNDS.thickness_um, BOUNDS.thick_um),
        (camera.background, BOUNDS.camera.background, BOUNDS.camera.veil),
    ):
        assert within(value, first) or within(value, second)
    for value, bounds in (
        (scene.glow.level, BOUNDS.glow.glow_level),
        (tissue.blur_um, BOUNDS.tissue.blur_um),
        (camera.pattern, BOUNDS.camera.pattern),
        (camera.saturated, BOUNDS.camera.saturated),
        (stage.bleached, BOUNDS.stage.bleached),
        (camera.hot_pixels, BOUNDS.camera.hot_pixels),
    ):
        assert value == 0 or within(value, bounds)


def test_same_seed_gives_the_same_scene() -> None:
    assert BOUNDS.draw(np.random.default_rng(3), "nuclei") == BOUNDS.draw(np.random.default_rng(3), "nuclei")
    assert BOUNDS.draw(np.random.default_rng(3), "nuclei") != BOUNDS.draw(np.random.default_rng(4), "nuclei")


def test_description_is_plain_and_finite() -> None:
    for seed in range(20):
        scene = BOUNDS.draw(np.random.default_rng(seed), "nuclei")
        text = json.loads(json.dumps(scene.description(), allow_nan=False))
        assert text["spacing_um"] == list(scene.spacing_um)
        assert text["microscope"]["numerical_aperture"] == scene.microscope.numerical_aperture


def test_kinds_are_drawn_in_their_shares() -> None:
    rng = np.random.default_rng(0)
    drawn = [BOUNDS.draw_kind(rng, True) for _ in range(4000)]
    total = sum(BOUNDS.kinds.values())
    for kind, share in BOUNDS.kinds.items():
        assert drawn.count(kind) / 4000 == pytest.approx(share / total, abs=0.03)
    assert "confocal" not in [BOUNDS.draw_kind(rng, False) for _ in range(500)]


def test_bounds_can_be_set_and_must_rise() -> None:
    scene = SceneBounds.checked(photons=(777, 777)).draw(np.random.default_rng(0), "nuclei")
    assert scene.camera.photons == pytest.approx(777)
    with pytest.raises(InputError, match=r"^photons is \(9, 3\): two rising numbers are allowed"):
        SceneBounds.checked(photons=(9, 3))
    with pytest.raises(InputError, match=r"unknown name 'fotons'; known are: aberrated, .*camera, .*photons, .*vignet"):
        SceneBounds.checked(fotons=(9, 30))
    with pytest.raises(InputError, match=r"photons\.0 is 0: Input should be greater than 0"):
        SceneBounds.checked(photons=(0, 30))


def test_a_bound_may_be_given_without_its_section() -> None:
    flat = SceneBounds.checked(photons=(500, 2000), step=(0.5, 1.3), autofluorescence=(0.1, 0.1), compensated=(1, 1))
    assert flat == SceneBounds(
        camera=CameraBounds(photons=(500, 2000)),
        optics=OpticsBounds(step=(0.5, 1.3)),
        tissue=ScatteringBounds(autofluorescence=(0.1, 0.1)),
        confocal=DetectorBounds(compensated=(1, 1)),
    )
    assert flat == SceneBounds.checked(**tomllib.loads(flat.to_toml()))
    assert flat == merge(
        SceneBounds,
        {"photons": (1, 2), "optics": {"step": (0.5, 1.3)}, "compensated": (1, 1)},
        parse_assignments(["camera.photons=[500, 2000]", "tissue.autofluorescence=[0.1, 0.1]"]),
    )


def test_every_bound_outside_the_samples_has_a_name_of_its_own() -> None:
    sections = [section for name, section in SceneBounds.sections().items() if name != "samples"]
    assert len(SceneBounds.flat_names()) == sum(len(section.model_fields) for section in sections)


def test_bounds_of_samples_are_among_them() -> None:
    bounds = SceneBounds.checked(samples={"neurons": {"soma_um": [4, 5]}})
    assert bounds.samples.neurons == NeuronsBounds(soma_um=(4, 5))
    assert bounds.samples.glia == BOUNDS.samples.glia
    assert SceneBounds.checked(**tomllib.loads(bounds.to_toml())) == bounds


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({"neurons": {"soma_um": [8, 3]}}, r"^samples.neurons.soma_um is \[8, 3\]: two rising numbers are allowed\. "),
        ({"neurons": {"dendrites": [7, 3]}}, r"^samples.neurons.dendrites is \[7, 3\]: two rising numbers are allowed"),
        ({"nuclei": {"overlap": [0.5, 0.1]}}, r"^samples.nuclei.overlap is \[0.5, 0.1\]: two rising"),
        ({"nuclei": {"radius_um": [-1, 3]}}, r"^samples.nuclei.radius_um.0 is -1: Input should be greater than 0"),
        (
            {"nuclei": {"radius_um": [1, np.inf]}},
            r"^samples.nuclei.radius_um.1 is inf: Input should be a finite",
        ),
        ({"glia": {"foot_chance": 2}}, r"^samples.glia.foot_chance is 2: Input should be less than or equal to 1"),
        ({"glia": {"feet": 2}}, r"^unknown name 'samples.glia.feet'; known are: bend, .*foot_chance, .*tilt_rad"),
        ({"cell": {}}, r"^unknown name 'samples.cell'; known are: autofluorescence, beads, .*vessels\. "),
        ({"glia": 3}, r"^samples.glia is 3: a table is allowed, of these names: bend, .*foot_chance"),
    ],
)
def test_wrong_bounds_of_samples_are_named(samples: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SceneBounds.checked(samples=samples)


def test_docs_give_the_bounds_of_every_choice() -> None:
    page = (DOCS / "simulate.md").read_text(encoding="utf-8")
    for kind, share in BOUNDS.kinds.items():
        assert re.search(rf"\| {kind} \| {share:.0%}".replace("%", " %"), page), kind
    sections = SceneBounds.sections()
    for row in rows(SceneBounds, but=("kinds", *sections)):
        assert row in page
    for name in sections.keys() - {"samples"}:
        assert table(page, f"### {name}") == list(rows(sections[name], but=("objectives", "bits")))


@pytest.mark.parametrize("kind", SampleBounds.model_fields)
def test_docs_give_the_bounds_of_every_kind_of_sample(kind: str) -> None:
    page = (DOCS / "sample_bounds.md").read_text(encoding="utf-8")
    assert table(page, f"## {kind}") == list(rows(SampleBounds.model_fields[kind].annotation))


def table(page: str, heading: str) -> list[str]:
    """The rows of the table below a heading."""
    _, _, section = page.partition(f"\n{heading}\n")
    return re.findall(r"\| `.*", re.split(r"\n##|\nShares of", section)[0])


def rows(config: type[Config], but: tuple[str, ...] = ()) -> Iterator[str]:
    """The bounds of a config as rows of a table."""
    for name, field in config.model_fields.items():
        value = field.default
        if name not in but:
            shown = f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else f"{value:g}"
            yield f"| `{name}` | {shown} | {field.description} |"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kinds": {"nucleus": 1.0}}, "kinds.nucleus is 'nucleus': Input should be 'nuclei', 'neurons'"),
        ({"kinds": {"nuclei": 0.0}}, "at least one share above 0 is needed"),
        ({"bits": {"9": 1.0}}, "Input should be '8', '12' or '16'"),
        ({"objectives": {}}, "should have at least 1 item"),
        (
            {"objectives": {"dry": {"share": 1, "immersion_index": 1.0, "numerical_aperture": (0.5, 1.2)}}},
            "objectives.dry .* a numerical aperture below the immersion's index, 1, is allowed",
        ),
        (
            {"objectives": {"dry": {"na": 0.5}}},
            r"unknown name 'optics\.objectives\.dry\.na'; known are: immersion_index, num",
        ),
    ],
)
def test_shares_that_cannot_be_drawn_from_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SceneBounds.checked(**wrong)


def test_other_objectives_and_cameras_stand_for_all_of_them() -> None:
    dry = {"share": 0.1, "immersion_index": 1.0, "numerical_aperture": (0.7, 0.8)}
    bounds = SceneBounds.checked(objectives={"dry": dry}, bits={"12": 1.0}, deep_end_last=1.0)
    for seed in range(20):
        scene = bounds.draw(np.random.default_rng(seed), "nuclei")
        assert scene.microscope.immersion_index == 1.0
        assert 0.7 <= scene.microscope.numerical_aperture <= 0.8
        assert scene.camera.bits == 12
        assert scene.tissue.deep_end_last
