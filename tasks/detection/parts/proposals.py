"""Region proposals from the pyramid (Ren et al. 2015), and what they are trained on.

Anchors are numbered over all levels, finest first, row by row, as mmdet has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.contract import Note, Term
from tasks.detection.parts import heads, sampling
from tasks.detection.parts.detections import inside
from tasks.detection.parts.objects import Truth, assign
from tasks.openmmlab.operators import batched_nms

if TYPE_CHECKING:
    from tasks.detection.recipe import DetectionRecipe


@dataclass(frozen=True)
class Scored:
    """What the network says of the A anchors, a list of levels each.

    Attributes:
        anchors: (A_i, 4) x1, y1, x2, y2 in canvas pixels.
        logits: (B, A_i).
        deltas: (B, A_i, 4).
    """

    anchors: list[Tensor]
    logits: list[Tensor]
    deltas: list[Tensor]


@dataclass(frozen=True)
class Proposals:
    """Boxes of one image without a class.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2, in the order of their anchors.
        numbers: (n,) of the anchors that they come from.
    """

    boxes: Tensor
    numbers: Tensor


class RegionProposals(nn.Module):
    """mmdet's RPNHead, its loss and its proposals."""

    def __init__(self, recipe: DetectionRecipe) -> None:
        super().__init__()
        self.recipe = recipe.rpn
        self.head: Any = heads.rpn_head(recipe)
        rpn = recipe.rpn
        self._assigner = heads.assigner(rpn.positive_iou, rpn.negative_iou, rpn.min_positive_iou)
        self._grid: tuple[Any, list[Tensor]] = (None, [])

    def initialise(self, generator: torch.Generator) -> None:
        heads.initialise_rpn(self.head, generator)

    def forward(self, maps: list[Tensor]) -> Scored:
        logits, deltas = self.head(maps)
        sizes = [tuple(each.shape[-2:]) for each in logits]
        return Scored(
            self._anchors(sizes, logits[0].device),
            [each.float().movedim(1, -1).flatten(1) for each in logits],
            [each.float().movedim(1, -1).reshape(len(each), -1, 4) for each in deltas],
        )

    def _anchors(self, sizes: list[tuple[int, ...]], device: torch.device) -> list[Tensor]:
        # They are always the same, and their making waits for a GPU. Those of a prediction are used
        # in training again.
        if self._grid[0] != (sizes, device):
            with torch.inference_mode(False):
                made = self.head.prior_generator.grid_priors(sizes, device=device)
            self._grid = (sizes, device), made
        return self._grid[1]

    def loss(self, scored: Scored, truth: list[Truth]) -> dict[str, Term | Note]:
        """Cross-entropy of the sampled anchors and L1 of the positive ones' deltas, both divided by
        the number of sampled ones (mmdet counts at least one of either kind an image)."""
        anchors = torch.cat(scored.anchors)
        logits, deltas = torch.cat(scored.logits, 1), torch.cat(scored.deltas, 1)
        keys = torch.stack([each.key for each in truth])
        numbers = torch.arange(len(anchors), device=anchors.device)
        drawn = sampling.draws(keys[:, None], numbers, sampling.ANCHORS)
        positive, negative, boxes, count = [], [], [], 0
        for image, objects in enumerate(truth):
            assigned = assign(self._assigner, anchors, objects)
            some = sampling.choose(
                assigned, drawn[image], self.recipe.sampled, self.recipe.positive_share
            )
            boxes.append(objects.boxes[assigned[some[0]] - 1])
            positive.append(some[0] + image * len(anchors))
            negative.append(some[1] + image * len(anchors))
            count += max(len(some[0]), 1) + max(len(some[1]), 1)
        at = torch.cat(positive)
        goal = self.head.bbox_coder.encode(anchors[at % len(anchors)], torch.cat(boxes))
        chosen = logits.flatten()[torch.cat((at, *negative))]
        target = torch.zeros_like(chosen)
        target[: len(at)] = 1
        entropy = functional.binary_cross_entropy_with_logits(chosen, target, reduction="sum")
        distance = (deltas.flatten(0, 1)[at] - goal).abs().sum()
        divisor = entropy.new_tensor(count)
        return {
            "rpn_class": Term(entropy, divisor),
            "rpn_box": Term(distance, divisor),
            "rpn_positives": Note(entropy.new_tensor(len(at)), entropy.new_tensor(len(truth))),
        }

    @torch.no_grad()
    def propose(self, scored: Scored, extent: Tensor) -> list[Proposals]:
        """The best boxes of each image inside `extent` (B, 2) height, width, without near
        doubles of the same level."""
        rpn = self.recipe
        before = rpn.proposals_before if self.training else rpn.proposals_before_test
        scores, boxes, numbers, levels = [], [], [], []
        first = 0
        for level, anchors in enumerate(scored.anchors):
            best, rows = _best(scored.logits[level].sigmoid(), before)
            deltas = scored.deltas[level].gather(1, rows[..., None].expand(-1, -1, 4))
            boxes.append(self._decode(anchors[rows], deltas))
            scores.append(best)
            numbers.append(rows + first)
            levels.append(torch.full_like(rows, level))
            first += len(anchors)
        seen = inside(torch.cat(boxes, 1), extent[:, None])
        columns = (torch.cat(each, 1) for each in (scores, numbers, levels))
        return [self._apart(*image) for image in zip(seen, *columns, strict=True)]

    def _decode(self, anchors: Tensor, deltas: Tensor) -> Tensor:
        decoded: Tensor = self.head.bbox_coder.decode(anchors.flatten(0, 1), deltas.flatten(0, 1))
        return decoded.reshape(deltas.shape)

    def _apart(self, boxes: Tensor, scores: Tensor, numbers: Tensor, levels: Tensor) -> Proposals:
        real = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(1).nonzero()[:, 0]
        settings = {
            "iou_threshold": self.recipe.nms_iou,
            "max_num": self.recipe.proposals_after,
        }
        _, kept = batched_nms(boxes[real], scores[real], levels[real], settings)
        rows = real[kept]
        rows = rows[numbers[rows].argsort()]
        return Proposals(boxes[rows], numbers[rows])


def _best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest of scores (B, n), highest first, and their rows; of fewer all."""
    if scores.shape[1] <= count:
        rows = torch.arange(scores.shape[1], device=scores.device)
        return scores, rows.expand_as(scores)
    ordered, rows = scores.sort(dim=1, descending=True, stable=True)
    return ordered[:, :count], rows[:, :count]
