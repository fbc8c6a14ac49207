"""Models for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from napari_deep3d.api.settings import File, OnEvent
from napari_deep3d.core import Stop, drain, never
from napari_deep3d.jobs.models.export import ExportedModel
from napari_deep3d.jobs.models.export import export_model as export_job


def export_model(
    model: str,
    output: File,
    *,
    file_format: Literal["safetensors", "onnx", "bioimageio"] | None = None,
    authors: Sequence[str] = (),
    licence: str = "",
    overwrite: bool = False,
    on_event: OnEvent | None = None,
    stop: Stop = never,
) -> ExportedModel:
    """Write a model to a file for others: a copy, ONNX, or a package of bioimage.io.

    Parameters
    ----------
    model : str
        Name of a model, or a model file.
    output : str or Path
        File to write, ending in ``.safetensors``, ``.onnx`` or ``.zip``.
    file_format : str, optional
        "safetensors", "onnx" or "bioimageio"; by the ending if not given. The last two need
        ``pip install "napari-deep3d[export]"``.
    authors, licence : sequence of str, str
        Of a package: who made the model, and the SPDX identifier of its licence. Bundled models have theirs.
    overwrite, on_event, stop
        As in :func:`predict`; it is stopped between steps.

    Returns
    -------
    ExportedModel
        The file, the largest difference between it and torch, and of a package how much tiles change its answer.

    Raises
    ------
    InputError
        If something given cannot be used, or a library is missing.
    StoppedError
        If it was stopped; nothing is written then.
    """
    job = export_job(model, output, file_format, authors=authors, licence=licence, overwrite=overwrite, stop=stop)
    return drain(job, on_event)
