"""Settings: bounds, messages and their text form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_deep3d.core.config import (
    PRESETS,
    Config,
    PredictConfig,
    SimulateConfig,
    TrainConfig,
    merge,
    parse_assignments,
    read_toml,
)
from napari_deep3d.core.errors import InputError

TRAIN, PREDICT, SIMULATE = TrainConfig, PredictConfig, SimulateConfig


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (TRAIN, "iterations", 0),
        (TRAIN, "iterations", 2.5),
        (TRAIN, "batch_size", 0),
        (TRAIN, "width", 1),
        (TRAIN, "learning_rate", 0.0),
        (TRAIN, "learning_rate", float("nan")),
        (TRAIN, "learning_rate", 1.0),
        (TRAIN, "weight_l1", -1.0),
        (TRAIN, "percentiles", (99.0, 1.0)),
        (TRAIN, "percentiles", (-1.0, 99.0)),
        (TRAIN, "percentiles", (1.0, 101.0)),
        (TRAIN, "validation_share", 0.6),
        (TRAIN, "patch", (2, 64, 64)),
        (TRAIN, "patch", (8, 64, 8)),
        (TRAIN, "patch", ()),
        (TRAIN, "patch", "12,x,96"),
        (TRAIN, "patch", "12,96"),
        (TRAIN, "precision", "int8"),
        (TRAIN, "dimensions", 4),
        (TRAIN, "network_input", "pixel"),
        (TRAIN, "z_step", 3),
        (TRAIN, "misregistration_um", (1.0, -1.0, 1.0)),
        (TRAIN, "misregistration_um", (1.0, 1001.0, 1.0)),
        (TRAIN, "misregistration_um", (float("nan"), 1.0, 1.0)),
        (TRAIN, "misregistration_um", (1.0, 1.0)),
        (TRAIN, "weight_gan", -0.1),
        (TRAIN, "weight_gan", float("inf")),
        (TRAIN, "weight_vgg", 1001.0),
        (TRAIN, "vgg_share", 0.0),
        (TRAIN, "vgg_share", 1.1),
        (TRAIN, "discriminator_width", 0.0),
        (TRAIN, "discriminator_width", 1.1),
        (TRAIN, "discriminator_learning_rate", 0.0),
        (TRAIN, "discriminator_learning_rate", 0.2),
        (TRAIN, "ema", 1.0),
        (TRAIN, "ema", -0.1),
        (TRAIN, "held_out", 3),
        (TRAIN, "checkpoint_every", 0),
        (TRAIN, "validate_every", 0),
        (TRAIN, "log_every", 0),
        (TRAIN, "seed", -1),
        (PREDICT, "device", "tpu"),
        (PREDICT, "spacing_um", (0.5, 0.0, 0.1)),
        (PREDICT, "spacing_um", (0.5, 0.1)),
        (PREDICT, "tile", (0, 64, 64)),
        (PREDICT, "tile", "big"),
        (PREDICT, "memory_bytes", 127_999_999),
        (SIMULATE, "pairs", 0),
        (SIMULATE, "shape", (4, 160, 160)),
        (SIMULATE, "shape", (48, 160, 16)),
        (SIMULATE, "shape", (2048, 2048, 2048)),
    ],
)
def test_value_out_of_bounds_is_refused_by_name(cls: type[Config], name: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^{name}.*Correct it and try again\.$"):
        cls.checked(**{name: value})


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (TRAIN, "iterations", 1),
        (TRAIN, "patch", (4, 16, 16)),
        (TRAIN, "percentiles", (0.0, 100.0)),
        (TRAIN, "validation_share", 0.0),
        (TRAIN, "misregistration_um", (0.0, 0.0, 1000.0)),
        (TRAIN, "weight_gan", 0.0),
        (TRAIN, "vgg_share", 1.0),
        (TRAIN, "discriminator_width", 1.0),
        (TRAIN, "ema", 0.0),
        (TRAIN, "z_step", 4),
        (TRAIN, "held_out", ["a.tif", "b.tif"]),
        (PREDICT, "tile", (1, 1, 1)),
        (PREDICT, "memory_bytes", 128_000_000),
        (SIMULATE, "shape", (8, 32, 32)),
    ],
)
def test_value_at_its_bound_is_taken(cls: type[Config], name: str, value: object) -> None:
    cls.checked(**{name: value})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"network_input": "plane"}, "network_input=plane needs dimensions=2"),
        ({"weight_l1": 0, "weight_gan": 0, "weight_vgg": 0}, "nothing to learn from"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=rf"{words}\. Correct it and try again\.$"):
        TrainConfig.checked(**values)
    for name in values:  # and one less is taken
        TrainConfig.checked(**{other: value for other, value in values.items() if other != name})
    TrainConfig.checked(network_input="plane", dimensions=2)


def test_message_states_what_was_got_and_what_is_allowed() -> None:
    with pytest.raises(InputError, match=r"width is 500.*less than or equal to 128"):
        TrainConfig.checked(width=500)


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(InputError) as raised:
        TrainConfig.checked(width=500, seed=-1)
    assert "width" in str(raised.value)
    assert "seed" in str(raised.value)


def test_unknown_name_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown name 'iteration'; known are: .*iterations"):
        TrainConfig.checked(iteration=5)


def test_config_cannot_be_changed() -> None:
    with pytest.raises(Exception, match="frozen"):
        TrainConfig().network = None  # type: ignore[misc]


@pytest.mark.parametrize(
    "value",
    ["12,96,64", (12, 96, 64), [12, 96, 64], [[12, 96, 64]], ((12, 96, 64),)],
    ids=["text", "tuple", "list", "list of one", "tuple of one"],
)
def test_patch_may_be_given_in_several_ways(value: Any) -> None:
    assert TrainConfig.checked(patch=value).data.patch == ((12, 96, 64),)


def test_several_patches_are_kept_in_order() -> None:
    patches = ((24, 64, 64), (12, 96, 64))
    assert TrainConfig.checked(patch=[list(p) for p in patches]).data.patch == patches


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(),
        TrainConfig.checked(patch="8,32,32", learning_rate=3e-4, percentiles=(1, 99), seed=7, device="cpu"),
        TrainConfig.checked(
            dimensions=2, network_input="plane", misregistration_um=(0.5, 0, 1), held_out=["a.tif"], ema=0, weight_gan=0
        ),
        PredictConfig(),
        PredictConfig(tile=(8, 64, 64), spacing_um=(0.5, 0.1, 0.1), memory_bytes=2**30),
        SimulateConfig(pairs=3, shape=(8, 32, 48), seed=9),
    ],
)
def test_config_survives_its_file(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert type(config).checked(**read_toml(path)) == config


def test_missing_config_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the config file .*none\.toml: No such file.*existing TOML"):
        read_toml(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"iterations: 5", b"\xff\xfe\x00"])
def test_config_file_that_is_not_toml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c\.toml is not a TOML file.*iterations = 500"):
        read_toml(path)


def test_assignments_are_read_as_toml_or_text() -> None:
    words = ["iterations=500", "learning_rate=1e-3", "patch=[12, 96, 96]", "device=cpu", "name=a=b", "empty="]
    words += ["ema=0,5", "held_out=a,b"]
    assert parse_assignments(words) == {
        "iterations": 500,
        "learning_rate": 1e-3,
        "patch": [12, 96, 96],
        "device": "cpu",
        "name": "a=b",
        "empty": "",
        "ema": 0.5,
        "held_out": "a,b",
    }


def test_assignments_of_dotted_names_are_tables() -> None:
    words = ["samples.glia.levels=[2, 3]", "samples.glia.foot_chance=1", "samples.glia.levels=[1, 1]", "photons=[5, 6]"]
    assert parse_assignments(words) == {
        "samples": {"glia": {"levels": [1, 1], "foot_chance": 1}},
        "photons": [5, 6],
    }
    assert parse_assignments(["a=1", "a.b=2", "a.b.c=3"]) == {"a": {"b": {"c": 3}}}


@pytest.mark.parametrize("word", ["iterations", "=5", ""])
def test_assignment_without_name_or_value_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=r"--set got .*NAME=VALUE is needed"):
        parse_assignments([word])


def test_later_sources_win() -> None:
    config = merge(TrainConfig, {"width": 4, "seed": 1}, {"width": 8}, {})
    assert (config.network.width, config.runtime.seed) == (8, 1)
    with pytest.raises(InputError, match="unknown name 'depth'"):
        merge(TrainConfig, {"depth": 3})


def test_tables_of_several_sources_are_merged() -> None:
    class Inner(Config):
        low: int = 0
        high: int = 9

    class Outer(Config):
        inner: Inner = Inner()
        other: int = 1

    config = merge(Outer, {"inner": {"low": 1, "high": 2}, "other": 3}, {"inner": {"high": 5}})
    assert config == Outer(inner=Inner(low=1, high=5), other=3)
    with pytest.raises(InputError, match=r"^unknown name 'inner.middle'; known are: high, low\. "):
        merge(Outer, {"inner": {"middle": 1}})


OLD_RUN = """
iterations = 9500
batch_size = 1
patch = [[12, 96, 96], [24, 112, 112], [48, 80, 80], [64, 80, 80]]
width = 16
dimensions = 3
network_input = "stack"
z_step = 1
blank_share = 0.04
learning_rate = 0.0005
weight_l1 = 1.0
weight_gan = 0.0
weight_vgg = 0.0
vgg_share = 0.25
discriminator_width = 0.125
discriminator_learning_rate = 0.0001
ema = 0.0
percentiles = [0.1, 99.9]
precision = "auto"
device = "auto"
validation_share = 0.02
held_out = []
checkpoint_every = 200
validate_every = 1500
log_every = 10
seed = 2028
"""
"""The second leg of the bundled model, as its run folder held it: settings had no sections then."""


def test_old_file_without_sections_is_read(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text(OLD_RUN, encoding="utf-8")
    values = read_toml(tmp_path / "old.toml")
    config = TrainConfig.checked(**values)
    assert config.model_dump(mode="json")["data"]["patch"] == values["patch"]
    assert set(config.flat(only_given=True)) == set(values)
    (tmp_path / "new.toml").write_text(config.to_toml(), encoding="utf-8")
    new = read_toml(tmp_path / "new.toml")
    assert list(new) == ["data", "network", "losses", "optimizer", "runtime"]
    assert TrainConfig.checked(**new) == config


def test_settings_of_training_have_names_of_their_own() -> None:
    """So that each can be given by it: --set width=8."""
    sections = TrainConfig.sections()
    names = [name for section in sections.values() for name in section.model_fields]
    assert sorted(names) == sorted(TrainConfig.flat_names())


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid(preset: str) -> None:
    losses = merge(TrainConfig, PRESETS[preset]).losses
    assert (losses.weight_gan, losses.weight_l1, losses.weight_vgg) == (1, 2, 0.01)  # lambda and zeta of Eq. 1


def test_preset_of_the_paper_is_as_it_says() -> None:
    config = merge(TrainConfig, PRESETS["paper"])
    data, network, steps = config.data, config.network, config.optimizer
    assert (data.patch, steps.batch_size, steps.iterations) == (((12, 256, 256),), 24, 6000)
    assert (network.dimensions, network.network_input, data.z_step, config.losses.vgg_share) == (3, "stack", 1, 1.0)


def test_a_message_is_one_sentence_after_the_other() -> None:
    with pytest.raises(InputError) as raised:
        PredictConfig.checked(spacing_um=(0.5, 0.0, 0.1))
    assert ".." not in str(raised.value)
