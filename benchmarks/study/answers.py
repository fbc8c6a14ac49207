"""The parts whose rows are means over the stacks of a test set."""

from __future__ import annotations

from benchmarks.study.methods import RichardsonLucy
from benchmarks.study.pairs import OTHERS, TEST
from benchmarks.study.scoring import Ask
from benchmarks.study.study import SCORES, Study, scored_part
from benchmarks.study.trainings import BASE
from napari_deep3d.jobs.pairs import CONFOCAL

INSIDE = {2: "every 2nd plane", 4: "every 4th plane"}
SHARPNESS = ("high_frequencies", "axial_high_frequencies", "resolution_xy_um", "resolution_z_um")
FIXED_ITERATIONS = (20, 40)
LUCY = "Richardson-Lucy, {} iterations"
LUCY_BEST = "Richardson-Lucy at its best"


def test_set(study: Study) -> list[Ask]:
    """The test set."""
    return [study.itself(), study.bundled(), *study.trained()]


def fewer_planes(study: Study) -> list[Ask]:
    """Every 2nd and 4th plane: interpolated before an unchanged network, and by a network trained so."""
    asks = []
    for every in (1, 2, 4):
        asks += [study.bundled(every=every, planes=every), *study.trained(every=every, planes=every)]
        if every in INSIDE:
            asks += study.trained((INSIDE[every],), every=every, planes=every)
    return asks


def other_samples(study: Study) -> list[Ask]:
    """Samples and haze that training did not have, beside those that it had."""
    asks = []
    for tests in (TEST, *OTHERS):
        asks += [study.itself(tests=tests, sample=tests), study.bundled(tests, sample=tests)]
        asks += study.trained(tests=tests, sample=tests)
    return asks


def networks(study: Study) -> list[Ask]:
    """3D, 2D, and one plane in."""
    return [study.itself(), *study.trained(NETWORKS)]


def losses(study: Study) -> list[Ask]:
    """Parts of the loss."""
    return [study.itself(), study.itself(CONFOCAL), *study.trained(LOSSES)]


def registrations(study: Study) -> list[Ask]:
    """Trained on pairs registered in several ways, or not at all."""
    return list(study.trained(REGISTERED))


def deconvolutions(study: Study) -> list[Ask]:
    """Richardson-Lucy beside models."""
    fixed = [study.ask(LUCY.format(n), RichardsonLucy(n), TEST) for n in FIXED_ITERATIONS]
    return [study.itself(), *fixed, study.ask(LUCY_BEST, RichardsonLucy(), TEST), study.bundled(), *study.trained()]


NETWORKS = (BASE, "2D", "DeepZ+")
LOSSES = ("L1", "L1+GAN", BASE)
REGISTERED = (BASE, "registered by PSF", "registered by cross-correlation", "not registered")
PARTS = {
    "scores": scored_part("paper_scores.csv", test_set, SCORES),
    "planes": scored_part("paper_planes.csv", fewer_planes, SCORES, (BASE, *INSIDE.values())),
    "samples": scored_part("paper_samples.csv", other_samples, SCORES),
    "networks": scored_part("paper_networks.csv", networks, (*SCORES, *SHARPNESS), NETWORKS),
    "losses": scored_part("paper_losses.csv", losses, (*SCORES, *SHARPNESS), LOSSES),
    "registered": scored_part("paper_registered.csv", registrations, (*SCORES, *SHARPNESS), REGISTERED),
    "deconvolution": scored_part("paper_deconvolution.csv", deconvolutions, SCORES),
}
