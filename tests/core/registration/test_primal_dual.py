"""The primal-dual method: operators against their matrices, proximal maps against their definitions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.optimize
import scipy.signal
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_deep3d.core.registration.primal_dual import (
    Gradient,
    PsfProblem,
    WindowBlur,
    energy_prox,
    project_to_ball,
    solve,
    step_sizes,
)
from napari_deep3d.core.types import DoubleArray, FloatArray

Shape = tuple[int, int, int]
few = settings(deadline=None, max_examples=40)
shapes = st.tuples(*[st.integers(1, 6)] * 3)
steps = st.tuples(*[st.floats(0.1, 4)] * 3)
seeds = st.integers(0, 1000)
radii = st.tuples(*[st.integers(0, 2)] * 3)
odd_sizes = {"cross": (3, 5, 3), "auto": (5, 9, 5)}


def draw(seed: int, shape: tuple[int, ...]) -> FloatArray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def autocorrelation(image: FloatArray, radius: Shape) -> FloatArray:
    """On lags up to twice ``radius``, from scipy, axes (Z, Y, X)."""
    padded = np.pad(image, [(2 * r, 2 * r) for r in radius])
    return scipy.signal.correlate(padded, image, mode="valid", method="direct").astype(np.float32)


def matrix_of(auto: FloatArray) -> DoubleArray:
    """H by its definition: the entry of two lags is the autocorrelation at their difference."""
    window = tuple(n // 2 + 1 for n in auto.shape)
    places = list(product(*(range(n) for n in window)))
    middle = np.array(auto.shape) // 2
    return np.array([[auto[tuple(np.subtract(a, b) + middle)] for b in places] for a in places], dtype=np.float64)


def problem(seed: int = 0, **changes: object) -> PsfProblem:
    """A random, well-conditioned problem on a window of 3 x 5 x 3 lags."""
    auto = autocorrelation(draw(seed, (12, 13, 14)), (1, 2, 1))
    values: dict[str, object] = {
        "cross": draw(seed + 1, odd_sizes["cross"]),
        "auto": auto / auto.max(),
        "smoothness": 0.05,
        "energy": 0.5,
        "step": (1.5, 0.8, 0.8),
    }
    return PsfProblem(**{**values, **changes})  # type: ignore[arg-type]


# The gradient


@few
@given(shapes, steps, seeds)
def test_gradient_and_its_adjoint_give_one_inner_product(shape, step, seed) -> None:
    image, field = draw(seed, shape), draw(seed + 1, (3, *shape))
    gradient = Gradient(step)
    there = np.vdot(gradient.forward(image), field)
    back = np.vdot(image, gradient.adjoint(field))
    size = np.linalg.norm(image) * np.linalg.norm(field) / min(step)
    assert abs(there - back) <= 1e-5 * size


def test_gradient_of_a_ramp_is_its_slope_per_unit_of_length() -> None:
    step = (0.5, 0.2, 0.1)
    z, y, x = np.indices((4, 5, 6))
    image = (3 * z * step[0] - 2 * y * step[1] + 7 * x * step[2]).astype(np.float32)
    slopes = Gradient(step).forward(image)
    for axis, slope in enumerate((3, -2, 7)):
        inner = np.moveaxis(slopes[axis], axis, 0)
        np.testing.assert_allclose(inner[:-1], slope, rtol=1e-4)
        assert (inner[-1] == 0).all()


@few
@given(shapes, steps, seeds)
def test_no_image_is_stretched_by_more_than_the_bound(shape, step, seed) -> None:
    gradient, image = Gradient(step), draw(seed, shape)
    for _ in range(10):  # power iteration: towards the image that is stretched most
        image = gradient.adjoint(gradient.forward(image))
        size = np.linalg.norm(image)
        assume(size > 0)
        image /= size
        assert np.sum(gradient.forward(image) ** 2) <= gradient.squared_norm * (1 + 1e-5)


def test_bound_of_the_gradient_is_not_far_from_the_truth() -> None:
    gradient = Gradient((1.0, 0.5, 2.0))
    z, y, x = np.indices((14, 14, 14))
    checkers = np.where((z + y + x) % 2, 1, -1).astype(np.float32)
    assert np.sum(gradient.forward(checkers) ** 2) >= 0.9 * gradient.squared_norm * checkers.size


# The matrix H


@few
@given(radii, seeds)
def test_window_blur_is_the_toeplitz_matrix_of_the_autocorrelation(radius, seed) -> None:
    auto = autocorrelation(draw(seed, (5, 6, 7)), radius)
    image = draw(seed + 1, tuple(2 * r + 1 for r in radius))
    expected = matrix_of(auto) @ image.ravel()
    np.testing.assert_allclose(WindowBlur(auto).forward(image).ravel(), expected, atol=1e-5 * auto.max() * image.size)


@few
@given(radii, seeds)
def test_window_blur_is_its_own_adjoint(radius, seed) -> None:
    blur = WindowBlur(autocorrelation(draw(seed, (5, 6, 7)), radius))
    shape = tuple(2 * r + 1 for r in radius)
    one, other = draw(seed + 1, shape), draw(seed + 2, shape)
    size = blur.norm * np.linalg.norm(one) * np.linalg.norm(other)
    assert abs(np.vdot(blur.forward(one), other) - np.vdot(one, blur.forward(other))) <= 1e-5 * size


@few
@given(radii, seeds)
def test_norm_of_the_window_blur_is_an_upper_bound(radius, seed) -> None:
    auto = autocorrelation(draw(seed, (5, 6, 7)), radius)
    true_norm = np.linalg.norm(matrix_of(auto), 2)
    assert true_norm <= WindowBlur(auto).norm * (1 + 1e-5)
    assert WindowBlur(auto).norm <= 30 * true_norm  # else the steps would be needlessly small


@few
@given(st.floats(1e-4, 1e4), st.floats(1e-2, 1e4))
def test_steps_satisfy_the_condition_of_convergence(blur_norm, squared_norm) -> None:
    tau, sigma = step_sizes(blur_norm, squared_norm)
    assert tau > 0
    assert sigma > 0
    assert 1 / tau - sigma * squared_norm >= blur_norm / 2 * (1 - 1e-9)


# Proximal maps


@few
@given(shapes, st.floats(0.01, 3), seeds)
def test_projection_is_the_nearest_field_of_short_vectors(shape, radius, seed) -> None:
    field, other = draw(seed, (3, *shape)), draw(seed + 1, (3, *shape))
    projected = project_to_ball(field, radius)
    assert np.sqrt((projected**2).sum(axis=0)).max() <= radius * (1 + 1e-5)
    # Nearest in a convex set: from there, no other member lies in the direction of the field.
    other *= radius / np.maximum(radius, np.sqrt((other**2).sum(axis=0)))
    assert np.vdot(field - projected, other - projected) <= 1e-4 * field.size
    np.testing.assert_allclose(project_to_ball(projected, radius), projected, atol=1e-6)


def test_projection_leaves_the_proximal_map_of_the_length() -> None:
    # Moreau: field - projection minimises radius * |v| + |v - field|^2 / 2 for each vector v.
    field, radius = 2 * draw(0, (3, 1, 1, 4)), 0.7
    shrunk = (field - project_to_ball(field, radius)).reshape(3, -1)

    def value(v: DoubleArray, target: FloatArray) -> float:
        return float(radius * np.linalg.norm(v) + 0.5 * np.sum((v - target) ** 2))

    for found, target in zip(shrunk.T, field.reshape(3, -1).T, strict=True):
        best = scipy.optimize.minimize(value, target, args=(target,), method="Nelder-Mead", options={"xatol": 1e-6})
        assert value(found, target) <= best.fun + 1e-6


@few
@given(st.integers(1, 8), st.floats(0.01, 5), st.floats(0, 20), st.booleans(), seeds)
def test_energy_prox_minimises_what_it_says(size, step, weight, non_negative, seed) -> None:
    image = draw(seed, (size, 1, 1))

    def value(f: DoubleArray) -> float:
        return float(weight / 2 * (f.sum() - 1) ** 2 + np.sum((f - image.ravel()) ** 2) / (2 * step))

    def slope(f: DoubleArray) -> DoubleArray:
        return np.asarray(weight * (f.sum() - 1) + (f - image.ravel()) / step, dtype=np.float64)

    bounds = [(0 if non_negative else None, None)] * size
    best = scipy.optimize.minimize(
        value, np.maximum(image.ravel(), 0), jac=slope, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-14}
    )
    found = energy_prox(image, step, weight, non_negative)
    assert found.shape == image.shape
    assert not non_negative or found.min() >= 0
    assert value(found.ravel().astype(np.float64)) <= best.fun + 1e-4 * (1 + abs(best.fun))


@few
@given(shapes, st.floats(0.01, 5), st.floats(0, 20), seeds)
def test_energy_prox_takes_one_number_off_every_lag(shape, step, weight, seed) -> None:
    image = draw(seed, shape)
    for non_negative in (True, False):
        found = energy_prox(image, step, weight, non_negative)
        off = step * weight * (found.sum(dtype=np.float64) - 1)
        expected = np.maximum(image - off, 0) if non_negative else image - off
        # c is found from the sum of the solution: its rounding comes in times step * weight
        tolerance = 1e-5 + 1e-6 * step * weight * image.size
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_energy_prox_without_weight_only_cuts_at_zero() -> None:
    image = draw(3, (3, 3, 3))
    np.testing.assert_array_equal(energy_prox(image, 2.0, 0.0, True), np.maximum(image, 0))
    np.testing.assert_array_equal(energy_prox(image, 2.0, 0.0, False), image)
    np.testing.assert_array_equal(energy_prox(-np.abs(image) - 1, 2.0, 0.0, True), np.zeros_like(image))


# The whole problem


def test_objective_is_eq_3_of_the_stacks_themselves() -> None:
    radius = (1, 2, 1)
    confocal, psf = draw(0, (4, 5, 6)), draw(1, (3, 5, 3))
    widefield = draw(2, tuple(n + 2 * r for n, r in zip(confocal.shape, radius, strict=True)))
    cross = scipy.signal.correlate(widefield, confocal, mode="valid", method="direct").astype(np.float32)
    step, smoothness, energy = (1.5, 0.8, 0.7), 0.3, 2.0
    given_problem = PsfProblem(cross, autocorrelation(confocal, radius), smoothness, energy, step)

    misfit = scipy.signal.convolve(confocal, psf, mode="full", method="direct") - widefield
    data = 0.5 * np.sum(misfit**2) - 0.5 * np.sum(widefield**2)
    variation = 0.0
    for place in product(*(range(n) for n in psf.shape)):
        squares = 0.0
        for axis in range(3):
            ahead = list(place)
            ahead[axis] += 1
            if ahead[axis] < psf.shape[axis]:
                squares += float((psf[tuple(ahead)] - psf[place]) / step[axis]) ** 2
        variation += np.sqrt(squares)
    expected = data + smoothness * variation + energy / 2 * (psf.sum() - 1) ** 2
    assert given_problem.objective(psf) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("energy", [0.0, 3.0])
def test_hardly_smoothed_solution_is_that_of_the_linear_equations(energy: float) -> None:
    given_problem = problem(smoothness=1e-6, energy=energy, non_negative=False)
    b = given_problem.cross.ravel().astype(np.float64)
    expected = np.linalg.solve(matrix_of(given_problem.auto) + energy, b + energy)  # mu 11' adds mu to every entry
    np.testing.assert_allclose(solve(given_problem, 3000).ravel(), expected, atol=2e-3)


def test_white_confocal_stack_gives_the_cross_correlation_itself() -> None:
    delta = np.zeros(odd_sizes["auto"], dtype=np.float32)
    delta[2, 4, 2] = 1
    given_problem = problem(auto=delta, smoothness=1e-6, energy=0.0, non_negative=False)
    np.testing.assert_allclose(solve(given_problem, 300), given_problem.cross, atol=1e-4)
    only_light = problem(auto=delta, smoothness=1e-6, energy=0.0)
    np.testing.assert_allclose(solve(only_light, 300), np.maximum(only_light.cross, 0), atol=1e-4)


@pytest.mark.parametrize("non_negative", [True, False])
def test_no_other_estimate_is_better(non_negative: bool) -> None:
    given_problem = problem(4, non_negative=non_negative)
    best = solve(given_problem, 2000)
    assert not non_negative or best.min() >= 0
    lowest = given_problem.objective(best)
    for seed, size in product(range(40), (1e-3, 1e-2, 1e-1, 1)):
        other = best + size * draw(seed, best.shape)
        assert given_problem.objective(np.maximum(other, 0) if non_negative else other) >= lowest - 1e-5


def test_more_iterations_come_closer() -> None:
    given_problem = problem(5)
    values = [given_problem.objective(solve(given_problem, n)) for n in (0, 3, 30, 1000)]
    assert values[0] > values[1] > values[2] >= values[3] - 1e-6


def test_stronger_smoothing_gives_less_variation() -> None:
    def variation(smoothness: float) -> float:
        psf = solve(problem(smoothness=smoothness), 1000)
        return float(np.sqrt((Gradient((1, 1, 1)).forward(psf) ** 2).sum(axis=0)).sum())

    assert variation(1e-3) > variation(0.1) > variation(10)
    assert variation(10) < 1e-2


def test_peak_lies_where_the_wide_field_stack_was_shifted_to() -> None:
    radius, shift = (2, 3, 3), (-1, 2, 1)
    confocal = draw(0, (10, 16, 16))
    moved = np.pad(confocal, [(r + s, r - s) for r, s in zip(radius, shift, strict=True)])
    cross = scipy.signal.correlate(moved, confocal, mode="valid").astype(np.float32)
    auto = autocorrelation(confocal, radius)
    psf = solve(PsfProblem(cross / auto.max(), auto / auto.max(), 1e-4, 0.0, (1, 1, 1)), 500)
    expected = np.zeros_like(psf)
    expected[tuple(np.add(radius, shift))] = 1
    np.testing.assert_allclose(psf, expected, atol=0.05)


def test_stopping_returns_the_estimate_so_far() -> None:
    given_problem = problem()
    answers = iter([False] * 7 + [True])
    np.testing.assert_array_equal(solve(given_problem, 100, lambda: next(answers)), solve(given_problem, 7))
    assert (solve(given_problem, 100, lambda: True) == 0).all()


@pytest.mark.parametrize("auto", [(5, 9, 3), (3, 5, 3), (6, 9, 5)])
def test_autocorrelation_that_does_not_fit_the_window_is_refused(auto: Shape) -> None:
    with pytest.raises(ValueError, match=r"does not fit the window \(3, 5, 3\)"):
        solve(problem(auto=np.zeros(auto, np.float32)), 1)


def test_a_ball_of_radius_zero_holds_nothing() -> None:
    field = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 2.0]], dtype=np.float32).reshape(3, 1, 1, 2)
    np.testing.assert_array_equal(project_to_ball(field, 0.0), np.zeros_like(field))
