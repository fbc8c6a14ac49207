"""The models at hand: those bundled with the package and those the user trained or imported."""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from napari_deep3d.core import InputError, writing
from napari_deep3d.data import MODELS
from napari_deep3d.jobs.preferences import read_preferences

if TYPE_CHECKING:
    from napari_deep3d.nn.model_file import ModelInfo

SUFFIX = ".safetensors"
FOLDER_VARIABLE = "NAPARI_DEEP3D_MODELS"


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be chosen by name."""

    name: str
    path: Path
    bundled: bool


def user_folder() -> Path:
    """Where the user's models live: $NAPARI_DEEP3D_MODELS, the folder in napari's preferences, or the data folder.

    The preferences count where napari is loaded, as in its window: loading it takes too long for a command.
    """
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    return _preferred_folder() or platformdirs.user_data_path("napari-deep3d") / "models"


def missing_folder() -> str:
    """Say that the folder of models in napari's preferences is not there; empty if it is, or if none is named."""
    preferred = None if os.environ.get(FOLDER_VARIABLE) else _preferred_folder()
    if preferred is None or preferred.is_dir():
        return ""
    return (
        f"There is no folder {preferred} (File > Preferences > napari-deep3d) yet: it is made when a model is kept, "
        "and only bundled models are listed until then."
    )


def _preferred_folder() -> Path | None:
    return read_preferences().models_path if "napari.settings" in sys.modules else None


def list_models() -> list[ModelEntry]:
    """Bundled models, then the user's own, each sorted by name. No file is opened."""
    return [
        ModelEntry(path.name.removesuffix(SUFFIX), path, folder == MODELS)
        for folder in (MODELS, user_folder())
        for path in sorted(folder.glob(f"[!.]*{SUFFIX}"))
    ]


def model_names() -> list[str]:
    """Names of the models at hand, in the order of :func:`list_models`; a name may come twice."""
    return [entry.name for entry in list_models()]


def find_model(name_or_path: str) -> Path:
    """The file of a model given by name or path, the user's own before a bundled one; InputError if there is none."""
    entries = list_models()
    for entry in reversed(entries):
        if entry.name == name_or_path:
            return entry.path
    path = Path(name_or_path)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    names = ", ".join(model_names()) or "none"
    raise InputError(f"there is no model {name_or_path!r}; at hand are: {names}. Give one of them, or a model file.")


def model_info(name_or_path: str) -> ModelInfo:
    """Read what a model says of itself; torch is not imported."""
    from napari_deep3d.nn.model_file import read_info

    return read_info(find_model(name_or_path))


