"""What a lens does to a point of light: the vectorial pupil function, plane by plane.

An isotropic point emitter seen through a lens of high aperture, by the vectorial theory of Richards and Wolf (Proc. R.
Soc. A 253, 358, 1959) written with Fourier transforms of the pupil (Hanser et al., J. Microsc. 216, 32, 2004); or by
scalar theory, which most programs use. In the pupil lie the spherical aberration that a mismatch of refractive indices
brings at depth (Gibson and Lanni, JOSA A 9, 154, 1992), less the shift of focus that comes with it, and low Zernike
modes (Noll, JOSA 66, 207, 1976). Polynomials of higher order, coatings and Fresnel losses are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from napari_deep3d.core import DoubleArray, FloatArray

MODES = ("oblique astigmatism", "astigmatism", "coma y", "coma x", "trefoil y", "trefoil x", "spherical")
"""The Zernike modes that a lens may have, Noll's numbers 5 to 11."""
SUPERCRITICAL = 0.98
"""Light beyond this share of the sample's refractive index does not get through an ordinary interface."""


def zernike(rho: DoubleArray, phi: DoubleArray) -> list[DoubleArray]:
    """The modes of :data:`MODES` on polar coordinates of the unit pupil, each of RMS 1 over it."""
    return [
        np.sqrt(6) * rho**2 * np.sin(2 * phi),
        np.sqrt(6) * rho**2 * np.cos(2 * phi),
        np.sqrt(8) * (3 * rho**3 - 2 * rho) * np.sin(phi),
        np.sqrt(8) * (3 * rho**3 - 2 * rho) * np.cos(phi),
        np.sqrt(8) * rho**3 * np.sin(3 * phi),
        np.sqrt(8) * rho**3 * np.cos(3 * phi),
        np.sqrt(5) * (6 * rho**4 - 6 * rho**2 + 1),
    ]


def point_image(
    pixels: int,
    pixel_um: float,
    heights_um: NDArray[np.floating],
    *,
    numerical_aperture: float,
    immersion_index: float,
    sample_index: float,
    wavelength_um: float,
    depth_um: float = 0.0,
    aberrations: Sequence[float] = (),
    excitation: bool = False,
    vectorial: bool = True,
) -> FloatArray:
    """Intensity that a point emitter, or the light that excites it, makes around it.

    Parameters
    ----------
    pixels, pixel_um
        Odd number of pixels along y and x, and their size in um.
    heights_um : array of float, axis (Z,)
        Distances of the planes from the focus in um.
    numerical_aperture, immersion_index, sample_index, wavelength_um : float
        Of the lens, refractive indices of both media, and vacuum wavelength in um.
    depth_um : float
        Depth of the focus in the sample in um, counted from the depth for which the lens is corrected.
    aberrations : sequence of float
        RMS of each mode of :data:`MODES` in waves; missing ones are 0.
    excitation : bool
        Whether the light runs into the sample (its amplitude then falls with the angle instead of rising).
    vectorial : bool
        Whether light has a polarisation.

    Returns
    -------
    array of float32, axes (Z, Y, X)
        Every plane with sum 1: a lens loses no light by defocus. What leaves the field of
        ``pixels`` on one side comes in on the other.
    """
    frequency = np.fft.fftfreq(pixels, pixel_um)
    na = np.hypot(frequency[:, None], frequency[None, :]) * wavelength_um  # numerical aperture, n sin(theta)
    phi = np.arctan2(frequency[:, None], frequency[None, :])
    na_limit = min(numerical_aperture, SUPERCRITICAL * sample_index)
    inside = na <= na_limit
    along = 2 * np.pi / wavelength_um * np.sqrt(np.maximum(sample_index**2 - na**2, 0.0))
    phase = depth_um * spherical_phase(na, inside, immersion_index, sample_index, wavelength_um)
    for mode, waves in zip(zernike(na / na_limit, phi), aberrations, strict=False):
        phase = phase + 2 * np.pi * waves * mode
    cosine = np.sqrt(np.maximum(1 - (na / sample_index) ** 2, 0.0))
    falloff = np.sqrt(cosine) if excitation else 1 / np.sqrt(np.maximum(cosine, 1e-3))
    pupil = np.where(inside, falloff, 0) * np.exp(1j * phase)
    sine, cos_phi, sin_phi = na / sample_index, np.cos(phi), np.sin(phi)
    polarisations = (  # on the camera along x and y, of dipoles along x, y and z; the mixed ones of x and y are equal
        (1, cosine * cos_phi**2 + sin_phi**2),
        (2, (cosine - 1) * sin_phi * cos_phi),
        (1, cosine * sin_phi**2 + cos_phi**2),
        (1, sine * cos_phi),
        (1, sine * sin_phi),
    )
    parts = polarisations if vectorial else ((1, np.ones_like(cosine)),)
    fields = [(weight, (pupil * part).astype(np.complex64)) for weight, part in parts]
    image = np.zeros((len(heights_um), pixels, pixels), dtype=np.float32)
    for plane, height in zip(image, heights_um, strict=True):
        defocus = np.exp(1j * np.where(inside, along * height, 0)).astype(np.complex64)
        for weight, field in fields:
            wave = scipy.fft.ifft2(field * defocus, overwrite_x=True)
            plane += weight * (wave.real**2 + wave.imag**2)
    image /= image.sum(axis=(1, 2), keepdims=True)
    return np.asarray(scipy.fft.fftshift(image, axes=(1, 2)), dtype=np.float32)


def spherical_phase(
    na: DoubleArray, inside: NDArray[np.bool_], immersion_index: float, sample_index: float, wavelength_um: float
) -> DoubleArray:
    """Phase per um of depth that a mismatch of indices brings, less the part that a shift of focus makes up for.

    Radians per um, axes (Y, X), 0 outside the lens. ``na`` is the numerical aperture n sin(theta) of each point of the
    pupil, ``inside`` whether the lens takes its light; both have the axes (Y, X).
    """
    wavenumber = 2 * np.pi / wavelength_um
    in_sample = wavenumber * np.sqrt(np.maximum(sample_index**2 - na**2, 0.0))
    in_immersion = wavenumber * np.sqrt(np.maximum(immersion_index**2 - na**2, 0.0))
    path = in_sample - in_immersion
    parts = np.stack([np.ones(int(inside.sum())), in_sample[inside]], axis=1)
    fit, *_ = np.linalg.lstsq(parts, path[inside], rcond=None)
    return np.asarray(np.where(inside, path - fit[0] - fit[1] * in_sample, 0.0))
