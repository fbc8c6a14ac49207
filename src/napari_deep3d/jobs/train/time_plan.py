"""A training that may take so many minutes: how the time is shared among reading, steps, tests and what follows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_deep3d.core import InputError, Job, Notice, Progress, Shape, Stop, StoppedError, TimeLimit, TrainConfig
from napari_deep3d.core.novelty.detector import MIN_STACKS
from napari_deep3d.jobs.train.plan import MAX_STEPS, MIN_STEPS
from napari_deep3d.jobs.train.trained_model import CALIBRATION_PAIRS, HALO_BOX, MAX_LOOKED_AT

if TYPE_CHECKING:
    from napari_deep3d.nn.patches import TrainingPair

MAX_MINUTES = 60 * 24 * 30
GRACE_SECONDS = 10.0
"""What a training may take beyond its time, for saving and for a few steps where the time is very short."""
READING_SHARE, READING_SECONDS = 0.3, 4.0
"""Of the time, for reading the pairs, and what they may take in any case; the rest of them is then not used."""
PROBES, PROBING_SHARE = 3, 0.1
"""Rounds of one step of each patch size, after one that does not count: the quickest says the speed. And the share of
the time that they may take, but for the first step."""
LEAST_SECONDS = 5.0
"""So long, at most, steps are made where no time is left for any."""
FINISH_SHARE = 0.25
"""Of the time, at most, is kept for what follows the steps."""
TESTS, TESTS_SHARE = 10, 0.2
"""Tests of held-out pairs, and the share of the time that they may take: then they are fewer."""
CHECKPOINT_SECONDS = 60.0
FORWARD_SHARE = 0.4
"""Of the time of a step, what a prediction of its voxels takes; measured: a quarter of it."""
SCORING_SECONDS = 3e-7
"""For a voxel, to compute the scores of a prediction."""
HALO_SECONDS = 1e-5
"""For a voxel, to measure a network's reach, of the usual width on a processor."""
NOVELTY_SECONDS = 0.2
"""For a stack, to measure how it looks."""


@dataclass(frozen=True)
class TimePlan:
    """How a time is used: the settings with the number of steps, tests and checkpoints that fit, and what follows.

    The last ``reserved_seconds`` are kept for what follows the steps, of which the calibration of the error to expect
    takes ``calibration_seconds``; without ``tests`` there is no time to test.
    """

    config: TrainConfig
    reserved_seconds: float = 0.0
    calibration_seconds: float = 0.0
    tests: bool = True


def time_limit(minutes: float | None) -> TimeLimit:
    """The end of a training that begins now, the seconds of grace included; none without ``minutes``."""
    return TimeLimit() if minutes is None else TimeLimit(60 * minutes + GRACE_SECONDS)


def reading_is_over(minutes: float | None, limit: TimeLimit) -> bool:
    """Whether the pairs took their share of the time: more of them are then not read."""
    if minutes is None:
        return False
    used = 60 * minutes + GRACE_SECONDS - limit.left
    return used > max(READING_SHARE * 60 * minutes, READING_SECONDS)