def model_sha256(name_or_path: str) -> str:
    """The checksum of a model's file, in hexadecimal: which model it was, whatever it is called later."""
    with find_model(name_or_path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_stamp(name_or_path: str) -> tuple[str, int, int] | None:
    """Path, time of change in ns and size of a model's file: another model under the same name has another stamp.

    None if there is no such file.
    """
    try:
        path = find_model(name_or_path)
        found = path.stat()
    except (InputError, OSError):
        return None
    return str(path), found.st_mtime_ns, found.st_size


def open_model(name_or_path: str) -> tuple[Any, ModelInfo]:
    """The generator of a model given by name or path, and what the model says of itself."""
    from napari_deep3d.nn.model_file import load_model

    return load_model(find_model(name_or_path))


def check_name(name: str) -> str:
    """Refuse a name that is not a plain file name, such as one that leads to another folder, with an InputError.

    Letters, digits, blanks and ``_.()+-`` are allowed.
    """
    if not re.fullmatch(r"\w[\w .()+-]*", name):
        raise InputError(
            f"{name!r} cannot be the name of a model; letters, digits, blanks and _ . ( ) + - are allowed, beginning "
            "with a letter or digit. Give another name."
        )
    return name


def unique_name(name: str, taken: Iterable[str]) -> str:
    """A name that is not taken, however it is capitalised: ``cell``, ``cell 2``, ``cell 3``."""
    known, number, found = {other.casefold() for other in taken}, 2, name
    while found.casefold() in known:
        found, number = f"{name} {number}", number + 1
    return found


def free_name(name: str, runs: Path) -> str:
    """The name, or with a number if a model or a run folder in ``runs`` has it already.

    InputError if it cannot be the name of a model.
    """
    folders = [path.name for path in runs.iterdir()] if runs.is_dir() else []
    return unique_name(check_name(name.strip()), [*model_names(), *folders])


def is_listed(name: str, model: Path) -> bool:
    """Whether the user's model of that name is this very file: then a later state of it may take its place."""
    own = [entry.path for entry in list_models() if entry.name == name and not entry.bundled]
    return bool(own) and model.is_file() and filecmp.cmp(own[-1], model, shallow=False)


def keep_model(name: str, model: Path, replaces: bool) -> ModelEntry:
    """Copy a trained model to the user's models; if its name is taken, under the next free one.

    With ``replaces`` it is the later state of the listed model of that name, and takes its place. InputError if it
    cannot be written.
    """
    if replaces or name not in model_names():
        return import_model(model, overwrite=replaces)
    from napari_deep3d.nn.model_file import load_model, save_model

    generator, info = load_model(model)
    free = info.model_copy(update={"name": unique_name(name, model_names())})
    with tempfile.TemporaryDirectory() as folder:
        return import_model(save_model(Path(folder) / f"model{SUFFIX}", generator, free))


def import_model(path: str | Path, overwrite: bool = False) -> ModelEntry:
    """Check a model file, or what was exported of one, and keep a copy among the user's models under its own name.

    InputError if it is not a model, or one of that name is there and ``overwrite`` is false.
    """
    from napari_deep3d.nn.model_file import EXPORTED, load_model

    if Path(path).suffix.lower() in EXPORTED:
        with tempfile.TemporaryDirectory() as folder_name:
            return import_model(_as_model_file(Path(path), Path(folder_name)), overwrite)
    _, info = load_model(path)
    name, folder = check_name(info.name), user_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return ModelEntry(name, _copy(Path(path), folder / f"{name}{SUFFIX}", overwrite), False)


def _as_model_file(path: Path, folder: Path) -> Path:
    """A model file made in a folder from an ONNX file, or from the one in a package, which the program exported."""
    from napari_deep3d.nn.model_file import save_model
    from napari_deep3d.nn.onnx_file import read_onnx

    if not path.is_file():
        raise InputError(f"there is no file {path}. Give a .safetensors file, or a model that was exported.")
    if path.suffix.lower() == ".zip":
        from napari_deep3d.jobs.models.bioimageio_package import unpack_weights

        generator, info = read_onnx(unpack_weights(path, folder), path)
    else:
        generator, info = read_onnx(path)
    return save_model(folder / f"model{SUFFIX}", generator, info)


def copy_model(name: str, path: str | Path, overwrite: bool = False) -> Path:
    """Copy a model to a model file, to give it to others."""
    target = Path(path)
    if target.suffix != SUFFIX:
        raise InputError(f"{target} does not end in {SUFFIX}; model files do. Give such a name.")
    source = find_model(name)
    model_info(str(source))
    check_target(target, overwrite)
    return _copy(source, target, overwrite)


def check_target(target: Path, overwrite: bool) -> None:
    """Refuse (InputError) a file that cannot be written, or is there and must not be replaced."""
    if not target.parent.is_dir():
        raise InputError(f"cannot write {target}: there is no folder {target.parent}. Make it first, or give another.")
    if target.is_dir():
        raise InputError(f"{target} is a folder; a file is needed. Give another name.")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists already. Give another name, or --overwrite to replace it.")


def _copy(source: Path, target: Path, overwrite: bool) -> Path:
    check_target(target, overwrite)
    with writing(target, "Choose a folder that you may write to.") as part:
        shutil.copyfile(source, part)
    return target
