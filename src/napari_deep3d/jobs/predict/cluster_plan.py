"""What is missing of a stack that a cluster predicts: tiles to compute, boxes of the result to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from napari_deep3d.core import Box
from napari_deep3d.jobs.predict.cluster_tasks import BOX_SHAPE, Work, boxes


class ClusterPlan:
    """What is missing of a stack: of ``shapes`` are the levels of its files, the finest first."""

    def __init__(self, work: Work, shapes: Sequence[Sequence[int]], written: set[str]) -> None:
        self.work, self.shapes, self.written = work, shapes, written
        self.tiles_of: list[list[int]] = [[] for _ in boxes(shapes[0])]
        self._users: Counter[int] = Counter()
        offset = work.prepared.region.start
        order = dict[int, tuple[int, int, int]]()
        for number, tile in enumerate(work.prepared.plan.layout):
            z, y, x = tile.index
            order[number] = y, x, z  # column by column, so that boxes can be written early
            for index in touched(tile.write.shifted(offset), shapes[0]):
                self.tiles_of[index].append(number)
                self._users[number] += f"0/{index}" not in written
        self._tiles = sorted(order, key=order.__getitem__)
        self.missing = self._find_missing()

    def _find_missing(self) -> list[int]:
        return [n for n in self._tiles if self._users[n] and not self.work.tile(n).exists()]

    @property
    def tiles_done(self) -> int:
        """Number of tiles that are computed, whether they are in the files already or not."""
        return len(self._tiles) - len(self._find_missing())

    def finer_of(self, level: int, box: Box) -> list[int]:
        """Numbers of the boxes of the finer level that a box of a level is the mean of."""
        finer, shape = self.shapes[level - 1], self.shapes[level]
        factors = [1 if n == m else 2 for n, m in zip(finer, shape, strict=True)]
        start = [part.start * f for part, f in zip(box, factors, strict=True)]
        stop = [min(part.stop * f, n) for part, f, n in zip(box, factors, finer, strict=True)]
        return touched(Box.spanning(start, stop), finer)

    def tiles_within(self, number: int) -> list[Path]:
        """Files of tiles that nobody needs any more, after one more box was written."""
        self._users.subtract(self.tiles_of[number])
        return [self.work.tile(tile) for tile in self.tiles_of[number] if not self._users[tile]]


def touched(box: Box, shape: Sequence[int]) -> list[int]:
    """Numbers of the boxes, of those that a level of ``shape`` is written in, that a box reaches into."""
    counts = [-(-n // step) for n, step in zip(shape, BOX_SHAPE, strict=True)]
    ranges = [range(s.start // step, -(-s.stop // step)) for s, step in zip(box, BOX_SHAPE, strict=True)]
    return [(z * counts[1] + y) * counts[2] + x for z, y, x in product(*ranges)]
