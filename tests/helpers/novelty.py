"""Stacks as a wide-field microscope might take them, made in milliseconds: spots, blurred more along z."""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.features import Features, measure_features, representative_part
from napari_deep3d.core.types import Spacing

SPACING: Spacing = (0.5, 0.2, 0.2)


def widefield(seed: int, shape: tuple[int, int, int] = (16, 64, 64)) -> NDArray[np.uint16]:
    """A simple wide-field stack, axes (Z, Y, X): sparse spots, blurred, photon noise."""
    rng = np.random.default_rng(seed)
    spots = np.zeros(shape)
    spots[tuple(size // 2 for size in shape)] = 1
    spots += (rng.random(shape) < rng.uniform(0.0005, 0.002)) * rng.uniform(0.5, 1, shape)
    sharp, blurred = (ndi.gaussian_filter(spots, (1.5 * width, width, width), mode="wrap") for width in (1.2, 3.0))
    image = sharp / sharp.max() + 0.5 * blurred / blurred.max()
    return rng.poisson(rng.uniform(200, 600) * image + 20).astype(np.uint16) + 100


def features_of(stack: NDArray[np.generic], spacing_um: Spacing) -> Features:
    """What a stack looks like, axes (Z, Y, X)."""
    return measure_features(representative_part(stack), spacing_um)


@cache
def known() -> NoveltyModel:
    """What a model knows that learned from forty of them."""
    return NoveltyModel.fit([features_of(widefield(seed), SPACING) for seed in range(40)])
