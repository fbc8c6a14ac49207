"""Differences, measures and files of a comparison; no window."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from napari_deep3d.core import drain, never
from napari_deep3d.gui.compare.export import Scene, draw_scene, table_paths, write_tables
from napari_deep3d.gui.compare.measuring import ALONE, differences, measure, measure_alone
from napari_deep3d.gui.compare.report import ReportRequest, report_paths, write_reports
from napari_deep3d.gui.compare.sections import lay_out
from napari_deep3d.gui.compare.sections_view import read_sections
from napari_deep3d.gui.compare.stacks import ComparedStack

SHAPE = (8, 24, 32)


@pytest.fixture
def reference() -> ComparedStack:
    truth = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    matrix = np.diag([0.5, 0.2, 0.2, 1.0])
    return ComparedStack("confocal", "confocal", 1000 * truth, matrix, (0.0, 1000.0), np.zeros((256, 3), np.uint8))


def like(reference: ComparedStack, title: str, data: np.ndarray) -> ComparedStack:
    return replace(reference, title=title, role=title, data=data)


def test_a_scale_and_an_offset_make_no_difference(reference: ComparedStack) -> None:
    same = like(reference, "prediction", 3 * np.asarray(reference.data) + 70)
    (found,) = differences([same], reference)
    assert np.abs(found.data[:, :, :]).max() < 1e-4
    assert found.title == "prediction - confocal"
    (measured,) = drain(measure([same], reference, never)).measured
    assert measured.agreement.score.rmse_fit == pytest.approx(0, abs=1e-4)
    assert measured.agreement.score.ssim_fit == pytest.approx(1, abs=1e-3)


def test_voxels_that_are_not_finite_do_not_count(reference: ComparedStack) -> None:
    data = np.asarray(reference.data).copy()
    data[:, :, -4:] = np.nan
    (measured,) = drain(measure([like(reference, "prediction", data)], reference, never)).measured
    assert measured.agreement.score.rmse_fit == pytest.approx(0, abs=1e-4)


def test_the_difference_is_in_shares_of_the_reference_and_centred(reference: ComparedStack) -> None:
    data = np.asarray(reference.data).copy()
    data[3, 10:14, 10:14] += 500
    (found,) = differences([like(reference, "prediction", data)], reference)
    low, high = np.percentile(reference.data, (0.1, 99.9))
    patch = found.data[3, 10:14, 10:14].mean() - found.data[5].mean()
    assert patch == pytest.approx(500 / (high - low), rel=0.1)
    assert found.limits[0] == -found.limits[1]
    assert found.colours[[127, 128]].min() > 225  # white in the middle
    assert found.colours[0, 2] > found.colours[0, 0]  # blue is less
    assert found.colours[-1, 0] > found.colours[-1, 2]


def test_depth_is_where_the_planes_lie(reference: ComparedStack) -> None:
    """Of a stack that shows only some planes of the reference, those are measured."""
    matrix = reference.matrix.copy()
    matrix[0, 3] = 1.0
    part = replace(like(reference, "prediction", np.asarray(reference.data)[2:]), matrix=matrix)
    numbers = drain(measure([part], reference, never))
    assert numbers.share == pytest.approx(6 / 8)
    assert numbers.measured[0].depth_um == pytest.approx(np.arange(1, 4, 0.5))
    assert numbers.measured[0].agreement.score.rmse_fit == pytest.approx(0, abs=1e-4)


def test_tables_hold_what_is_on_show(reference: ComparedStack, tmp_path: Path) -> None:
    spot = np.zeros(SHAPE, np.float32)
    spot[4, 12, 16] = 10
    stacks = [like(reference, "wide-field, raw", spot), reference]
    profiles = {stack.title: stack.profile((2.0, 2.4, 0.2), (2.0, 2.4, 6.0), 0.0, None) for stack in stacks}
    numbers = drain(measure(stacks[:1], reference, never))
    written = write_tables(tmp_path / "cell.csv", profiles, numbers)
    assert written == table_paths(tmp_path / "cell.csv")
    table, curves, depth = (list(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in written)
    assert table[0] == ["stack", "FWHM (um)", "contrast", "RMSE", "SSIM", "reference", *ALONE]
    assert [row[0] for row in table[1:]] == ["wide-field, raw", "confocal"]
    assert float(table[1][1]) == pytest.approx(0.2)  # a voxel, by linear interpolation
    assert float(table[1][3]) == pytest.approx(numbers.measured[0].agreement.score.rmse_fit, rel=1e-4)
    assert table[2][3:6] == ["", "", ""]  # the reference is not measured against itself
    (own,) = drain(measure_alone([reference], never)).figures.values()
    assert [float(value) if value else np.nan for value in table[2][6:]] == pytest.approx(
        list(own.values()), rel=1e-5, nan_ok=True
    )
    found = np.array([[float(value) for value in row] for row in curves[1:]])
    assert found[found[:, 1].argmax(), 0] == pytest.approx(16 * 0.2 - 0.2)
    assert [float(row[0]) for row in depth[1:]] == pytest.approx(np.arange(8) * 0.5)
    assert depth[1][2] == ""  # no window of the SSIM is around the first plane
    assert write_tables(tmp_path / "bare.csv", {}, None) == [tmp_path / "bare.csv"]


def test_without_a_reference_stacks_are_measured_by_themselves(reference: ComparedStack, tmp_path: Path) -> None:
    noise = np.random.default_rng(2).normal(100, 1, (16, 48, 48)).astype(np.float32)
    noise[4:12, 10:30, 10:30] += 20
    one = like(reference, "wide-field", noise)
    alone = drain(measure_alone([one, like(reference, "blank", np.zeros((16, 48, 48)))], never))
    assert np.isnan(alone.figures["blank"]["contrast to noise"])
    assert alone.figures["wide-field"]["contrast to noise"] == pytest.approx(20, rel=0.1)
    (path,) = write_tables(tmp_path / "alone.csv", {}, alone)
    head, row, blank = csv.reader(path.read_text(encoding="utf-8").splitlines())
    assert blank[5] == ""
    assert head[3:] == ["resolution x-y (um)", "resolution z (um)", "contrast to noise"]
    assert float(row[5]) == pytest.approx(alone.figures["wide-field"]["contrast to noise"], rel=1e-5)


def test_the_report_is_that_of_evaluate_with_the_same_numbers(reference: ComparedStack, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = np.asarray(reference.data)
    noisy = like(reference, "prediction", truth / 1000 + rng.normal(0, 0.2, SHAPE))
    numbers = drain(measure([noisy], reference, never))
    request = ReportRequest([noisy], reference, None, {"prediction": {"model": "my nuclei"}})
    assert drain(write_reports(tmp_path / "cell.html", request, never)) == [tmp_path / "cell.html"]
    said = (tmp_path / "cell.html").read_text(encoding="utf-8")
    score = numbers.measured[0].agreement.score
    assert "my nuclei" in said
    written = np.array([float(text) for text in re.findall(r">(\d\.\d+)<", said)])
    for value in (score.rmse_fit, score.ssim_fit):
        assert np.abs(written - value).min() < 1e-3
    assert [path.name for path in report_paths(tmp_path / "cell.html", ["one", "two"])] == [
        "cell-one.html",
        "cell-two.html",
    ]


def test_the_picture_has_titles_bars_and_pixels(reference: ComparedStack, tmp_path: Path) -> None:
    colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    stacks = [replace(reference, colours=colours), replace(reference, title="of < it", colours=colours)]
    point, bounds = (2.0, 2.4, 3.2), reference.bounds
    placements = lay_out("all three", bounds)
    sections = read_sections(stacks, placements, point)
    line = ((1.0, 2.4, 1.0), (3.0, 2.4, 5.0))
    scene = Scene(stacks, sections, placements, bounds, point, line, (-0.5, -0.5, 9.5, 12.0), 2)
    root = ElementTree.parse(draw_scene(tmp_path / "one.svg", scene)).getroot()
    said = " ".join("".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text"))
    for text in ("confocal", "of < it", "2 um", "crosshair at z 2.00, y 2.40, x 3.20 um"):
        assert text in said
    assert len([*root.iter("{http://www.w3.org/2000/svg}image")]) == 2
    pixels = imread(draw_scene(tmp_path / "one.png", scene))[..., :3]
    assert pixels.shape[1] > 1200
    assert {0.0, 1.0} <= set(np.unique(pixels).round(3).tolist())
