"""A prediction by two workers on this computer: equal to the bit to a local one, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_deep3d.core import BoxWritten, Event, InputError, Notice, PredictConfig, Volume, drain
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.jobs.predict import cluster_workers
from napari_deep3d.jobs.predict.cluster_tasks import Lease, introduce
from napari_deep3d.jobs.predict.file import About, FilePrediction, predict_file, predict_to_file
from napari_deep3d.jobs.predict.predict import predict_volume

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

SPACING_UM = (0.5, 0.2, 0.2)
SHAPE = (8, 96, 600)
"""Two boxes of whole chunks, and a coarser level."""
NOBODY = "tcp://127.0.0.1:9"


class Programs:
    """A scheduler and two workers, each a program of its own, as a user starts them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, (folder / "log.txt").open("w")
        self._file = folder / "scheduler.json"
        self._file.unlink(missing_ok=True)
        where = ["--scheduler-file", str(self._file), "--no-dashboard"]
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", *where)
        self.workers = [
            self._start(
                "worker",
                "--nthreads",
                "1",
                "--no-nanny",
                "--host",
                "127.0.0.1",
                *where,
                "--local-directory",
                str(folder),
            )
            for _ in range(2)
        ]
        self.wait_for(self._file.exists)
        self.address = str(json.loads(self._file.read_text())["address"])
        with self.client() as client:
            client.wait_for_workers(2, timeout=60)

    def client(self) -> Any:
        return distributed.Client(self.address, set_as_default=False)

    def _start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *words]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log, env={**os.environ, "OMP_NUM_THREADS": "1"})

    @staticmethod
    def wait_for(true: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end
            time.sleep(0.05)

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    started = Programs(tmp_path_factory.mktemp("dask"))
    yield started
    started.end()


@pytest.fixture
def config(make_model: Callable[..., Path]) -> PredictConfig:
    return PredictConfig(model=str(make_model(halo=(4, 16, 16))), device="cpu", precision="float32", tile=(8, 96, 64))


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.uint16)
    data[:, :20] = 0  # no image: left out, and 0 in the result
    return write_stack(tmp_path / "stack.tif", data, SPACING_UM, (1.0, 2.0, 3.0))


@pytest.fixture
def local(stack: Path, config: PredictConfig) -> FilePrediction:
    return drain(predict_file(stack, stack.with_name("local.zarr"), config))


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results" / "out.ome.zarr"


def run(stack: Path, output: Path, config: PredictConfig, on_event: Callable[[Event], None], **options: Any) -> Any:
    return drain(predict_file(stack, output, config, **options), on_event)


def assert_same(made: Path, expected: Path) -> None:
    """All levels are, to the bit."""
    written, wanted = open_stack(made), open_stack(expected)
    assert len(written.coarser) == len(wanted.coarser) == 1
    for one, other in zip((written.data, *written.coarser), (wanted.data, *wanted.coarser), strict=True):
        np.testing.assert_array_equal(one[...], other[...])
    assert written.spacing_um == pytest.approx(wanted.spacing_um)
    assert written.origin_um == pytest.approx(wanted.origin_um)
    assert written.data[...].any()


def kept(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir())


def once_a_tile_is_there(output: Path, do: Callable[[], bool]) -> Callable[[], bool]:
    """Something to do when the first tiles are computed and more are missing, as a stop that is asked all the time."""
    folder = output.with_name(f".{output.name}.unfinished") / "tiles"
    return lambda: any(folder.glob("0/*.npy")) and do()


def killing(process: subprocess.Popen[bytes]) -> Callable[[], bool]:
    def kill() -> bool:
        process.kill()
        process.wait()
        return False

    return kill


def test_time_points_of_a_layer_with_uncertainty(
    programs: Programs, output: Path, config: PredictConfig, tmp_path: Path
) -> None:
    small = config.changed(uncertainty=True, tile=(8, 16, 40))
    data = np.random.default_rng(0).random((3, 8, 32, 40), np.float32)
    data[1] = 5  # shows nothing
    volumes, about = [Volume(each, SPACING_UM) for each in data], About("layer", "layer")
    local = drain(predict_to_file(volumes, tmp_path / "local.zarr", small, about, is_series=True))
    on_cluster = small.changed(scheduler=programs.address)
    events: list[Event] = []
    made = drain(predict_to_file(volumes, output, on_cluster, about, is_series=True), events.append)
    assert local.uncertainty is not None
    assert made.uncertainty is not None
    for one, other in ((made.output, local.output), (made.uncertainty, local.uncertainty)):
        np.testing.assert_array_equal(open_stack(one).data[...], open_stack(other).data[...])
    assert [skipped.time for skipped in made.prediction.skipped] == [1]
    assert made.prediction.mean_uncertainty == pytest.approx(local.prediction.mean_uncertainty, rel=1e-4)
    assert made.prediction.tile_mismatch == pytest.approx(local.prediction.tile_mismatch, rel=1e-3)
    assert sum(isinstance(event, BoxWritten) and event.brightest > 0 for event in events) == 2
    assert len(kept(output)) == 2


