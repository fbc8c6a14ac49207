"""Whether a stack is unlike those that a model was trained on, in what, and what to do: in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_deep3d.core import FloatArray, Spacing, Stack
from napari_deep3d.core.novelty.detector import NoveltyModel
from napari_deep3d.core.novelty.features import Features, measure_features, representative_part

DOUBTFUL = 0.5
"""Distance from which on it is tried whether the stack is inverted or its axes are swapped."""
MUCH_NEARER = 0.75
"""Share of the distance that is left, at most, once what is wrong is undone."""
NEARLY_LIKE = 1.5
"""Distance that is near enough once dark and bright are exchanged: absorption is not quite fluorescence then."""
MIN_SCORE = 2.0
"""Normal score from which on a second reason is named."""
SURE_SCORE = 3.0
"""Normal score from which on a feature alone says what is wrong."""
NOISE_ALONE = -0.2
"""Noise (log10): where nothing else is there, smoothing leaves it a range of 1.2 times its standard deviation."""
NO_ORDER = -0.3
"""Order (log10) above which planes follow each other by chance, also where it cannot be measured."""
HALF = 0.5
"""Weight of planes that are too alike: whatever takes noise away makes them so too, and is the better reason then."""
SAME_PLANE = 2.9
"""Fisher's z of planes three apart, in every octave, from which on they are one plane repeated (correlation 0.994)."""
FAR_FEATURES = ("far_coarse", "far_middle", "far_fine", "far_finest")


@dataclass(frozen=True)
class Reason:
    """In what a stack is unlike, as the end of a sentence, and what to do, as one of its own."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Novelty:
    """How far a stack is from those that a model was trained on, and in what.

    Attributes
    ----------
    distance : float
        Above 1 the stack is unlike.
    reasons : tuple[Reason, ...]
        In what, the worst first; empty if it is like those.
    """

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
        """What to tell the user; empty if the stack is like those that the model was trained on."""
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
    # features, each with the sign (and weight) of the deviations that speak for the reason
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


def assess(stack: Stack, spacing_um: Spacing, model: NoveltyModel) -> Novelty:
    """Compare a stack with those that a model was trained on.

    Parameters
    ----------
    stack : Stack
        Axes (Z, Y, X); a bounded part of it is read.
    spacing_um : Spacing
        Voxel size (Z, Y, X) in um.
    model : NoveltyModel
        How the stacks look that the model was trained on.
    """
    part = representative_part(stack)
    features = measure_features(part, spacing_um)
    found = model.compare(features)
    if found.distance < DOUBTFUL:
        return Novelty(found.distance)
    mistake = _find_mistake(part, spacing_um, model, found.distance)
    if not (found.is_unlike or mistake):
        return Novelty(found.distance)
    return Novelty(max(found.distance, 1.0), _find_reasons(features, found.deviations, mistake))


def _find_mistake(part: FloatArray, spacing_um: Spacing, model: NoveltyModel, distance: float) -> Reason | None:
    """What brings the stack much nearer once it is undone, if anything does: dark and bright exchanged, or axes.

    Axes may have been swapped in the voxels alone, or in the voxel size as well.
    """
    z, y, x = spacing_um
    undone = [(-part, spacing_um, NEGATIVE)]
    for order, swapped_um in (((1, 0, 2), (y, z, x)), ((2, 1, 0), (x, y, z))):
        voxels = np.ascontiguousarray(part.transpose(order))
        undone.append((voxels, spacing_um, SWAPPED))
        if y != x:
            undone.append((voxels, swapped_um, SWAPPED))
    distances = [model.compare(measure_features(voxels, size)).distance for voxels, size, _ in undone]
    best = int(np.argmin(distances))
    reason = undone[best][2]
    near_enough = NEARLY_LIKE if reason is NEGATIVE else 1.0
    return reason if distances[best] < min(near_enough, MUCH_NEARER * distance) else None


def _find_reasons(features: Features, scores: Mapping[str, float], mistake: Reason | None) -> tuple[Reason, ...]:
    """In what the stack is unlike, the worst first: from normal scores by name of the feature."""
    # 1. What alone explains all the rest.
    if features.noise > NOISE_ALONE and not features.order < NO_ORDER:
        return (NOISE,)
    if scores["saturated"] > SURE_SCORE:
        return (OVEREXPOSED,)
    is_same = min(getattr(features, name) for name in FAR_FEATURES) > SAME_PLANE
    if is_same or min(scores[name] for name in FAR_FEATURES[1:]) > SURE_SCORE:
        return (REPEATED,)
    if mistake is not None:
        return (mistake,)

    # 2. Otherwise the one or two groups of features that are farthest off in their direction.
    ranked = []
    for signs, reason in GROUPS:
        worst = max(0.0, *(sign * float(np.nan_to_num(scores.get(name, 0.0))) for name, sign in signs.items()))
        ranked.append((worst, reason))
    ranked.sort(key=lambda each: -each[0])
    largest = ranked[0][0]
    return tuple(why for score, why in ranked[:2] if score >= max(MIN_SCORE, largest / 2) or score == largest)
