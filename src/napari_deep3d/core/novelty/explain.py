"""Whether a stack is unlike what a model knows, in what, and what to do: in sentences for a biologist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from napari_deep3d.core.novelty.detector import Distance, NoveltyModel
from napari_deep3d.core.novelty.features import Features, measure_features, representative_part
from napari_deep3d.core.types import FloatArray, Spacing
from napari_deep3d.core.volume import Stack

DOUBTFUL = 0.5
"""Distance from which on it is tried whether the stack fits better the other way round."""
MUCH_BETTER = 0.75
"""Share of the distance that is left if a stack was the wrong way round."""
NEARLY_LIKE = 1.5
"""Distance that is near enough with dark and bright exchanged: an absorption image is not quite fluorescence then."""
MIN_SCORE = 2.0
"""Normal score from which on a second deviation is worth a word."""
NOISE_ALONE = -0.2
"""Noise (log10): where nothing else is there, smoothing leaves it a range of 1.2 times its standard deviation."""
NO_ORDER = -0.3
"""Order (log10) above which planes follow each other by chance, also where it cannot be measured."""
HALF = 0.5
"""Weight of planes that are too alike: whatever takes the noise away makes them so too, and then is the better word."""
SURE = 3.0
"""Normal score from which on a deviation alone says what is wrong."""
SAME = 2.9
"""Fisher's z of planes three apart, in every octave, from which on they are one plane repeated (correlation 0.994)."""
FAR = ("far_coarse", "far_middle", "far_fine", "far_finest")


