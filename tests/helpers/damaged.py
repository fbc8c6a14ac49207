"""Damaged and strange files of every kind that is read, each from a number, and the command that reads it.

Whole files are made once and damaged in the ways that disks, networks, other programs and malice do.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_deep3d.io import write_stack

SPACING_UM = (0.5, 0.2, 0.2)
SHAPE = (6, 32, 40)
HUGE = (0, 1, -1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**60, 2**63 - 1, 2**64 - 1)
WORDS: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        "",
        "x",
        "..",
        "../../secret",
        "/etc/passwd",
        "0" * 5000,
        "\0",
        "é\ud7ff",
        [],
        {},
        [[]],
        [None],
    ),
    *(
        -1,
        0,
        1,
        2**31,
        2**60,
        10**30,
        1e308,
        -1e-9,
        float("nan"),
        float("inf"),
        [1e9] * 3,
        [0, 0, 0],
        [-1, 2, 2],
        [2**60] * 3,
    ),
)
XML_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(97 + i)} "{f"&{chr(96 + i)};" * 10}">' for i in range(1, 12))
    + "]><OME>&l;</OME>"
)
Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A damaged file: what was done to it, and the words of the command that reads it."""

    what: str
    words: tuple[str, ...]


class Originals:
    """Whole files of every kind, made once in a folder."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder, self.model = folder, model
        rng = np.random.default_rng(0)
        self.stack = rng.integers(100, 120, SHAPE).astype(np.uint16)
        self.stack[2:4, 8:20, 10:30] += 1000
        self.tiffs = [self._tiff(*kind) for kind in TIFFS.items()]
        self.zarrs = [write_stack(folder / "v05.ome.zarr", self.stack, SPACING_UM), self._zarr_v04()]
        self.pairs = folder / "pairs"
        for kind in ("widefield", "confocal"):
            (self.pairs / kind).mkdir(parents=True)
            for index in range(3):
                write_stack(self.pairs / kind / f"{index}.tif", np.roll(self.stack, index, 1), SPACING_UM)

    def _tiff(self, name: str, options: dict[str, Any]) -> Path:
        path = self.folder / f"{name}.tif"
        tifffile.imwrite(path, self.stack, **options)
        return path

    def _zarr_v04(self) -> Path:
        import zarr

        path = self.folder / "v04.zarr"
        group = zarr.create_group(path, zarr_format=2)
        group.create_array("0", data=self.stack, chunks=(3, 32, 40))
        axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
        level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": list(SPACING_UM)}]}
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [level]}]
        return path


_SIZES = {"axes": "ZYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 0.5}
TIFFS: dict[str, dict[str, Any]] = {
    "ome": {"ome": True, "metadata": _SIZES},
    "imagej": {"imagej": True, "resolution": (5, 5), "metadata": {"axes": "ZYX", "unit": "um", "spacing": 0.5}},
    "shaped": {},
    "pages": {"metadata": None},
    "bigtiff": {"bigtiff": True, "ome": True, "metadata": _SIZES},
    "big-endian": {"byteorder": ">", "metadata": None},
    "zlib": {"compression": "zlib", "rowsperstrip": 4, "metadata": None},
    "tiles": {"compression": "zlib", "tile": (16, 16), "ome": True, "metadata": _SIZES},
}


def make_case(number: int, folder: Path, whole: Originals) -> Case:
    """Write the damaged file of a number into a folder that is its own."""
    rng = np.random.default_rng((20_26, number))
    kinds = (damaged_tiff, damaged_zarr, damaged_tiff, damaged_model, damaged_zarr, damaged_run, damaged_config)
    return kinds[number % len(kinds)](rng, folder, whole)


def choose(rng: Rng, among: Any) -> Any:
    """One of several, of any types."""
    among = list(among)
    return among[int(rng.integers(len(among)))]


# TIFF


def damaged_tiff(rng: Rng, folder: Path, whole: Originals) -> Case:
    """A TIFF file, damaged in one to three ways."""
    source = choose(rng, whole.tiffs)
    data, done = bytearray(source.read_bytes()), list[str]()
    for _ in range(int(rng.integers(1, 4))):
        damage = choose(rng, (flip_bits, change_entry, change_entry, change_entry, loop, cut, change_text, garbage))
        data = bytearray(damage(rng, data))
        done.append(damage.__name__)
    path = folder / choose(rng, ("cell.tif", "cell.ome.tif"))
    path.write_bytes(data)
    words = ("predict", str(path), "-o", str(folder / "out" / "out.tif"), "--model", str(whole.model))
    words += ("--spacing", "0.5,0.2,0.2") if rng.random() < 0.7 else ()
    words += ("--time", "all") if rng.random() < 0.2 else ()
    words += ("--channel", "0") if rng.random() < 0.2 else ()
    return Case(f"{source.stem}: {', '.join(done)}", words)


def flip_bits(rng: Rng, data: bytearray) -> bytearray:
    """Some bits, near the beginning or the end, where headers lie."""
    for _ in range(int(rng.integers(1, 12)) if data else 0):
        near = int(rng.integers(min(600, len(data))))
        data[near if rng.random() < 0.7 else -near - 1] ^= 1 << int(rng.integers(8))
    return data


def _directories(data: bytearray) -> list[tuple[int, int, str, bool]]:
    """Place, number of entries, byte order and whether it is large, of each directory that can be found."""
    order, found = ("<" if data[:2] == b"II" else ">"), list[tuple[int, int, str, bool]]()
    if len(data) < 16:
        return found
    big = data[2:4] in (b"+\0", b"\0+")
    place = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    while 8 <= place < len(data) - 20 and place not in [one[0] for one in found] and len(found) < 50:
        count = struct.unpack_from(order + ("Q" if big else "H"), data, place)[0]
        end = place + (8 + 20 * count if big else 2 + 12 * count)
        if not 0 < count < 100 or end + 8 > len(data):
            break
        found.append((place, count, order, big))
        place = struct.unpack_from(order + ("Q" if big else "I"), data, end)[0]
    return found


def change_entry(rng: Rng, data: bytearray) -> bytearray:
    """One number of a tag: which tag it is, its type, how many values, or where they are."""
    directories = _directories(data)
    if not directories:
        return flip_bits(rng, data)
    place, count, order, big = choose(rng, directories)
    entry = place + (8 + 20 * int(rng.integers(count)) if big else 2 + 12 * int(rng.integers(count)))
    at, code = choose(
        rng,
        ((0, "H"), (2, "H"), (4, "Q"), (12, "Q"), (12, "Q"))
        if big
        else ((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I")),
    )
    bits = 8 * struct.calcsize(code)
    value = choose(rng, (*HUGE, len(data) - 1, len(data) + 1, int(rng.integers(2**16)))) % 2**bits
    struct.pack_into(order + code, data, entry + at, value)
    return data


def loop(rng: Rng, data: bytearray) -> bytearray:
    """The link to the next directory leads back, into itself, or beyond the end."""
    directories = _directories(data)
    if not directories:
        return cut(rng, data)
    place, count, order, big = choose(rng, directories)
    end = place + (8 + 20 * count if big else 2 + 12 * count)
    target = choose(rng, (*(one[0] for one in directories), end, 1, 8, len(data) - 2, len(data) + 100, 2**32 - 1))
    struct.pack_into(order + ("Q" if big else "I"), data, end, target)
    return data


def cut(rng: Rng, data: bytearray) -> bytearray:
    """The end is missing."""
    return data[: int(rng.integers(len(data) + 1))]


def garbage(rng: Rng, data: bytearray) -> bytearray:
    """A stretch of random bytes, as of a bad sector."""
    start = int(rng.integers(max(1, len(data))))
    noise = rng.integers(0, 256, int(choose(rng, (4, 64, 512, 4096))), dtype=np.uint8).tobytes()
    data[start : start + len(noise)] = noise[: max(0, len(data) - start)]
    return data


def change_text(rng: Rng, data: bytearray) -> bytearray:
    """A number or word of the description, of the same length or so; or all of it."""
    if rng.random() < 0.15:
        start = data.find(b"<?xml")
        end = data.find(b"</OME>") + 6
        if 0 <= start < end:
            text = choose(rng, (XML_BOMB, "<OME>" * 300, "<OME", "<OME></OME>")).encode()[: end - start]
            data[start:end] = text.ljust(end - start)
            return data
    places = list(
        re.finditer(
            rb"(Size[TCZYX]|IFD|First[TCZ]|PlaneCount|Type|images|slices|frames|channels|spacing|shape|"
            rb'DimensionOrder|PhysicalSize\w|ID|FileName)(="?|": ?)(\[?[\w.]+)',
            data,
        )
    )
    if not places:
        return flip_bits(rng, data)
    found = choose(rng, places)
    start, end = found.span(3)
    word = choose(rng, ("0", "-1", "9", "99999999999", "1e99", "nan", "../x", "uint64", "XYZTC", "", "]", "\xff"))
    data[start:end] = word.encode("latin-1")[: end - start].ljust(end - start)
    return data


# OME-Zarr


def damaged_zarr(rng: Rng, folder: Path, whole: Originals) -> Case:
    """An OME-Zarr folder whose metadata or chunks were damaged."""
    source = choose(rng, whole.zarrs)
    path = folder / "cell.ome.zarr"
    shutil.copytree(source, path)
    done = []
    for _ in range(int(rng.integers(1, 3))):
        damage = choose(
            rng, (change_json, change_json, change_json, change_known, change_known, break_chunk, link_out, cut_json)
        )
        done.append(f"{damage.__name__} {damage(rng, path, folder)}")
    words = ("predict", str(path), "-o", str(folder / "out" / "out.zarr"), "--model", str(whole.model))
    words += ("--spacing", "0.5,0.2,0.2") if rng.random() < 0.7 else ()
    return Case(f"{source.stem}: {', '.join(done)}", words)


def _json_files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.name in ("zarr.json", ".zarray", ".zattrs", ".zgroup"))


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything inside a value of JSON."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path] if path else []
    for key, item in inside:
        found += _places(item, (*path, key))
    return found


def change_value(rng: Rng, value: Any, new: Any = None, places: list[tuple[Any, ...]] | None = None) -> str:
    """Put something else at a place inside a value of JSON, or take it out."""
    place = choose(rng, places or _places(value))
    inside = value
    for key in place[:-1]:
        inside = inside[key]
    if new is None and rng.random() < 0.2:
        del inside[place[-1]]
        return f"{place} gone"
    inside[place[-1]] = choose(rng, WORDS) if new is None else new
    return f"{place} = {str(inside[place[-1]])[:40]}"


def change_json(rng: Rng, path: Path, folder: Path) -> str:
    """Any value."""
    file = choose(rng, _json_files(path))
    try:
        values = json.loads(file.read_text())
        told = change_value(rng, values)
    except (OSError, ValueError, IndexError, RecursionError):
        return "nothing"
    file.write_text(json.dumps(values))
    return f"{file.name} {told}"


def change_known(rng: Rng, path: Path, folder: Path) -> str:
    """Shapes, chunks, codecs, and the path of a level, to what could do harm."""
    file = choose(rng, _json_files(path))
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return "nothing"
    wanted = (
        "shape",
        "chunks",
        "chunk_shape",
        "path",
        "data_type",
        "dtype",
        "codecs",
        "compressor",
        "fill_value",
        "scale",
    )
    places = [place for place in _places(values) if place[-1] in wanted]
    if not places:
        return "nothing"
    new = choose(
        rng,
        (
            *([2**60] * 3, [10**5] * 3, [6, 32, 2**40], [0, 0, 0], [-6, 32, 40], [1, 1, 1], [6, 32], [6.5, 32, 40]),
            *(
                "..",
                "../../secret",
                "/etc",
                "0/../../cell.ome.zarr",
                "0/0/0",
                "0\0",
                "C:\\x",
                "file:///etc",
                "s3://a/b",
            ),
            *("int8", "|S9999999999", "<c16", "object", "|O", "float128", {"name": "unknown"}, [{"name": "gzip"}], []),
        ),
    )
    told = change_value(rng, values, new, places)
    file.write_text(json.dumps(values))
    return f"{file.name} {told}"


def break_chunk(rng: Rng, path: Path, folder: Path) -> str:
    """The voxels of a chunk: gone, cut, flipped, or something else."""
    chunks = sorted(file for file in path.rglob("*") if file.is_file() and file not in _json_files(path))
    if not chunks:
        return "nothing"
    chunk, how = choose(rng, chunks), choose(rng, ("gone", "empty", "bits", "noise", "folder"))
    data = bytearray(chunk.read_bytes())
    chunk.unlink()
    if how == "folder":
        chunk.mkdir()
    elif how != "gone":
        made = {"empty": b"", "bits": bytes(flip_bits(rng, data)), "noise": bytes(garbage(rng, data))}[how]
        chunk.write_bytes(made)
    return how


def link_out(rng: Rng, path: Path, folder: Path) -> str:
    """A file that is a link to one outside the folder, into nothing, or in a circle."""
    file = choose(rng, sorted(file for file in path.rglob("*") if file.is_file()))
    target = choose(rng, (folder / "secret" / "secret.txt", "/dev/null", "/nowhere", file, path))
    file.unlink()
    file.symlink_to(target)
    return f"{file.name} -> {Path(target).name}"


def cut_json(rng: Rng, path: Path, folder: Path) -> str:
    """Metadata that ends early, is no text, or is nested without end."""
    file = choose(rng, _json_files(path))
    data = b"{}" if file.is_symlink() else file.read_bytes()
    file.unlink()
    file.write_bytes(
        choose(
            rng, (data[: int(rng.integers(len(data)))], b"\xff\xfe\0", b"[" * 100_000, b"[]", b"null", b'"x"', b"1e999")
        )
    )
    return file.name


# Models


def damaged_model(rng: Rng, folder: Path, whole: Originals) -> Case:
    """A model file: its length, its header, or its weights."""
    data = bytearray(whole.model.read_bytes())
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(bytes(data[8 : 8 + length]))
    how = choose(rng, ("length", "value", "value", "known", "known", "bits", "cut", "garbage", "no text", "twice"))
    told = how
    if how == "length":
        struct.pack_into(
            "<Q", data, 0, int(choose(rng, (0, 1, 7, length - 1, length + 1, len(data), 2**31, 2**60, 2**64 - 1)))
        )
    elif how in ("value", "known"):
        if how == "known":
            inner = json.loads(header["__metadata__"]["napari-deep3d"])
            told += " " + change_value(rng, inner)
            header["__metadata__"]["napari-deep3d"] = json.dumps(inner)
        else:
            told += " " + change_value(rng, header)
        text = json.dumps(header).encode("utf-8", "surrogatepass")
        data = bytearray(struct.pack("<Q", len(text)) + text + data[8 + length :])
    elif how == "no text":
        data[8 : 8 + length] = choose(
            rng, (b"[" * length, b"\xff" * length, b"{}".ljust(length), b"{" * length, b"\0" * length)
        )
    elif how == "twice":
        data = data * 2
    else:
        data = bytearray({"bits": flip_bits, "cut": cut, "garbage": garbage}[how](rng, data))
    path = folder / "model.safetensors"
    path.write_bytes(data)
    stack = str(whole.tiffs[0])
    words = choose(
        rng,
        (
            ("predict", stack, "-o", str(folder / "out" / "out.tif"), "--model", str(path)),
            ("models", "info", str(path)),
            ("models", "import", str(path)),
            ("models", "export", str(path), str(folder / "out" / "copy.safetensors")),
        ),
    )
    return Case(f"model: {told}", words)


# Runs and settings


def damaged_run(rng: Rng, folder: Path, whole: Originals) -> Case:
    """The folder of a training that is gone on with."""
    run = folder / "out"
    (run / "checkpoints").mkdir()
    settings = {
        "optimizer": "iterations = 2\nbatch_size = 1\n",
        "data": "patch = [[4, 16, 16]]\n",
        "network": "width = 2\ndiscriminator_width = 0.02\n",
        "losses": "weight_vgg = 0.0\nweight_gan = 0.0\n",
        "runtime": 'device = "cpu"\nprecision = "float32"\n',
    }
    config = "".join(f"[{name}]\n{lines}" for name, lines in settings.items())
    about = f'format_version = 3\nname = "cells"\npairs = "{whole.pairs}"\nstart = ""\n'
    files = {"config.toml": config, "run.toml": about, "metrics.csv": "step,loss\n1,2\n"}
    damaged = choose(rng, files)
    for name, text in files.items():
        (run / name).write_bytes(bytes(damage_text(rng, text)) if name == damaged else text.encode())
    if is_long(run / "config.toml"):  # nothing is wrong with it
        (run / "config.toml").write_text(config)
    for kind in ("step", "best"):
        data = bytearray(choose(rng, (whole.model.read_bytes(), b"", b"\0" * 100, struct.pack("<Q", 2**60) + b"{}")))
        if rng.random() < 0.7:
            (
                run / "checkpoints" / f"{kind}_{choose(rng, ('0000001', '0000002', '9' * 30, 'x'))}.safetensors"
            ).write_bytes(data)
    return Case(f"run: {damaged}", ("train", str(whole.pairs), "-o", str(run), "--resume"))


def is_long(config: Path) -> bool:
    """Whether settings are good ones, but lack those that make a training short."""
    short = {
        "optimizer": {"iterations", "batch_size"},
        "data": {"patch"},
        "network": {"width", "discriminator_width"},
        "losses": {"weight_vgg", "weight_gan"},
    }
    try:
        read = tomllib.loads(config.read_text())
        return any(names - read.get(section, {}).keys() for section, names in short.items())
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False


def damage_text(rng: Rng, text: str) -> bytearray:
    """A line of a text changed, gone, twice, or bytes that are no text."""
    lines = text.splitlines()
    index, how = int(rng.integers(len(lines))), choose(rng, ("value", "value", "value", "gone", "twice", "bits", "cut"))
    if how in ("bits", "cut"):
        return bytearray({"bits": flip_bits, "cut": cut}[how](rng, bytearray(text.encode())))
    if how == "value":
        value = choose(
            rng,
            (
                "0",
                "-1",
                "1e99",
                "nan",
                '"../../secret"',
                '"\\u0000"',
                "[]",
                "[[1e9,1,1]]",
                "9" * 400,
                "{a=1}",
                "true",
                "1979-01-01",
                "[" * 2000,
            ),
        )
        lines[index] = f"{lines[index].partition('=')[0]} = {value}"
    else:
        lines[index : index + 1] = [lines[index]] * (2 if how == "twice" else 0)
    return bytearray("\n".join(lines).encode())


def damaged_config(rng: Rng, folder: Path, whole: Originals) -> Case:
    """A file of settings, or a pairs folder with a damaged stack."""
    if rng.random() < 0.5:
        path = folder / "mine.toml"
        command = choose(rng, ("train", "simulate"))
        text = {
            "train": 'iterations = 0\nwidth = 2\nseed = 3\nname = "x"\n',
            "simulate": "photons = [500, 0]\n[samples.neurons]\nsoma_um = [3, 0]\n",
        }
        path.write_bytes(bytes(damage_text(rng, text[command])))
        first = (str(whole.pairs),) if command == "train" else ("--pairs", "0")
        return Case(f"config of {command}", (command, *first, "-o", str(folder / "out" / "new"), "--config", str(path)))
    pairs = folder / "pairs"
    shutil.copytree(whole.pairs, pairs)
    target = choose(rng, sorted(pairs.rglob("*.tif")))
    damage: Callable[[Rng, bytearray], bytearray] = choose(rng, (flip_bits, change_entry, loop, cut, change_text))
    target.write_bytes(damage(rng, bytearray(target.read_bytes())))
    tiny = [
        f"--set={value}"
        for value in ("iterations=1", "patch=4,16,16", "width=2", "weight_vgg=0", "weight_gan=0", "device=cpu")
    ]
    command = choose(rng, ("train", "register"))
    if command == "train":
        return Case(f"pairs: {damage.__name__}", ("train", str(pairs), "-o", str(folder / "out" / "run"), *tiny))
    sides = str(pairs / "confocal" / target.name), str(pairs / "widefield" / target.name)
    return Case(f"register: {damage.__name__}", ("register", *sides, "-o", str(folder / "out" / "pairs")))
