"""The annotations in COCO's JSON layout; image ids are the indices of the data set."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.microworld.annotate import Annotation
from tasks.microworld.figures import JOINTS
from tasks.microworld.objects import COVERED

if TYPE_CHECKING:
    from tasks.microworld.world import Microworld

SKELETON = (
    (16, 14),
    (14, 12),
    (17, 15),
    (15, 13),
    (12, 13),
    (6, 12),
    (7, 13),
    (6, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (9, 11),
    (2, 3),
    (1, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
    (5, 7),
)
"""Pairs of joints, counted from 1, as COCO lists them."""

DETECTION_CLASSES = ("person", *COVERED)
"""What boxes and masks are annotated with in general scenes; COCO ids count from 1."""


def keypoints(world: "Microworld") -> dict[str, Any]:
    """Return COCO keypoint annotations of the persons of a data set of still images."""
    annotations: list[dict[str, Any]] = []
    for index in range(len(world)):
        for item in world.annotations(index).persons:
            annotations.append(
                {
                    **_entry(len(annotations) + 1, index, 1, item),
                    "keypoints": [value for point in item.keypoints for value in point],
                    "num_keypoints": sum(point[2] > 0 for point in item.keypoints),
                }
            )
    person = {"id": 1, "name": "person", "keypoints": list(JOINTS)}
    return {
        "images": _images(world),
        "annotations": annotations,
        "categories": [{**person, "skeleton": [list(pair) for pair in SKELETON]}],
    }


def instances(world: "Microworld") -> dict[str, Any]:
    """Return COCO instance annotations, masks as compressed run lengths."""
    from pycocotools import mask as rle

    annotations: list[dict[str, Any]] = []
    for index in range(len(world)):
        numbers = world.instances(index)
        for item in world.annotations(index).items:
            mask = np.asfortranarray(numbers == item.instance, dtype=np.uint8)
            runs = rle.encode(mask)
            category = DETECTION_CLASSES.index(item.category) + 1
            annotations.append(
                {
                    **_entry(len(annotations) + 1, index, category, item),
                    "segmentation": {"size": runs["size"], "counts": runs["counts"].decode()},
                }
            )
    return {
        "images": _images(world),
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for n, name in enumerate(DETECTION_CLASSES, 1)],
    }


def _images(world: "Microworld") -> list[dict[str, Any]]:
    height, width = world.size
    return [
        {"id": i, "file_name": f"{i:08d}.png", "height": height, "width": width}
        for i in range(len(world))
    ]


def _entry(number: int, index: int, category: int, item: Annotation) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": index,
        "category_id": category,
        "bbox": [float(value) for value in item.box],
        "area": float(item.area),
        "iscrowd": 0,
    }
