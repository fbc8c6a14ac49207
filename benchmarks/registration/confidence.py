"""Fit the coefficients of the confidence of a registration on simulated pairs, half of them unrelated.

Usage: python -m benchmarks.registration.confidence

Seeds are those of tuning, apart from the tests. Copy what it prints to core/registration/result.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import minimize

from benchmarks.registration.pairs import (
    MEAN_FREE_PATHS_UM,
    PHOTONS,
    TUNING_SEED,
    KnownPair,
    known_pair,
    thick_pairs,
    thin_pairs,
)
from napari_deep3d.core import DoubleArray, Shape, Volume, drain, never
from napari_deep3d.core.registration.coarse import coarse_lag, lag_range
from napari_deep3d.core.registration.common_grid import common_grid
from napari_deep3d.core.registration.register import fine_lag
from napari_deep3d.core.registration.relative_psf import shift_maps
from napari_deep3d.core.registration.result import Evidence, concentration
from napari_deep3d.core.simulation.scene import SampleKind

DIM_PHOTONS = (3.0, 8.0, 20.0, 50.0, 100.0)
RIDGE = 0.02


def tuning_pairs() -> Iterator[tuple[str, KnownPair]]:
    """Pairs of many kinds: thick, thin, dim, and thin pieces out of thick samples, which are the hardest."""
    for pair in thick_pairs(TUNING_SEED, 40):
        yield "thick", pair
    for pair in thin_pairs(TUNING_SEED, 16):
        yield "thin", pair
    for index in range(24):
        yield "dim", _pair(5000 + index, (48, 160, 160), DIM_PHOTONS[index % 5])
    for index in range(16):
        yield "piece", _pair(6000 + index, (12, 192, 192), PHOTONS[(index // 4) % 4], step_um=0.25)


def _pair(index: int, shape: Shape, photons: float, step_um: float = 0.5) -> KnownPair:
    kind: SampleKind = "neurons" if index % 2 else "nuclei"
    haze = MEAN_FREE_PATHS_UM[index % 4]
    return known_pair((TUNING_SEED, index), kind, shape, mean_free_path_um=haze, photons=photons, step_um=step_um)


def evidence(confocal: Volume, widefield: Volume) -> tuple[DoubleArray, Evidence]:
    """Lag in voxels, and what speaks for it, of stacks of one voxel size."""
    grids = common_grid(confocal, Volume(widefield.data, confocal.spacing_um))
    lag = coarse_lag(grids.confocal, grids.widefield, lag_range(*grids.shapes), never)
    spectra, estimate, drift = drain(fine_lag(grids, lag, never))
    psf = shift_maps(grids, spectra, estimate, never).psf
    return estimate.lag + spectra.lag, Evidence(estimate.prominence, drift, concentration(psf.values))


def main() -> None:
    features, right, earlier = [], [], dict[str, KnownPair]()
    for label, pair in tuning_pairs():
        lag, found = evidence(pair.confocal, pair.widefield)
        features.append(found.features())
        right.append(bool(np.all(np.abs(lag - pair.shift_voxels) <= 0.5)))
        print(label, right[-1], np.round(features[-1], 2), flush=True)
        if label in earlier:
            _, other = evidence(earlier[label].confocal, pair.widefield)
            features.append(other.features())
            right.append(False)
        earlier[label] = pair
    values, truth = np.array(features), np.array(right)

    def misfit(coefficients: DoubleArray) -> float:
        score = values @ coefficients
        likelihood = np.where(truth, np.logaddexp(0, -score), np.logaddexp(0, score)).sum()
        return float(likelihood + RIDGE * (coefficients[1:] ** 2).sum())

    bounds = [(None, None), (0, None), (None, 0), (0, None)]
    fitted = minimize(misfit, np.zeros(4), bounds=bounds).x
    chance = 1 / (1 + np.exp(-values @ fitted))
    for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 0.97), (0.97, 1.01)):
        some = (chance >= low) & (chance < high)
        if some.any():
            print(f"confidence {low} to {high}: {some.sum()} pairs, {truth[some].mean():.0%} right")
    print("COEFFICIENTS =", tuple(round(float(value), 3) for value in fitted))


if __name__ == "__main__":
    main()
