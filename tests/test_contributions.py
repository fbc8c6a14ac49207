"""Sample data and the manifest, as napari uses them."""

from __future__ import annotations

import hashlib
import http.server
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pooch
import pytest
import tifffile
from napari._app_model.constants import MenuId
from napari.layers import Image
from npe2 import PluginManifest
from numpy.typing import NDArray

from napari_deep3d import contributions
from napari_deep3d.core.errors import InputError
from napari_deep3d.io import StackWriter, write_stack
from tests.helpers import microscope_files as made
from tests.helpers.ome_files import block, image, ome, write_pages

ROOT = Path(__file__).parents[1]
MANIFEST = ROOT / "src" / "napari_deep3d" / "napari.yaml"
REAL = ROOT.parent / "shared" / "data" / "neubias" / "nucleus_confocal_widefield.tif"


class Server:
    """A server on this computer that hands out one file."""

    def __init__(self, content: bytes) -> None:
        requests: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.requests = requests
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/pair.tif"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def pair(tmp_path: Path) -> bytes:
    """A file as the real one is: axes Z, C, Y, X; confocal voxels are 1, wide-field ones are 2."""
    data = np.ones((8, 2, 32, 40), np.uint16)
    data[:, 1] = 2
    path = tmp_path / "made.tif"
    tags = {"axes": "ZCYX", "spacing": 0.5, "unit": "micron"}
    tifffile.imwrite(path, data, imagej=True, resolution=(2.0, 2.0), metadata=tags)
    return path.read_bytes()


