"""The blur of an unpaired training: positive, of sum 1, round, and a convolution."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
import torch

from napari_deep3d.nn.blur_kernel import DEPTH, RADIUS, BlurKernel


def changed_kernel() -> BlurKernel:
    """A kernel with numbers of its own, as after training."""
    torch.manual_seed(0)
    blur = BlurKernel()
    with torch.no_grad():
        blur.profile += torch.randn_like(blur.profile)
    return blur


def test_the_kernel_is_positive_and_sums_to_one_whatever_is_learned() -> None:
    kernel = changed_kernel().kernel()
    assert kernel.shape == (2 * DEPTH + 1, 2 * RADIUS + 1, 2 * RADIUS + 1)
    assert (kernel >= 0).all()
    assert float(kernel.sum().detach()) == np.float32(1) or abs(float(kernel.sum().detach()) - 1) < 1e-5


def test_the_kernel_is_the_same_when_it_is_flipped_or_turned_across_but_not_along_z() -> None:
    kernel = changed_kernel().kernel().detach()
    torch.testing.assert_close(kernel.flip(1), kernel)
    torch.testing.assert_close(kernel.transpose(1, 2), kernel)
    assert not torch.allclose(kernel.flip(0), kernel)


def test_it_blurs_as_scipy_does_and_the_last_voxel_goes_on_beyond_the_border() -> None:
    blur = changed_kernel()
    stack = torch.rand(1, 1, 6, 18, 20)
    wanted = ndi.convolve(stack[0, 0].numpy(), blur.kernel().detach().numpy(), mode="nearest")
    np.testing.assert_allclose(blur(stack).detach().numpy()[0, 0], wanted, atol=1e-5)


def test_an_even_stack_stays_as_it_is_until_gain_haze_and_offset_are_learned() -> None:
    blur, stack = BlurKernel(), torch.full((1, 1, 5, 16, 16), 0.7)
    rounding = {"rtol": 0, "atol": 1e-4}  # of Fourier transforms in float32, which processors round differently
    torch.testing.assert_close(blur(stack).detach(), stack, **rounding)
    with torch.no_grad():
        blur.gain.fill_(0.5)
        blur.haze.fill_(0.25)
        blur.offset.fill_(0.1)
    torch.testing.assert_close(blur(stack).detach(), 0.75 * stack + 0.1, **rounding)
