"""Stored predictions as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.contract import DataError, Row
from tasks.detection.annotations import Annotations, Detections, Rle
from tasks.rows import in_order


def read(rows: list[Row], truth: Annotations) -> Detections:
    """The detections of all images, one row an image in the order of `truth`.

    A row has `sample`, `image_id`, `height` and `width` of the image in pixels, `boxes` (x, y,
    width, height of one after the other), `scores`, `categories` (rows of the categories) and
    `masks`, run lengths as compressed counts, or none.

    Raises:
        DataError: rows that are missing, doubled, of other samples or images, or malformed.
    """
    rows = in_order(rows, len(truth.images))
    masks: list[Rle] = []
    columns: list[tuple[Any, Any, Any]] = []
    for number, row in enumerate(rows):
        columns.append(_checked(row, len(truth.categories), int(truth.images.ids[number])))
        masks += _masks(row, truth.images.sizes[number].tolist())
    boxes, scores, categories = zip(*columns, strict=True) if columns else ((), (), ())
    counts = [len(each) for each in scores]
    if masks and len(masks) != sum(counts):
        raise DataError(
            f"{len(masks)} of {sum(counts)} detections have a mask: expected all or none"
        )
    return Detections(
        np.repeat(np.arange(len(rows)), np.array(counts, int)),
        np.concatenate([np.zeros(0, np.int64), *categories]),
        np.concatenate([np.zeros((0, 4)), *boxes]),
        np.concatenate([np.zeros(0), *scores]),
        tuple(masks),
    )


def _checked(row: Row, classes: int, image: int) -> tuple[Any, Any, Any]:
    """Boxes (N, 4), scores (N,) and categories (N,) of a row."""
    who = f"the prediction for sample {row['sample']}"
    if row["image_id"] != image:
        raise DataError(f"{who} is of image {row['image_id']}, expected {image}")
    boxes = np.asarray(row["boxes"], float)
    scores, categories = np.asarray(row["scores"], float), np.asarray(row["categories"])
    if len(boxes) % 4:
        raise DataError(f"{who} has {len(boxes)} numbers of boxes, expected four a box")
    if not len(boxes) // 4 == len(scores) == len(categories):
        raise DataError(
            f"{who} has {len(boxes) // 4} boxes, {len(scores)} scores and {len(categories)} "
            "categories, expected as many of each"
        )
    if not np.isfinite(boxes).all() or not np.isfinite(scores).all():
        raise DataError(f"{who} has boxes or scores that are no finite numbers")
    unknown = categories[~np.isin(categories, np.arange(classes))]
    if len(unknown):
        raise DataError(f"{who} has category {unknown[0]}, expected 0 to {classes - 1}")
    return boxes.reshape(-1, 4), scores, categories.astype(np.int64)


def _masks(row: Row, size: list[int]) -> list[Rle]:
    counts = row["masks"]
    if not len(counts):
        return []
    who = f"the prediction for sample {row['sample']}"
    if len(counts) != len(row["scores"]):
        raise DataError(f"{who} has {len(counts)} masks for {len(row['scores'])} detections")
    height, width = int(row["height"]), int(row["width"])
    if [width, height] != size:
        raise DataError(
            f"{who} has masks of {width}x{height} pixels, its image has {size[0]}x{size[1]}"
        )
    shape = [height, width]
    return [{"size": shape, "counts": c.encode() if isinstance(c, str) else c} for c in counts]
