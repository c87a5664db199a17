"""What the hidden pixels are compared with, and how: SimMIM's and MAE's losses."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from tasks.contract import Term

Target = Literal["raw", "norm47", "norm_pix"]
Loss = Literal["l1", "mse"]

WINDOW = 47
_EPSILON = 1e-6


def l1(reconstruction: Tensor, target: Tensor, hidden: Tensor) -> Term:
    """SimMIM's loss: the mean absolute difference over the hidden pixels and their colours.

    Args:
        reconstruction: (B,3,H,W).
        target: (B,3,H,W).
        hidden: (B,H,W) bool, True = hidden.

    The 1e-5 in the divisor is the authors' (models/simmim.py): a batch without a hidden pixel
    has the loss 0. They count in integers, so it is added in single precision, whatever the
    precision of the images.
    """
    total = ((reconstruction - target).abs() * hidden.unsqueeze(1)).sum()
    return Term(total, (hidden.sum().float() + 1e-5).to(total) * target.shape[1])


def mse(reconstruction: Tensor, target: Tensor, hidden: Tensor) -> Term:
    """MAE's loss: the mean squared difference over the hidden pixels; shapes as in `l1`."""
    total = ((reconstruction - target).square() * hidden.unsqueeze(1)).sum()
    return Term(total, hidden.sum().to(total) * target.shape[1])


def statistics(images: Tensor, target: Target, patch: int) -> tuple[Tensor, Tensor]:
    """Shift and scale, broadcastable to (B,3,H,W): the target is (images - shift) / scale.

    - `raw`: the images as the encoder sees them (SimMIM).
    - `norm47`: mean and deviation in a 47x47 window at every pixel (SimMIM of SwinV2).
    - `norm_pix`: mean and deviation of each patch over pixels and colours (MAE).

    Args:
        images: (B,3,H,W), normalised by the encoder's mean and standard deviation.
        target: which of the three.
        patch: side of a patch in pixels, for `norm_pix`.
    """
    if target == "raw":
        return torch.zeros_like(images[:, :1]), torch.ones_like(images[:, :1])
    mean, variance = (
        _window_moments(images) if target == "norm47" else _patch_moments(images, patch)
    )
    return mean, (variance + _EPSILON).sqrt()


def patchify(images: Tensor, patch: int) -> Tensor:
    """(B,3,H,W) to (B,N,patch*patch*3): patches in raster order, values by row, column, colour."""
    b, c, h, w = images.shape
    cut = images.reshape(b, c, h // patch, patch, w // patch, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(b, -1, patch * patch * c)


def to_pixels(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask of patches (B,h,w) as a mask of pixels (B,H,W)."""
    rows, columns = size[0] // mask.shape[1], size[1] // mask.shape[2]
    return mask.repeat_interleave(rows, dim=1).repeat_interleave(columns, dim=2)


def _window_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance (at least 0) over the part of the window inside the image."""
    mean = _window_mean(images)
    count = WINDOW**2 * functional.avg_pool2d(
        torch.ones_like(images[:1, :1]), WINDOW, stride=1, padding=WINDOW // 2
    )
    variance = (_window_mean(images.square()) - mean.square()) * (count / (count - 1))
    return mean, variance.clamp(min=0)


def _window_mean(images: Tensor) -> Tensor:
    # One axis after the other: 94 additions a pixel in place of 2209.
    half = WINDOW // 2
    rows = functional.avg_pool2d(
        images, (1, WINDOW), stride=1, padding=(0, half), count_include_pad=False
    )
    return functional.avg_pool2d(
        rows, (WINDOW, 1), stride=1, padding=(half, 0), count_include_pad=False
    )


def _patch_moments(images: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance of each patch over pixels and colours, (B,1,H,W) by pixel."""
    b, _, h, w = images.shape
    patches = patchify(images, patch)
    moments = torch.stack((patches.mean(-1), patches.var(-1)), dim=1)
    grid = moments.reshape(b, 2, h // patch, w // patch)
    full = grid.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)
    return full[:, :1], full[:, 1:]
