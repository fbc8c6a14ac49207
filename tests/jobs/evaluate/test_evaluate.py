"""Evaluations: figures as an independent computation tells them, stop, reports, folders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage as ndi

from napari_deep3d.core import (
    EvaluateConfig,
    InputError,
    Notice,
    Progress,
    StoppedError,
    Volume,
    drain,
    intensity_range,
    normalise,
)
from napari_deep3d.core.evaluation.metrics import score
from napari_deep3d.io import write_stack
from napari_deep3d.jobs.evaluate.evaluate import Evaluation, evaluate_volumes
from napari_deep3d.jobs.evaluate.figures import Picture, draw_evaluation
from napari_deep3d.jobs.evaluate.file import evaluate_file, evaluate_folders
from napari_deep3d.jobs.evaluate.report import check_report, write_report
from napari_deep3d.jobs.models.store import find_model, model_info, model_sha256
from napari_deep3d.jobs.register import StackSource

SPACING_UM = (0.5, 0.2, 0.2)
NAMES = ("rmse", "ssim", "rmse_fit", "ssim_fit")


class Stacks:
    """A sample as confocal, prediction (0 to 1, a little blurred) and wide-field show it, axes (Z, Y, X)."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        sample = ndi.gaussian_filter((rng.random((12, 40, 48)) > 0.99).astype(float), 1.2)
        sample /= sample.max()
        self.confocal = rng.poisson(900 * sample + 20).astype(np.uint16)
        self.prediction = (0.9 * ndi.gaussian_filter(sample, 0.7) + 0.02).astype(np.float32)
        self.widefield = rng.poisson(3000 * ndi.gaussian_filter(sample, (3, 1.5, 1.5)) + 400).astype(np.uint16)

    def volumes(self) -> tuple[Volume, Volume, Volume]:
        p, c, w = (
            Volume(getattr(self, name), SPACING_UM, name=name) for name in ("prediction", "confocal", "widefield")
        )
        return p, c, w


@pytest.fixture(scope="module")
def stacks() -> Stacks:
    return Stacks()


@pytest.fixture(scope="module")
def found(stacks: Stacks) -> Evaluation:
    return drain(evaluate_volumes(*stacks.volumes(), provenance={"model": "tiny<b>", "made_by": "napari-deep3d"}))


def test_figures_as_in_one_go(stacks: Stacks, found: Evaluation) -> None:
    truth = normalise(stacks.confocal, intensity_range(stacks.confocal, (0.1, 99.9)))
    blurred = normalise(stacks.widefield, intensity_range(stacks.widefield, (0.1, 99.9)))
    for role, image in (("prediction", stacks.prediction), ("widefield", blurred)):
        expected = score(image, truth)
        for name in NAMES:
            assert found.stacks[role].figures[name] == pytest.approx(getattr(expected, name), rel=1e-4)
    better, worse = found.stacks["prediction"].figures, found.stacks["widefield"].figures
    assert better["rmse_fit"] < worse["rmse_fit"]
    assert better["contrast_to_noise"] > worse["contrast_to_noise"]
    assert not set(NAMES) & found.stacks["confocal"].figures.keys()


def test_what_json_holds(found: Evaluation) -> None:
    told = found.report()
    assert {*NAMES, "by_depth", "widefield", "confocal", "spacing_um", "percentiles"} <= told.keys()
    assert {*NAMES, "by_depth"} <= told["widefield"].keys()
    for depth in (told["by_depth"], told["widefield"]["by_depth"]):
        assert depth["z_um"] == pytest.approx(0.5 * np.arange(12))
        assert all(len(values) == 12 for values in depth.values())
    mean_square = np.mean(np.square(told["by_depth"]["rmse_fit"]))
    assert np.sqrt(mean_square) == pytest.approx(told["rmse_fit"])


