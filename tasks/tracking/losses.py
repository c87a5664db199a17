"""SwinTrack's losses: the score against the overlap of its cell's own box, and that box."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from tasks.contract import Term

if TYPE_CHECKING:
    from tasks.tracking.matching import Response
    from tasks.tracking.recipe import LossRecipe

EPS = 1e-6
"""Smallest overlap that is asked for, and smallest area that is divided by."""

NO_CELLS, NO_SCORES = 1e-4, 1e-5
"""What is divided by where nothing is positive."""


def losses(
    response: Response, positive: Tensor, boxes: Tensor, recipe: LossRecipe
) -> dict[str, Term]:
    """Both terms with their weights.

    Args:
        response: of B search images in h x w cells.
        positive: (B,h,w) bool, the cells that the target touches.
        boxes: (B,4) of the targets, as `response.boxes`.
        recipe: weights and exponents.
    """
    overlaps, generalised = overlap(response.boxes, boxes[:, None, None].to(response.boxes))
    wanted = overlaps.detach().clamp(min=EPS) * positive
    return {
        "varifocal": varifocal(response.scores, wanted, positive, recipe),
        "giou": giou(generalised, response.scores, positive, recipe),
    }


def varifocal(scores: Tensor, wanted: Tensor, positive: Tensor, recipe: LossRecipe) -> Term:
    """Cross-entropy of scores and wanted ones (B,h,w), weighted by the wanted one where the cell is
    positive and by alpha score^gamma elsewhere, a positive cell (Zhang et al. 2021, VarifocalNet,
    eq. 2, with alpha and gamma on the negative ones alone)."""
    weight = torch.where(positive, wanted, recipe.alpha * scores.abs().pow(recipe.gamma))
    total = (weight * functional.binary_cross_entropy(scores, wanted, reduction="none")).sum()
    return Term(recipe.class_weight * total, positive.sum().to(total).clamp(min=NO_CELLS))


def giou(generalised: Tensor, scores: Tensor, positive: Tensor, recipe: LossRecipe) -> Term:
    """1 - GIoU (B,h,w) of positive cells, weighted by their scores, which get no gradient of it."""
    weight = scores.detach() * positive
    total = ((1 - generalised) * weight).sum()
    return Term(recipe.box_weight * total, weight.sum().clamp(min=NO_SCORES))


def overlap(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al. 2019) of boxes (...,4) centre x, centre y, width,
    height."""
    (low, high), (other_low, other_high) = _corners(one), _corners(other)
    shared = _area((torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0))
    union = (_area(one[..., 2:]) + _area(other[..., 2:]) - shared).clamp(min=EPS)
    around = _area(torch.maximum(high, other_high) - torch.minimum(low, other_low)).clamp(min=EPS)
    iou = shared / union
    return iou, iou - (around - union) / around


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return centre - half, centre + half


def _area(sides: Tensor) -> Tensor:
    return sides[..., 0] * sides[..., 1]
