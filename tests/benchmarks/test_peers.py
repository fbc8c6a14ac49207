"""The measurements beside other programs: what a clock tells, what is read, left out, kept and shown."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from benchmarks.common.tables import Row, read_rows
from benchmarks.peers import __main__ as peers
from benchmarks.peers import environments
from benchmarks.peers.clock import Clock, Enough
from benchmarks.peers.inputs import make_pair
from benchmarks.peers.methods import METHODS, Method
from benchmarks.peers.running import MeasurementError, command_of, parsed, run
from benchmarks.peers.table import Measured, error_of, voxels, write_tables
from tools.results.peers import beside

FOUND: Row = {"seconds": 2.0, "share": 1.0, "peak_gb": 0.5, "programs": "a 1"}
QUICK = Method("prediction", METHODS[0].name, ("ours", "array"))
PRINT = "print('a word'); print('measured: {\"seconds\": 2.5}'); print('another')"


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    return Measured(tmp_path / "work")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run; each gives ``FOUND``."""
    made: list[list[str]] = []

    def fake(command: list[str], *_: float) -> Row:
        made.append(command)
        return dict(FOUND)

    monkeypatch.setattr(peers, "run", fake)
    return made


def ticking(*seconds: float) -> Clock:
    """A clock for which so many seconds have passed at its making, its start, and each step."""
    times = iter(seconds)
    return Clock(at_most=10, now=lambda: next(times))


def test_a_whole_measurement_is_not_extrapolated() -> None:
    clock = ticking(0, 5, 8, 12)
    clock.start()
    clock.step(4)
    clock.stop()
    assert clock.seconds == 7
    assert clock.share == 1


def test_time_is_extrapolated_from_the_share_of_equal_steps() -> None:
    clock = ticking(0, 5, 11, 17)
    clock.start()
    clock.step(8)
    with pytest.raises(Enough):
        clock.step(8)
    assert clock.share == 2 / 8
    assert clock.seconds == 12 / (2 / 8)


def test_what_is_done_once_is_not_extrapolated() -> None:
    clock = ticking(0, 5, 105, 110)  # a hundred seconds with the first step, five with each other
    clock.start()
    with pytest.raises(Enough):
        clock.step(8)
    with pytest.raises(Enough):
        clock.step(8)
    assert clock.seconds == 100 + 7 * 5


def test_the_last_step_is_never_stopped() -> None:
    clock = ticking(0, 0, 99)
    clock.start()
    clock.step(1)
    assert clock.seconds == 99


def test_without_a_limit_nothing_is_stopped() -> None:
    times = iter((0, 0, 1000))
    clock = Clock(now=lambda: next(times))
    clock.start()
    clock.step(2)
    assert clock.seconds == 2000


def test_stopping_is_no_error_that_a_program_could_catch() -> None:
    assert not issubclass(Enough, Exception)


def test_a_worker_s_line_is_found_among_others() -> None:
    assert run([sys.executable, "-c", PRINT], 60, 100) == {"seconds": 2.5}
    with pytest.raises(MeasurementError, match="without a measurement"):
        parsed("seconds: 3\n")


@pytest.mark.parametrize(
    ("code", "give_up", "memory_gb", "why"),
    [
        ("import sys; sys.exit('no such thing')", 60, 100, "ended with 1: no such thing"),
        ("import time; time.sleep(60)", 0.1, 100, "takes more than 0 s"),
        ("import time; time.sleep(60)", 60, 1e-6, "needs more than 0 GB"),
    ],
)
def test_why_there_is_no_measurement_is_told(code: str, give_up: float, memory_gb: float, why: str) -> None:
    with pytest.raises(MeasurementError, match=why):
        run([sys.executable, "-c", code], give_up, memory_gb)


def test_what_is_missing_is_left_out_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = environments.Environment(tmp_path / "csbdeep", ())
    monkeypatch.setattr("benchmarks.peers.methods.ENVIRONMENTS", {"csbdeep": nowhere})
    apart = Method("prediction", "apart", ("w", ""), environment="csbdeep")
    absent = Method("prediction", "absent", ("w", ""), needs="no_such_module")
    assert peers.present([apart, QUICK, absent]) == [QUICK]
    first, second = capsys.readouterr().out.splitlines()
    assert "apart: left out" in first
    assert "python -m benchmarks.peers.environments csbdeep" in first
    assert "no_such_module" in second
    assert "pip install 'napari-deep3d[benchmark]'" in second


