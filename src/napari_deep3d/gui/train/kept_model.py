"""Puts a trained model on the list of models, under a name that is free."""

from __future__ import annotations

import filecmp
import tempfile
from pathlib import Path

from napari_deep3d.gui.shared.training_pairs import unique_name
from napari_deep3d.jobs.models import SUFFIX, ModelEntry, check_name, import_model, list_models
from napari_deep3d.nn.model_file import load_model, save_model


def model_names() -> list[str]:
    """Names of the models at hand."""
    return [entry.name for entry in list_models()]


def free_name(name: str, runs: Path) -> str:
    """The name, or with a number if a model or a run folder has it already.

    Raises
    ------
    InputError
        If it cannot be the name of a model.
    """
    folders = [path.name for path in runs.iterdir()] if runs.is_dir() else []
    return unique_name(check_name(name.strip()), [*model_names(), *folders])


def is_listed(name: str, model: Path) -> bool:
    """Whether the user's model of that name is this very file: then a later state of it may take its place."""
    own = [entry.path for entry in list_models() if entry.name == name and not entry.bundled]
    return bool(own) and model.is_file() and filecmp.cmp(own[-1], model, shallow=False)


def keep_model(name: str, model: Path, replaces: bool) -> ModelEntry:
    """Copy a model to the user's models; if its name is taken, under the next free one.

    Parameters
    ----------
    name, model
        Its name, and its file.
    replaces
        It is the later state of the listed model of that name, and takes its place.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    if replaces or name not in model_names():
        return import_model(model, overwrite=replaces)
    generator, info = load_model(model)
    free = unique_name(name, model_names())
    with tempfile.TemporaryDirectory() as folder:
        copy = save_model(Path(folder) / f"model{SUFFIX}", generator, info.model_copy(update={"name": free}))
        return import_model(copy)