def test_stacks_on_disk_are_read_plane_by_plane(
    stacks: Stacks, found: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not held in memory, the same comes out, and never more than a block is read."""
    monkeypatch.setattr("napari_deep3d.jobs.evaluate.evaluate.HELD_BYTES", 0)
    monkeypatch.setattr("napari_deep3d.core.evaluation.blocks.BLOCK_VOXELS", 10_000)
    monkeypatch.setattr("napari_deep3d.core.evaluation.blocks.FOURIER_BOX", (12, 16, 16))
    largest = 0

    class OnDisk:
        def __init__(self, data: np.ndarray) -> None:
            self.shape, self.dtype, self._data = data.shape, data.dtype, data

        def __getitem__(self, box: object) -> np.ndarray:
            nonlocal largest
            part = self._data[box]
            largest = max(largest, part.size)
            return part

    again = drain(evaluate_volumes(*(replace(v, data=OnDisk(v.data)) for v in stacks.volumes())))
    for role, stack in found.stacks.items():
        assert again.stacks[role].figures == pytest.approx(dict(stack.figures), rel=1e-4)
    assert 0 < largest <= 12 * 40 * 48 * 0.9


def test_blank_borders_do_not_count(stacks: Stacks) -> None:
    prediction, confocal, widefield = stacks.volumes()
    spoilt = stacks.confocal.copy()
    spoilt[:, :, :10] = 0
    events: list[object] = []
    job = evaluate_volumes(prediction, replace(confocal, data=spoilt), widefield)
    told = drain(job, events.append)
    assert told.region.start == (0, 0, 10)
    cut = [replace(v, data=v.data[:, :, 10:]) for v in stacks.volumes()]
    expected = drain(evaluate_volumes(*cut))
    for name in NAMES:
        assert told.stacks["prediction"].figures[name] == pytest.approx(expected.stacks["prediction"].figures[name])
    assert any(isinstance(event, Notice) and "do not count" in event.message for event in events)


def test_a_prediction_in_counts_is_told_of(stacks: Stacks) -> None:
    prediction, confocal, _ = stacks.volumes()
    told = drain(evaluate_volumes(replace(prediction, data=5000 * stacks.prediction), confocal))
    assert any("not 0 to 1" in notice for notice in told.notices)
    assert told.stacks["prediction"].figures["rmse"] > 100
    assert told.stacks["prediction"].figures["rmse_fit"] < 0.2


def test_progress_rises_and_tells_the_time_left(stacks: Stacks) -> None:
    events: list[object] = []
    drain(evaluate_volumes(*stacks.volumes()), events.append)
    progress = [event for event in events if isinstance(event, Progress)]
    shares = [event.fraction for event in progress]
    assert shares == sorted(shares)
    assert progress[-1].seconds_left is not None
    assert 0.5 < shares[-1] < 1  # the last measure begins


def test_stop_at_any_time(stacks: Stacks) -> None:
    asked = 0

    def count() -> bool:
        nonlocal asked
        asked += 1
        return False

    drain(evaluate_volumes(*stacks.volumes(), stop=count))
    assert asked > 12 * 3 * 8  # at every plane of every measure
    for last in (1, asked // 5, asked // 2, asked - 5):
        left = [last]

        def after(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] < 0

        with pytest.raises(StoppedError):
            drain(evaluate_volumes(*stacks.volumes(), stop=after))
        assert left[0] == -1  # not asked again


@pytest.mark.parametrize(
    ("spoil", "got", "remedy"),
    [
        (lambda v: replace(v, data=v.data[1:]), "differ in size: the prediction stack", "register the pair first"),
        (lambda v: replace(v, spacing_um=(0.3, 0.2, 0.2)), "the voxel sizes differ", "--spacing"),
        (
            lambda v: replace(v, data=np.full_like(v.data, np.nan)),
            "holds no image, only blank planes (NaN)",
            "right channel",
        ),
        (lambda v: replace(v, data=np.full_like(v.data, 3)), "is constant (every voxel about 3)", "right channel"),
    ],
)
def test_predictions_that_are_refused(stacks: Stacks, spoil: Callable[[Volume], Volume], got: str, remedy: str) -> None:
    prediction, confocal, _ = stacks.volumes()
    with pytest.raises(InputError) as error:
        drain(evaluate_volumes(spoil(prediction), confocal))
    assert got in str(error.value)
    assert remedy in str(error.value)


def test_confocal_stacks_that_are_refused(stacks: Stacks) -> None:
    prediction, confocal, _ = stacks.volumes()
    bright = replace(confocal, data=np.minimum(confocal.data, np.uint16(np.median(confocal.data))))
    with pytest.raises(InputError, match="the confocal stack confocal is overexposed"):
        drain(evaluate_volumes(prediction, bright))
    unknown = [replace(volume, spacing_um=None) for volume in (prediction, confocal)]
    with pytest.raises(InputError, match="no voxel size"):
        drain(evaluate_volumes(*unknown))
    told = drain(evaluate_volumes(*unknown, config=EvaluateConfig(spacing_um=SPACING_UM)))
    assert told.spacing_um == SPACING_UM


def test_without_a_confocal_stack(stacks: Stacks, found: Evaluation, tmp_path: Path) -> None:
    prediction, _, widefield = stacks.volumes()
    told = drain(evaluate_volumes(prediction, None, widefield))
    assert list(told.stacks) == ["widefield", "prediction"]
    for role, stack in told.stacks.items():
        assert not set(NAMES) & {*stack.figures, *stack.by_depth}
        for name in ("resolution_xy_um", "sharpness_signal", "high_frequency_share"):
            assert stack.figures[name] == pytest.approx(found.stacks[role].figures[name])
    page = Page(write_report(tmp_path / "report.html", told, draw_evaluation(told)).read_text())
    assert len(page.sources) == 4
    assert "RMSE, fitted" not in page.text


def test_micro_ssim_beside_the_others(stacks: Stacks) -> None:
    prediction, confocal, _ = stacks.volumes()
    job = evaluate_volumes(prediction, confocal, config=EvaluateConfig(micro_ssim=True))
    if find_spec("microssim") is None:
        with pytest.raises(InputError, match="needs the package microssim"):
            next(job)  # before anything is read
        return
    told = drain(job)
    assert told.stacks["prediction"].figures["micro_ssim"] == pytest.approx(
        np.nanmean(told.stacks["prediction"].by_depth["micro_ssim"])
    )


def test_places_that_differ_are_told_of(stacks: Stacks) -> None:
    prediction, confocal, _ = stacks.volumes()
    told = drain(evaluate_volumes(replace(prediction, origin_um=(0, 5, 0)), confocal))
    assert any("elsewhere than the confocal stack" in notice for notice in told.notices)


class Page(HTMLParser):
    """What a page shows and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.sources, self.open = "", list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_the_report_holds_all_and_loads_nothing(found: Evaluation, tmp_path: Path) -> None:
    pictures = draw_evaluation(found)
    assert all(picture.png.startswith(b"\x89PNG") and len(picture.png) > 5000 for picture in pictures)
    path = write_report(tmp_path / "report.html", found, pictures)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert len(page.sources) == len(pictures)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert "url(" not in path.read_text()
    assert "@import" not in path.read_text()
    for words in ("RMSE, fitted", "wide-field", "tiny<b>", "scikit-image", "0.1 and 99.9", "0.5 x 0.2 x 0.2 um"):
        assert words in page.text
    assert f"{found.stacks['prediction'].figures['rmse_fit']:.4g}" in page.text
    assert "wide-field: widefield; prediction: prediction; confocal: confocal" in page.text
    assert "No model of that name was on the computer" in page.text


def test_the_report_says_how_the_model_was_trained(found: Evaluation, tmp_path: Path) -> None:
    told = replace(found, provenance={"model": "generalist"})
    page = Page(write_report(tmp_path / "report.html", told, []).read_text(encoding="utf-8"))
    training = model_info("generalist").training
    checksum = hashlib.sha256(find_model("generalist").read_bytes()).hexdigest()
    for name, value in (
        ("pairs", str(training["pairs"])),
        ("steps", str(training["steps"])),
        ("trained on from", training["start"]),
        ("loss", f"l1 {training['config']['weight_l1']:g}"),
        ("what it is", "simulated"),
        ("SHA-256 of its file", checksum),
    ):
        assert re.search(rf"{name}\s+[^|]*{value}", page.text), name


def test_the_report_tells_whether_it_is_the_model_that_predicted(found: Evaluation, tmp_path: Path) -> None:
    for checksum, words in ((model_sha256("generalist"), "its checksum is the same"), ("0" * 64, "is another than")):
        told = replace(found, provenance={"model": "generalist", "model_sha256": checksum})
        path = tmp_path / f"{checksum}.html"
        text = Page(write_report(path, told, []).read_text(encoding="utf-8")).text
        assert words in text
        assert ("trained on from" in text) == (words != "is another than")


def test_the_report_is_whole_or_not_at_all(found: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with pytest.raises(TypeError):
        write_report(path, found, [Picture("caption", None)])  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "got"),
    [("report.pdf", ".html is needed"), ("no/report.html", "no folder"), ("there.html", "is not replaced")],
)
def test_names_of_reports_that_are_refused(tmp_path: Path, name: str, got: str) -> None:
    (tmp_path / "there.html").touch()
    with pytest.raises(InputError, match=got):
        check_report(tmp_path / name)
    assert check_report(tmp_path / "there.html", overwrite=True)


