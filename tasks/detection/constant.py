"""The control that does not look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.model import TaskModel

if TYPE_CHECKING:
    from tasks.contract import Row
    from tasks.detection.clusters import BoxList


class ConstantBoxes(TaskModel):
    """The same boxes in every image, in shares of its sides.

    Args:
        boxes: the list.
        masks: whether each is reported as a mask, filled, too.
    """

    def __init__(self, boxes: BoxList, masks: bool) -> None:
        super().__init__()
        self.boxes, self.masks = boxes, masks

    def predict(self, batch: dict[str, Any]) -> list[Row]:
        columns = (batch[name].tolist() for name in ("index", "image_id", "image_size"))
        return [self._row(*values) for values in zip(*columns, strict=True)]

    def _row(self, index: int, image: int, size: list[int]) -> Row:
        height, width = size
        boxes = self.boxes.in_image(width, height)
        return {
            "sample": index,
            "image_id": image,
            "height": height,
            "width": width,
            "boxes": boxes.flatten().tolist(),
            "scores": self.boxes.scores.tolist(),
            "categories": self.boxes.category.tolist(),
            "masks": _filled(boxes, height, width) if self.masks else [],
        }


def _filled(boxes: np.ndarray[Any, np.dtype[np.float64]], height: int, width: int) -> list[str]:
    from pycocotools import mask

    return [rle["counts"].decode() for rle in mask.frPyObjects(boxes, height, width)]
