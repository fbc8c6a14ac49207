"""The point spread function between two stacks, by a first-order primal-dual method.

The paper's Eq. 3 estimates the f that turns the confocal stack x into the wide-field stack y,

    minimise over f:  ||f * x - y||^2 + lambda ||grad f||_1 + mu (1'f - 1)^2 .

On a window of lags the data term needs the two stacks only once: ``||f * x - y||^2 = f'Hf - 2 b'f + const``, where b is
the cross-correlation of x and y on the window and H the (Toeplitz) matrix of the autocorrelation of x. So every
iteration works on the small window alone. Halved, the problem reads

    minimise over f:  g(f) + r(f) + s(K f),
    g = f'Hf / 2 - b'f,    r = mu/2 (1'f - 1)^2 [and f >= 0],    s = lambda/2 ||.||_1 ,

and is solved by the method of Condat (J. Optim. Theory Appl. 158, 460, 2013) and Vu (2013), which is the one of
Chambolle and Pock (J. Math. Imaging Vis. 40, 120, 2011) with a gradient step for the smooth part g.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from napari_deep3d.core import FloatArray, Spacing, Stop, never


@dataclass(frozen=True)
class Gradient:
    """Forward differences divided by a voxel's size, ``step``, along (Z, Y, X): the K of the total variation.

    The size may be in any unit; only ratios matter to the shape of the result.
    """

    step: Spacing

    def forward(self, image: FloatArray) -> FloatArray:
        """Differences of an image (Z, Y, X), axes (3, Z, Y, X); the last one along each axis is 0."""
        out = np.zeros((3, *image.shape), dtype=np.float32)
        for axis, step in enumerate(self.step):
            out[axis][_but_last(axis)] = np.diff(image, axis=axis) / step
        return out

    def adjoint(self, field: FloatArray) -> FloatArray:
        """The adjoint (minus the divergence): axes (3, Z, Y, X) to (Z, Y, X)."""
        out = np.zeros(field.shape[1:], dtype=np.float32)
        for axis, step in enumerate(self.step):
            part = field[axis][_but_last(axis)] / step
            out[_but_last(axis)] -= part
            out[_but_first(axis)] += part
        return out

    @property
    def squared_norm(self) -> float:
        """Upper bound of ||K||^2."""
        return float(sum(4 / step**2 for step in self.step))


class WindowBlur:
    """The matrix H: convolution with an autocorrelation, restricted to a window of lags.

    The autocorrelation is symmetric, on lags up to twice the window's radius, axes (Z, Y, X), lag 0 in the middle.
    """

    def __init__(self, autocorrelation: FloatArray) -> None:
        sizes = autocorrelation.shape
        window = tuple(n // 2 + 1 for n in sizes)
        grid = tuple(scipy.fft.next_fast_len(n + w - 1, real=True) for n, w in zip(sizes, window, strict=True))
        kernel = np.zeros(grid, dtype=np.float32)
        kernel[tuple(slice(0, n) for n in sizes)] = autocorrelation
        centred = np.roll(kernel, [-(n // 2) for n in sizes], axis=(0, 1, 2))
        self._window, self._grid = window, grid
        self._spectrum = np.asarray(scipy.fft.rfftn(centred), dtype=np.complex64)

    def forward(self, image: FloatArray) -> FloatArray:
        """H times an image on the window, axes (Z, Y, X). H is symmetric: this is its adjoint too."""
        spectrum = scipy.fft.rfftn(image, s=self._grid) * self._spectrum
        full = scipy.fft.irfftn(spectrum, s=self._grid)
        return np.asarray(full[tuple(slice(0, n) for n in self._window)], dtype=np.float32)

    @property
    def norm(self) -> float:
        """Upper bound of ||H||: the largest value of its spectrum."""
        return float(np.abs(self._spectrum).max())


def project_to_ball(field: FloatArray, radius: float) -> FloatArray:
    """Proximal map of the conjugate of ``radius * ||.||_{2,1}``: vectors (axis 0) longer than ``radius`` are cut."""
    length = np.sqrt((field**2).sum(axis=0))
    longest = max(radius, float(np.finfo(np.float32).tiny))
    return np.asarray(field * (radius / np.maximum(length, longest)), dtype=np.float32)


def energy_prox(image: FloatArray, step: float, weight: float, non_negative: bool) -> FloatArray:
    """Proximal map of ``weight/2 (1'f - 1)^2``, and f >= 0 where asked.

    It minimises that plus ``||f - image||^2 / (2 step)``. The solution is ``image - c`` (cut at 0) with
    ``c = step * weight * (sum of the solution - 1)``; cut at 0, it is found by sorting, as are projections onto a
    simplex.
    """
    pull = step * weight
    if not non_negative:
        return np.asarray(image - pull * (image.sum(dtype=np.float64) - 1) / (1 + pull * image.size), dtype=np.float32)
    falling = np.sort(image, axis=None)[::-1].astype(np.float64)
    count = np.arange(1, falling.size + 1)
    offsets = pull * (np.cumsum(falling) - 1) / (1 + pull * count)
    active = np.flatnonzero(falling > offsets)
    offset = offsets[active[-1]] if active.size else falling[0]
    return np.asarray(np.maximum(image - offset, 0), dtype=np.float32)


@dataclass(frozen=True)
class PsfProblem:
    """Eq. 3 on a window of lags, halved as in the module's docstring.

    Attributes
    ----------
    cross : FloatArray
        b: cross-correlation of confocal and wide-field stack, axes (Z, Y, X), odd sizes, lag 0 in the middle.
    auto : FloatArray
        Autocorrelation of the confocal stack on lags up to twice the window's radius.
    smoothness, energy : float
        lambda/2 and mu.
    step : Spacing
        Size of a voxel along (Z, Y, X), for the gradient.
    non_negative : bool
        Whether f >= 0: light is never negative; the paper does not ask for it.
    """

    cross: FloatArray
    auto: FloatArray
    smoothness: float
    energy: float
    step: Spacing
    non_negative: bool = True

    def objective(self, psf: FloatArray) -> float:
        """Value that :func:`solve` makes small."""
        blurred = WindowBlur(self.auto).forward(psf)
        data = 0.5 * np.vdot(psf, blurred) - np.vdot(self.cross, psf)
        variation = np.sqrt((Gradient(self.step).forward(psf) ** 2).sum(axis=0)).sum()
        return float(data + self.smoothness * variation + 0.5 * self.energy * (psf.sum() - 1) ** 2)


def step_sizes(blur_norm: float, squared_norm: float) -> tuple[float, float]:
    """Primal and dual step that satisfy ``1/tau - sigma ||K||^2 >= ||H|| / 2`` (Condat 2013, Theorem 3.1)."""
    sigma = blur_norm / squared_norm
    return 1 / (0.5 * blur_norm + sigma * squared_norm), sigma


def solve(problem: PsfProblem, iterations: int, stop: Stop = never) -> FloatArray:
    """Estimate the PSF on the window, axes (Z, Y, X); stopped early it returns the estimate so far.

    Raises ValueError if the autocorrelation does not reach twice as far as the window.
    """
    if tuple(2 * n - 1 for n in problem.cross.shape) != problem.auto.shape:
        raise ValueError(f"autocorrelation {problem.auto.shape} does not fit the window {problem.cross.shape}")
    gradient, blur = Gradient(problem.step), WindowBlur(problem.auto)
    tau, sigma = step_sizes(blur.norm, gradient.squared_norm)
    psf = np.zeros_like(problem.cross)
    dual = np.zeros((3, *psf.shape), dtype=np.float32)
    for _ in range(iterations):
        if stop():
            break
        slope = blur.forward(psf) - problem.cross + gradient.adjoint(dual)
        new = energy_prox(psf - tau * slope, tau, problem.energy, problem.non_negative)
        dual = project_to_ball(dual + sigma * gradient.forward(2 * new - psf), problem.smoothness)
        psf = new
    return psf


def _but_last(axis: int) -> tuple[slice, ...]:
    return tuple(slice(0, -1) if i == axis else slice(None) for i in range(3))


def _but_first(axis: int) -> tuple[slice, ...]:
    return tuple(slice(1, None) if i == axis else slice(None) for i in range(3))
