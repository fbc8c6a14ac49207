"""Bounds of the samples' shapes: each one counts, and a changed one takes effect."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from napari_deep3d.core.config import Config
from napari_deep3d.core.simulation import samples
from napari_deep3d.core.types import FloatArray

SHAPE, SPACING_UM = (8, 32, 32), (0.5, 0.2, 0.2)
KINDS = get_args(samples.DrawnKind)
STACK = np.random.default_rng(5).gamma(1.0, 500.0, (12, 40, 40))
SAMPLE = samples.draw(np.random.default_rng(0), "cells", SHAPE, SPACING_UM, samples.SampleBounds())


def draw(what: str, bounds: Any, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    if what == "confocal":
        return samples.from_confocal(rng, SHAPE, SPACING_UM, STACK, SPACING_UM, bounds.confocal)
    if what == "autofluorescence":
        return samples.draw_autofluorescence(rng, SHAPE, SPACING_UM, bounds.autofluorescence)
    if what == "changes":
        return samples.change(rng, SAMPLE, SPACING_UM, bounds.changes)
    return samples.draw(rng, what, SHAPE, SPACING_UM, bounds)


class Watched:
    """Bounds that note which of them are read."""

    def __init__(self, bounds: Config, read: set[str], where: str = "") -> None:
        self._bounds, self._read, self._where = bounds, read, where

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._bounds, name)
        if isinstance(value, Config):
            return Watched(value, self._read, f"{name}.")
        self._read.add(self._where + name)
        return value


@pytest.mark.parametrize("what", samples.SampleBounds.model_fields)
def test_every_bound_of_a_kind_is_asked_for_and_none_of_another(what: str) -> None:
    many = {"radius_um": (1.5, 2.0), "mitosis": (0.3, 0.7)}  # else there are few mitoses in so small a field
    bounds, read = samples.SampleBounds.checked(nuclei=many), set[str]()
    known = {f"{what}.{name}" for name in type(getattr(bounds, what)).model_fields}
    for seed in range(100):
        draw(what, Watched(bounds, read), seed)
        if seed >= 15 and known <= read:
            break
    assert known <= read
    if what != "tissue":  # mixes the other kinds
        assert known == read


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("nuclei", {"radius_um": (3.0, 3.1)}),
        ("neurons", {"fibre_um": (0.5, 0.5)}),
        ("glia", {"processes": (2, 2)}),
        ("filaments", {"brightness": (0.9, 0.9)}),
        ("membranes", {"thickness_um": (0.6, 0.6)}),
        ("puncta", {"radius_um": (0.4, 0.4)}),
        ("cells", {"cell_um": (3.0, 3.0)}),
        ("vessels", {"wall_um": (0.5, 0.5)}),
        ("sheets", {"thickness_um": (0.5, 0.5)}),
        ("shapes", {"wave_um": (2.0, 2.0), "body_um": (1.0, 1.0), "line_um": (0.3, 0.3), "fall": (2.0, 2.0)}),
        ("tissue", {"sparsest": (1.0, 1.0)}),
        ("beads", {"radius_um": (0.4, 0.4)}),
        ("confocal", {"gamma": (2.0, 2.0)}),
        ("autofluorescence", {"contrast": (0.0, 0.0)}),
        ("changes", {"curve_chance": 1.0, "gamma": (2.0, 2.0)}),
    ],
)
def test_a_changed_bound_changes_its_own_kind_alone(what: str, changed: dict[str, Any]) -> None:
    bounds = samples.SampleBounds.checked(**{what: changed})
    before = samples.SampleBounds()
    assert not np.array_equal(draw(what, bounds), draw(what, before))
    other = "beads" if what != "beads" else "puncta"
    np.testing.assert_array_equal(draw(other, bounds), draw(other, before))


def test_tissue_takes_the_bounds_of_the_kinds_that_it_mixes() -> None:
    changed = samples.SampleBounds.checked(
        **{kind: {"brightness": (0.5, 0.5)} for kind in ("nuclei", "neurons", "glia", "filaments")},
        membranes={"thickness_um": (0.6, 0.6)},
        puncta={"radius_um": (0.4, 0.4)},
    )
    assert not np.array_equal(draw("tissue", changed), draw("tissue", samples.SampleBounds()))


def test_density_of_fibres_follows_its_bounds() -> None:
    shares = []
    for per_um3 in (2e-4, 0.1):
        alone = {"soma_um": (0.01, 0.01), "dendrite_um": (1e-3, 1e-3), "apical_chance": 0, "puncta_chance": 0}
        bounds = samples.SampleBounds.checked(neurons={"fibres_per_um3": (per_um3, per_um3), **alone})
        shares.append(np.mean([(draw("neurons", bounds, seed) > 0.05).mean() for seed in range(3)]))
    assert shares[1] > 3 * shares[0]


def test_brightness_of_autofluorescence_has_no_grain_without_contrast() -> None:
    bounds = samples.SampleBounds.checked(autofluorescence={"contrast": (0, 0), "granule_chance": 0})
    np.testing.assert_allclose(draw("autofluorescence", bounds), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_chances_of_nothing_and_of_all_still_give_samples(kind: samples.DrawnKind) -> None:
    for chance in (0.0, 1.0):
        own = type(getattr(samples.SampleBounds(), kind))
        chances = {name: chance for name in own.model_fields if name.endswith("_chance")}
        sample = draw(kind, samples.SampleBounds.checked(**{kind: chances}))
        assert sample.any()
        assert np.isfinite(sample).all()
