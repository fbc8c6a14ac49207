"""What Deep-Z sees: one plane, and how far away the wanted plane lies."""

from __future__ import annotations

import numpy as np

from napari_deep3d.nn.deepz import plane_and_distance


def test_plane_is_repeated_beside_each_distance_in_tens_of_um() -> None:
    plane = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    seen = plane_and_distance(plane, np.array([-20.0, 0.0, 2.5]))
    assert (seen.shape, seen.dtype) == ((2, 3, 5, 7), np.float32)
    for z, distance in enumerate((-2.0, 0.0, 0.25)):
        np.testing.assert_array_equal(seen[0, z], plane)
        np.testing.assert_array_equal(seen[1, z], np.full((5, 7), distance, np.float32))
