"""Richardson-Lucy of other programs, 20 iterations; needs numpy and the program that is measured alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.clock import Clock, measure, versions
from benchmarks.peers.given import PSF, STACK

ITERATIONS = 20


def scikit_image(folder: Path, clock: Clock) -> None:
    from skimage.restoration import deconvolution

    stack, psf = np.load(folder / STACK), np.load(folder / PSF)
    convolve = deconvolution.convolve

    def counted(*words: Any, **options: Any) -> Any:
        found = convolve(*words, **options)
        clock.step(2 * ITERATIONS)
        return found

    deconvolution.convolve = counted
    clock.start()
    image = stack.astype(np.float32)
    image /= image.max()
    deconvolution.richardson_lucy(image, psf, num_iter=ITERATIONS)


def redlionfish(folder: Path, clock: Clock) -> None:
    from RedLionfishDeconv import doRLDeconvolutionFromNpArrays  # type: ignore[import-not-found]

    stack, psf = np.load(folder / STACK), np.load(folder / PSF)
    clock.start()
    found = doRLDeconvolutionFromNpArrays(
        stack, psf, niter=ITERATIONS, method="cpu", callbkTickFunc=lambda: clock.step(ITERATIONS)
    )
    if found is None:
        raise SystemExit("RedLionfish gave no result, and said no more")


RUNS = {"scikit-image": scikit_image, "redlionfish": redlionfish}

if __name__ == "__main__":
    variant, place, seconds = sys.argv[1:]
    measure(lambda clock: RUNS[variant](Path(place), clock), float(seconds), versions(variant, "numpy", "scipy"))
