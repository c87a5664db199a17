"""COCO keypoint files as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.contract import DataError
from tasks.json_files import finite, whole

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Images:
    """I images: ids, file names, sizes (I, 2) as width and height, crowd index (NaN if not
    given)."""

    ids: Ints
    files: tuple[str, ...]
    sizes: Floats
    crowd_index: Floats


@dataclass(frozen=True)
class People:
    """N annotated persons with K joints, in the order of the file.

    Attributes:
        image: (N,) row of `Images`.
        ids: (N,) annotation ids.
        boxes: (N, 4) x, y, width, height in image pixels.
        keypoints: (N, K, 3) x, y, v with v 0 unlabelled, 1 hidden, 2 visible.
        areas: (N,) the scale of OKS, in square pixels.
        labelled: (N,) the file's count of labelled joints.
        crowd: (N,) whether a group stands for many.
    """

    image: Ints
    ids: Ints
    boxes: Floats
    keypoints: Floats
    areas: Floats
    labelled: Ints
    crowd: Bools

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Any) -> People:
        return replace(self, **{name: value[rows] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Annotations:
    """A parsed file; `category` is the id of persons, `skipped` counts those without a box or
    without keypoints."""

    category: int
    joints: tuple[str, ...]
    images: Images
    people: People
    skipped: int


def parse(content: Any, name: str, area: Literal["annotation", "box"]) -> Annotations:
    """Check the content of a COCO keypoint file and turn it into arrays.

    Args:
        content: the parsed JSON.
        name: what to call it in messages.
        area: the annotated area, or 0.53 x width x height of the box (CrowdPose).

    Raises:
        DataError: naming the first annotation or image that is wrong.
    """
    if not isinstance(content, Mapping):
        raise DataError(f"{name} must hold images, annotations and categories")
    for section in ("images", "annotations", "categories"):
        if not isinstance(content.get(section), list):
            raise DataError(f"{name} has no list `{section}`")
    category, joints = _category(content["categories"], name)
    images = _images(content["images"], name)
    rows = {int(id): row for row, id in enumerate(images.ids)}
    found: list[dict[str, Any]] = []
    skipped = 0
    for entry in content["annotations"]:
        if not isinstance(entry, Mapping) or not whole(entry.get("id")):
            raise DataError(f"{name}: an annotation without a whole number as `id`")
        number = entry.get("category_id", category)
        if not whole(number):
            raise DataError(
                f"{name}: annotation {entry['id']} has `category_id` {number!r}, expected a whole "
                f"number; people have {category}"
            )
        if number != category:
            continue
        if "bbox" not in entry or "keypoints" not in entry:
            skipped += 1
            continue
        found.append(_person(entry, len(joints), rows, area, f"{name}: annotation {entry['id']}"))
    if not found:
        raise DataError(f"{name} has no person with a box and keypoints")
    columns = {key: np.array([person[key] for person in found]) for key in found[0]}
    people = People(**columns)
    if len(np.unique(people.ids)) != len(people):
        raise DataError(f"{name} has two annotations with the same id")
    return Annotations(category, joints, images, people, skipped)


def _category(categories: list[Any], name: str) -> tuple[int, tuple[str, ...]]:
    having = [c for c in categories if isinstance(c, Mapping) and c.get("keypoints")]
    persons = [c for c in having if c.get("name") == "person"] or having
    if len(persons) != 1:
        raise DataError(f"{name} must have one category with a list of `keypoints` names")
    names = persons[0]["keypoints"]
    if not isinstance(names, list) or not all(isinstance(joint, str) for joint in names):
        raise DataError(f"{name}: `keypoints` of the category must be a list of names")
    if not whole(persons[0].get("id")):
        raise DataError(f"{name}: the category needs a whole number as `id`")
    return int(persons[0]["id"]), tuple(names)


def _images(entries: list[Any], name: str) -> Images:
    for entry in entries:
        if not isinstance(entry, Mapping) or not whole(entry.get("id")):
            raise DataError(f"{name}: an image without a whole number as `id`")
        wrong = [key for key in ("width", "height") if not _is_side(entry.get(key))]
        if not isinstance(entry.get("file_name"), str) or "\0" in entry["file_name"]:
            wrong.append("file_name")
        if not finite([entry.get("crowdIndex", 0.0)]):
            wrong.append("crowdIndex")
        if wrong:
            raise DataError(f"{name}: image {entry['id']} has no valid {', '.join(wrong)}")
    ids = np.array([entry["id"] for entry in entries], dtype=np.int64)
    if len(np.unique(ids)) != len(ids):
        raise DataError(f"{name} has two images with the same id")
    return Images(
        ids,
        tuple(entry["file_name"] for entry in entries),
        np.array([(e["width"], e["height"]) for e in entries], dtype=float).reshape(-1, 2),
        np.array([float(entry.get("crowdIndex", np.nan)) for entry in entries]),
    )


def _person(
    entry: Mapping[str, Any], joints: int, rows: dict[int, int], area: str, where: str
) -> dict[str, Any]:
    values, box = entry["keypoints"], entry["bbox"]
    if not isinstance(values, list) or len(values) != 3 * joints:
        count = len(values) if isinstance(values, list) else "no"
        raise DataError(
            f"{where} has {count} keypoint values, expected {3 * joints} (x, y, v of {joints} "
            "joints)"
        )
    if not isinstance(box, list) or len(box) != 4 or not finite(box):
        raise DataError(f"{where} has a box that is not four numbers (x, y, width, height)")
    if not finite(values):
        raise DataError(f"{where} has keypoints that are not finite numbers")
    if not whole(entry.get("image_id")) or entry["image_id"] not in rows:
        raise DataError(f"{where} is of image {entry.get('image_id')!r}, which is not listed")
    points = np.array(values, dtype=float).reshape(joints, 3)
    if not np.isin(points[:, 2], (0, 1, 2)).all():
        raise DataError(f"{where} has a visibility other than 0, 1, 2")
    if area == "box":
        scale = 0.53 * box[2] * box[3]
    elif not finite([entry.get("area")]) or entry["area"] < 0:
        raise DataError(f"{where} has no valid `area`; take the box's with --set data.area=box")
    else:
        scale = float(entry["area"])
    labelled = entry.get("num_keypoints", int(np.count_nonzero(points[:, 2])))
    if not whole(labelled) or not 0 <= labelled <= joints:
        raise DataError(
            f"{where} has `num_keypoints` {labelled!r}, expected a whole number from 0 to {joints}"
        )
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataError(f"{where} has `iscrowd` {crowd!r}, expected 0 or 1")
    return {
        "image": rows[entry["image_id"]],
        "ids": entry["id"],
        "boxes": np.array(box, dtype=float),
        "keypoints": points,
        "areas": scale,
        "labelled": labelled,
        "crowd": bool(crowd),
    }


def _is_side(value: Any) -> bool:
    """Whether it can be the width or height of an image."""
    return finite([value]) and 0 < value < 1e6
