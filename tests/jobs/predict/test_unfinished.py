"""A prediction in files, broken off anywhere and run again: the same result, and no tile computed twice."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from yaozarrs import validate_zarr_store

from napari_deep3d.core import Event, InputError, Notice, PredictConfig, TileDone, Volume, drain
from napari_deep3d.io import open_stack, write_stack
from napari_deep3d.io.pyramid import Pyramid
from napari_deep3d.io.tiff import MappedArray
from napari_deep3d.jobs.predict.file import About, FilePrediction, predict_file, predict_to_file
from napari_deep3d.jobs.predict.unfinished import NotedTile, Unfinished

SPACING_UM = (0.5, 0.2, 0.2)
SHAPE = (8, 32, 40)
TILES = 4
_expected = dict[str, NDArray[np.generic]]()
"""What an undisturbed prediction gives, by its settings: computed once."""


class PowerCutError(BaseException):
    """Nothing in the program is prepared for it."""


@pytest.fixture
def config(make_model: Callable[..., Path]) -> PredictConfig:
    return PredictConfig(model=str(make_model()), device="cpu", precision="float32", tile=(4, 16, 40))


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    data = np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.uint16)
    return write_stack(tmp_path / "stack.tif", data, SPACING_UM, (1.0, 2.0, 3.0))


@pytest.fixture
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The result, alone in its folder; OME-Zarr, or what a test asks for by ``EITHER``."""
    (tmp_path / "results").mkdir()
    return tmp_path / "results" / str(getattr(request, "param", "out.zarr"))


EITHER = pytest.mark.parametrize("output", ["out.ome.tif", "out.zarr"], indirect=True)


def run(
    stack: Path, output: Path, config: PredictConfig, stop_after: float = np.inf, **options: Any
) -> tuple[FilePrediction, int]:
    """Predict, until a number of tiles is done; the outcome, and how many tiles were computed."""
    events: list[Event] = []
    tiles = lambda: sum(isinstance(event, TileDone) for event in events)  # noqa: E731
    done = drain(predict_file(stack, output, config, stop=lambda: tiles() >= stop_after, **options), events.append)
    return done, tiles()


def voxels(path: Path, time: int | None = None) -> NDArray[np.generic]:
    return np.asarray(open_stack(path).volume(time=time).data[...])


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def undisturbed(stack: Path, config: PredictConfig) -> NDArray[np.generic]:
    key = str(config.tile)
    if key not in _expected:
        done, tiles = run(stack, stack.with_name("undisturbed.zarr"), config)
        assert tiles == TILES
        _expected[key] = voxels(done.output)
    return _expected[key]


@EITHER
def test_stopped_and_run_again(stack: Path, output: Path, config: PredictConfig) -> None:
    expected = undisturbed(stack, config)
    stopped, first = run(stack, output, config, stop_after=3)
    assert not stopped.prediction.complete
    assert first == 3
    assert "-incomplete" in stopped.output.name
    assert not output.exists()  # what is not whole never has the name of what is
    done, second = run(stack, output, config)
    assert (done.output, done.prediction.complete, second) == (output, True, TILES - 3)
    np.testing.assert_array_equal(voxels(output), expected)
    assert contents(output.parent) == [output.name]
    written = open_stack(output)
    assert written.spacing_um == pytest.approx(SPACING_UM)
    assert written.origin_um == pytest.approx((1.0, 2.0, 3.0))


