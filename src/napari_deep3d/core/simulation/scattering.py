"""What thick tissue does to the light of a sample on its way out: scattering, absorption.

Scattering follows the small-angle theory of multiple scattering (Wells, JOSA 59, 686, 1969): light from depth d whose
lateral pattern has the spatial frequency k (radians per um) keeps the share

    M(k, d) = exp[-(d / l) (1 - 1/d integral_0^d p(k s) ds)]

of its modulation, with l the scattering mean free path and p the two-dimensional Fourier transform of the phase
function. For that of Henyey and Greenstein (Astrophys. J. 93, 70, 1941) at small angles, p(q) = exp(-a q) with
a = (1 - g) / sqrt(g), g the mean cosine of the deflection, so that the integral is (1 - exp(-a k d)) / (a k d).
Fine detail is left to what was not scattered, exp(-d / l) (Beer-Lambert); coarse detail becomes haze. l of 25 to 200 um
and g of 0.85 to 0.98 are usual for tissue (Jacques, Phys. Med. Biol. 58, R37, 2013). Part of the scattered light misses
the objective.

No theory of haze fits all tissue. So a part of the scenes has another one instead: what was scattered is blurred by a
Gaussian in all three directions, which widens with depth. Left out: shadows of single structures, and speckle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from pydantic import Field

from napari_deep3d.core import DoubleArray, FloatArray, Spacing
from napari_deep3d.core.simulation.bounds import Bounds, PositiveRange, Range, Share, happens, log_uniform, uniform


@dataclass(frozen=True)
class Tissue:
    """What the sample's light passes through.

    Attributes
    ----------
    mean_free_path_um : float
        Mean path between two scatterings, in um; infinite for a clear sample.
    anisotropy : float
        Mean cosine of the angle of a scattering, g.
    collected : float
        Share of the scattered light that still reaches the camera.
    absorption_um : float
        Depth in um over which absorption takes all but 1/e of the light; infinite for none.
    autofluorescence : float
        Mean light of the tissue itself, as a share of the sample's bright structures.
    deep_end_last : bool
        Whether the last plane is the deepest, and not the first.
    blur_um, blur_growth : float
        Standard deviation in um of a Gaussian that blurs the scattered light of the surface, and what it gains with
        every um of depth; both 0 where the light is scattered as the phase function says.
    """

    mean_free_path_um: float
    anisotropy: float
    collected: float
    absorption_um: float
    autofluorescence: float
    deep_end_last: bool
    blur_um: float = 0.0
    blur_growth: float = 0.0

    @property
    def is_clear(self) -> bool:
        """Whether light passes unchanged."""
        return not np.isfinite(self.mean_free_path_um) and not np.isfinite(self.absorption_um)


class ScatteringBounds(Bounds):
    """Bounds of the random choices in what tissue does to light."""

    scattering: Share = Field(0.75, description="share of scenes that scatter")
    mean_free_path_um: PositiveRange = Field((25.0, 250.0), description="mean path between two scatterings, log")
    anisotropy: Range = Field((0.85, 0.98), description="mean cosine of the angle of a scattering")
    collected: Range = Field((0.4, 1.0), description="share of the scattered light that reaches the camera")
    absorption_um: PositiveRange = Field(
        (200.0, 2000.0), description="depth of absorption where the sample scatters, log"
    )
    deep_end_last: Share = Field(0.9, description="share of scenes whose last plane is the deepest")
    autofluorescent: Share = Field(0.4, description="share of scenes with autofluorescence")
    autofluorescence: PositiveRange = Field((0.01, 0.15), description="its mean as a share of bright structures, log")
    blurred: Share = Field(0.4, description="share of the scattering scenes whose scattered light is a Gaussian blur")
    blur_um: PositiveRange = Field((0.5, 6.0), description="its standard deviation at the surface, log")
    blur_growth: PositiveRange = Field((0.02, 0.6), description="what it gains with every um of depth, log")

    def draw(self, rng: np.random.Generator) -> Tissue:
        """Draw the tissue."""
        scatters = happens(rng, self.scattering)
        blurred = happens(rng, self.blurred) and scatters
        return Tissue(
            mean_free_path_um=float(log_uniform(rng, self.mean_free_path_um)) if scatters else np.inf,
            anisotropy=uniform(rng, self.anisotropy),
            collected=uniform(rng, self.collected),
            absorption_um=float(log_uniform(rng, self.absorption_um)) if scatters else np.inf,
            autofluorescence=float(log_uniform(rng, self.autofluorescence))
            if happens(rng, self.autofluorescent)
            else 0.0,
            deep_end_last=happens(rng, self.deep_end_last),
            blur_um=float(log_uniform(rng, self.blur_um)) if blurred else 0.0,
            blur_growth=float(log_uniform(rng, self.blur_growth)) if blurred else 0.0,
        )


def depths_um(planes: int, step_um: float, deep_end_last: bool) -> DoubleArray:
    """Depth of each plane below the surface in um, axis (Z,); the surface lies at the first or last plane."""
    depths = np.asarray(np.arange(planes) * step_um, dtype=np.float64)
    return depths if deep_end_last else depths[::-1]


def modulation(k: DoubleArray, depth_um: float, tissue: Tissue) -> DoubleArray:
    """Share M(k, d) of the lateral modulation that leaves the tissue; k in radians per um, of any shape."""
    if not np.isfinite(tissue.mean_free_path_um) or depth_um <= 0:
        return np.ones_like(k)
    a = (1 - tissue.anisotropy) / np.sqrt(tissue.anisotropy)
    q = a * k * depth_um
    mean = np.where(q > 1e-6, -np.expm1(-q) / np.maximum(q, 1e-6), 1.0)
    ballistic = np.exp(-depth_um / tissue.mean_free_path_um)
    everything = np.exp(-depth_um / tissue.mean_free_path_um * (1 - mean))
    return np.asarray(ballistic + tissue.collected * (everything - ballistic))


def scatter(sample: FloatArray, tissue: Tissue, spacing_um: Spacing, depths: DoubleArray) -> FloatArray:
    """The sample as its light leaves the tissue towards a camera, axes (Z, Y, X); its lateral borders are periodic.

    ``depths`` are those of the planes below the surface in um, axis (Z,).
    """
    if tissue.is_clear:
        return sample
    if tissue.blur_um:
        return _blur_scattered(sample, tissue, spacing_um, depths)
    ky = 2 * np.pi * np.fft.fftfreq(sample.shape[1], spacing_um[1])[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(sample.shape[2], spacing_um[2])[None, :]
    k = np.hypot(ky, kx)
    out = np.empty_like(sample)
    for plane, source, depth in zip(out, sample, depths, strict=True):
        gain = (modulation(k, depth, tissue) * np.exp(-depth / tissue.absorption_um)).astype(np.float32)
        plane[:] = scipy.fft.irfft2(scipy.fft.rfft2(source) * gain, s=source.shape)
    return np.maximum(out, 0, out=out)


def _blur_scattered(sample: FloatArray, tissue: Tissue, spacing_um: Spacing, depths: DoubleArray) -> FloatArray:
    """The same where scattered light is blurred by a Gaussian; what comes to lie beyond the end planes is lost.

    Two blurs are computed, those of the least and the largest depth; between them their light is shared out.
    """
    through = np.exp(-depths / tissue.absorption_um)
    ballistic = np.exp(-depths / tissue.mean_free_path_um)
    deep = (depths - depths.min()) / max(float(np.ptp(depths)), 1e-9)
    out = sample * (through * ballistic).astype(np.float32)[:, None, None]
    size = (2 * len(sample), *sample.shape[1:])
    for depth, weight in ((depths.min(), 1 - deep), (depths.max(), deep)):
        light = tissue.collected * (1 - ballistic) * through * weight
        spectrum = scipy.fft.rfftn(sample * light.astype(np.float32)[:, None, None], size)
        sigma = (tissue.blur_um + tissue.blur_growth * depth) / np.array(spacing_um)
        for axis, (count, width) in enumerate(zip(size, sigma, strict=True)):
            frequency = np.fft.rfftfreq(count) if axis == 2 else np.fft.fftfreq(count)
            gain = np.exp(-2 * (np.pi * width * frequency) ** 2).astype(np.float32)
            spectrum *= gain.reshape([-1 if a == axis else 1 for a in range(3)])
        out += scipy.fft.irfftn(spectrum, s=size, overwrite_x=True)[: len(sample)]
    return np.asarray(np.maximum(out, 0), dtype=np.float32)


def confocal_loss(tissue: Tissue, compensated: float, depths: DoubleArray) -> FloatArray:
    """Share of the confocal signal that is left, axis (Z,), at depths in um, axis (Z,).

    Exciting light must arrive unscattered, and emitted light pass the pinhole unscattered: exp(-2 d / l), and
    absorption on both ways. ``compensated`` is the share of the loss (of its logarithm) that more laser power makes
    up for.
    """
    lost = 2 * depths * (1 / tissue.mean_free_path_um + 1 / tissue.absorption_um)
    return np.exp(-(1 - compensated) * lost).astype(np.float32)
