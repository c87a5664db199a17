"""Mixup and cutmix of whole batches, soft targets and their loss, as timm has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn.functional import log_softmax

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.classification.augmentation.settings import MixRecipe
    from tasks.crops import Size


class Draw(NamedTuple):
    """How a batch is mixed.

    Attributes:
        share: of the sample itself in its target; its partner has the rest.
        box: top, left, bottom, right of what cutmix pastes; None for mixup.
    """

    share: float
    box: tuple[int, int, int, int] | None


UNMIXED = Draw(1.0, None)


def draw(size: Size, recipe: MixRecipe, rng: np.random.Generator) -> Draw:
    """Mixup or cutmix, and how much, for images of `size` (height, width)."""
    if not recipe.active or rng.random() >= recipe.probability:
        return UNMIXED
    both = recipe.mixup > 0 and recipe.cutmix > 0
    cutmix = rng.random() < recipe.switch_probability if both else recipe.cutmix > 0
    alpha = recipe.cutmix if cutmix else recipe.mixup
    share = float(rng.beta(alpha, alpha))
    return _boxed(size, share, rng) if cutmix else Draw(share, None)


def _boxed(size: Size, share: float, rng: np.random.Generator) -> Draw:
    """A box of the image's shape whose middle is anywhere in it; clipped by its border, and the
    share is that of what is left (Yun et al. 2019, equation 2)."""
    edges = []
    for length in size:
        # An odd side loses a pixel, as in the published code; timm 1.0 keeps it.
        half, middle = int(length * math.sqrt(1 - share)) // 2, int(rng.integers(length))
        edges.append((max(0, middle - half), min(length, middle + half)))
    (top, bottom), (left, right) = edges
    area = (bottom - top) * (right - left)
    return Draw(1 - area / (size[0] * size[1]), (top, left, bottom, right))


def mix(images: Tensor, targets: Tensor, recipe: MixRecipe, key: int) -> tuple[Tensor, Tensor]:
    """Mix a batch with itself, by one draw that depends on `key` alone.

    Sample i's partner is sample i + B/2 (modulo B), where timm takes B-1-i: processes that take
    every n-th sample of the batch then pair the same samples as one process does, so long as B is
    a multiple of 2n. Partners are as random as the order of the samples is.

    Args:
        images: (B,3,H,W).
        targets: (B,C) shares of the classes.
        recipe: the distributions.
        key: the same in all processes.

    Returns:
        Both mixed; the arguments themselves if the draw is not to mix.
    """
    height, width = images.shape[-2:]
    drawn = draw((height, width), recipe, np.random.default_rng(key))
    order = torch.arange(len(images), device=images.device).roll(-(len(images) // 2))
    return mixed(images, targets, drawn, order)


def mixed(images: Tensor, targets: Tensor, drawn: Draw, order: Tensor) -> tuple[Tensor, Tensor]:
    """Apply a draw; the partner of sample i is sample `order[i]`."""
    if drawn.share == 1:
        return images, targets
    share, others = drawn.share, images[order]
    if drawn.box is None:
        images = share * images + (1 - share) * others
    else:
        top, left, bottom, right = drawn.box
        images = images.clone()
        images[:, :, top:bottom, left:right] = others[:, :, top:bottom, left:right]
    return images, share * targets + (1 - share) * targets[order]


def soft_targets(
    labels: Tensor, classes: int, smoothing: float, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Smoothed one-hot rows (B,C): `smoothing` is spread over all classes, the true one among them
    (Szegedy et al. 2016, section 7)."""
    off = smoothing / classes
    rows = torch.full((len(labels), classes), off, dtype=dtype, device=labels.device)
    return rows.scatter_(1, labels[:, None], 1 - smoothing + off)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy (B,) of each sample with shares of classes (B,C)."""
    return -(targets * log_softmax(logits, dim=-1)).sum(-1)