def fit_to_time(
    pairs: Sequence[TrainingPair],
    held_out: Sequence[TrainingPair],
    config: TrainConfig,
    minutes: float,
    limit: TimeLimit,
    voxels_at_once: int,
    calibration_box: Shape,
    stop: Stop,
    confocal: Sequence[TrainingPair] = (),
) -> Job[TimePlan]:
    """Measure the speed of a few steps, and set the number of steps, tests and checkpoints so that they fit a time.

    Parameters
    ----------
    pairs, held_out : sequences of TrainingPair
        What will be trained on, and those that the network will be tested on and its error calibrated with.
    config : TrainConfig
        The settings.
    minutes, limit : float, TimeLimit
        The time in all, and what is left of it.
    voxels_at_once : int
        As in a training.
    calibration_box : tuple of int
        Voxels (Z, Y, X) of each pair that the calibration looks at.
    stop : callable
        Asked all the time.
    confocal : sequence of TrainingPair
        The confocal stacks of an unpaired training, whose wide-field stacks are ``pairs``.

    Raises
    ------
    InputError
        If a loss is no longer a number, or the time does not suffice for a step.
    StoppedError
        If it was stopped.
    """
    from napari_deep3d.nn.patches import patch_sizes
    from napari_deep3d.nn.validation import pairs_to_test

    per_step = yield from _seconds_per_step(pairs, confocal, config, minutes, voxels_at_once, limit, stop)
    if per_step > limit.left + GRACE_SECONDS:
        raise _too_short(minutes, f"a step takes about {per_step:.2g} s here")
    limit.extend(max(0.0, 2 * per_step - limit.left))  # for one step in any case
    # 1. What a test, and what follows the steps, will take.
    sizes = patch_sizes([pair.shape for pair in (*pairs, *confocal)], config)
    per_voxel = FORWARD_SHARE * per_step * len(sizes) / sum(number * prod(shape) for shape, number in sizes)
    tested = sum(prod(_within(pair.shape, (pair.shape[0], 512, 512))) for pair in pairs_to_test(held_out))
    test = (2 if config.optimizer.ema else 1) * tested * (per_voxel + SCORING_SECONDS)
    calibrated = held_out[:CALIBRATION_PAIRS] if config.network.network_input == "stack" else []
    calibration = 5 * per_voxel * sum(prod(_within(pair.shape, calibration_box)) for pair in calibrated)
    halo = HALO_SECONDS * (config.network.width / 16) ** 2 * sum(prod(_within(p.shape, HALO_BOX)) for p in pairs[:2])
    stacks = len(pairs) + len(held_out)
    novelty = NOVELTY_SECONDS * min(stacks, MAX_LOOKED_AT) if stacks >= MIN_STACKS else 0.0
    tests = test <= FINISH_SHARE * 60 * minutes + GRACE_SECONDS / 2
    kept = min(FINISH_SHARE * 60 * minutes, test * tests + calibration + halo + novelty)
    # 2. The steps and tests that fit into the rest; a few steps in any case.
    left = limit.left - GRACE_SECONDS - kept
    number_of_tests = max(1, min(TESTS, int(TESTS_SHARE * max(left, 0) / test))) if test and tests else TESTS
    least = max(1, min(MIN_STEPS, int(LEAST_SECONDS / per_step)))
    # One of the tests is before the first step, one is within what is kept.
    steps = min(MAX_STEPS, max(least, int((left - number_of_tests * test * tests) / per_step)))
    yield Notice(f"{per_step:.2g} s a step: {steps} steps in {minutes:g} minutes")
    if held_out and not tests:
        yield Notice(
            f"A test on the held-out pairs would take about {test:.0f} s, too long for this time: there is none."
        )
    return TimePlan(
        config.changed(
            iterations=steps,
            checkpoint_every=max(1, min(steps, round(CHECKPOINT_SECONDS / per_step))),
            validate_every=max(1, steps // number_of_tests),
        ),
        max(0.0, min(GRACE_SECONDS + kept, limit.left - 1.5 * least * per_step)),
        calibration,
        tests,
    )


def _seconds_per_step(
    pairs: Sequence[TrainingPair],
    confocal: Sequence[TrainingPair],
    config: TrainConfig,
    minutes: float,
    voxels_at_once: int,
    limit: TimeLimit,
    stop: Stop,
) -> Job[float]:
    """Mean over the patch sizes, or those of them that there was time for."""
    from napari_deep3d.nn.patches import patch_size
    from napari_deep3d.nn.trainer import DivergedError
    from napari_deep3d.nn.unpaired import make_trainer

    trainer = make_trainer(config, pairs, confocal, voxels_at_once=voxels_at_once)
    trainer.stop = lambda: stop() or limit.is_over()
    each: dict[object, int] = {}  # for every patch size a step that draws it
    for step in range(20 * len(config.data.patch)):
        each.setdefault(patch_size([*pairs, *confocal], config, step), step)
    begin = time.perf_counter()
    seconds: dict[int, list[float]] = {number: [] for number in each.values()}
    for number in [*seconds] * (1 + PROBES):
        if stop():
            raise StoppedError
        start = time.perf_counter()
        if any(seconds.values()) and start - begin > PROBING_SHARE * 60 * minutes:
            break
        try:
            trainer.step(number)
        except DivergedError as error:
            raise InputError(f"{error} while the speed was measured. Choose a lower learning_rate.") from None
        except StoppedError:
            if stop():
                raise
            raise _too_short(minutes, f"a step takes more than {time.perf_counter() - start:.0f} s here") from None
        yield Progress(0, len(each), "measuring the speed")
        seconds[number].append(time.perf_counter() - start)
    # The first step of a size is slow: kernels are made for it.
    return float(np.mean([min(taken[1:] or taken) for taken in seconds.values() if taken]))


def _within(shape: Shape, largest: Shape) -> list[int]:
    return [min(size, most) for size, most in zip(shape, largest, strict=True)]


def _too_short(minutes: float, reason: str) -> InputError:
    return InputError(
        f"{minutes:g} minutes are too short: {reason}. Give more time, or make steps quicker (--set patch=12,64,64, or "
        "a smaller batch_size or width)."
    )
