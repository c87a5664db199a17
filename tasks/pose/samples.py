"""Which boxes are samples: the published rules for people, or a detector's output."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError
from tasks.json_files import finite, read_json, whole
from tasks.pose.annotations import Annotations, Bools, Floats, Ints


@dataclass(frozen=True)
class Samples:
    """N boxes to find a pose in.

    Attributes:
        image: (N,) row of the image.
        person: (N,) row of the annotated person, -1 for a detector's box.
        annotation: (N,) annotation id, -1 for a detector's box.
        boxes: (N, 4) x, y, width, height.
        scores: (N,) of the box: 1 for an annotated one.
        keypoints: (N, K, 2) image pixels; visible: (N, K) whether they are labelled.
    """

    image: Ints
    person: Ints
    annotation: Ints
    boxes: Floats
    scores: Floats
    keypoints: Floats
    visible: Bools

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: Any) -> Samples:
        return replace(self, **{name: value[rows] for name, value in vars(self).items()})


def annotated(found: Annotations) -> tuple[Samples, dict[str, int]]:
    """People with a box and a labelled joint, no crowds, boxes clipped to the image, by image
    (mmpose base_coco_style_dataset.py); beside them how many were left out, by reason."""
    people = found.people
    limit = np.tile(found.images.sizes[people.image] - 1, 2)
    corners = people.boxes.copy()
    corners[:, 2:] += corners[:, :2]
    corners = np.clip(corners, 0, limit)
    extent = corners[:, 2:] - corners[:, :2]
    points = people.keypoints
    empty = (people.labelled == 0) | (points[..., :2].max(axis=(1, 2)) <= 0)
    reasons = {
        "crowd": people.crowd,
        "no labelled joint": ~people.crowd & empty,
        "empty box": ~people.crowd & ~empty & (extent <= 0).any(axis=1),
    }
    kept = np.flatnonzero(~np.logical_or.reduce(list(reasons.values())))
    kept = kept[np.argsort(people.image[kept], kind="stable")]
    samples = Samples(
        people.image[kept],
        kept,
        people.ids[kept],
        np.concatenate((corners[:, :2], extent), axis=1)[kept],
        np.ones(len(kept)),
        points[kept, :, :2],
        points[kept, :, 2] > 0,
    )
    skipped = {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}
    if found.skipped:
        skipped["no box or keypoints"] = found.skipped
    return samples, skipped


def detected(path: Path, found: Annotations) -> tuple[Samples, dict[str, int], str]:
    """The persons of a COCO detections file, as they are; what was left out; the file's hash.

    Raises:
        DataError: a file that is no list of detections.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path} must be a list of detections (image_id, category_id, bbox, score)")
    rows = {int(id): row for row, id in enumerate(found.images.ids)}
    image: list[int] = []
    boxes: list[list[float]] = []
    scores: list[float] = []
    left = {"of another category": 0, "of an image that is not listed": 0, "with an empty box": 0}
    for number, entry in enumerate(content):
        if not isinstance(entry, Mapping) or not _valid(entry):
            raise DataError(
                f"{path}: detection {number} needs image_id and category_id (whole numbers), bbox "
                "(4 numbers) and score, all finite"
            )
        if entry["category_id"] != found.category:
            left["of another category"] += 1
        elif entry["image_id"] not in rows:
            left["of an image that is not listed"] += 1
        elif min(entry["bbox"][2:]) <= 0:
            left["with an empty box"] += 1
        else:
            image.append(rows[entry["image_id"]])
            boxes.append(entry["bbox"])
            scores.append(entry["score"])
    count, joints = len(image), len(found.joints)
    unknown: NDArray[np.int64] = np.full(count, -1)
    samples = Samples(
        np.array(image, dtype=np.int64),
        unknown,
        unknown,
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.array(scores, dtype=float),
        np.zeros((count, joints, 2)),
        np.zeros((count, joints), dtype=bool),
    )
    skipped = {f"detection {reason}": n for reason, n in left.items() if n}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return samples.take(np.argsort(samples.image, kind="stable")), skipped, digest


def _valid(entry: Mapping[str, Any]) -> bool:
    box = entry.get("bbox")
    return (
        whole(entry.get("image_id"))
        and whole(entry.get("category_id"))
        and isinstance(box, list)
        and len(box) == 4
        and finite([*box, entry.get("score")])
    )
