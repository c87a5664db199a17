"""The annotated objects of a batch, and how candidates are assigned to them."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Truth:
    """The objects of one image on the canvas.

    Attributes:
        boxes: (n, 4) x1, y1, x2, y2 in pixels.
        labels: (n,) rows of the category.
        masks: (n, H, W) of 0 and 1, or None.
        key: of the image's randomness, int64 without a dimension.
    """

    boxes: Tensor
    labels: Tensor
    masks: Tensor | None
    key: Tensor


def truths(batch: dict[str, Any], training: bool) -> list[Truth]:
    """The objects of each image. In evaluation the randomness is that of the image's index, so
    that the loss of held-out images is the same every time.

    Crowd regions are left out, as mmdet does with `ignore_iof_thr` -1: they make no positives,
    and what lies in them is negative.
    """
    device = batch["image"].device if "image" in batch else batch["index"].device
    keys = batch["sample_key" if training else "index"]
    masks = batch.get("masks") or [None] * len(keys)
    return [
        Truth(
            boxes.to(device),
            labels.to(device),
            None if mask is None else mask.to(device),
            key,
        )
        for boxes, labels, mask, key in zip(
            batch["boxes"], batch["labels"], masks, keys, strict=True
        )
    ]


def assign(assigner: Any, candidates: Tensor, truth: Truth) -> Tensor:
    """(n,) of each candidate (n, 4): its object's row + 1, 0 for a negative, -1 for neither."""
    given = SimpleNamespace(priors=candidates)
    objects = SimpleNamespace(bboxes=truth.boxes, labels=truth.labels)
    with torch.no_grad():
        found: Tensor = assigner.assign(given, objects).gt_inds
    return found