@pytest.fixture
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take a second each."""
    monkeypatch.setattr(
        "napari_deep3d.jobs.evaluate.file.draw_evaluation", lambda found, *_: [Picture(found.name, b"png")]
    )


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, StackSource]:
    """Three samples in three folders; files of one name belong together."""
    for seed, name in enumerate(("a", "b", "c")):
        made = Stacks(seed)
        for kind in ("prediction", "confocal", "widefield"):
            (tmp_path / kind).mkdir(exist_ok=True)
            about = {"model": "tiny"} if kind == "prediction" else None
            write_stack(tmp_path / kind / f"{name}.ome.tif", getattr(made, kind), SPACING_UM, description=about)
    return {kind: StackSource(tmp_path / kind) for kind in ("prediction", "confocal", "widefield")}


@pytest.mark.usefixtures("_no_drawing")
def test_two_folders(folders: dict[str, StackSource], tmp_path: Path) -> None:
    (tmp_path / "widefield" / "b.ome.tif").unlink()
    write_stack(tmp_path / "prediction" / "alone.ome.tif", Stacks().prediction, SPACING_UM)
    events: list[object] = []
    job = evaluate_folders(*folders.values(), tmp_path / "report.html")
    done = drain(job, events.append)
    assert [found.name for found in done.evaluations] == ["a", "c"]
    assert "there is no file" in done.problems["b"]
    assert any(isinstance(event, Notice) and "alone" in event.message for event in events)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.fraction for event in progress] == sorted(event.fraction for event in progress)
    assert progress[-1].seconds_left is not None
    told = done.report()
    single = drain(evaluate_file(*(source.within("a.ome.tif") for source in folders.values())))
    assert told["summary"][0]["rmse"] == pytest.approx(single.evaluation.stacks["prediction"].figures["rmse"])
    means = [told["summary"][i]["rmse_fit"] for i in (0, 1)]
    assert told["rmse_fit"] == pytest.approx(np.mean(means))
    assert told["widefield"]["by_depth"]["rmse"][0] == pytest.approx(
        np.mean([row["widefield"]["by_depth"]["rmse"][0] for row in told["summary"][:2]])
    )
    page = Page((tmp_path / "report.html").read_text())
    assert len(page.sources) == 2  # a picture of each of the two
    assert re.search(r"mean\s+0\.", page.text)
    assert "there is no file" in page.text
    assert "Model: tiny" in page.text


@pytest.mark.usefixtures("_no_drawing")
def test_a_stopped_folder_keeps_what_is_finished(folders: dict[str, StackSource], tmp_path: Path) -> None:
    old = tmp_path / "report.html"
    old.write_text("old")
    done_one = False

    def on_event(event: object) -> None:
        nonlocal done_one
        done_one |= isinstance(event, Progress) and event.message.startswith("stack 2")

    job = evaluate_folders(folders["prediction"], folders["confocal"], None, old, overwrite=True, stop=lambda: done_one)
    done = drain(job, on_event)
    assert not done.complete
    assert [found.name for found in done.evaluations] == ["a"]
    assert done.output == tmp_path / "report-incomplete.html"
    assert "Stopped: 1 of 3" in done.output.read_text()
    assert old.read_text() == "old"


def test_folders_of_which_nothing_can_be_used(folders: dict[str, StackSource], tmp_path: Path) -> None:
    for path in (tmp_path / "confocal").iterdir():
        path.write_text("no stack")
    with pytest.raises(InputError, match="none of the 3 stacks could be evaluated; the first"):
        drain(evaluate_folders(folders["prediction"], folders["confocal"], None, tmp_path / "report.html"))
    assert not (tmp_path / "report.html").exists()
