"""What is reported of an image: boxes in its own pixels, and masks as run lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.contract import Row
    from tasks.detection.recipe import TestRecipe


@dataclass(frozen=True)
class Found:
    """The detections of one image, best first.

    Attributes:
        boxes: (k, 4) x1, y1, x2, y2 on the canvas.
        scores: (k,). labels: (k,).
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def select(scores: Tensor, boxes: Tensor, test: TestRecipe) -> Found:
    """The best boxes of each class without near doubles.

    Args:
        scores: (n, classes + 1) probabilities, the last of no object.
        boxes: (n, 4) or (n, 4 classes).
    """
    from tasks import openmmlab

    multiclass_nms = openmmlab.load("mmdet.models.layers.bbox_nms").multiclass_nms
    settings = {"iou_threshold": test.nms_iou}
    found, labels = multiclass_nms(boxes, scores, test.min_score, settings, test.detections)
    return Found(found[:, :4], found[:, 4], labels)


def inside(boxes: Tensor, extent: Tensor) -> Tensor:
    """Boxes (..., 4 n) cut off at the edges of the image, `extent` (..., 2) height, width."""
    edges = extent.flip(-1).to(boxes).repeat(*[1] * (extent.dim() - 1), boxes.shape[-1] // 2)
    return boxes.clamp(min=0).minimum(edges)


def rows(
    batch: dict[str, Any], found: list[Found], masks: list[Tensor] | None, threshold: float
) -> list[Row]:
    """One row an image, its boxes x, y, width, height in image pixels.

    Args:
        batch: with `scale`, `image_size`, `image_id` and `index`.
        masks: (k, m, m) in [0, 1] of each image's detections, or None.
    """
    scales = batch["scale"].cpu().repeat(1, 2)
    columns = (batch[name].tolist() for name in ("index", "image_id", "image_size"))
    return [
        {
            "sample": int(index),
            "image_id": int(image),
            "height": int(size[0]),
            "width": int(size[1]),
            **_reported(each, scale, size, None if masks is None else masks[i].cpu(), threshold),
        }
        for i, (each, scale, index, image, size) in enumerate(
            zip(found, scales, *columns, strict=True)
        )
    ]


def _reported(
    found: Found, scale: Tensor, size: list[int], masks: Tensor | None, threshold: float
) -> Row:
    boxes = found.boxes.cpu() / scale
    kept = inside(boxes, torch.tensor(size))
    kept[:, 2:] -= kept[:, :2]
    return {
        "boxes": kept.flatten().tolist(),
        "scores": found.scores.tolist(),
        "categories": found.labels.tolist(),
        "masks": [] if masks is None else _run_lengths(masks, boxes, size, threshold),
    }


def _run_lengths(masks: Tensor, boxes: Tensor, size: list[int], threshold: float) -> list[str]:
    """pycocotools' compressed counts, one mask of the image's size at a time."""
    from pycocotools import mask as coco

    height, width = size
    pasted = (
        paste(mask, box, (height, width), threshold) for mask, box in zip(masks, boxes, strict=True)
    )
    return [coco.encode(each)["counts"].decode("ascii") for each in pasted]


def paste(mask: Tensor, box: Tensor, size: tuple[int, int], threshold: float) -> NDArray[np.uint8]:
    """Stretch a mask over its box in an image of `size` (height, width).

    Bilinear between the centres of the mask's cells, 0 beyond its edge; pixels of at least
    `threshold` are set. Only the pixels about the box are computed.

    Args:
        mask: (m, m) in [0, 1].
        box: (4,) x1, y1, x2, y2 in image pixels.

    Returns:
        (height, width) in Fortran's order, which run lengths are taken in.
    """
    found = np.zeros(size, np.uint8, order="F")
    x1, y1, x2, y2 = box.tolist()
    left, top = max(int(np.floor(x1)) - 1, 0), max(int(np.floor(y1)) - 1, 0)
    right, bottom = min(int(np.ceil(x2)) + 1, size[1]), min(int(np.ceil(y2)) + 1, size[0])
    if x2 <= x1 or y2 <= y1 or right <= left or bottom <= top:
        return found
    x = (torch.arange(left, right, dtype=torch.float32) + 0.5 - box[0]) / (box[2] - box[0]) * 2 - 1
    y = (torch.arange(top, bottom, dtype=torch.float32) + 0.5 - box[1]) / (box[3] - box[1]) * 2 - 1
    grid = torch.stack((x.expand(len(y), -1), y[:, None].expand(-1, len(x))), -1)
    values = functional.grid_sample(mask[None, None], grid[None], align_corners=False)[0, 0]
    found[top:bottom, left:right] = (values >= threshold).numpy()
    return found