@dataclass(frozen=True)
class Reason:
    """In what a stack is unlike, as the end of a sentence, and what to do, as one of its own."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Novelty:
    """How far a stack is from what a model knows: above 1 it is unlike, and ``reasons`` say in what, worst first."""

    distance: float
    reasons: tuple[Reason, ...] = ()

    @property
    def is_unlike(self) -> bool:
        """Whether the user should be warned."""
        return bool(self.reasons)

    def report(self) -> dict[str, object]:
        """Plain values for a JSON file."""
        what = [reason.what for reason in self.reasons]
        return {"distance": round(self.distance, 3), "threshold": 1.0, "unlike_in": what}

    @property
    def notice(self) -> str:
        """What to tell the user; empty if the stack is like those that the model knows."""
        if not self.reasons:
            return ""
        what = ", and ".join(reason.what for reason in self.reasons)
        return (
            f"This stack is unlike those the model learned from: {what}. {self.reasons[0].remedy} "
            "The prediction may look good and be wrong."
        )


NOISE = Reason(
    "hardly more than noise can be seen in it",
    "Check that it is the right channel and time point; if so, expose longer.",
)
OVEREXPOSED = Reason(
    "many of its voxels have the largest value: it is overexposed",
    "Acquire it again with less light; what is overexposed is lost.",
)
REPEATED = Reason(
    "its planes hardly differ from one another",
    "Check that it is a z-stack and not one picture repeated, and that the z step is right.",
)
NEGATIVE = Reason(
    "it is dark on bright, as in transmitted light, where fluorescence is bright on dark",
    "Choose the fluorescence channel, or invert an inverted picture back.",
)
SWAPPED = Reason(
    "its structure along z looks like that across and the other way round: the axes seem to be swapped",
    "Check that the axes are in the order z, y, x (in the layer, or in the file).",
)
GROUPS: tuple[tuple[Mapping[str, float], Reason], ...] = (
    ({"saturated": 1}, OVEREXPOSED),
    (
        {"median": 1, "upper": 1, "top": 1, "skewness": -1},
        Reason(
            "it is bright almost everywhere, where the model knows bright structure on a dark background",
            "Check that it is the fluorescence channel, and not transmitted light (brightfield).",
        ),
    ),
    (
        {"median": -1, "upper": -1, "top": -1, "skewness": 1},
        Reason(
            "it is dark but for a few bright spots",
            "Crop it to the sample, and remove dust or hot pixels that outshine it.",
        ),
    ),
    (
        {"noise": 1},
        Reason("it is noisier", "Expose longer or average frames, if you can."),
    ),
    (
        {"noise": -1, "fall_fine": 1, "fall_finest": 1},
        Reason(
            "its finest detail has hardly any noise, as after smoothing or deconvolution, or in a confocal stack",
            "Take the wide-field stack as the camera recorded it.",
        ),
    ),
    (
        {"fall_coarse": 1, "fall_middle": 1},
        Reason(
            "it has less fine detail: coarser structure, blurred, or enlarged beyond what the microscope resolves",
            "Check the voxel size, and take the stack as the camera recorded it.",
        ),
    ),
    (
        {"fall_coarse": -1, "fall_middle": -1, "fall_fine": -1, "fall_finest": -1},
        Reason(
            "it has more fine detail: finer structure, or sharper than a wide-field microscope shows it",
            "Check the voxel size, and that it is a wide-field stack that was not sharpened.",
        ),
    ),
    (
        {f"{lag}_{octave}": HALF for lag in ("near", "far") for octave in ("coarse", "middle", "fine", "finest")}
        | {"order": -HALF, "jump": -HALF},
        Reason(
            "its planes differ less from their neighbours",
            "Check the z step, and that no planes were repeated or interpolated.",
        ),
    ),
    (
        {f"{lag}_{octave}": -1 for lag in ("near", "far") for octave in ("coarse", "middle", "fine", "finest")}
        | {"order": 1},
        Reason(
            "its planes have less in common with their neighbours",
            "Check the z step, that the planes are in order, and that it is a wide-field stack.",
        ),
    ),
    (
        {"jump": 1},
        Reason(
            "its brightness changes much from plane to plane",
            "Check that it is a wide-field stack, that the planes are in order and that the lamp was steady.",
        ),
    ),
    (
        {"uneven_coarse": 1, "uneven_middle": 1, "uneven_fine": 1},
        Reason(
            "its structure differs between rows and columns",
            "Check that the axes are in the order z, y, x, and that pixels are square.",
        ),
    ),
)


def assess(stack: Stack, spacing_um: Spacing, known: NoveltyModel) -> Novelty:
    """Compare a stack with what a model knows.

    Parameters
    ----------
    stack
        Axes (Z, Y, X); a bounded part of it is read.
    spacing_um
        Voxel size Z, Y, X.
    known
        What the model knows.
    """
    part = representative_part(stack)
    features = measure_features(part, spacing_um)
    found = known.compare(features)
    if found.distance < DOUBTFUL:
        return Novelty(found.distance)
    turned = _turned(part, spacing_um, known, found.distance)
    if not (found.is_unlike or turned):
        return Novelty(found.distance)
    return Novelty(max(found.distance, 1.0), _reasons(features, found, turned))


def _turned(part: FloatArray, spacing_um: Spacing, known: NoveltyModel, distance: float) -> tuple[Reason, ...]:
    """Why the stack would fit much better, if it does: dark and bright exchanged, or axes."""
    best, reason = min(
        (
            (known.compare(measure_features(voxels, size)).distance, why)
            for voxels, size, why in _others(part, spacing_um)
        ),
        key=lambda other: other[0],
    )
    return (reason,) if best < min(NEARLY_LIKE if reason is NEGATIVE else 1.0, MUCH_BETTER * distance) else ()


def _others(part: FloatArray, spacing_um: Spacing) -> Iterator[tuple[FloatArray, Spacing, Reason]]:
    """The stack the other way round, where that can be told: with the voxel size as it is, or turned with the axes."""
    z, y, x = spacing_um
    yield -part, spacing_um, NEGATIVE
    for order in ((1, 0, 2), (2, 1, 0)):
        voxels = np.ascontiguousarray(part.transpose(order))
        yield voxels, spacing_um, SWAPPED
        if y != x:
            yield voxels, ((y, z, x) if order == (1, 0, 2) else (x, y, z)), SWAPPED


def _reasons(features: Features, found: Distance, turned: tuple[Reason, ...]) -> tuple[Reason, ...]:
    if features.noise > NOISE_ALONE and not features.order < NO_ORDER:
        return (NOISE,)
    scores = found.deviations
    if scores["saturated"] > SURE:
        return (OVEREXPOSED,)
    if min(getattr(features, name) for name in FAR) > SAME or min(scores[name] for name in FAR[1:]) > SURE:
        return (REPEATED,)
    if turned:
        return turned
    ranked = sorted(((_score(scores, signs), why) for signs, why in GROUPS), key=lambda each: -each[0])
    worst = ranked[0][0]
    return tuple(why for score, why in ranked[:2] if score >= max(MIN_SCORE, worst / 2) or score == worst)


def _score(scores: dict[str, float], signs: Mapping[str, float]) -> float:
    """Largest deviation of a group of features in its direction, weighted."""
    return max(0.0, *(sign * float(np.nan_to_num(scores.get(name, 0.0))) for name, sign in signs.items()))