def breaking(function: Callable[..., Any], error: BaseException, at: int, half: bool) -> Callable[..., Any]:
    """A function whose call number ``at`` fails: before anything is done, after it, or when half of it is done."""
    calls = 0

    def broken(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls != at:
            return function(*arguments)
        if half and function.__name__ == "__setitem__":  # the first planes of a box, and not the rest
            stack, box, values = arguments
            planes = box[-3]
            function(stack, (*box[:-3], slice(planes.start, planes.start + 2), *box[-2:]), values[..., :2, :, :])
        raise error

    return broken


@pytest.mark.parametrize(
    ("owner", "name", "half"),
    [
        (NotedTile, "write", False),
        (None, "__setitem__", False),
        (None, "__setitem__", True),
        (None, "flush", False),
        (Unfinished, "_write", False),
    ],
)
@EITHER
def test_a_power_cut_at_any_step_of_a_tile(
    stack: Path,
    output: Path,
    config: PredictConfig,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    half: bool,
) -> None:
    """A third tile that is not written down, not put into the file, put there by half, not on disk, not counted."""
    expected = undisturbed(stack, config)
    owner = owner or (Pyramid if output.suffix == ".zarr" else MappedArray)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, breaking(getattr(owner, name), PowerCutError(), at=3, half=half))
        patched.setattr(Unfinished, "_clear_up", lambda _: None)  # nobody tidies up after a power cut
        with pytest.raises(PowerCutError):
            run(stack, output, config)
    done, tiles = run(stack, output, config)
    assert done.prediction.complete
    assert tiles in (TILES - 1, TILES - 2, TILES - 3)
    np.testing.assert_array_equal(voxels(output), expected)


@pytest.mark.skipif(not hasattr(os, "fork") or sys.version_info >= (3, 12), reason="needs a process that forks safely")
def test_killed_at_random_moments(stack: Path, output: Path, config: PredictConfig) -> None:
    expected, begun = undisturbed(stack, config), time.perf_counter()
    run(stack, stack.with_name("timed.zarr"), config)
    took, rng = time.perf_counter() - begun, np.random.default_rng()
    log = stack.with_name("tiles.log")
    for _ in range(3):
        child = os.fork()
        if not child:
            try:
                with log.open("a", buffering=1) as file:
                    job = predict_file(stack, output, config)
                    drain(job, lambda event: file.write("tile\n") if isinstance(event, TileDone) else None)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0.3, 0.9) * took)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if output.exists():
            break
    done, last = (None, 0) if output.exists() else run(stack, output, config)
    assert done is None or done.prediction.complete
    np.testing.assert_array_equal(voxels(output), expected)
    computed = len(log.read_text().splitlines()) + last
    # A kill between writing a tile and telling of it hides it; no tile is told of twice.
    assert TILES - 3 <= computed <= TILES


def test_uncertainty_and_its_mean(stack: Path, output: Path, config: PredictConfig) -> None:
    both = config.changed(uncertainty=True)
    whole, _ = run(stack, stack.with_name("whole.zarr"), both)
    stopped, _ = run(stack, output, both, stop_after=3)
    assert stopped.uncertainty is not None
    assert "-uncertainty-incomplete" in stopped.uncertainty.name
    done, tiles = run(stack, output, both)
    assert tiles == TILES - 3
    assert done.uncertainty is not None
    assert whole.uncertainty is not None
    np.testing.assert_array_equal(voxels(done.output), voxels(whole.output))
    np.testing.assert_array_equal(voxels(done.uncertainty), voxels(whole.uncertainty))
    assert done.prediction.mean_uncertainty == pytest.approx(voxels(done.uncertainty).mean(), rel=1e-3)
    assert contents(output.parent) == sorted([done.output.name, done.uncertainty.name])


def test_a_series(config: PredictConfig, tmp_path: Path, output: Path) -> None:
    data = np.random.default_rng(0).integers(1, 1000, (3, *SHAPE)).astype(np.float32)
    data[1] = 7  # shows nothing
    series = write_stack(tmp_path / "series.ome.tif", data, SPACING_UM)
    run(series, tmp_path / "whole.zarr", config, time="all")
    run(series, output, config, stop_after=TILES + 2, time="all")
    done, tiles = run(series, output, config, time="all")
    assert (done.prediction.complete, tiles) == (True, TILES - 2)
    assert [skipped.time for skipped in done.prediction.skipped] == [1]
    for moment in range(3):
        np.testing.assert_array_equal(voxels(output, moment), voxels(tmp_path / "whole.zarr", moment))