@pytest.fixture
def server(pair: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    served = Server(pair)
    monkeypatch.setattr(contributions, "NUCLEUS_URL", served.url)
    monkeypatch.setattr(contributions, "NUCLEUS_SHA256", hashlib.sha256(pair).hexdigest())
    yield served
    served.close()


def test_the_nucleus_is_downloaded_once(server: Server) -> None:
    for _ in range(2):
        (widefield, properties, kind), (confocal, hidden, _) = contributions.nucleus_pair()
        assert (widefield.shape, widefield.max(), confocal.max(), kind) == ((8, 32, 40), 2, 1, "image")
        assert properties["scale"] == pytest.approx((0.5, 0.5, 0.5))
        assert properties["units"] == ("um", "um", "um")
        assert (properties["visible"], hidden["visible"]) == (True, False)
    assert server.requests == ["/pair.tif"]


def test_another_file_than_expected_is_refused(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contributions, "NUCLEUS_SHA256", "0" * 64)
    with pytest.raises(InputError, match="checksum"):
        contributions.nucleus_pair()
    assert not list(tmp_path.rglob("nucleus*"))


def test_offline_it_says_what_to_do(server: Server, tmp_path: Path) -> None:
    server.close()
    with pytest.raises(InputError, match="simulated pair instead, which works offline") as caught:
        contributions.nucleus_pair()
    assert server.url in str(caught.value)
    assert str(tmp_path / "cache") in str(caught.value)


@pytest.mark.skipif(not REAL.exists(), reason="the real pair is not in ../shared/data")
def test_the_real_file_is_the_one_expected() -> None:
    assert hashlib.sha256(REAL.read_bytes()).hexdigest() == contributions.NUCLEUS_SHA256


def test_the_thick_pair_is_read_with_its_voxel_size(
    stack: NDArray[np.uint16], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("THICK_WIDEFIELD", "THICK_CONFOCAL"):
        monkeypatch.setattr(contributions, name, write_stack(tmp_path / f"{name}.tif", stack, (0.3, 0.1, 0.1)))
    (widefield, properties, _), (_, hidden, _) = contributions.thick_pair()
    assert np.array_equal(widefield, stack)
    assert properties["scale"] == pytest.approx((0.3, 0.1, 0.1))
    assert "wide-field" in properties["name"]
    assert "confocal" in hidden["name"]


def test_the_bundled_pair_is_there() -> None:
    (widefield, properties, _), (confocal, _, _) = contributions.thick_pair()
    assert widefield.shape == confocal.shape
    assert properties["scale"][0] > 0


def test_the_manifest_is_valid_and_its_names_exist() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    commands = {command.id for command in manifest.contributions.commands or []}
    menus = manifest.contributions.menus
    assert set(menus) <= {menu.value for menu in MenuId.contributables()}
    assert {item.command for items in menus.values() for item in items} <= commands
    assert [widget.display_name for widget in manifest.contributions.widgets or []] == ["Deep3D"]
    assert {sample.key for sample in manifest.contributions.sample_data or []} == {
        "thick_pair",
        "nucleus_pair",
    }
    (reader,) = manifest.contributions.readers or []
    assert reader.filename_patterns == [
        "*.ome.tif",
        "*.ome.tiff",
        "*.companion.ome",
        "*.ome.zarr",
        "*.nd2",
        "*.lif",
        "*.czi",
        "*.ims",
    ]  # never *.tif: napari would ask each time
    assert reader.accepts_directories


def test_the_manifest_is_seen_from_the_top() -> None:
    link = ROOT / "napari.yaml"
    assert link.resolve() == MANIFEST.resolve()


def test_a_layer_is_saved_with_voxel_size_and_position(tmp_path: Path) -> None:
    properties = {
        "scale": (500.0, 200.0, 200.0),
        "translate": (1000.0, 0.0, -400.0),
        "units": ("nm",) * 3,
        "name": "mine",
        "metadata": {"napari-deep3d": {"model": "tiny"}},
    }
    data = np.random.default_rng(0).random((6, 20, 24), dtype=np.float32)
    path = str(tmp_path / "mine.ome.tif")
    assert contributions.write_image(path, data, properties) == [path]
    saved = contributions.open_stack(path)
    assert saved.spacing_um == pytest.approx((0.5, 0.2, 0.2))
    assert saved.origin_um == pytest.approx((1.0, 0.0, -0.4))
    np.testing.assert_array_equal(saved.volume().data[:, :, :], data)


def test_a_layer_without_voxel_size_is_not_saved_as_if_it_had_one(tmp_path: Path) -> None:
    properties = {"scale": (1.0,) * 3, "translate": (0.0,) * 3, "units": ("pixel",) * 3}
    with pytest.raises(OSError, match="no voxel size"):  # napari drops a ValueError, which an InputError is
        contributions.write_image(str(tmp_path / "mine.ome.tif"), np.zeros((6, 20, 24), np.float32), properties)
    assert not list(tmp_path.iterdir())


def test_a_rotation_that_no_file_holds_is_warned_of(tmp_path: Path) -> None:
    turn = [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]
    properties = {"scale": (0.5, 0.2, 0.2), "translate": (0.0,) * 3, "units": ("um",) * 3, "rotate": turn, "name": "a"}
    path = str(tmp_path / "mine.ome.tif")
    with pytest.warns(UserWarning, match="a is rotated or sheared"):
        contributions.write_image(path, np.zeros((6, 20, 24), np.float32), properties)
    assert contributions.open_stack(path).spacing_um == pytest.approx((0.5, 0.2, 0.2))


PLACE = {"scale": (0.5, 0.2, 0.2), "translate": (1.5, -2.0, 0.25), "units": ("um",) * 3}


@pytest.mark.parametrize("name", ["mine.ome.tif", "mine.ome.zarr"])
@pytest.mark.parametrize("loaded_bytes", [0, 10**6])
def test_what_was_saved_comes_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, loaded_bytes: int
) -> None:
    monkeypatch.setattr(contributions, "LOADED_BYTES", loaded_bytes)
    data = np.random.default_rng(0).random((6, 20, 24), dtype=np.float32)
    about = {"model": "tiny", "warnings": ["dim"]}
    path = str(tmp_path / name)
    contributions.write_image(
        path, data, PLACE | {"name": "cell (confocal-like)", "metadata": {"napari-deep3d": about}}
    )
    ((voxels, properties, kind),) = contributions.get_reader(path)(path)
    layer = Image(voxels, **properties)
    assert (kind, layer.name, layer.metadata) == ("image", "cell (confocal-like)", {"napari-deep3d": about})
    assert (tuple(layer.scale), tuple(layer.translate)) == (PLACE["scale"], PLACE["translate"])
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert layer.data.dtype == np.float32
    assert isinstance(voxels, np.ndarray) == (loaded_bytes > 0 or name.endswith("tif"))
    np.testing.assert_array_equal(np.asarray(layer.data), data)


def test_channels_and_time_points_become_layers(tmp_path: Path) -> None:
    data = np.arange(3 * 2 * 5 * 18 * 20, dtype=np.uint16).reshape(3, 2, 5, 18, 20)
    sizes = {f"PhysicalSize{axis}": um for axis, um in zip("ZYX", (0.5, 0.2, 0.2), strict=True)}
    colors = {"Name": ["DAPI", "GFP"], "Color": [0x0000FFFF, 0x00FF00FF]}
    path = str(tmp_path / "cell.ome.tif")
    times = {"TimeIncrement": 0.5, "TimeIncrementUnit": "min"}
    tifffile.imwrite(path, data, metadata={"axes": "TCZYX", "Channel": colors, **sizes, **times})
    layers = [Image(voxels, **properties) for voxels, properties, _ in contributions.read_stacks(path)]
    assert [layer.name for layer in layers] == ["DAPI of cell", "GFP of cell"]
    for channel, layer in enumerate(layers):
        np.testing.assert_array_equal(layer.data, data[:, channel])
        assert layer.axis_labels == ("t", "z", "y", "x")
        assert tuple(layer.scale) == (30, 0.5, 0.2, 0.2)
        assert str(layer.units[0]) == "second"
        np.testing.assert_allclose(layer.colormap.colors[-1, :3], [0, channel, 1 - channel])


def test_positions_become_layers(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    blocks = [[block(i * 8 + z, Z=z) for z in range(8)] for i in range(2)]
    images = [image((1, 1, 8, 32, 40), planes, name=f"well {i}") for i, planes in enumerate(blocks)]
    path = write_pages(tmp_path / "cell.ome.tif", np.concatenate([stack, stack + 9]), ome(*images))
    found = contributions.read_stacks(str(path))
    assert [properties["name"] for _, properties, _ in found] == ["cell, well 0", "cell, well 1"]
    np.testing.assert_array_equal(found[1][0], stack + 9)


@pytest.mark.parametrize(
    ("library", "write"),
    [("nd2", made.write_nd2), ("liffile", made.write_lif), ("pylibCZIrw", made.write_czi), ("h5py", made.write_ims)],
)
@pytest.mark.parametrize("loaded_bytes", [0, 10**6])
def test_microscopes_own_files_become_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, write: Callable[..., Path], loaded_bytes: int
) -> None:
    pytest.importorskip(library, reason='needs pip install "napari-deep3d[formats]"')
    monkeypatch.setattr(contributions, "LOADED_BYTES", loaded_bytes)
    data, suffix = made.stack(1, 2, 2, 5, 18, 20), write.__name__[-3:]
    path = str(write(tmp_path / f"cell.{suffix}", data))
    layers = [Image(voxels, **properties) for voxels, properties, _ in contributions.get_reader(path)(path)]
    assert [layer.name for layer in layers] == ["DAPI of cell", "GFP of cell"]
    for channel, layer in enumerate(layers):
        np.testing.assert_array_equal(np.asarray(layer.data), data[0, :, channel])
        assert layer.axis_labels == ("t", "z", "y", "x")
        assert tuple(layer.scale) == pytest.approx((30, 0.5, 0.2, 0.2 if suffix == "nd2" else 0.25))
        assert [str(unit) for unit in layer.units] == ["second", *["micrometer"] * 3]


def test_a_microscopes_file_without_a_stack_says_so(tmp_path: Path) -> None:
    pytest.importorskip("pylibCZIrw", reason='needs pip install "napari-deep3d[formats]"')
    path = str(made.write_czi(tmp_path / "plane.czi", made.stack(1, 1, 1, 1, 18, 20)))
    with pytest.raises(InputError, match="single plane"):
        contributions.read_stacks(path)


def test_a_stack_without_voxel_size_is_in_pixels(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    tifffile.imwrite(tmp_path / "cell.ome.tif", stack, metadata={"axes": "ZYX"})
    ((_, properties, _),) = contributions.read_stacks(str(tmp_path / "cell.ome.tif"))
    assert "units" not in properties
    assert "scale" not in properties


def test_what_is_no_stack_is_left_to_napari(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    photo = np.zeros((32, 40, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", photo, photometric="rgb")
    ((voxels, *_),) = contributions.read_stacks(str(tmp_path / "a.ome.tif"))
    assert voxels.shape == photo.shape
    files = [str(tmp_path / f"{i}.ome.tif") for i in range(2)]
    for file in files:
        tifffile.imwrite(file, stack)
    ((voxels, *_),) = contributions.get_reader(files)(files)
    assert voxels.shape == (2, *stack.shape)


def test_a_damaged_file_is_no_layer(tmp_path: Path, stack: NDArray[np.uint16]) -> None:
    path = write_pages(tmp_path / "a.ome.tif", stack, ome(image((1, 2, 4, 32, 40), name="R&D")))
    with pytest.raises(InputError, match="OME-XML cannot be read"):
        contributions.read_stacks(str(path))


def test_a_large_file_is_not_loaded(tmp_path: Path) -> None:
    path = str(tmp_path / "big.ome.tif")
    with StackWriter(path, (40, 2048, 2048), (0.5, 0.1, 0.1)) as writer:
        writer.data[20, 1000, 1000] = 7
    tracemalloc.start()
    ((voxels, properties, _),) = contributions.read_stacks(path)
    layer = Image(voxels, contrast_limits=(0, 1), **properties)
    assert np.asarray(layer.data[20, 1000]).max() == 7
    assert tracemalloc.get_traced_memory()[1] < 32e6
    tracemalloc.stop()
