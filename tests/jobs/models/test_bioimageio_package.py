"""The package of bioimage.io: it passes that project's own test and says of the model what is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from matplotlib.image import imread

from napari_deep3d.core.errors import InputError
from napari_deep3d.jobs.models.bioimageio_package import (
    Sample,
    check_package,
    least_size,
    unpack_weights,
    write_package,
)
from napari_deep3d.jobs.models.card import TileEffect, how_to_use, model_card
from napari_deep3d.jobs.models.store import import_model
from napari_deep3d.nn.model_file import load_model, read_info

Make = Callable[..., Path]
NEEDED = 'needs pip install "napari-deep3d[export]"'
STRIDE = (4, 16, 16)
TILES = TileEffect((56, 80, 80), (56, 160, 160), 0.123, 0.345)


@pytest.fixture
def pack(make_model: Make, tmp_path: Path) -> Callable[..., Path]:
    """Make a package of a network that is only a name."""

    def make(authors: tuple[str, ...] = ("A. Person",), licence: str = "CC-BY-4.0", **header: Any) -> Path:
        pytest.importorskip("bioimageio.core", reason=NEEDED)
        info = read_info(make_model(**header))
        rng = np.random.default_rng(0)
        sample = Sample(*(rng.random(least_size(info.halo, STRIDE), dtype=np.float32) for _ in range(2)))
        network, folder, path = tmp_path / "weights.onnx", tmp_path / "parts", tmp_path / "package.zip"
        network.write_bytes(b"a network")
        folder.mkdir()
        card = model_card(info, STRIDE, TILES, 1e-5)
        write_package(path, network, info, STRIDE, sample, card, authors, licence, folder)
        return path

    return make


def described(path: Path) -> Any:
    from bioimageio.spec import load_model_description

    return load_model_description(path, perform_io_checks=False)


@pytest.mark.slow
def test_what_it_says(pack: Callable[..., Path]) -> None:
    path = pack(name="Zellen µ/1", halo=(12, 48, 48), percentiles=(1.0, 99.0), description="word " * 400)
    model = described(path)
    assert model.name == "Confocal-like from wide-field (Zellen 1)"
    assert [author.name for author in model.authors] == ["A. Person"]
    assert str(model.license) == "CC-BY-4.0"
    assert "Deep-3D microscope" in model.cite[0].text
    (seen,), (made,) = model.inputs, model.outputs
    assert [(a.id, a.size.min, a.size.step, a.scale) for a in seen.axes[2:]] == [
        ("z", 28, 4, 0.5),
        ("y", 112, 16, pytest.approx(0.2, abs=1e-5)),
        ("x", 112, 16, pytest.approx(0.2, abs=1e-5)),
    ]
    assert [(a.id, a.halo) for a in made.axes[2:]] == [("z", 12), ("y", 48), ("x", 48)]
    scaling = next(step for step in seen.preprocessing if step.id == "scale_range")
    assert (scaling.kwargs.min_percentile, scaling.kwargs.max_percentile) == (1.0, 99.0)
    with ZipFile(path) as package, package.open("cover.png") as cover:
        height, width = imread(cover).shape[:2]
        assert width == 2 * height
        assert "by 12% of its standard deviation" in package.read("README.md").decode()


@pytest.mark.slow
def test_network_without_a_halo(pack: Callable[..., Path]) -> None:
    (made,) = described(pack(halo=(0, 16, 16))).outputs
    assert [getattr(axis, "halo", None) for axis in made.axes[2:]] == [None, 16, 16]


@pytest.mark.slow
@pytest.mark.parametrize(("authors", "licence"), [(("A. Person",), "free for all"), (("A/B",), "MIT")])
def test_what_bioimageio_does_not_take_is_told(
    pack: Callable[..., Path], authors: tuple[str, ...], licence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"does not take these authors or this licence: .*SPDX"):
        pack(authors, licence)
    assert not (tmp_path / "package.zip").exists()


@pytest.mark.slow
def test_package_passes_their_test_and_comes_back(
    make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bioimageio.core", reason=NEEDED)
    from napari_deep3d import export_model

    monkeypatch.setenv("NAPARI_DEEP3D_MODELS", str(tmp_path / "mine"))
    model = make_model(halo=(8, 32, 32))
    done = export_model(str(model), tmp_path / "a.zip", authors=["A. Person"])
    assert done.file_format == "bioimageio"
    assert done.tile_difference
    assert check_package(done.output) == ""
    entry = import_model(done.output)
    assert entry.name == "small"
    (first, said), (second, says) = load_model(model), load_model(entry.path)
    assert says == said
    assert all(bool((value == first.state_dict()[name]).all()) for name, value in second.state_dict().items())
    # Their test fails where the network is another one.
    other = tmp_path / "other.zip"
    with ZipFile(done.output) as package, ZipFile(other, "w") as changed:
        for name in package.namelist():
            data = package.read(name)
            if name == "test_output.npy":
                data = data[:-4000] + bytes(4000)
            changed.writestr(name, data)
    assert check_package(other)


def test_smallest_stack_leaves_something_within_the_halo() -> None:
    assert least_size((12, 48, 48), STRIDE) == (28, 112, 112)
    assert least_size((0, 0, 7), STRIDE) == (4, 16, 16)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04 and no more", "truncated or no package"),
        (b"", "truncated or no package"),
        (None, r"holds no weights\.onnx; a package that napari-deep3d exported"),
    ],
)
def test_what_is_no_package_of_ours_is_refused(tmp_path: Path, content: bytes | None, what: str) -> None:
    path = tmp_path / "a.zip"
    if content is None:
        with ZipFile(path, "w") as package:
            package.writestr("../weights.onnx", b"leads elsewhere")
            package.writestr("weights.pt", b"a pickle")
    else:
        path.write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=rf"a\.zip .*{what}"):
        unpack_weights(path, tmp_path / "out")
    assert {found.name for found in tmp_path.rglob("*")} == {"a.zip", "out"}


def test_card_tells_what_another_program_must_do(make_model: Make) -> None:
    info = read_info(make_model(halo=(12, 48, 48), percentiles=(0.5, 99.5), z_step=2, title="Cells"))
    card = model_card(info, STRIDE, TILES, 2e-5, "# Its own card")
    assert card.startswith("# Cells\n")
    assert how_to_use(info, STRIDE).splitlines()[0] in card
    for words in (
        "percentiles 0.5 and 99.5",
        "multiples of 4, 16, 16",
        "one plane in 2 was kept",
        "by 12% of its standard deviation",
        "the worst quarter by 34%",
        "## Validation",
        "# Its own card",
    ):
        assert words in card
