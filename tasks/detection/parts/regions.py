"""The second stage's regions: their sampling, their features, and the losses of boxes and masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from tasks.contract import DataError, Term
from tasks.detection.parts import sampling
from tasks.detection.parts.objects import Truth, assign
from tasks.openmmlab.operators import roi_align

if TYPE_CHECKING:
    from tasks.detection.parts.proposals import Proposals
    from tasks.detection.recipe import RoiRecipe

MASK_SCALE = 2
"""Cells of the mask head's output a cell of its input."""


@dataclass(frozen=True)
class Sampled:
    """The regions of one image that are trained on, positive ones first.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 on the canvas.
        objects: (p,) rows of the positive ones' objects.
    """

    boxes: Tensor
    objects: Tensor


@dataclass(frozen=True)
class Targets:
    """What the regions of a batch should be, images one after another.

    Attributes:
        rois: (R, 5) number of the image and box.
        labels: (R,) with the number of classes for none.
        positive: (P,) rows of those with an object.
        boxes: (P, 4) of the objects.
        masks: (P, m, m) of 0 and 1, or None.
    """

    rois: Tensor
    labels: Tensor
    positive: Tensor
    boxes: Tensor
    masks: Tensor | None


def sample(roi: RoiRecipe, assigner: Any, proposals: Proposals, truth: Truth) -> Sampled:
    """Choose regions among the objects' own boxes and the proposals."""
    own = torch.arange(len(truth.boxes), device=truth.boxes.device)
    boxes = torch.cat((truth.boxes, proposals.boxes))
    assigned = torch.cat((own + 1, assign(assigner, proposals.boxes, truth)))
    numbers = torch.cat((-1 - own, proposals.numbers))
    drawn = sampling.draws(truth.key, numbers, sampling.REGIONS)
    positive, negative = sampling.choose(assigned, drawn, roi.sampled, roi.positive_share)
    return Sampled(boxes[torch.cat((positive, negative))], assigned[positive] - 1)


def targets(sampled: list[Sampled], truth: list[Truth], classes: int, side: int) -> Targets:
    """Put together what the sampled regions should be; masks of `side` cells where there are."""
    labels, positive, boxes, masks = [], [], [], []
    first = 0
    for regions, objects in zip(sampled, truth, strict=True):
        count = len(regions.objects)
        own = objects.labels.new_full((len(regions.boxes),), classes)
        own[:count] = objects.labels[regions.objects]
        labels.append(own)
        positive.append(torch.arange(first, first + count, device=own.device))
        boxes.append(objects.boxes[regions.objects])
        if objects.masks is not None:
            masks.append(crops(objects.masks, regions.boxes[:count], regions.objects, side))
        first += len(own)
    return Targets(
        rois_of([each.boxes for each in sampled]),
        torch.cat(labels),
        torch.cat(positive),
        torch.cat(boxes),
        torch.cat(masks) if masks else None,
    )


def rois_of(boxes: list[Tensor]) -> Tensor:
    """(R, 5): number of the image, then the box, images one after another."""
    parts = [
        torch.cat((each.new_full((len(each), 1), image), each), 1)
        for image, each in enumerate(boxes)
    ]
    return torch.cat(parts)


def crops(masks: Tensor, boxes: Tensor, rows: Tensor, side: int) -> Tensor:
    """Masks (n, H, W) at `rows` (p,), each cut out by its box (p, 4) and brought to side x side
    cells, of which those count that are covered by half or more; (p, side, side) float."""
    if len(rows) == 0:
        return boxes.new_zeros((0, side, side))
    taken, at = torch.unique(rows, return_inverse=True)
    regions = torch.cat((at.to(boxes)[:, None], boxes), 1)
    found = roi_align(masks[taken, None].to(boxes), regions, side)
    return (found[:, 0] >= 0.5).to(boxes)


def box_losses(scores: Tensor, deltas: Tensor, goal: Targets, coder: Any) -> dict[str, Term]:
    """Cross-entropy of all regions and L1 of the positive ones' deltas, both divided by the number
    of regions.

    Args:
        scores: (R, classes + 1) logits.
        deltas: (R, 4) or (R, 4 classes).
    """
    at = goal.positive
    entropy = functional.cross_entropy(scores, goal.labels, reduction="sum")
    several = deltas.reshape(len(deltas), -1, 4)
    column = goal.labels[at] if several.shape[1] > 1 else torch.zeros_like(at)
    distance = (several[at, column] - coder.encode(goal.rois[at, 1:], goal.boxes)).abs().sum()
    count = _at_least_some(entropy.new_tensor(len(scores)))
    return {"class": Term(entropy, count), "box": Term(distance, count)}


def mask_loss(logits: Tensor, goal: Targets) -> Term:
    """Cross-entropy a cell of the masks (P, classes, m, m) of the positive regions' own classes.

    Raises:
        DataError: objects have no masks, unlike those that the network was made for.
    """
    if goal.masks is None and len(goal.positive):
        raise DataError("no masks, where training has some: take --set data.masks=false for boxes")
    own = logits[torch.arange(len(logits), device=logits.device), goal.labels[goal.positive]]
    wanted = torch.zeros_like(own) if goal.masks is None else goal.masks
    entropy = functional.binary_cross_entropy_with_logits(own, wanted, reduction="sum")
    return Term(entropy, _at_least_some(entropy.new_tensor(own.numel())))


def _at_least_some(count: Tensor) -> Tensor:
    """A batch without any gives 0."""
    return count.clamp(min=1e-6)
