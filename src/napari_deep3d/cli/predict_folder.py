"""The ``predict`` command for the stacks of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from napari_deep3d.cli.console import end, report_files, run
from napari_deep3d.core import InputError, PredictConfig
from napari_deep3d.jobs.predict.folder import predict_folder
from napari_deep3d.jobs.predict.folder_items import ResultSuffix, Wanted

FORMATS: dict[str, ResultSuffix] = {suffix.rpartition(".")[2]: suffix for suffix in get_args(ResultSuffix)}


def predict_stacks(
    folder: Path,
    output: Path,
    config: PredictConfig,
    wanted: Wanted,
    file_format: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Predict the stacks of a folder and report of each; leave with the code of bad input if some could not be."""
    suffix = FORMATS.get(file_format)
    if suffix is None:
        raise InputError(f"--format got {file_format!r}; {' and '.join(FORMATS)} are allowed. Give one of them.")
    done = run(
        lambda stop: predict_folder(folder, output, config, wanted, suffix=suffix, overwrite=overwrite, stop=stop)
    )
    report_files(done, as_json)
    end(done.complete, left_out=done.not_done)