def test_tiles_stay_as_they_were_begun(
    stack: Path, output: Path, config: PredictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tiles come from the memory that is free, less of it must not change the result."""
    from napari_deep3d.jobs.predict import plan as predict_plan

    monkeypatch.setattr(predict_plan, "_cheapest_tile", lambda *_: (4, 16, 40))
    auto = config.changed(tile="auto")
    expected = undisturbed(stack, auto)
    run(stack, output, auto, stop_after=3)
    monkeypatch.setattr(predict_plan, "_cheapest_tile", lambda *_: (8, 8, 8))
    done, tiles = run(stack, output, auto)
    assert (done.prediction.tile, tiles) == ((4, 16, 40), TILES - 3)
    np.testing.assert_array_equal(voxels(output), expected)


@pytest.mark.parametrize("what", ["the stack", "the model", "quality (fast before, best now)", "its voxel size"])
def test_what_is_made_of_something_else_is_refused(
    stack: Path, output: Path, config: PredictConfig, make_model: Callable[..., Path], what: str
) -> None:
    kept, _ = run(stack, output, config, stop_after=3)
    before, other = voxels(kept.output), config
    if what == "the stack":
        data = voxels(stack)
        data[3, 5, 7] += 1
        write_stack(stack, data, SPACING_UM, (1.0, 2.0, 3.0), overwrite=True)
    elif what == "the model":
        make_model(name="another")
    elif what == "its voxel size":
        other = config.changed(spacing_um=(0.5, 0.201, 0.2))
    else:
        other = config.changed(quality="best")
    with pytest.raises(InputError, match=r"unfinished prediction of something else.*--overwrite") as error:
        run(stack, output, other)
    assert what in str(error.value)
    np.testing.assert_array_equal(voxels(kept.output), before)
    done, tiles = run(stack, output, other, overwrite=True)  # begins anew
    assert (done.prediction.complete, tiles, contents(output.parent)) == (True, TILES, [output.name])


def test_overwrite_goes_on_too(stack: Path, output: Path, config: PredictConfig) -> None:
    """The same command, run again, goes on, even if it may replace an older result."""
    run(stack, output, config)
    before = voxels(output)
    run(stack, output, config, stop_after=3, overwrite=True)
    np.testing.assert_array_equal(voxels(output), before)
    done, tiles = run(stack, output, config, overwrite=True)
    assert (done.prediction.complete, tiles) == (True, TILES - 3)


def test_a_file_of_that_name_that_is_no_unfinished_prediction_stays(
    stack: Path, output: Path, config: PredictConfig
) -> None:
    own = output.with_name(f"out-incomplete{''.join(output.suffixes)}")
    write_stack(own, np.ones(SHAPE), SPACING_UM)
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"no prediction that can be gone on with.*Rename"):
            run(stack, output, config, overwrite=overwrite)
    assert contents(output.parent) == [own.name]
    assert np.all(voxels(own) == 1)


def test_two_at_once(stack: Path, output: Path, config: PredictConfig) -> None:
    job = predict_file(stack, output, config)
    while not isinstance(next(job), TileDone):
        pass
    with pytest.raises(InputError, match="another program is predicting"):
        run(stack, output, config)
    done = drain(job)
    assert done.prediction.complete


def test_a_stack_that_dask_reads_lazily(stack: Path, output: Path, config: PredictConfig) -> None:
    """What layers of napari often are; the same voxels are the same stack, whoever reads them."""
    data, about = voxels(stack), About("layer", "layer")
    lazy = Volume(dask.array.from_array(data, chunks=(3, 20, 20)), SPACING_UM, (1.0, 2.0, 3.0))
    held = Volume(data, SPACING_UM, (1.0, 2.0, 3.0))
    tiles: list[Event] = []
    stop = lambda: any(isinstance(event, TileDone) for event in tiles)  # noqa: E731
    drain(predict_to_file([lazy], output, config, about, stop=stop), tiles.append)
    rest: list[Event] = []
    done = drain(predict_to_file([held], output, config, about), rest.append)
    assert sum(isinstance(event, TileDone) for event in rest) == TILES - 1
    np.testing.assert_array_equal(voxels(done.output), undisturbed(stack, config))


def test_it_is_told_that_it_goes_on(stack: Path, output: Path, config: PredictConfig) -> None:
    run(stack, output, config, stop_after=3)
    events: list[Event] = []
    drain(predict_file(stack, output, config), events.append)
    told = [event.message for event in events if isinstance(event, Notice)]
    assert any(f"3 of {TILES} tiles are done" in message for message in told)


# What goes wrong on the way


def test_a_disk_that_fills_up(
    stack: Path, output: Path, config: PredictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(stack, config)
    full = OSError(errno.ENOSPC, "No space left on device")
    for owner, name in ((NotedTile, "write"), (Pyramid if output.suffix == ".zarr" else MappedArray, "__setitem__")):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, breaking(getattr(owner, name), full, at=2, half=True))
            with pytest.raises(InputError, match=r"No space left.*Make room.*kept as .*-incomplete.*goes on"):
                run(stack, output, config)
        assert not output.exists()
    done, tiles = run(stack, output, config)
    assert tiles < TILES
    assert done.prediction.complete
    np.testing.assert_array_equal(voxels(output), expected)


def test_the_output_folder_is_removed(stack: Path, output: Path, config: PredictConfig) -> None:
    def removing(event: Event) -> None:
        if isinstance(event, TileDone):
            shutil.rmtree(output.parent, ignore_errors=True)

    with pytest.raises(InputError, match=r"was removed or renamed while it was written.*Begin again"):
        drain(predict_file(stack, output, config), removing)
    assert not output.parent.exists() or contents(output.parent) == []
    output.parent.mkdir(exist_ok=True)
    assert run(stack, output, config)[1] == TILES


def cut_off(source: Path) -> None:
    """Cut a file off, or the chunks of an OME-Zarr."""
    files = [source] if source.is_file() else [path for path in (source / "0" / "c").rglob("*") if path.is_file()]
    for file in files:
        os.truncate(file, min(file.stat().st_size, 3000 if source.is_file() else 20))


@pytest.mark.parametrize("kind", ["tif", "packed.tif", "zarr", "removed.tif"])
def test_the_input_is_cut_off(stack: Path, output: Path, config: PredictConfig, kind: str) -> None:
    source, good = stack.with_name(f"source.{kind}"), stack.with_name(f"good.{kind}")
    for path in (source, good):
        if kind == "packed.tif":
            tifffile.imwrite(path, voxels(stack), compression="zlib", rowsperstrip=32)
        else:
            write_stack(path, voxels(stack), SPACING_UM)
    spaced = config.changed(spacing_um=SPACING_UM)

    def spoil(event: Event) -> None:
        if isinstance(event, TileDone) and source.exists():
            source.unlink() if kind == "removed.tif" else cut_off(source)

    with pytest.raises(InputError, match=r"(cannot be read|cut off|was removed).* What is finished is kept as"):
        drain(predict_file(source, output, spaced), spoil)
    assert not output.exists()
    shutil.rmtree(source) if source.is_dir() else source.unlink(missing_ok=True)
    good.rename(source)
    done, tiles = run(source, output, spaced)
    assert (done.prediction.complete, tiles) == (True, TILES - 1)


def test_too_little_memory_is_said_before_anything_is_written(
    tmp_path: Path, output: Path, make_model: Callable[..., Path]
) -> None:
    data = np.random.default_rng(0).integers(0, 999, (48, 300, 300), dtype=np.uint16)
    stack = write_stack(tmp_path / "stack.tif", data, SPACING_UM)
    model = str(make_model(halo=(48, 300, 300)))
    little = PredictConfig(model=model, device="cpu", precision="float32", memory_bytes=128_000_000)
    with pytest.raises(InputError, match=r"memory of 128 MB is too little.*allow"):
        run(stack, output, little)
    assert contents(output.parent) == []


def test_damaged_notes_are_told(stack: Path, output: Path, config: PredictConfig) -> None:
    run(stack, output, config, stop_after=3)
    notes = output.with_name(f".{output.name}.unfinished") / "state.json"
    notes.write_text("{")
    with pytest.raises(InputError, match=r"cannot be gone on with.*Delete"):
        run(stack, output, config)


@EITHER
def test_what_is_not_whole_can_be_opened(stack: Path, output: Path, config: PredictConfig) -> None:
    kept, _ = run(stack, output, config, stop_after=1)
    if output.suffix == ".zarr":
        validate_zarr_store(str(kept.output))
    opened = open_stack(kept.output)
    assert (opened.spacing_um, opened.data.shape[2:]) == (SPACING_UM, SHAPE)
    assert np.any(voxels(kept.output)[:4, :12])
    assert not np.any(voxels(kept.output)[6:])
