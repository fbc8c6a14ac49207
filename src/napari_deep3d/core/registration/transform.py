"""Where a place of the confocal stack lies in the wide-field stack: a shift, similarity or affine map in um."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_deep3d.core import DoubleArray, InputError, Shape, Spacing, Vector, zyx

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Transform:
    """Map between positions (Z, Y, X) in um, each from the centre of its stack's own first voxel.

    ``matrix_um`` is 4 x 4, homogeneous: ``wide-field position = matrix_um @ (confocal z, y, x, 1)``.
    """

    matrix_um: tuple[tuple[float, float, float, float], ...]

    @classmethod
    def from_array(cls, matrix: NDArray[Any]) -> Self:
        """Build from a 4 x 4 array; InputError if it is no invertible affine matrix of finite numbers."""
        values = np.asarray(matrix, dtype=np.float64)
        affine = values.shape == (4, 4) and np.isfinite(values).all() and np.allclose(values[3], (0, 0, 0, 1))
        if not affine or abs(np.linalg.det(values)) < 1e-6:
            raise InputError(
                "a transform needs an invertible 4 x 4 matrix with the last row 0, 0, 0, 1; this one is not. "
                "Estimate the registration again, or load another file."
            )
        return cls(tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in values))

    @classmethod
    def shift(cls, shift_um: Sequence[float]) -> Self:
        """A pure shift by (z, y, x) um."""
        matrix = np.eye(4)
        matrix[:3, 3] = shift_um
        return cls.from_array(matrix)

    @property
    def matrix(self) -> DoubleArray:
        """The 4 x 4 array."""
        return np.array(self.matrix_um)

    @property
    def is_shift(self) -> bool:
        """Whether nothing is turned, stretched or sheared."""
        return bool(np.allclose(self.matrix[:3, :3], np.eye(3), atol=1e-9))

    @property
    def inverse(self) -> Transform:
        """The map from wide-field to confocal positions."""
        return Transform.from_array(np.linalg.inv(self.matrix))

    def apply(self, positions_um: DoubleArray) -> DoubleArray:
        """Map positions, last axis (Z, Y, X)."""
        matrix = self.matrix
        return np.asarray(positions_um @ matrix[:3, :3].T + matrix[:3, 3])

    def shift_at(self, position_um: Sequence[float]) -> Vector:
        """How far a place of the confocal stack moves, (Z, Y, X) in um."""
        return zyx((self.apply(np.asarray(position_um, dtype=np.float64)) - position_um).tolist())

    def moved(self, by_um: Sequence[float]) -> Transform:
        """The same map followed by a shift, as when a peak is moved by hand."""
        return Transform.from_array(Transform.shift(by_um).matrix @ self.matrix)

    def index_matrix(self, confocal_um: Spacing, widefield_um: Spacing) -> DoubleArray:
        """The same map between voxel indices, 4 x 4, for stacks of these voxel sizes."""
        to_um, from_um = np.diag((*confocal_um, 1.0)), np.diag((*(1 / np.array(widefield_um)), 1.0))
        return np.asarray(from_um @ self.matrix @ to_um)

    def to_dict(self) -> dict[str, object]:
        """Plain values for a JSON file."""
        return {
            "format": "napari-deep3d transform",
            "version": FORMAT_VERSION,
            "from": "confocal",
            "to": "widefield",
            "axes": "ZYX",
            "unit": "um",
            "matrix_um": [list(row) for row in self.matrix_um],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` wrote, other entries ignored; InputError for anything else or a newer version."""
        if not isinstance(values, Mapping) or values.get("format") != "napari-deep3d transform":
            raise InputError("this is no registration of napari-deep3d; give a .json that register or Save wrote.")
        if values.get("version") != FORMAT_VERSION:
            raise InputError(
                f"this registration has format version {values.get('version')!r}; version {FORMAT_VERSION} is read "
                "here. Update napari-deep3d."
            )
        try:
            matrix = np.array(values["matrix_um"], dtype=np.float64)
        except (KeyError, ValueError, TypeError):
            matrix = np.zeros((0, 0))
        return cls.from_array(matrix)


def centre_um(shape: Shape, spacing_um: Spacing) -> Vector:
    """Position of a stack's middle, (Z, Y, X) in um from the centre of its first voxel."""
    return zyx((n - 1) / 2 * step for n, step in zip(shape, spacing_um, strict=True))


def corners_um(shape: Shape, spacing_um: Spacing) -> DoubleArray:
    """Positions of the centres of a stack's eight corner voxels, (8, 3) in um."""
    ends = [(0.0, (n - 1) * step) for n, step in zip(shape, spacing_um, strict=True)]
    return np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T
