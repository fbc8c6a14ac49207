"""The pairs to train on: where they come from, and how they look on the list."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import Clock, InputError, Job, Stop, StoppedError, Volume
from napari_deep3d.gui.shared.layers import contrast_limits
from napari_deep3d.jobs.pairs import KINDS, LoadedPair, PairFacts, PairsFolder

THUMBNAIL = 40
"""Pixels of the longer side of a small picture."""
GAP = 2
ROLE_WORDS = r"wide.?field|widefield|confocal|\(aligned\)"


@dataclass(frozen=True)
class Member:
    """A pair on the list."""

    facts: PairFacts
    picture: NDArray[np.uint8] = field(repr=False)
    """The middle planes of the wide-field and the confocal stack, next to each other, axes (Y, X)."""
    folder: Path | None = None
    """The pairs folder it is in; its files have the name ``file``."""
    file: str = ""
    pair: LoadedPair | None = None
    """The pair itself where it is in no folder."""

    @property
    def name(self) -> str:
        """What the pair is called; no two on the list have the same name."""
        return self.facts.name

    def same_place(self, other: Member) -> bool:
        """Whether both are the same files."""
        return self.folder is not None and (self.folder, self.file) == (other.folder, other.file)

    def renamed(self, name: str) -> Member:
        """The same pair under another name."""
        return replace(self, facts=replace(self.facts, name=name))

    def load(self) -> LoadedPair:
        """Open the pair; voxels of files stay on disk."""
        if self.pair is not None:
            return replace(self.pair, name=self.name)
        assert self.folder is not None
        return LoadedPair(self.name, *(PairsFolder(self.folder).volume(kind, self.file) for kind in KINDS))


def read_folder(folder: Path, stop: Stop) -> Job[list[Member]]:
    """List the pairs of a folder with their small pictures; InputError if one of them cannot be used."""
    pairs = PairsFolder(folder)
    names, clock, members = pairs.names(), Clock(), []
    for number, name in enumerate(names):
        if stop():
            raise StoppedError
        yield clock.progress(number, len(names), f"Reading pair {number + 1} of {len(names)}...")
        member = make_member(LoadedPair(name, *(pairs.volume(kind, name) for kind in KINDS)))
        members.append(replace(member, folder=folder, file=name, pair=None))
    return members


def make_member(pair: LoadedPair) -> Member:
    """A pair as it goes on the list, or InputError if its stacks have different sizes."""
    problem = unlike(pair.widefield, pair.confocal)
    if problem:
        raise InputError(f"{pair.name}: {problem}")
    halves = [_thumbnail(volume) for volume in (pair.widefield, pair.confocal)]
    gap = np.zeros((halves[0].shape[0], GAP), np.uint8)
    facts = PairFacts(pair.name, pair.widefield.shape, pair.widefield.spacing_um or pair.confocal.spacing_um)
    return Member(facts, np.hstack([halves[0], gap, halves[1]]), pair=pair)


def unlike(widefield: Volume, confocal: Volume) -> str:
    """Say why two stacks cannot lie voxel on voxel; empty if they can."""
    a, b = (" x ".join(str(n) for n in volume.shape) for volume in (widefield, confocal))
    if a != b:
        return (
            f"the wide-field stack has {a} voxels, the confocal stack {b}. Register them first (Register > Apply makes "
            "an aligned pair)."
        )
    return ""


def source_of(members: Sequence[Member]) -> Path | list[LoadedPair]:
    """Where the training reads the pairs: their folder if they are all there is in one, else the pairs themselves."""
    folders = {member.folder for member in members}
    folder = folders.pop()
    if folder is not None and not folders and {member.file for member in members} == set(PairsFolder(folder).names()):
        return folder
    return sorted((member.load() for member in members), key=lambda pair: pair.name)


def pair_name(layer_name: str) -> str:
    """Name of a pair from its wide-field layer's; it serves as a file name too.

    Examples
    --------
    >>> pair_name("cell 3, wide-field (aligned)")
    'cell 3'
    """
    bare = re.sub(ROLE_WORDS, " ", layer_name, flags=re.IGNORECASE)
    plain = re.sub(r"[^\w .()+-]", " ", bare)
    return re.sub(r"\s+", " ", plain).strip(" .()+-")[:60].rstrip() or "pair"


def _thumbnail(volume: Volume) -> NDArray[np.uint8]:
    """Middle plane, axes (Y, X), made small."""
    plane = np.asarray(volume.data[volume.shape[0] // 2], dtype=np.float32)
    step = math.ceil(max(plane.shape) / THUMBNAIL)
    rows, columns = (max(1, n // step) for n in plane.shape)
    small = plane[: rows * step, : columns * step]
    if small.shape == (rows * step, columns * step):
        small = small.reshape(rows, step, columns, step).mean(axis=(1, 3))
    low, high = contrast_limits(small[None])
    grey: NDArray[np.uint8] = (255 * np.clip((small - low) / (high - low), 0, 1)).astype(np.uint8)
    return grey