def test_workers_that_cannot_do_it(programs: Programs, stack: Path, output: Path, config: PredictConfig) -> None:
    on_cluster = config.changed(scheduler=programs.address)

    def hide() -> None:
        sys.modules["napari_deep3d.jobs.predict.cluster_tasks"] = None  # type: ignore[assignment]

    def show() -> None:
        del sys.modules["napari_deep3d.jobs.predict.cluster_tasks"]

    with programs.client() as client:
        client.run(hide)
        try:
            with pytest.raises(InputError, match=r"the worker tcp://.* cannot be used: it has no napari-deep3d"):
                run(stack, output, on_cluster, print)
        finally:
            client.run(show)
    assert kept(output) == []


def test_a_worker_that_does_not_see_the_files(tmp_path: Path) -> None:
    lease = Lease(tmp_path / "folder" / "lease", "text")
    lease.path.parent.mkdir()
    lease.path.write_text("text")
    assert introduce(tmp_path, lease, "cpu", "float32")["problem"] == ""
    assert "does not see" in introduce(tmp_path / "gone.tif", lease, "cpu", "float32")["problem"]
    lease.path.write_text("of another prediction")
    assert "does not see the folder" in introduce(tmp_path, lease, "cpu", "float32")["problem"]


def test_no_scheduler(stack: Path, output: Path, config: PredictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_workers, "CONNECT_SECONDS", 0.3)
    with pytest.raises(InputError, match=r"no scheduler answers at tcp://127.0.0.1:9 .*dask scheduler"):
        run(stack, output, config.changed(scheduler=NOBODY), print)
    assert kept(output) == []


def test_what_no_cluster_does(stack: Path, output: Path, config: PredictConfig) -> None:
    on_cluster = config.changed(scheduler=NOBODY)
    with pytest.raises(InputError, match=r"cannot write .*only OME-Zarr"):
        run(stack, output.with_name("out.tif"), on_cluster, print)
    with pytest.raises(InputError, match=r"only from a file to an OME-Zarr file"):
        drain(predict_volume(open_stack(stack).volume(), on_cluster))
    with pytest.raises(InputError, match=r"scheduler.*tcp://host:8786"):
        PredictConfig.checked(scheduler="my-computer")
    assert kept(output) == []


def test_without_the_library(stack: Path, output: Path, config: PredictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install \"napari-deep3d\[cluster\]\""):
        run(stack, output, config.changed(scheduler=NOBODY), print)
    assert kept(output) == []


def test_workers_lost_a_stop_and_a_lost_scheduler(
    programs: Programs,
    stack: Path,
    local: FilePrediction,
    output: Path,
    config: PredictConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_cluster = config.changed(scheduler=programs.address)
    events: list[Event] = []

    # 1. Stopped, and given again.
    stopped = run(stack, output, on_cluster, events.append, stop=once_a_tile_is_there(output, lambda: True))
    assert not stopped.prediction.complete
    assert not output.exists()
    assert open_stack(stopped.output).data.shape[2:] == SHAPE
    done = run(stack, output, on_cluster, events.append)
    assert (done.output, done.prediction.complete, kept(output)) == (output, True, [output.name])
    assert_same(output, local.output)
    assert done.prediction.tile_mismatch == pytest.approx(local.prediction.tile_mismatch, rel=1e-3)
    assert done.prediction.notices == local.prediction.notices

    # 2. The scheduler forgets a tile; it is handed in again.
    forgotten: list[str] = []

    def forgets(workers: Any, future: Any, result: Any = cluster_workers.Workers._result) -> Any:
        if future.key.startswith("predict_tiles") and not forgotten:
            forgotten.append(future.key)
            future.cancel()
        return result(workers, future)

    with monkeypatch.context() as patched:
        patched.setattr(cluster_workers.Workers, "_result", forgets)
        again = output.with_name("again.ome.zarr")
        assert run(stack, again, on_cluster, events.append).prediction.complete
    assert forgotten
    assert_same(again, local.output)

    # 3. A worker is killed.
    events.clear()
    second = output.with_name("second.ome.zarr")
    done = run(
        stack, second, on_cluster, events.append, stop=once_a_tile_is_there(second, killing(programs.workers[0]))
    )
    assert programs.workers[0].poll() is not None
    assert done.prediction.complete
    assert_same(second, local.output)
    assert any(isinstance(event, Notice) and "worker was lost" in event.message for event in events)

    # 4. The scheduler is killed: what is finished can be read.
    third = output.with_name("third.ome.zarr")
    with pytest.raises(InputError, match=r"does not answer any more.*goes on from there"):
        run(stack, third, on_cluster, events.append, stop=once_a_tile_is_there(third, killing(programs.scheduler)))
    assert open_stack(third.with_name("third-incomplete.ome.zarr")).data.shape[2:] == SHAPE