def test_what_was_measured_is_not_measured_again(measured: Measured, calls: list[list[str]], tmp_path: Path) -> None:
    for _ in range(2):
        peers.measure_all(measured, [QUICK], (4, 8, 8), 1)
    assert len(calls) == 1
    peers.measure_all(Measured(tmp_path / "work"), [QUICK], (4, 8, 16), 1)
    assert len(calls) == 2
    assert [row["stack"] for row in measured.rows("prediction")] == ["4 x 8 x 8", "4 x 8 x 16"]


def test_what_is_too_much_is_kept_with_its_reason(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Row:
        raise MeasurementError("it needs more than 3 GB")

    monkeypatch.setattr(peers, "run", fail)
    peers.measure_all(measured, [QUICK], (4, 8, 8), 1)
    (row,) = measured.rows("prediction")
    assert row["why"] == "it needs more than 3 GB"
    assert row["seconds"] == ""


def test_only_other_programs_are_stopped() -> None:
    ours, theirs = METHODS[0], METHODS[2]
    assert command_of(ours, Path("in"), 7)[-1] == "0.0"
    assert command_of(theirs, Path("in"), 7)[-1] == "7"


def test_methods_are_chosen_by_words() -> None:
    assert peers.wanted([], []) == list(METHODS)
    assert {m.name for m in peers.wanted(["MONAI"], ["compiled"])} == {"MONAI, default", "MONAI, careful"}
    assert {m.part for m in peers.wanted(["registration"], [])} == {"registration"}


@pytest.mark.parametrize("words", [["--shapes", "48,256"], ["--shapes", "48,0,9"], ["--only", "nobody"]])
def test_what_cannot_be_measured_is_said(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["peers", *words])
    with pytest.raises(SystemExit, match="2"):
        peers.main()
    said = capsys.readouterr().err
    assert "such as 48,256,256" in said or "there are: prediction this program;" in said


def test_tables_name_machine_and_versions_once(measured: Measured, calls: list[list[str]], tmp_path: Path) -> None:
    peers.measure_all(measured, [QUICK], (4, 8, 8), 1)
    peers.measure_all(measured, [QUICK], (4, 8, 16), 1)
    write_tables(measured, tmp_path)
    assert [row["what"] for row in read_rows(tmp_path / "peers_versions.csv")] == ["machine", QUICK.name]
    assert "programs" not in read_rows(tmp_path / "peers_prediction.csv")[0]
    assert calls


def test_a_shift_s_error_is_its_distance_from_the_true_one(tmp_path: Path) -> None:
    assert error_of("2.3 -7.4 12.25") == 0
    assert error_of("2.3 -4.4 8.25") == pytest.approx(5)
    make_pair(tmp_path, (12, 40, 48))
    confocal, widefield = (np.load(tmp_path / f"{name}.npy").astype(float) for name in ("confocal", "widefield"))
    spectra = scipy.fft.rfftn(widefield) * scipy.fft.rfftn(confocal).conj()
    peak = np.unravel_index(np.argmax(scipy.fft.irfftn(spectra, confocal.shape)), confocal.shape)
    assert peak == (2, 40 - 7, 12)


def test_a_cell_tells_what_was_extrapolated_and_what_was_not_possible() -> None:
    common = {"stack": "4 x 8 x 8", "peak_gb": "1.24", "why": "", "error_voxels": "0.123"}
    rows = [
        common | {"method": "ours", "seconds": "20", "share": "1"},
        common | {"method": "cut", "seconds": "50", "share": "0.2"},
        common | {"method": "none", "seconds": "", "share": "", "why": "it needs more than 3 GB"},
    ]
    ours, cut, none = (row["4 x 8 x 8"] for row in beside(ratio=True)(rows))
    assert ours == "20 s (1.0), 1.2 GB"
    assert cut == "~50 s (2.5), 1.2 GB"
    assert none == "it needs more than 3 GB"
    assert beside(error=True)(rows)[0]["4 x 8 x 8"] == "20 s, 1.2 GB, 0.12"


def test_voxels_are_counted() -> None:
    assert voxels("76 x 2048 x 2048") == 76 * 2048**2
